package stats

import (
	"strings"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// Two years of orders and calls, one each ten minutes.
const (
	seedOrders = `insert into work_order (id, version, state, demand_type, source, category_code, area_code, address, title, content, urgency, confidentiality,
 person_id, caller_last4, call_id, agent_id, unmatched, assignments, deadlines, lead_unit, answer, solved, satisfaction, callback_tries, outcome,
 accepted_at, dispatched_at, signed_at, replied_at, closed_at, sign_due_at, resolve_due_at, next_due_at)
select to_char(at at time zone 'Asia/Shanghai', 'YYYYMMDD')::bigint * 10000000 + 1000 - n % 1000, 1, 'closed', 'complaint', '01', '010203', '341802001', '', '标题', '', 1, 'open',
 0, '', '', 1, false, '[]', '[]', 'JYTYJ', '', '', 2, 1, '', at, at, at, at + interval '2 days', at + interval '3 days', at, at + interval '5 days', null
from (select n, $1::timestamptz - n * interval '20 minutes' as at from generate_series(1, 50000) n) s`
	seedCalls = `insert into call (id, person_id, caller_last4, original_number, line, source, trunk, node, arrived_at, queued_at, answered_at, ended_at, agent_id, extension,
 ended_by, end_reason, recording, recording_sha256, recording_ms, updated_seq)
select 'c' || n, 0, '', '12345', '', '01', '', 'n', at, at, at, at, 1, '', '', 'normal', '', '', 0, 1
from (select n, $1::timestamptz - n * interval '10 minutes' as at from generate_series(1, 50000) n) s`
)

// TestQueriesUseTheirIndexes checks that a day's figures cost a day's rows,
// not the table.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	ctx := t.Context()
	now := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	for _, sql := range []string{seedOrders, seedCalls} {
		if _, err := pool.Exec(ctx, sql, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(ctx, "analyze work_order; analyze call"); err != nil {
		t.Fatal(err)
	}
	w := DayWindow(hotline.DateOf(now).AddDays(-1))
	from, to := w.ids()
	tests := []struct {
		name, sql, index string
		args             []any
	}{
		{"calls", sqlCalls, "call_arrived", []any{w.From, w.To}},
		{"hours", sqlHours, "call_arrived", []any{w.From, w.To}},
		{"accepted", sqlAccepted, "work_order_pkey", []any{from, to, w.From, w.To}},
		{"sources", sqlBySource, "work_order_pkey", []any{from, to, w.From, w.To, 5}},
		{"units", sqlByUnit, "work_order_pkey", []any{from, to, w.From, w.To, 5}},
		{"due", sqlDue, "work_order_resolve_due", []any{w.From, w.To}},
		{"closed", sqlClosed, "work_order_closed", []any{w.From, w.To}},
		{"overdue", sqlOverdueCount, "work_order_replied", []any{w.To}},
	}
	for _, tt := range tests {
		rows, err := pool.Query(ctx, "explain (costs off) "+tt.sql, tt.args...)
		if err != nil {
			t.Fatal(err)
		}
		plan := ""
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan += line + "\n"
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, tt.index) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: want index %s and no sequential scan:\n%s", tt.name, tt.index, plan)
		}
	}
}
