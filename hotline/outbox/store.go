package outbox

// The queries of this room.
//
// Since walks the primary key from a position on and lets topics filter what
// the range gives, at most scanWindow rows a statement. A GIN index on topics
// would serve a rare topic over a long gap better, but every append would pay
// for it, a common topic ("orders") would have to be sorted, and clients with a
// long gap reload anyway.
const (
	insertOutbox = `insert into outbox (topics, kind, key, payload) values ($1, $2, $3, $4)`
	notify       = `select pg_notify($1, $2)`
	// moveOutbox is one statement, so a kill at any point moves and wakes both
	// or neither; NOTIFY is sent when it commits.
	moveOutbox = `with taken as (
  delete from outbox where id = any (array(select id from outbox order by id limit $1)) returning id, topics, kind, key, payload, at
), base as (
  select coalesce(max(pos), 0) as pos from stream
), numbered as (
  insert into stream (pos, at, topics, kind, key, payload)
  select base.pos + row_number() over (order by taken.id), taken.at, taken.topics, taken.kind, taken.key, taken.payload from taken, base
  returning pos
)
select n, case when n > 0 then pg_notify($2, pos::text)::text end
  from (select count(*) as n, max(pos) as pos from numbered) as moved`
	tryLock     = `select pg_try_advisory_lock(7012345001)`
	streamHead  = `select coalesce(max(pos), 0) from stream`
	sinceAll    = `select pos, at, topics, kind, key, payload from stream where pos > $1 and pos <= $2 order by pos limit $3`
	sinceTopics = `select pos, at, topics, kind, key, payload from stream where pos > $1 and pos <= $2 and topics && $4 order by pos limit $3`
	readCursor  = `select pos from reader_cursor where name = $1`
	startCursor = `insert into reader_cursor (name, pos) values ($1, $2) on conflict (name) do nothing`
	moveCursor  = `update reader_cursor set pos = $2, at = clock_timestamp() where name = $1 and pos < $2`
	takeReader  = `select pg_try_advisory_lock(hashtextextended($1, 7012345))`
)
