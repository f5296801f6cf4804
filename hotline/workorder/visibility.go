package workorder

import (
	"encoding/json"
	"fmt"

	"hotline12345/hotline"
)

// eyes is what one person may see and touch: the only place that decides it,
// for pages, lists, events and live messages alike.
type eyes struct {
	principal hotline.Principal
	system    bool
	center    bool
	units     []hotline.UnitCode // the person's unit and all below; only for unit staff
	own       map[hotline.UnitCode]bool
}

// unitEyes sees what every unit with an assignment may see; live messages are
// made with it.
var unitEyes = eyes{}

// look makes the eyes of p. System and the office see every order, unit staff
// those of their subtree, anyone else nothing.
func look(d *hotline.Directory, p hotline.Principal) eyes {
	e := eyes{principal: p, own: map[hotline.UnitCode]bool{}}
	e.system = p.ID == 0 && p.Name == hotline.System.Name && p.Login == ""
	e.center = e.system || p.Center()
	// The office stands above every unit, yet acts for none.
	if u, ok := d.Unit(p.Unit); ok && u.Kind != hotline.UnitCenter && p.Has(hotline.RoleUnit) {
		e.units = d.Subtree(p.Unit)
		for _, u := range e.units {
			e.own[u] = true
		}
	}
	return e
}

// holds tells whether the unit is the person's own or below it.
func (e eyes) holds(u hotline.UnitCode) bool { return e.own[u] }

// sees tells whether the person may know of the order at all.
func (e eyes) sees(o *hotline.WorkOrder) bool {
	if e.center {
		return true
	}
	for _, a := range o.Assignments {
		if e.holds(a.Unit) {
			return true
		}
	}
	return false
}

// unsigned finds the open assignment the person would sign next: the lead
// before a co-unit.
func (e eyes) unsigned(o *hotline.WorkOrder) (int, bool) {
	best := -1
	for i, a := range o.Assignments {
		if a.EndedAt == nil && a.SignedAt == nil && e.holds(a.Unit) && (best < 0 || a.Role == hotline.LeadRole) {
			best = i
		}
	}
	return best, best >= 0
}

// order returns the order as the person may see it: units learn nothing of the
// caller unless the order is open (GB/T 33358-2016; domain.md §2.11).
func (e eyes) order(o hotline.WorkOrder) *hotline.WorkOrder {
	if !e.center && o.Confidentiality != hotline.Open {
		o.PersonID, o.CallerLast4, o.CallID = 0, "", ""
	}
	return &o
}

// event returns the event as the person may see it, and false when it is not
// for them.
func (e eyes) event(o *hotline.WorkOrder, ev hotline.Event) (hotline.Event, bool, error) {
	if e.center {
		return ev, true, nil
	}
	if ev.Audience != hotline.ForUnits && ev.Audience != hotline.ForCitizen {
		return hotline.Event{}, false, nil
	}
	if ev.Kind == hotline.EventSubmitted && o.Confidentiality != hotline.Open {
		var d Submitted
		if err := json.Unmarshal(ev.Data, &d); err != nil {
			return hotline.Event{}, false, fmt.Errorf("decode event %s: %w", ev, err)
		}
		d.Caller = nil
		b, err := json.Marshal(d)
		if err != nil {
			return hotline.Event{}, false, fmt.Errorf("encode event %s: %w", ev, err)
		}
		ev.Data = b
	}
	return ev, true, nil
}

// events returns those of the events the person may see, as they may.
func (e eyes) events(o *hotline.WorkOrder, all []hotline.Event) ([]hotline.Event, error) {
	seen := make([]hotline.Event, 0, len(all))
	for _, ev := range all {
		v, ok, err := e.event(o, ev)
		if err != nil {
			return nil, err
		}
		if ok {
			seen = append(seen, v)
		}
	}
	return seen, nil
}
