package workorder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
)

// sqlSeed fills the ledger with years of closed orders, some open ones, and
// their assignments: $1 orders, the newest accepted at $2.
const sqlSeed = `
with o as (
  select n, $2::timestamptz - n * interval '3 minutes' as at, n % 10 = 0 and n <= 8000 as open, n % 10 = 3 as direct,
         (array['341802001', 'JYTYJ', '341802'])[1 + n % 3] as lead from generate_series(1, $1::int) n
), orders as (
  insert into work_order (id, version, state, demand_type, source, category_code, area_code, address, title, content, urgency, confidentiality,
    person_id, caller_last4, call_id, agent_id, unmatched, assignments, deadlines, lead_unit, answer, solved, satisfaction, callback_tries, outcome,
    accepted_at, dispatched_at, signed_at, replied_at, closed_at, sign_due_at, resolve_due_at, next_due_at)
  select to_char(at at time zone 'Asia/Shanghai', 'YYYYMMDD')::bigint * 10000000 + 10000 - n % 1000, 1,
    case when open then (array['pending_dispatch', 'dispatched', 'signed', 'pending_callback'])[1 + n / 10 % 4] when direct then 'direct_closed' else 'closed' end,
    'complaint', '01', lpad((n % 90 + 10)::text, 2, '0') || '0101', '341802' || lpad((n % 97)::text, 3, '0'), '', '标题', repeat('诉求', 50), 1, 'open',
    n % 5000 + 1, '5678', '', 11 + n % 30, false,
    case when open and n / 10 % 4 = 0 or direct then '[]' else jsonb_build_array(jsonb_build_object('id', '1', 'unit_code', lead, 'role', 'lead', 'sent_at', at)) end,
    case when direct then '[]' else jsonb_build_array(jsonb_build_object('kind', 'resolve', 'started_at', at, 'due_at', at + interval '5 days', 'warn_at', at)) end,
    case when open and n / 10 % 4 = 0 or direct then '' else lead end, '', '', 0, 0, '', at, at, at,
    case when open and n / 10 % 4 < 3 then null else at + interval '2 days' end, case when open then null else at + interval '3 days' end,
    at, case when direct or open and n / 10 % 4 = 0 then null else at + interval '5 days' end, case when open then at + interval '5 days' end
  from o returning id, lead_unit, state, closed_at, accepted_at
)
insert into assignment (work_order_id, id, unit_code, role, reason, sent_at, ended_at)
select id, 1, lead_unit, 'lead', '{}', accepted_at, case when state in ('dispatched', 'signed') then null else accepted_at end from orders where lead_unit <> ''`

// TestEachListHasItsIndex looks at the plan of each kind of list on a ledger
// of years: none reads the whole table, and each uses the index made for it.
func TestEachListHasItsIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	now := w.clock.Now()
	if _, err := w.pool.Exec(ctx, sqlSeed, 40_000, now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(ctx, `analyze`); err != nil {
		t.Fatal(err)
	}
	day := now.Add(-48 * time.Hour)
	for _, c := range []struct {
		name string
		p    hotline.Principal
		q    Query
		want []string // indexes, one of which the plan uses
	}{
		{"dispatch desk", dispatcher, Query{Desk: DeskDispatch}, []string{"work_order_desk"}},
		{"callback desk", caller, Query{Desk: DeskCallback}, []string{"work_order_desk"}},
		{"unit desk", township, Query{Desk: DeskUnit}, []string{"assignment_open"}},
		{"all", leader, Query{}, []string{"work_order_pkey"}},
		{"all of a unit", township, Query{}, []string{"assignment_unit", "assignment_pkey"}},
		{"state", leader, Query{States: []hotline.OrderState{hotline.Signed}}, []string{"work_order_desk", "work_order_pkey"}},
		{"accepted", leader, Query{AcceptedFrom: day, AcceptedTo: now}, []string{"work_order_pkey"}},
		{"closed", leader, Query{ClosedFrom: day, ClosedTo: now}, []string{"work_order_closed"}},
		{"due", leader, Query{DueFrom: day, DueTo: now}, []string{"work_order_due"}},
		{"overdue", leader, Query{Overdue: true}, []string{"work_order_open_resolve"}},
		{"overdue at", leader, Query{OverdueAt: &day}, []string{"work_order_replied", "work_order_pkey"}},
		{"person", leader, Query{PersonID: 77}, []string{"work_order_person"}},
		{"agent", leader, Query{Agent: 12}, []string{"work_order_agent", "work_order_pkey"}},
		{"category", leader, Query{Category: "4201"}, []string{"work_order_category"}},
		{"area", leader, Query{Area: "341802042"}, []string{"work_order_area"}},
		{"lead", leader, Query{Lead: "341802001"}, []string{"work_order_lead", "work_order_pkey"}},
		{"call", leader, Query{CallID: "20261123-1a2b3c4d5e6f"}, []string{"order_call_call", "order_call_pkey"}},
		{"source", leader, Query{Source: "01", Type: hotline.Complaint}, []string{"work_order_pkey"}},
	} {
		st, err := w.statement(look(w.directory(), c.p), c.q)
		if err != nil {
			t.Fatal(err)
		}
		sql, args, err := st.pageSQL("")
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.List(ctx, c.p, c.q)
		if err != nil {
			t.Fatal(err)
		}
		w.wantPlan(t, c.name, sql, args, c.want)
		if c.name != "call" && len(first.Orders) == 0 {
			t.Errorf("%s: no rows, so the plan says little", c.name)
		}
		if first.Next == "" {
			continue
		}
		if sql, args, err = st.pageSQL(first.Next); err != nil {
			t.Fatal(err)
		}
		w.wantPlan(t, c.name+", next page", sql, args, c.want)
	}
	st, err := w.statement(look(w.directory(), leader), Query{OverdueAt: &day})
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"work_order_replied", "work_order_open_resolve"} { // both arms of the or
		w.wantPlan(t, "count of overdue at", st.countSQL(), st.args, []string{index})
	}
	w.wantPlan(t, "timeline", sqlEventsSince, []any{int64(1), 0}, []string{"order_event_pkey"})
	w.wantPlan(t, "provisional clocks", sqlProvisional, []any{int64(0)}, []string{"clock_provisional", "clock_pkey"})
	w.wantPlan(t, "drafts", sqlDrafts, []any{int64(11)}, []string{"draft_pkey"})
}

func (w *world) wantPlan(t *testing.T, name, sql string, args []any, want []string) {
	t.Helper()
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if strings.Contains(sql, " clock") || strings.Contains(sql, " draft") || strings.Contains(sql, "order_call") || strings.Contains(sql, "order_event") {
		// Empty tables are read whole whatever index there is.
		if _, err := tx.Exec(t.Context(), `set local enable_seqscan = off`); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.Query(t.Context(), "explain (costs off) "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	if !slices.ContainsFunc(want, func(index string) bool { return strings.Contains(plan, index) }) || strings.Contains(plan, "Seq Scan") {
		t.Errorf("%s: want one of %v in the plan and no Seq Scan:\n%s\n%s", name, want, sql, plan)
	}
}

// TestPagesCoverEachListOnce turns the pages of each desk and compares with
// the whole.
func TestPagesCoverEachListOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 23 {
		switch i % 4 {
		case 0:
			w.submit(t, nil)
		case 1:
			w.dispatched(t, nil)
		case 2:
			w.signed(t, nil)
		case 3:
			w.replied(t, nil)
		}
		if i%3 == 0 { // else several orders are due at one instant
			w.clock.Add(time.Minute)
		}
	}
	for _, c := range []struct {
		p    hotline.Principal
		q    Query
		want int
	}{
		{dispatcher, Query{Desk: DeskDispatch}, 6}, {caller, Query{Desk: DeskCallback}, 5}, {township, Query{Desk: DeskUnit}, 12},
		{both, Query{}, 23}, {both, Query{Desk: DeskUnit}, 12}, {department, Query{Desk: DeskUnit}, 12}, {leader, Query{Desk: DeskUnit, Unit: "341802"}, 12}, {leader, Query{}, 23}, {township, Query{}, 17},
		{leader, Query{Unit: "JYTYJ"}, 17}, {leader, Query{Lead: "JYTYJ"}, 0}, {leader, Query{Lead: "341802001"}, 17},
		{leader, Query{States: []hotline.OrderState{hotline.Signed, hotline.Dispatched}}, 12},
	} {
		var got []hotline.OrderID
		q := c.q
		q.Limit, q.WithTotal = 5, true
		for {
			page, err := w.List(t.Context(), c.p, q)
			if err != nil {
				t.Fatal(err)
			}
			if *page.Total != c.want {
				t.Errorf("%+v: total %d, want %d", c.q, *page.Total, c.want)
			}
			for _, o := range page.Orders {
				got = append(got, o.ID)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		whole, err := w.List(t.Context(), c.p, c.q)
		if err != nil {
			t.Fatal(err)
		}
		var want []hotline.OrderID
		for _, o := range whole.Orders {
			want = append(want, o.ID)
		}
		if len(got) != c.want || !slices.Equal(got, want) {
			t.Errorf("%+v: pages give %v, the whole is %v", c.q, got, want)
		}
	}
}

func TestListFiltersAndRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	start := w.clock.Now()
	old := w.dispatched(t, func(in *Submission) { in.Category = "0501"; in.Area = "341822" })
	w.clock.Add(time.Hour)
	direct := w.submit(t, func(in *Submission) {
		in.Type, in.DirectAnswer, in.Source = hotline.Consult, "已答复来电人", "02"
	})
	w.clock.Add(200 * time.Hour) // old is overdue now: its limit is 120 hours
	fresh := w.signed(t, nil)
	ids := func(orders ...*hotline.WorkOrder) string {
		s := []string{}
		for _, o := range orders {
			s = append(s, fmt.Sprint(int64(o.ID)))
		}
		return strings.Join(s, " ")
	}
	dueOfOld := old.Deadlines[1].DueAt
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"all", Query{}, ids(fresh, direct, old)},
		{"source", Query{Source: "02"}, ids(direct)},
		{"type", Query{Type: hotline.Consult}, ids(direct)},
		{"category level", Query{Category: "05"}, ids(old)},
		{"category of all", Query{Category: "01"}, ids(fresh, direct)},
		{"area level", Query{Area: "341802"}, ids(fresh, direct)},
		{"direct", Query{Direct: new(true)}, ids(direct)},
		{"not direct", Query{Direct: new(false)}, ids(fresh, old)},
		{"agent", Query{Agent: 12}, ""},
		{"accepted, from inclusive", Query{AcceptedFrom: start, AcceptedTo: start.Add(time.Hour)}, ids(old)},
		{"accepted, to exclusive", Query{AcceptedTo: start}, ""},
		{"closed", Query{ClosedFrom: start, ClosedTo: w.clock.Now()}, ids(direct)},
		{"due", Query{DueFrom: dueOfOld, DueTo: dueOfOld.Add(time.Second)}, ids(old)},
		{"overdue", Query{Overdue: true}, ids(old)},
		{"overdue then", Query{OverdueAt: new(start.Add(121 * time.Hour))}, ids(old)},
		{"not overdue yet", Query{OverdueAt: new(start.Add(120 * time.Hour))}, ""},
		{"person", Query{PersonID: 1}, ids(fresh, direct, old)},
	} {
		page, err := w.List(ctx, leader, c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []*hotline.WorkOrder
		for i := range page.Orders {
			got = append(got, &page.Orders[i])
		}
		if ids(got...) != c.want {
			t.Errorf("%s: got %s, want %s", c.name, ids(got...), c.want)
		}
	}
	// Once replied, the order was still overdue at an instant before.
	o := must(w.Sign(ctx, township, old.ID, old.Version))(t)
	must(w.Reply(ctx, township, o.ID, o.Version, ReplyInput{Text: "已处理完毕", Solved: hotline.SolvedYes}))(t)
	for at, want := range map[time.Time]int{w.clock.Now(): 1, w.clock.Now().Add(time.Second): 0} {
		if page, err := w.List(ctx, leader, Query{OverdueAt: &at}); err != nil || len(page.Orders) != want {
			t.Errorf("overdue at %v: %d orders, %v, want %d", at, len(page.Orders), err, want)
		}
	}
	if page, err := w.List(ctx, leader, Query{Overdue: true}); err != nil || len(page.Orders) != 0 {
		t.Errorf("overdue after the reply: %v, %v", page.Orders, err)
	}
	for _, c := range []struct {
		name string
		p    hotline.Principal
		q    Query
		want hotline.Code
	}{
		{"unknown desk", leader, Query{Desk: "sofa"}, hotline.Invalid},
		{"unknown state", leader, Query{States: []hotline.OrderState{"melted"}}, hotline.Invalid},
		{"limit", leader, Query{Limit: 201}, hotline.Invalid},
		{"cursor", leader, Query{Cursor: "!"}, hotline.Invalid},
		{"cursor of another order", leader, Query{Desk: DeskDispatch, Cursor: "MQ"}, hotline.Invalid},
		{"unit at the dispatch desk", township, Query{Desk: DeskDispatch}, hotline.Forbidden},
		{"unit at another's desk", township, Query{Desk: DeskUnit, Unit: "341802"}, hotline.Forbidden},
		{"nobody", hotline.Principal{}, Query{}, hotline.Forbidden},
		{"county at its township's desk", county, Query{Desk: DeskUnit, Unit: "341802001"}, ""},
	} {
		_, err := w.List(ctx, c.p, c.q)
		wantCode(t, c.name, err, c.want)
	}
}
