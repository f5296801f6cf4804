package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

// Querier is a transaction or a pool.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Every query is bounded by an indexed range: calls by arrived_at; accepted
// orders by order_id, which carries the Shanghai day; the others by closed_at,
// resolve_due_at and replied_at. TestQueriesUseTheirIndexes reads the plans.
const (
	sqlPos = `select pos from v_stream_head`

	// brief: hung up by the caller within 5 s of arriving (domain.md §7.6).
	sqlCalls = `select count(call_id), count(answered_at),
 count(call_id) filter (where end_reason = 'abandoned'),
 count(call_id) filter (where answered_at is null and end_reason in ('abandoned', 'not_offered') and ended_at <= arrived_at + interval '5 seconds'),
 count(call_id) filter (where answered_at <= coalesce(queued_at, arrived_at) + interval '15 seconds'),
 coalesce(round(extract(epoch from sum(answered_at - coalesce(queued_at, arrived_at)))), 0)::bigint,
 coalesce(round(extract(epoch from sum(case when answered_at is not null then greatest(coalesce(ended_at, $2), answered_at) - answered_at end))), 0)::bigint
 from v_call_figures where arrived_at >= $1 and arrived_at < $2`

	sqlHours = `select floor(extract(epoch from (arrived_at - $1::timestamptz)) / 3600)::int, count(call_id), count(answered_at)
 from v_call_figures where arrived_at >= $1 and arrived_at < $2 group by 1 order by 1`

	inWindow = ` from v_order_figures where order_id >= $1 and order_id < $2 and accepted_at >= $3 and accepted_at < $4`

	sqlAccepted = `select count(order_id), count(order_id) filter (where direct)` + inWindow

	byCount       = ` group by 1 order by 2 desc, 1 limit $5`
	sqlBySource   = `select source, count(order_id)` + inWindow + byCount
	sqlByType     = `select demand_type, count(order_id)` + inWindow + byCount
	sqlByCounty   = `select left(area_code, 6), count(order_id)` + inWindow + byCount
	sqlByUnit     = `select lead_unit, count(order_id)` + inWindow + ` and lead_unit <> ''` + byCount
	sqlByCategory = `select category_code, count(order_id)` + inWindow + byCount

	sqlDue = `select count(order_id), count(order_id) filter (where replied_at <= resolve_due_at)
 from v_order_figures where resolve_due_at >= $1 and resolve_due_at < $2`

	sqlClosed = `select count(order_id), count(order_id) filter (where satisfaction between 1 and 3), count(order_id) filter (where satisfaction > 0)
 from v_order_figures where closed_at >= $1 and closed_at < $2`

	// Not answered at the instant: not yet, or only after it. The two arms
	// have an index each.
	overdueAt = ` from v_order_figures f where f.accepted_at < $1 and (f.replied_at is null and f.resolve_due_at is not null and f.resolve_due_at < $1
 or f.replied_at is not null and f.replied_at >= $1 and f.resolve_due_at is not null and f.resolve_due_at < $1)`
	sqlOverdueCount = `select count(f.order_id)` + overdueAt
	sqlOverdue      = `select f.order_id, f.lead_unit, f.resolve_due_at,
 (select t.title from v_order_titles t where t.order_id = f.order_id)` + overdueAt + ` order by f.resolve_due_at, f.order_id limit $2`
)

func readPos(ctx context.Context, q Querier) (pos int64, err error) {
	if err := q.QueryRow(ctx, sqlPos).Scan(&pos); err != nil {
		return 0, fmt.Errorf("read stream head: %w", pg.Code(err))
	}
	return pos, nil
}

// callNumbers are the sums over one window's calls.
type callNumbers struct {
	offered, answered, abandoned, brief, quick, waitSeconds, talkSeconds int64
}

func readCalls(ctx context.Context, q Querier, w Window) (n callNumbers, err error) {
	err = q.QueryRow(ctx, sqlCalls, w.From, w.To).Scan(&n.offered, &n.answered, &n.abandoned, &n.brief, &n.quick, &n.waitSeconds, &n.talkSeconds)
	if err != nil {
		return n, fmt.Errorf("read call figures: %w", pg.Code(err))
	}
	return n, nil
}

func readHours(ctx context.Context, q Querier, w Window) ([]Hour, error) {
	hours := make([]Hour, int(w.To.Sub(w.From)/time.Hour))
	for i := range hours {
		at := w.From.Add(time.Duration(i) * time.Hour)
		hours[i] = Hour{From: at, Link: Window{at, at.Add(time.Hour)}.calls()}
	}
	rows, err := q.Query(ctx, sqlHours, w.From, w.To)
	if err != nil {
		return nil, fmt.Errorf("read calls by hour: %w", pg.Code(err))
	}
	var i int
	var offered, answered int64
	_, err = pgx.ForEachRow(rows, []any{&i, &offered, &answered}, func() error {
		if i < 0 || i >= len(hours) {
			return fmt.Errorf("hour %d is outside the window", i)
		}
		hours[i].Offered, hours[i].Answered = offered, answered
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read calls by hour: %w", pg.Code(err))
	}
	return hours, nil
}

type acceptedNumbers struct{ all, direct int64 }

// ids is the window as a range of order ids.
func (w Window) ids() (from, to hotline.OrderID) {
	return hotline.NewOrderID(hotline.DateOf(w.From), 0), hotline.NewOrderID(hotline.DateOf(w.To.Add(-1)).AddDays(1), 0)
}

func readAccepted(ctx context.Context, q Querier, w Window) (n acceptedNumbers, err error) {
	from, to := w.ids()
	if err := q.QueryRow(ctx, sqlAccepted, from, to, w.From, w.To).Scan(&n.all, &n.direct); err != nil {
		return n, fmt.Errorf("read accepted orders: %w", pg.Code(err))
	}
	return n, nil
}

// handlingNumbers are the sums over orders due, closed and overdue.
type handlingNumbers struct {
	due, onTime, overdue, closed, satisfied, rated int64
}

func readHandling(ctx context.Context, q Querier, w Window) (n handlingNumbers, err error) {
	if err := q.QueryRow(ctx, sqlDue, w.From, w.To).Scan(&n.due, &n.onTime); err != nil {
		return n, fmt.Errorf("read orders due: %w", pg.Code(err))
	}
	if err := q.QueryRow(ctx, sqlClosed, w.From, w.To).Scan(&n.closed, &n.satisfied, &n.rated); err != nil {
		return n, fmt.Errorf("read closed orders: %w", pg.Code(err))
	}
	if err := q.QueryRow(ctx, sqlOverdueCount, w.To).Scan(&n.overdue); err != nil {
		return n, fmt.Errorf("count overdue orders: %w", pg.Code(err))
	}
	return n, nil
}

// part is one group of a breakdown.
type part struct {
	code  string
	count int64
}

func readParts(ctx context.Context, q Querier, sql string, w Window, limit int) ([]part, error) {
	from, to := w.ids()
	rows, err := q.Query(ctx, sql, from, to, w.From, w.To, limit)
	if err != nil {
		return nil, fmt.Errorf("read breakdown: %w", pg.Code(err))
	}
	parts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p part, err error) {
		err = r.Scan(&p.code, &p.count)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read breakdown: %w", pg.Code(err))
	}
	return parts, nil
}

func readOverdue(ctx context.Context, q Querier, d *hotline.Directory, at time.Time) ([]OverdueOrder, error) {
	rows, err := q.Query(ctx, sqlOverdue, at, MaxOverdue)
	if err != nil {
		return nil, fmt.Errorf("read overdue orders: %w", pg.Code(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o OverdueOrder, err error) {
		var unit hotline.UnitCode
		if err := r.Scan(&o.ID, &unit, &o.DueAt, &o.Title); err != nil {
			return o, err
		}
		o.Number, o.Title, o.Unit, o.DueAt = o.ID.Number(), MaskDigits(o.Title), d.UnitName(unit), o.DueAt.UTC()
		o.Hours = int64(at.Sub(o.DueAt) / time.Hour)
		o.Link = fmt.Sprintf("/orders/%d", int64(o.ID))
		return o, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read overdue orders: %w", pg.Code(err))
	}
	return list, nil
}
