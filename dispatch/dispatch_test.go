package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hotline12345/configs"
	"hotline12345/hotline"
)

func xuancheng(t testing.TB) func() *hotline.Directory {
	t.Helper()
	c, err := configs.LoadCity("")
	if err != nil {
		t.Fatal(err)
	}
	d := hotline.NewDirectory(c, 3)
	return func() *hotline.Directory { return d }
}

// TestDeadlineDomain24 reads the profile of domain.md §2.4 through the rule of
// precedence: most members, then source before type before urgency.
func TestDeadlineDomain24(t *testing.T) {
	t.Parallel()
	r := NewRules(xuancheng(t))
	start := time.Date(2026, 2, 13, 2, 0, 0, 0, time.UTC) // Friday 10:00 in Shanghai
	for _, tc := range []struct {
		name   string
		kind   hotline.ClockKind
		order  hotline.WorkOrder
		policy string
		due    string // Shanghai
	}{
		{"consult", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Consult, Source: "01"}, "resolve-consult", "2026-02-26 00:00"},
		{"extra-urgent consult", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Consult, Urgency: hotline.Extra}, "resolve-consult-extra", "2026-02-13 12:00"},
		{"urgent complaint, all days", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Complaint, Urgency: hotline.Urgent}, "resolve-complaint-urgent", "2026-02-14 10:00"},
		{"source before type", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Complaint, Urgency: hotline.Ordinary, Source: "13"}, "resolve-source13", "2026-02-26 00:00"},
		{"more members before source", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Complaint, Urgency: hotline.Urgent, Source: "13"}, "resolve-complaint-urgent", "2026-02-14 10:00"},
		{"source and urgency before type and urgency", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Complaint, Urgency: hotline.Extra, Source: "16"}, "resolve-source16-extra", "2026-02-13 15:00"},
		{"urgent suggestion has no row of its own", hotline.ClockResolve, hotline.WorkOrder{Type: hotline.Suggest, Urgency: hotline.Urgent}, "resolve-suggest", "2026-03-06 00:00"},
		{"sign", hotline.ClockSign, hotline.WorkOrder{Type: hotline.Help}, "sign", "2026-02-15 00:00"},
		{"urgent sign", hotline.ClockSign, hotline.WorkOrder{Type: hotline.Help, Urgency: hotline.Urgent}, "sign-urgent", "2026-02-13 10:30"},
		{"contact", hotline.ClockContact, hotline.WorkOrder{Type: hotline.Help, Urgency: hotline.Extra}, "contact-extra", "2026-02-13 10:30"},
		{"dispatch", hotline.ClockDispatch, hotline.WorkOrder{Type: hotline.Help}, "dispatch", "2026-02-14 10:00"},
		{"callback", hotline.ClockCallback, hotline.WorkOrder{Type: hotline.Help}, "callback", "2026-02-25 00:00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, err := r.Deadline(tc.kind, &tc.order, start)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.DueAt.In(hotline.Shanghai).Format("2006-01-02 15:04"); got != tc.due || d.Policy != tc.policy {
				t.Errorf("%s due %s, want %s due %s", d.Policy, got, tc.policy, tc.due)
			}
			if d.Kind != tc.kind || !d.StartedAt.Equal(start) || d.CalendarVersion != 3 || !d.WarnAt.Before(d.DueAt) || d.Amount == 0 || d.Provisional {
				t.Errorf("deadline %+v", d)
			}
		})
	}
	if _, err := r.Deadline("nap", &hotline.WorkOrder{}, start); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("a clock without a row: %v, want not_found", err)
	}
}

func TestRulesFollowTheDirectory(t *testing.T) {
	t.Parallel()
	d := xuancheng(t)()
	r := NewRules(func() *hotline.Directory { return d })
	o := &hotline.WorkOrder{Type: hotline.Help, Category: "1302", Area: "341802"}
	if p := r.Plan(o); p.Lead != "GDGS" || p.Reason.CatalogueVersion != 3 {
		t.Errorf("plan %+v", p)
	}
	next := d.City
	next.Catalogue, next.Limits = nil, nil
	d = hotline.NewDirectory(next, 4)
	if p := r.Plan(o); p.Lead != "" || p.Reason.CatalogueVersion != 4 {
		t.Errorf("plan after the change %+v", p)
	}
	if _, err := r.Deadline(hotline.ClockSign, o, time.Time{}); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("limits after the change: %v", err)
	}
}

// ledger is a ledger of one order that answers as the real one does.
type ledger struct {
	order      hotline.WorkOrder
	marked     bool
	before     []func(*ledger) error // taken one by one ahead of each command
	dispatches []hotline.Plan
	unmatched  []hotline.Reason
	missing    error
}

func (l *ledger) Order(context.Context, hotline.Principal, hotline.OrderID) (*hotline.WorkOrder, error) {
	o := l.order
	return &o, l.missing
}

func (l *ledger) command(version int) error {
	if len(l.before) > 0 {
		f := l.before[0]
		l.before = l.before[1:]
		if err := f(l); err != nil {
			return err
		}
	}
	if version != l.order.Version || l.order.State != hotline.PendingDispatch {
		return hotline.Errorf(hotline.Conflict, "stale")
	}
	return nil
}

func (l *ledger) Dispatch(_ context.Context, p hotline.Principal, _ hotline.OrderID, version int, plan hotline.Plan) (*hotline.WorkOrder, error) {
	if err := l.command(version); err != nil {
		return nil, err
	}
	l.order.Version++
	l.order.State = hotline.Dispatched
	l.dispatches = append(l.dispatches, plan)
	return &l.order, nil
}

func (l *ledger) MarkUnmatched(_ context.Context, _ hotline.OrderID, version int, reason hotline.Reason) error {
	if err := l.command(version); err != nil {
		return err
	}
	if l.marked {
		return hotline.Errorf(hotline.Conflict, "already marked")
	}
	l.order.Version++
	l.marked = true
	l.unmatched = append(l.unmatched, reason)
	return nil
}

func TestHandle(t *testing.T) {
	t.Parallel()
	directory := xuancheng(t)
	pending := hotline.WorkOrder{ID: 1, Version: 1, State: hotline.PendingDispatch, Type: hotline.Help, Category: "1302", Area: "341802"}
	stale := func(l *ledger) error { l.order.Version++; return nil }
	gone := hotline.Errorf(hotline.NotFound, "none")
	away := hotline.Errorf(hotline.Unavailable, "away")
	for _, tc := range []struct {
		name                  string
		kind                  string
		category              hotline.CategoryCode
		state                 hotline.OrderState
		missing               error
		before                []func(*ledger) error
		dispatched, unmatched int
		code                  hotline.Code
	}{
		{name: "matched", dispatched: 1},
		{name: "other kinds are not ours", kind: "order.signed"},
		{name: "no rule", category: "77", unmatched: 1},
		{name: "kept by the office", category: "990101", unmatched: 1},
		{name: "already dispatched", state: hotline.Dispatched},
		{name: "answered on the line", state: hotline.DirectClosed},
		{name: "stale once", before: []func(*ledger) error{stale}, dispatched: 1},
		{name: "stale for ever", before: []func(*ledger) error{stale, stale, stale, stale, stale}, code: hotline.Unavailable},
		{name: "a dispatcher was faster", before: []func(*ledger) error{func(l *ledger) error {
			l.order.State = hotline.Dispatched
			l.order.Version++
			return nil
		}}},
		{name: "plan refused", before: []func(*ledger) error{func(*ledger) error { return hotline.FieldErrorf("lead", "no such unit") }}, unmatched: 1},
		{name: "ledger away", before: []func(*ledger) error{func(*ledger) error { return away }}, code: hotline.Unavailable},
		{name: "order unknown", missing: gone},
		{name: "read fails", missing: errors.New("broken"), code: hotline.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{order: pending, before: tc.before, missing: tc.missing}
			if tc.state != "" {
				l.order.State = tc.state
			}
			if tc.category != "" {
				l.order.Category = tc.category
			}
			e, err := New(Options{Orders: l, Directory: directory, Clock: hotline.ClockFunc(time.Now), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			kind := tc.kind
			if kind == "" {
				kind = KindSubmitted
			}
			if err := e.Handle(t.Context(), kind, 1); hotline.ErrorCode(err) != tc.code {
				t.Fatalf("got %v, want code %q", err, tc.code)
			}
			if tc.code == "" && len(tc.before) == 0 { // an entry delivered twice does no harm
				if err := e.Handle(t.Context(), kind, 1); err != nil {
					t.Fatalf("second delivery: %v", err)
				}
			}
			if len(l.dispatches) != tc.dispatched || len(l.unmatched) != tc.unmatched {
				t.Errorf("%d dispatches and %d unmatched, want %d and %d", len(l.dispatches), len(l.unmatched), tc.dispatched, tc.unmatched)
			}
			for _, r := range l.unmatched {
				if !strings.Contains(r.Text, "派单") {
					t.Errorf("reason %q", r.Text)
				}
			}
		})
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil {
		t.Error("an engine without parts was made")
	}
}

func BenchmarkDeadline(b *testing.B) {
	r := NewRules(xuancheng(b))
	o := &hotline.WorkOrder{Type: hotline.Complaint, Source: "01", Urgency: hotline.Ordinary}
	start := time.Date(2026, 2, 13, 2, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Deadline(hotline.ClockResolve, o, start); err != nil {
			b.Fatal(err)
		}
	}
}
