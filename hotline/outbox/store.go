package outbox

// The queries of this room. Since reads the stream by primary key from a
// position on: its cost is the length of the gap, which callers bound, and
// topics only filter what the range gives.
const (
	insertOutbox = `insert into outbox (topics, kind, key, payload) values ($1, $2, $3, $4)`
	notify       = `select pg_notify($1, $2)`
	moveOutbox   = `with taken as (
  delete from outbox where id = any (array(select id from outbox order by id limit $1)) returning id, topics, kind, key, payload, at
), base as (
  select coalesce(max(pos), 0) as pos from stream
), numbered as (
  insert into stream (pos, at, topics, kind, key, payload)
  select base.pos + row_number() over (order by taken.id), taken.at, taken.topics, taken.kind, taken.key, taken.payload from taken, base
  returning pos
)
select count(*), coalesce(max(pos), 0) from numbered`
	tryLock     = `select pg_try_advisory_lock(7012345001)`
	streamHead  = `select coalesce(max(pos), 0) from stream`
	sinceAll    = `select pos, at, topics, kind, key, payload from stream where pos > $1 order by pos limit $2`
	sinceTopics = `select pos, at, topics, kind, key, payload from stream where pos > $1 and pos <= $2 and topics && $3 order by pos limit $4`
	readCursor  = `select pos from reader_cursor where name = $1`
	startCursor = `insert into reader_cursor (name, pos) values ($1, $2) on conflict (name) do nothing`
	moveCursor  = `update reader_cursor set pos = $2, at = clock_timestamp() where name = $1 and pos < $2`
	takeReader  = `select pg_try_advisory_lock(hashtextextended($1, 7012345))`
)
