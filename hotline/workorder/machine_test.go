package workorder

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hotline12345/hotline"
)

var (
	allStates = []hotline.OrderState{"", hotline.PendingDispatch, hotline.Dispatched, hotline.Signed, hotline.PendingCallback, hotline.Closed, hotline.DirectClosed}
	allEvents = []hotline.EventKind{
		hotline.EventSubmitted, hotline.EventDirectAnswered, hotline.EventUnmatched, hotline.EventDispatched, hotline.EventSigned, hotline.EventReplied,
		hotline.EventCallbackFailed, hotline.EventCallbackDone, hotline.EventClosed, hotline.EventDeadlineMoved,
	}
)

// TestMachineIsTheAgreedOne pins the table (domain.md §2.3): a row added or
// lost must be meant.
func TestMachineIsTheAgreedOne(t *testing.T) {
	t.Parallel()
	want := []string{
		" --submitted--> pending_dispatch by [agent] or the program",
		"pending_dispatch --direct_answered--> direct_closed by [agent] or the program",
		"pending_dispatch --unmatched--> pending_dispatch by [] or the program if unmatched_once",
		"pending_dispatch --dispatched--> dispatched by [dispatcher] or the program",
		"dispatched --signed--> signed by [unit] if unsigned_lead",
		"dispatched --signed--> dispatched by [unit] if unsigned_co",
		"signed --signed--> signed by [unit] if unsigned_co",
		"signed --replied--> pending_callback by [unit] if holds_lead",
		"pending_callback --callback_failed--> pending_callback by [callback]",
		"pending_callback --callback_done--> pending_callback by [callback]",
		"pending_callback --closed--> closed by [callback] if rated_or_tried",
		"pending_callback --closed--> closed by [] or the program if no_callback",
		"pending_dispatch --deadline_moved--> pending_dispatch by [] or the program",
		"dispatched --deadline_moved--> dispatched by [] or the program",
		"signed --deadline_moved--> signed by [] or the program",
		"pending_callback --deadline_moved--> pending_callback by [] or the program",
	}
	var got []string
	for _, tr := range Transitions() {
		s := fmt.Sprintf("%s --%s--> %s by %v", tr.From, tr.Event, tr.To, tr.Roles)
		if tr.System {
			s += " or the program"
		}
		if tr.Guard.Name != "" {
			s += " if " + tr.Guard.Name
		}
		got = append(got, s)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the machine changed (-want +got):\n%s", d)
	}
}

// sample is an order in the state for which a transition's guard holds.
func sample(tr Transition) *record {
	t0 := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	r := &record{}
	if tr.From == "" {
		return r
	}
	r.State, r.Type, r.CallerLast4, r.AcceptedAt, r.Version = tr.From, hotline.Complaint, "5678", t0, 1
	r.ID = hotline.NewOrderID(hotline.DateOf(t0), 1)
	if tr.From == hotline.Dispatched || tr.From == hotline.Signed {
		r.Assignments = []hotline.Assignment{{ID: 1, Unit: "341802001", Role: hotline.LeadRole, SentAt: t0}, {ID: 2, Unit: "341802", Role: hotline.CoRole, SentAt: t0}}
		if tr.From == hotline.Signed || tr.Guard.Name == "unsigned_co" {
			r.Assignments[0].SignedAt = &t0
		}
	}
	switch tr.Guard.Name {
	case "rated_or_tried":
		r.CallbackTries = callbackLimit
	case "no_callback":
		r.CallerLast4 = ""
	}
	return r
}

// data is an event body that fits the sample.
func data(tr Transition, r *record) any {
	switch tr.Event {
	case hotline.EventSubmitted:
		return Submitted{Type: hotline.Complaint}
	case hotline.EventDirectAnswered:
		return DirectAnswered{Answer: "已答复"}
	case hotline.EventUnmatched:
		return Unmatched{}
	case hotline.EventDispatched:
		return Dispatched{Assignments: []hotline.Assignment{{ID: 1, Unit: "341802001", Role: hotline.LeadRole}}}
	case hotline.EventSigned:
		i := slices.IndexFunc(r.Assignments, func(a hotline.Assignment) bool { return a.SignedAt == nil })
		return Signed{Assignment: r.Assignments[i].ID, Role: r.Assignments[i].Role}
	case hotline.EventReplied:
		return Replied{Text: "已处理"}
	case hotline.EventCallbackFailed:
		return CallbackFailed{Try: 1}
	case hotline.EventCallbackDone:
		return CallbackDone{Satisfaction: 1}
	case hotline.EventClosed:
		return Ended{Outcome: OutcomeSatisfied}
	default:
		return DeadlineMoved{}
	}
}

// TestEveryStateEventAndRole walks state × event × role: what the table has a
// row for is permitted to the row's roles and forbidden to others, what it has
// no row for is a conflict for everybody.
func TestEveryStateEventAndRole(t *testing.T) {
	t.Parallel()
	d := testCity()
	for _, state := range allStates {
		for _, kind := range allEvents {
			rows := slices.DeleteFunc(Transitions(), func(tr Transition) bool { return tr.From != state || tr.Event != kind })
			if len(rows) == 0 {
				rows = []Transition{{From: state, Event: kind, To: "none"}}
			}
			for _, row := range rows {
				for _, p := range everybody {
					e := look(d, p)
					want := hotline.Code("")
					mine := func(tr Transition) bool { return tr.System && e.system || p.Has(tr.Roles...) }
					switch {
					case row.To == "none":
						want = hotline.Conflict
					case !slices.ContainsFunc(rows, mine):
						want = hotline.Forbidden
					case !mine(row), p.ID == department.ID, p.ID == officeUnit.ID:
						want = hotline.Conflict // the row of another role, or not this unit's order
					case p.ID == township.ID && row.Guard.Name == "unsigned_co":
						want = hotline.Conflict // the co-unit is the county, above the township
					}
					tr, err := permit(sample(row), kind, e)
					if got := hotline.ErrorCode(err); got != want {
						t.Errorf("%q %s (%s) by %q: got %q (%v), want %q", state, kind, row.Guard.Name, p.Login, got, err, want)
					}
					if err == nil && tr.To != row.To {
						t.Errorf("%q %s by %q goes to %s, want %s", state, kind, p.Login, tr.To, row.To)
					}
				}
			}
		}
	}
}

// TestFoldGoesWhereTheTableSays applies each transition's event and compares
// the state it folds to.
func TestFoldGoesWhereTheTableSays(t *testing.T) {
	t.Parallel()
	d := testCity()
	for _, tr := range Transitions() {
		r := sample(tr)
		done := false
		for _, p := range everybody {
			c := newChange(r, look(d, p), r.AcceptedAt.Add(time.Hour))
			if got, err := permit(r, tr.Event, c.eyes); err != nil || got.Guard.Name != tr.Guard.Name {
				continue
			}
			if err := c.add(tr.Event, data(tr, r)); err != nil {
				t.Errorf("%s from %q by %q: %v", tr.Event, tr.From, p.Login, err)
				continue
			}
			done = true
			if c.after.State != tr.To || c.after.Version != r.Version+1 {
				t.Errorf("%s from %q folds to %s v%d, want %s", tr.Event, tr.From, c.after.State, c.after.Version, tr.To)
			}
			if c.events[0].Audience == "" {
				t.Errorf("%s has no audience", tr.Event)
			}
		}
		if !done {
			t.Errorf("nobody can do %s from %q (%s)", tr.Event, tr.From, tr.Guard.Name)
		}
	}
}

func TestDoneOrdersStayDoneAndEveryStateIsReached(t *testing.T) {
	t.Parallel()
	reached := map[hotline.OrderState]bool{"": true}
	for range Transitions() {
		for _, tr := range Transitions() {
			if tr.From.Done() {
				t.Errorf("%s leaves the final state %s", tr.Event, tr.From)
			}
			reached[tr.To] = reached[tr.To] || reached[tr.From]
		}
	}
	for _, s := range allStates {
		if !reached[s] {
			t.Errorf("state %s is never reached", s)
		}
		if stateNames[s] == "" {
			t.Errorf("state %s has no name", s)
		}
	}
	for _, k := range allEvents {
		if eventNames[k] == "" || audiences[k] == "" {
			t.Errorf("event %s has no name or audience", k)
		}
	}
}

func TestFoldRefusesGapsAndStrangers(t *testing.T) {
	t.Parallel()
	good := hotline.Event{OrderID: 202611230000001, Seq: 1, Kind: hotline.EventSubmitted, Data: []byte(`{}`)}
	for name, events := range map[string][]hotline.Event{
		"gap":          {good, {OrderID: good.OrderID, Seq: 3, Kind: hotline.EventUnmatched, Data: []byte(`{}`)}},
		"twice":        {good, good},
		"unknown kind": {good, {OrderID: good.OrderID, Seq: 2, Kind: "melted", Data: []byte(`{}`)}},
		"bad data":     {{OrderID: good.OrderID, Seq: 1, Kind: hotline.EventSubmitted, Data: []byte(`[`)}},
	} {
		if _, err := Fold(events); err == nil {
			t.Errorf("%s: folded without an error", name)
		}
	}
}
