package workorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
)

// TestRandomCommandsKeepTheLedgerWhole runs random commands, right and wrong,
// by random people against PostgreSQL and compares everything stored with the
// fold of the events.
func TestRandomCommandsKeepTheLedgerWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		w.limits.set(func() {
			w.limits.provisional = rapid.Bool().Draw(rt, "provisional")
			w.limits.extra = time.Duration(rapid.IntRange(0, 3).Draw(rt, "moved")) * time.Hour
		})
		var ids []hotline.OrderID
		for range rapid.IntRange(1, 2).Draw(rt, "orders") {
			o, err := w.Submit(t.Context(), agent, randomSubmission(rt))
			if err != nil {
				rt.Fatal(err)
			}
			ids = append(ids, o.ID)
		}
		for range rapid.IntRange(1, 20).Draw(rt, "commands") {
			w.clock.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "minutes")) * time.Minute)
			w.randomCommand(t, rt, rapid.SampledFrom(ids).Draw(rt, "order"))
		}
		for _, id := range ids {
			if fault := w.fault(t, id); fault != "" {
				rt.Fatalf("order %d: %s", id, fault)
			}
		}
	})
	w.checkStream(t)
}

func randomSubmission(rt *rapid.T) Submission {
	in := submission()
	in.Type = rapid.SampledFrom([]hotline.DemandType{hotline.Consult, hotline.Complaint, hotline.Praise, hotline.Report}).Draw(rt, "type")
	in.Confidentiality = rapid.SampledFrom([]hotline.Confidentiality{hotline.Open, hotline.Hidden, ""}).Draw(rt, "confidentiality")
	in.CallID = hotline.CallID(rapid.SampledFrom([]string{"", "20261123-1a2b3c4d5e6f"}).Draw(rt, "call"))
	if rapid.Bool().Draw(rt, "withheld") {
		in.CallerPhone = ""
	}
	if rapid.IntRange(0, 9).Draw(rt, "direct") == 0 {
		in.DirectAnswer, in.Solved = "已在电话中答复", hotline.SolvedYes
	}
	return in
}

// randomCommand acts as anybody with the version there is or a wrong one; the
// person who may act is drawn more often so that orders get far.
func (w *world) randomCommand(t *testing.T, rt *rapid.T, id hotline.OrderID) {
	ctx := t.Context()
	now := must(w.Order(ctx, hotline.System, id))(t)
	version := now.Version - max(0, rapid.IntRange(-8, 2).Draw(rt, "behind"))
	next := map[hotline.OrderState]string{hotline.PendingDispatch: "dispatch", hotline.Dispatched: "sign", hotline.Signed: "reply", hotline.PendingCallback: "callback"}[now.State]
	if next == "" { // nothing is expected of a done order
		next = "callback"
	}
	act := rapid.SampledFrom([]string{next, next, next, "dispatch", "unmatched", "sign", "reply", "callback", "recompute"}).Draw(rt, "act")
	likely := map[string]hotline.Principal{"dispatch": hotline.System, "sign": township, "reply": township, "callback": caller}[act]
	p := rapid.SampledFrom(append([]hotline.Principal{likely, likely, likely, likely, likely, likely}, everybody...)).Draw(rt, "person")
	var after *hotline.WorkOrder
	var err error
	switch act {
	case "dispatch":
		units := rapid.Permutation([]hotline.UnitCode{"341802001", "341802", "JYTYJ"}).Draw(rt, "units")
		after, err = w.Dispatch(ctx, p, id, version, plan(units[0], units[1:rapid.IntRange(1, 3).Draw(rt, "co")]...))
	case "unmatched":
		err = w.MarkUnmatched(ctx, id, version, hotline.Reason{Text: "没有匹配的规则"})
	case "sign":
		after, err = w.Sign(ctx, p, id, version)
	case "reply":
		in := ReplyInput{Text: "已责令停止夜间施工", Solved: hotline.SolvedYes}
		if rapid.Bool().Draw(rt, "contacted") {
			in.ContactedAt = new(w.clock.Now())
		}
		after, err = w.Reply(ctx, p, id, version, in)
	case "callback":
		in := CallbackInput{Note: "无人接听"}
		if rapid.IntRange(0, 3).Draw(rt, "reached") == 0 {
			in = CallbackInput{Reached: true, Satisfaction: rapid.IntRange(1, 5).Draw(rt, "satisfaction"), Solved: hotline.SolvedPartly}
		}
		after, err = w.Callback(ctx, p, id, version, in)
	case "recompute":
		if rapid.Bool().Draw(rt, "notice") {
			w.limits.set(func() { w.limits.extra += time.Hour })
		}
		_, err = w.Recompute(ctx)
		if err != nil {
			rt.Fatal(err)
		}
	}
	var stale *StaleError
	switch code := hotline.ErrorCode(err); {
	case errors.As(err, &stale):
		if version == now.Version || stale.Current.Version != now.Version {
			rt.Fatalf("stale at version %d of %d: %v", version, now.Version, stale)
		}
	case err == nil && act != "recompute" && version != now.Version:
		rt.Fatalf("%s passed with version %d of %d", act, version, now.Version)
	case err == nil && after != nil && after.Version <= now.Version:
		rt.Fatalf("%s changed nothing", act)
	case code == hotline.Internal:
		rt.Fatalf("%s by %q: %v", act, p.Login, err)
	}
}

// asStored is how records and rows are compared.
var asStored = cmp.Options{cmp.AllowUnexported(record{}), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)}

// fault compares everything stored of an order with the fold of its events; ""
// when all is well.
func (w *world) fault(t testing.TB, id hotline.OrderID) string {
	t.Helper()
	ctx := t.Context()
	events, err := loadEvents(ctx, w.pool, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fold(events)
	if err != nil {
		return err.Error()
	}
	for i, e := range events {
		if e.Seq != i+1 || i > 0 && e.At.Before(events[i-1].At) {
			return fmt.Sprintf("event %d is %v at %v", i, e, e.At)
		}
	}
	got, err := load(ctx, w.pool, sqlOrder, id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, asStored); d != "" {
		return "projection differs from the fold (-fold +row):\n" + d
	}
	rows, _ := w.pool.Query(ctx, `select id, unit_code, role, reason, sent_at, signed_at, ended_at from assignment where work_order_id = $1 order by id`, id)
	assignments, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a hotline.Assignment, err error) {
		err = row.Scan(&a.ID, &a.Unit, &a.Role, &a.Reason, &a.SentAt, &a.SignedAt, &a.EndedAt)
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Assignments, assignments, asStored); d != "" {
		return "assignment rows differ (-fold +rows):\n" + d
	}
	rows, _ = w.pool.Query(ctx, `select kind, policy, amount, unit, calendar_version, started_at, due_at, warn_at, provisional, stopped_at, outcome from clock where work_order_id = $1 order by seq`, id)
	clocks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d hotline.Deadline, err error) {
		err = row.Scan(&d.Kind, &d.Policy, &d.Amount, &d.Unit, &d.CalendarVersion, &d.StartedAt, &d.DueAt, &d.WarnAt, &d.Provisional, &d.StoppedAt, &d.Outcome)
		return d, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Deadlines, clocks, asStored); d != "" {
		return "clock rows differ (-fold +rows):\n" + d
	}
	return w.broken(t, want)
}

// broken names an invariant the order breaks.
func (w *world) broken(t testing.TB, r *record) string {
	leads, running := 0, 0
	for _, a := range r.Assignments {
		if a.Role == hotline.LeadRole && a.EndedAt == nil {
			leads++
		}
	}
	for _, d := range r.Deadlines {
		if d.StoppedAt == nil {
			running++
		} else if d.StoppedAt.Before(d.StartedAt) {
			return fmt.Sprintf("clock stopped before it started: %+v", d)
		}
	}
	switch r.State {
	case hotline.Dispatched, hotline.Signed:
		if leads != 1 {
			return fmt.Sprintf("%d open leads in state %s", leads, r.State)
		}
	default:
		if leads != 0 {
			return fmt.Sprintf("%d open leads in state %s", leads, r.State)
		}
	}
	if r.State.Done() && running > 0 {
		return "a clock runs on a done order"
	}
	var lead string
	var due, resolve *time.Time
	if err := w.pool.QueryRow(t.Context(), `select lead_unit, next_due_at, resolve_due_at from work_order where id = $1`, r.ID).Scan(&lead, &due, &resolve); err != nil {
		t.Fatal(err)
	}
	if lead != string(r.lead().Unit) || !cmp.Equal(due, r.nextDue(), asStored) || !cmp.Equal(resolve, r.dueOf(hotline.ClockResolve), asStored) {
		return fmt.Sprintf("list columns %q %v %v", lead, due, resolve)
	}
	return ""
}

// checkStream relays the outbox and finds each event in the stream once, the
// events of an order in their order, at dense positions.
func (w *world) checkStream(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	if err := outbox.NewRelay(w.pool, nil).Flush(ctx); err != nil {
		t.Fatal(err)
	}
	last := map[hotline.OrderID]int{}
	entries := 0
	for pos := int64(0); ; {
		page, _, err := outbox.NewStream(w.pool, nil).Since(ctx, pos, nil, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, en := range page {
			if pos++; en.Pos != pos {
				t.Fatalf("position %d after %d", en.Pos, pos-1)
			}
			var m payload
			if err := json.Unmarshal(en.Payload, &m); err != nil {
				t.Fatal(err)
			}
			if m.Event.Seq != last[m.Event.OrderID]+1 || en.Kind != "order."+string(m.Event.Kind) || en.Key != fmt.Sprint(int64(m.Order.ID)) {
				t.Fatalf("entry %d: %s %v after seq %d", en.Pos, en.Kind, m.Event, last[m.Event.OrderID])
			}
			if strings.Contains(string(en.Payload), callerPhone) {
				t.Fatal("a message holds the caller's number")
			}
			last[m.Event.OrderID] = m.Event.Seq
			entries++
		}
		if len(page) == 0 {
			break
		}
	}
	events := 0
	if err := w.pool.QueryRow(ctx, `select count(*) from order_event`).Scan(&events); err != nil || events != entries || events < 100 {
		t.Errorf("%d events, %d stream entries, %v", events, entries, err)
	}
}
