// Package dispatch owns what the program decides about an order by itself:
// which unit gets it (after the dispatch catalogue) and how long each step may
// take (after the table of limits and the working-day calendar). Rules decides
// without I/O; Engine follows the stream and gives the plans to the ledger,
// which it knows as Orders. cmd/hotline wires both. The package starts no
// goroutine and keeps no state but a cache of the current city. It imports
// hotline and the rooms below itself.
package dispatch

import (
	"sync/atomic"
	"time"

	"hotline12345/dispatch/routing"
	"hotline12345/dispatch/workcal"
	"hotline12345/hotline"
)

// Rules answers questions about the city's rules as they are now. It is safe
// for concurrent use.
type Rules struct {
	directory func() *hotline.Directory
	cache     atomic.Pointer[compiled]
}

// compiled is one version of the city made ready; it never changes.
type compiled struct {
	dir      *hotline.Directory
	tree     *routing.Tree
	calendar *workcal.Calendar
}

// NewRules makes the rules over the city that directory returns; directory
// must never return nil and must be safe for concurrent use.
func NewRules(directory func() *hotline.Directory) *Rules {
	return &Rules{directory: directory}
}

// city returns the current city, compiled once per version.
func (r *Rules) city() *compiled {
	d := r.directory()
	if c := r.cache.Load(); c != nil && c.dir == d {
		return c
	}
	// Two goroutines may both compile a new version; either result is right.
	c := &compiled{dir: d, tree: routing.New(d), calendar: workcal.New(d.City.Calendar)}
	r.cache.Store(c)
	return c
}

// Plan says where the order should go now, with the reason in words. A zero
// Lead means that a dispatcher must choose.
func (r *Rules) Plan(o *hotline.WorkOrder) hotline.Plan {
	return r.city().tree.Plan(o.Category, o.Area, o.Title+"\n"+o.Content)
}

// Deadline computes one clock of an order that starts at start, after the most
// specific row of the table of limits. Errors: NotFound when the table has no
// row for the clock; then no clock runs.
func (r *Rules) Deadline(kind hotline.ClockKind, o *hotline.WorkOrder, start time.Time) (hotline.Deadline, error) {
	c := r.city()
	l, ok := limitFor(c.dir.City.Limits, kind, o)
	if !ok {
		return hotline.Deadline{}, hotline.Errorf(hotline.NotFound, "时限表中没有 %s 的规定", kind)
	}
	due, warn, provisional := c.calendar.Due(start, l)
	return hotline.Deadline{
		Kind: kind, Policy: l.Policy, Amount: l.Amount, Unit: l.Unit, CalendarVersion: c.dir.Version,
		StartedAt: start.UTC(), DueAt: due, WarnAt: warn, Provisional: provisional,
	}, nil
}

// limitFor picks the row that names most of clock, type, urgency and source;
// of equals, source counts before type before urgency (hotline.Limit). An
// order without urgency is an ordinary one.
func limitFor(limits []hotline.Limit, kind hotline.ClockKind, o *hotline.WorkOrder) (best hotline.Limit, found bool) {
	urgency := max(o.Urgency, hotline.Ordinary)
	most := -1
	for _, l := range limits {
		if l.Clock != kind || l.Type != "" && l.Type != o.Type || l.Urgency != 0 && l.Urgency != urgency || l.Source != "" && l.Source != o.Source {
			continue
		}
		weight := 0
		for i, set := range []bool{l.Urgency != 0, l.Type != "", l.Source != ""} {
			if set {
				weight += 8 + 1<<i
			}
		}
		if weight > most {
			best, most, found = l, weight, true
		}
	}
	return best, found
}
