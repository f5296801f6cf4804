package workorder

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hotline12345/hotline"
)

// The outcomes of a clock (hotline.Deadline.Outcome).
const (
	clockMet      = "met"
	clockBreached = "breached"
)

// noDue stands for "no clock runs" in an open order's next_due_at, so that
// desk lists sort such orders last and keyset paging needs no null.
var noDue = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// record is an order with what its events say beyond hotline.WorkOrder.
type record struct {
	hotline.WorkOrder
	unmatched bool // the rules found no unit; a dispatcher has it
}

// Fold makes the order its events tell of, oldest first. The zero order comes
// of no events. It fails on a gap in seq or an event it does not know.
func Fold(events []hotline.Event) (*hotline.WorkOrder, error) {
	r, err := fold(events)
	if err != nil {
		return nil, err
	}
	return &r.WorkOrder, nil
}

func fold(events []hotline.Event) (*record, error) {
	r := &record{WorkOrder: hotline.WorkOrder{Assignments: []hotline.Assignment{}, Deadlines: []hotline.Deadline{}}}
	for _, e := range events {
		if err := r.apply(e); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// clone returns a copy that apply on r does not change.
func (r *record) clone() record {
	c := *r
	c.Assignments = slices.Clone(r.Assignments)
	c.Deadlines = slices.Clone(r.Deadlines)
	return c
}

// apply adds one event. Pointers it sets are fresh, so clones stay as they are.
func (r *record) apply(e hotline.Event) error {
	if e.Seq != r.Version+1 {
		return fmt.Errorf("apply event %s: order is at seq %d", e, r.Version)
	}
	var err error
	switch e.Kind {
	case hotline.EventSubmitted:
		err = applyTo(e, r.applySubmitted)
	case hotline.EventDirectAnswered:
		err = applyTo(e, func(e hotline.Event, d DirectAnswered) {
			r.State, r.Answer, r.Solved, r.Outcome = hotline.DirectClosed, d.Answer, d.Solved, OutcomeDirect
			r.RepliedAt, r.ClosedAt = new(e.At), new(e.At)
		})
	case hotline.EventUnmatched:
		err = applyTo(e, func(hotline.Event, Unmatched) { r.unmatched = true })
	case hotline.EventDispatched:
		err = applyTo(e, func(_ hotline.Event, d Dispatched) {
			r.State, r.unmatched = hotline.Dispatched, false
			r.Assignments = append(r.Assignments, d.Assignments...)
			r.turn(d.Clocks)
		})
	case hotline.EventSigned:
		err = applyTo(e, func(e hotline.Event, d Signed) {
			for i := range r.Assignments {
				if r.Assignments[i].ID == d.Assignment {
					r.Assignments[i].SignedAt = new(e.At)
				}
			}
			if d.Role == hotline.LeadRole {
				r.State = hotline.Signed
			}
			r.turn(d.Clocks)
		})
	case hotline.EventReplied:
		err = applyTo(e, func(e hotline.Event, d Replied) {
			r.State, r.Answer, r.Solved, r.RepliedAt = hotline.PendingCallback, d.Text, d.Solved, new(e.At)
			for i := range r.Assignments {
				if r.Assignments[i].EndedAt == nil {
					r.Assignments[i].EndedAt = new(e.At)
				}
			}
			r.turn(d.Clocks)
		})
	case hotline.EventCallbackFailed:
		err = applyTo(e, func(_ hotline.Event, d CallbackFailed) { r.CallbackTries = d.Try })
	case hotline.EventCallbackDone:
		err = applyTo(e, func(_ hotline.Event, d CallbackDone) {
			r.CallbackTries++
			r.Satisfaction, r.Solved = d.Satisfaction, d.Solved
		})
	case hotline.EventClosed:
		err = applyTo(e, func(e hotline.Event, d Ended) {
			r.State, r.Outcome, r.ClosedAt = hotline.Closed, d.Outcome, new(e.At)
			r.turn(d.Clocks)
		})
	case hotline.EventDeadlineMoved:
		err = applyTo(e, func(_ hotline.Event, d DeadlineMoved) {
			if i, ok := r.running(d.After.Kind); ok {
				r.Deadlines[i] = d.After
			}
		})
	default:
		err = fmt.Errorf("unknown kind")
	}
	if err != nil {
		return fmt.Errorf("apply event %s: %w", e, err)
	}
	r.Version = e.Seq
	return nil
}

func (r *record) applySubmitted(e hotline.Event, d Submitted) {
	r.ID, r.Number, r.State, r.AcceptedAt = e.OrderID, e.OrderID.Number(), hotline.PendingDispatch, e.At
	r.Type, r.Source, r.Category, r.Area = d.Type, d.Source, d.Category, d.Area
	r.Address, r.Title, r.Content = d.Address, d.Title, d.Content
	r.Urgency, r.Confidentiality, r.AgentID = d.Urgency, d.Confidentiality, d.Agent
	if d.Caller != nil {
		r.PersonID, r.CallerLast4, r.CallID = d.Caller.PersonID, d.Caller.Last4, d.Caller.CallID
	}
	r.turn(d.Clocks)
}

// turn stops and starts the clocks an event names.
func (r *record) turn(c Clocks) {
	for _, s := range c.Stopped {
		if i, ok := r.running(s.Kind); ok {
			r.Deadlines[i].StoppedAt, r.Deadlines[i].Outcome = new(s.At), s.Outcome
		}
	}
	r.Deadlines = append(r.Deadlines, c.Started...)
}

// running finds the running clock of a kind.
func (r *record) running(k hotline.ClockKind) (int, bool) {
	i := slices.IndexFunc(r.Deadlines, func(d hotline.Deadline) bool { return d.Kind == k && d.StoppedAt == nil })
	return i, i >= 0
}

// stop makes the stops, at t, of those of the kinds that run.
func (r *record) stop(t time.Time, kinds ...hotline.ClockKind) []ClockStop {
	var stops []ClockStop
	for _, k := range kinds {
		if i, ok := r.running(k); ok {
			s := ClockStop{Kind: k, At: t, Outcome: clockMet}
			if t.After(r.Deadlines[i].DueAt) {
				s.Outcome = clockBreached
			}
			stops = append(stops, s)
		}
	}
	return stops
}

// noCallback tells whether the order closes with its reply: praise, or nobody
// to call (domain.md §2.3, audit_ok).
func (r *record) noCallback() bool { return r.Type == hotline.Praise || r.CallerLast4 == "" }

// nextDue is the earliest due instant of the running clocks: noDue when none
// runs, nil when the order is done.
func (r *record) nextDue() *time.Time {
	if r.State.Done() {
		return nil
	}
	due := noDue
	for _, d := range r.Deadlines {
		if d.StoppedAt == nil && d.DueAt.Before(due) {
			due = d.DueAt
		}
	}
	return &due
}

// dueOf is the due instant of the latest clock of a kind, running or not.
func (r *record) dueOf(k hotline.ClockKind) *time.Time {
	for _, d := range slices.Backward(r.Deadlines) {
		if d.Kind == k {
			return &d.DueAt
		}
	}
	return nil
}

// lastInstant is the latest instant at which something began or ended.
func (r *record) lastInstant() time.Time {
	last := r.AcceptedAt
	later := func(ts ...*time.Time) {
		for _, t := range ts {
			if t != nil && t.After(last) {
				last = *t
			}
		}
	}
	for _, d := range r.Deadlines {
		later(&d.StartedAt, d.StoppedAt)
	}
	for _, a := range r.Assignments {
		later(&a.SentAt, a.SignedAt, a.EndedAt)
	}
	later(r.RepliedAt)
	return last
}

// lead returns the latest lead assignment, open or ended; the zero assignment
// when the order was never sent out.
func (r *record) lead() hotline.Assignment {
	for _, a := range slices.Backward(r.Assignments) {
		if a.Role == hotline.LeadRole {
			return a
		}
	}
	return hotline.Assignment{}
}

// applyTo decodes the event's data for f.
func applyTo[D any](e hotline.Event, f func(hotline.Event, D)) error {
	var d D
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return fmt.Errorf("decode data: %w", err)
	}
	f(e, d)
	return nil
}
