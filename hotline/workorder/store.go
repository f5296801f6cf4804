package workorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
)

const orderColumns = `id, version, state, demand_type, source, category_code, area_code, address, title, content,
urgency, confidentiality, person_id, caller_last4, call_id, agent_id, unmatched, assignments, deadlines,
answer, solved, satisfaction, callback_tries, outcome, accepted_at, replied_at, closed_at`

const (
	sqlNextNumber = `insert into order_no as c (day, n) values ($1, 1) on conflict (day) do update set n = c.n + 1 returning n`

	sqlOrder          = `select ` + orderColumns + ` from work_order where id = $1`
	sqlOrderForUpdate = sqlOrder + ` for no key update`

	sqlInsertOrder = `insert into work_order (` + orderColumns + `,
lead_unit, dispatched_at, signed_at, sign_due_at, resolve_due_at, next_due_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
$21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)`

	// The submission's own columns never change.
	sqlUpdateOrder = `update work_order set version = $3, state = $4, unmatched = $5, assignments = $6, deadlines = $7,
answer = $8, solved = $9, satisfaction = $10, callback_tries = $11, outcome = $12, replied_at = $13, closed_at = $14,
lead_unit = $15, dispatched_at = $16, signed_at = $17, sign_due_at = $18, resolve_due_at = $19, next_due_at = $20
where id = $1 and version = $2`

	sqlInsertEvent = `insert into order_event (work_order_id, seq, kind, at, actor, unit_code, audience, data)
values ($1, $2, $3, $4, $5, $6, $7, $8)`

	sqlEventsSince = `select work_order_id, seq, kind, at, actor, unit_code, audience, data
from order_event where work_order_id = $1 and seq > $2 order by seq`

	sqlFirstTry = `select min(at) from order_event where work_order_id = $1 and kind = 'callback_failed'`

	sqlPutAssignment = `insert into assignment (work_order_id, id, unit_code, role, reason, sent_at, signed_at, ended_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (work_order_id, id) do update set signed_at = excluded.signed_at, ended_at = excluded.ended_at`

	sqlPutClock = `insert into clock (work_order_id, seq, kind, policy, amount, unit, calendar_version, started_at, due_at, warn_at, provisional, stopped_at, outcome)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (work_order_id, seq) do update set policy = excluded.policy, amount = excluded.amount, unit = excluded.unit,
calendar_version = excluded.calendar_version, due_at = excluded.due_at, warn_at = excluded.warn_at,
provisional = excluded.provisional, stopped_at = excluded.stopped_at, outcome = excluded.outcome`

	sqlInsertCall = `insert into order_call (work_order_id, call_id, role) values ($1, $2, 'origin')`

	sqlProvisional = `select distinct work_order_id from clock
where stopped_at is null and provisional and work_order_id > $1 order by work_order_id limit 200`

	sqlPutDraft = `insert into draft (account_id, id, call_id, form, updated_at) values ($1, $2, $3, $4, $5)
on conflict (account_id, id) do update set call_id = excluded.call_id, form = excluded.form, updated_at = excluded.updated_at`
	sqlDraftCount  = `select count(id) from draft where account_id = $1 and id <> $2`
	sqlDrafts      = `select id::text, call_id, form, updated_at from draft where account_id = $1 order by updated_at desc, id`
	sqlDeleteDraft = `delete from draft where account_id = $1 and id = $2`

	sqlSubmittedDraft = `insert into submitted_draft (account_id, draft_id, work_order_id) values ($1, $2, $3)`
	sqlOrderOfDraft   = `select work_order_id from submitted_draft where account_id = $1 and draft_id = $2`
)

// nextID takes the day's next order number. It commits by itself and without
// waiting for the disk, so that submissions do not queue behind each other's
// commits: the order's own commit, later in the log, makes the count durable.
// A number whose order fails afterwards is never used.
func (s *Service) nextID(ctx context.Context, day hotline.Date) (hotline.OrderID, error) {
	var b pgx.Batch
	n := 0
	b.Queue("begin")
	b.Queue("set local synchronous_commit = off")
	b.Queue(sqlNextNumber, day.Year*10000+int(day.Month)*100+day.Day).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	b.Queue("commit")
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return 0, fmt.Errorf("take order number of %s: %w", day, pg.Code(err))
	}
	return hotline.NewOrderID(day, n), nil
}

// firstTry is when the caller was first called in vain; nil: not yet.
func (s *Service) firstTry(ctx context.Context, id hotline.OrderID) (*time.Time, error) {
	var at *time.Time
	if err := s.pool.QueryRow(ctx, sqlFirstTry, id).Scan(&at); err != nil {
		return nil, fmt.Errorf("read first callback of order %d: %w", id, pg.Code(err))
	}
	return at, nil
}

// create stores a new order and its parts in one transaction.
func (s *Service) create(ctx context.Context, c *change, in Submission) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var b pgx.Batch
		o := &c.after
		b.Queue(sqlInsertOrder, o.ID, o.Version, o.State, o.Type, o.Source, o.Category, o.Area, o.Address, o.Title, o.Content,
			o.Urgency, o.Confidentiality, o.PersonID, o.CallerLast4, o.CallID, o.AgentID, o.unmatched, o.Assignments, o.Deadlines,
			o.Answer, o.Solved, o.Satisfaction, o.CallbackTries, o.Outcome, o.AcceptedAt, o.RepliedAt, o.ClosedAt,
			o.lead().Unit, nil, nil, o.dueOf(hotline.ClockSign), o.dueOf(hotline.ClockResolve), o.nextDue())
		queueParts(&b, c)
		if o.CallID != "" {
			b.Queue(sqlInsertCall, o.ID, o.CallID)
		}
		if in.DraftID != "" {
			b.Queue(sqlDeleteDraft, c.eyes.principal.ID, in.DraftID)
			b.Queue(sqlSubmittedDraft, c.eyes.principal.ID, in.DraftID, o.ID)
		}
		return finish(ctx, tx, &b, c)
	})
	if err != nil {
		return fmt.Errorf("store order %d: %w", c.after.ID, pg.Code(err))
	}
	return nil
}

// ofDraft returns the order that the person's draft became; 0: none.
func (s *Service) ofDraft(ctx context.Context, account hotline.AccountID, draft string) (hotline.OrderID, error) {
	var id hotline.OrderID
	err := s.pool.QueryRow(ctx, sqlOrderOfDraft, account, draft).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read order of a draft of account %d: %w", account, pg.Code(err))
	}
	return id, nil
}

// save stores a change of an order that tx has locked.
func save(ctx context.Context, tx pgx.Tx, c *change) error {
	var b pgx.Batch
	o := &c.after
	lead := o.lead()
	var sent *time.Time
	if lead.ID != 0 {
		sent = &lead.SentAt
	}
	b.Queue(sqlUpdateOrder, o.ID, c.before.Version, o.Version, o.State, o.unmatched, o.Assignments, o.Deadlines,
		o.Answer, o.Solved, o.Satisfaction, o.CallbackTries, o.Outcome, o.RepliedAt, o.ClosedAt,
		lead.Unit, sent, lead.SignedAt, o.dueOf(hotline.ClockSign), o.dueOf(hotline.ClockResolve), o.nextDue()).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return errStale // cannot be: the row is locked
		}
		return nil
	})
	queueParts(&b, c)
	if err := finish(ctx, tx, &b, c); err != nil {
		return fmt.Errorf("store order %d: %w", o.ID, pg.Code(err))
	}
	return nil
}

// queueParts queues the events and those assignments and clocks that changed.
func queueParts(b *pgx.Batch, c *change) {
	id := c.after.ID
	for _, e := range c.events {
		b.Queue(sqlInsertEvent, id, e.Seq, e.Kind, e.At, e.Actor, e.Unit, e.Audience, e.Data)
	}
	for i, a := range c.after.Assignments {
		if i < len(c.before.Assignments) && c.before.Assignments[i] == a {
			continue
		}
		b.Queue(sqlPutAssignment, id, a.ID, a.Unit, a.Role, a.Reason, a.SentAt, a.SignedAt, a.EndedAt)
	}
	for i, d := range c.after.Deadlines {
		if i < len(c.before.Deadlines) && c.before.Deadlines[i] == d {
			continue
		}
		b.Queue(sqlPutClock, id, i+1, d.Kind, d.Policy, d.Amount, d.Unit, d.CalendarVersion, d.StartedAt, d.DueAt, d.WarnAt, d.Provisional, d.StoppedAt, d.Outcome)
	}
}

// finish adds the live messages to the batch and runs it: one round trip.
func finish(ctx context.Context, tx pgx.Tx, b *pgx.Batch, c *change) error {
	msgs, err := messages(c)
	if err != nil {
		return err
	}
	outbox.Queue(b, msgs...)
	return tx.SendBatch(ctx, b).Close()
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// loadForUpdate reads and locks an order; nil when there is none.
func loadForUpdate(ctx context.Context, tx pgx.Tx, id hotline.OrderID) (*record, error) {
	return load(ctx, tx, sqlOrderForUpdate, id)
}

func load(ctx context.Context, q querier, sql string, id hotline.OrderID) (*record, error) {
	r, err := scanOrder(q.QueryRow(ctx, sql, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load order %d: %w", id, pg.Code(err))
	}
	return r, nil
}

// scanOrder reads orderColumns.
func scanOrder(row pgx.Row) (*record, error) {
	r := &record{}
	err := row.Scan(&r.ID, &r.Version, &r.State, &r.Type, &r.Source, &r.Category, &r.Area, &r.Address, &r.Title, &r.Content,
		&r.Urgency, &r.Confidentiality, &r.PersonID, &r.CallerLast4, &r.CallID, &r.AgentID, &r.unmatched, &r.Assignments, &r.Deadlines,
		&r.Answer, &r.Solved, &r.Satisfaction, &r.CallbackTries, &r.Outcome, &r.AcceptedAt, &r.RepliedAt, &r.ClosedAt)
	if err != nil {
		return nil, err
	}
	r.Number = r.ID.Number()
	r.AcceptedAt = r.AcceptedAt.UTC()
	r.RepliedAt, r.ClosedAt = utc(r.RepliedAt), utc(r.ClosedAt)
	return r, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// loadEvents reads the events after seq, oldest first.
func loadEvents(ctx context.Context, q querier, id hotline.OrderID, seq int) ([]hotline.Event, error) {
	rows, err := q.Query(ctx, sqlEventsSince, id, seq)
	if err != nil {
		return nil, fmt.Errorf("load events of order %d: %w", id, pg.Code(err))
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (hotline.Event, error) {
		var e hotline.Event
		err := row.Scan(&e.OrderID, &e.Seq, &e.Kind, &e.At, &e.Actor, &e.Unit, &e.Audience, &e.Data)
		e.At = e.At.UTC()
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("load events of order %d: %w", id, pg.Code(err))
	}
	return events, nil
}

// provisional lists, by id, the next orders with a running provisional clock.
func (s *Service) provisional(ctx context.Context, after hotline.OrderID) ([]hotline.OrderID, error) {
	rows, err := s.pool.Query(ctx, sqlProvisional, after)
	if err != nil {
		return nil, fmt.Errorf("list provisional clocks: %w", pg.Code(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[hotline.OrderID])
	if err != nil {
		return nil, fmt.Errorf("list provisional clocks: %w", pg.Code(err))
	}
	return ids, nil
}
