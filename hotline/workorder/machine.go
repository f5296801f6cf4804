package workorder

import (
	"slices"

	"hotline12345/hotline"
)

// callbackLimit is how often a caller is tried before the order closes as
// "unreached"; the tries fall on two days at least (domain.md §2.2, state 51).
const callbackLimit = 3

// How an order ended (hotline.WorkOrder.Outcome).
const (
	OutcomeDirect       = "direct"       // answered while the caller was on the line
	OutcomeSatisfied    = "satisfied"    // rated 1 to 3 (GB/T 39735-2020: very good, good, fair)
	OutcomeDissatisfied = "dissatisfied" // rated 4 or 5
	OutcomeUnreached    = "unreached"    // not reached in three tries on two days; outside the base of satisfaction
	OutcomeNoCallback   = "no_callback"  // praise, or nobody to call (domain.md §2.3, audit_ok)
)

// Transition is one row of the state machine: in state From, Event may be
// written by a person with one of Roles (or by the system, when System) while
// Guard holds, and the order is then in state To. From "" is no order yet.
type Transition struct {
	From   hotline.OrderState
	Event  hotline.EventKind
	To     hotline.OrderState
	Roles  []hotline.Role
	System bool
	Guard  Guard
}

// Guard is a named condition of a transition beyond state and role. Refusal is
// the sentence shown when it does not hold. The zero Guard always holds.
type Guard struct {
	Name    string
	Refusal string
	holds   func(o *record, e eyes) bool
}

// allows tells whether the guard lets the person behind e act on o.
func (g Guard) allows(o *record, e eyes) bool { return g.holds == nil || g.holds(o, e) }

var (
	guardUnmatchedOnce = Guard{"unmatched_once", "工单已转人工派单", func(o *record, _ eyes) bool { return !o.unmatched }}
	guardUnsignedLead  = Guard{"unsigned_lead", "主办任务已签收或不属于本单位", func(o *record, e eyes) bool {
		i, ok := e.unsigned(&o.WorkOrder)
		return ok && o.Assignments[i].Role == hotline.LeadRole
	}}
	guardUnsignedCo = Guard{"unsigned_co", "工单已签收", func(o *record, e eyes) bool {
		i, ok := e.unsigned(&o.WorkOrder)
		return ok && o.Assignments[i].Role == hotline.CoRole
	}}
	guardHoldsLead = Guard{"holds_lead", "只有主办单位可以答复", func(o *record, e eyes) bool {
		lead, ok := o.Lead()
		return ok && e.holds(lead.Unit)
	}}
	guardRatedOrTried = Guard{"rated_or_tried", "回访尚未完成", func(o *record, _ eyes) bool {
		return o.Satisfaction != 0 || o.CallbackTries >= callbackLimit
	}}
	guardNoCallback = Guard{"no_callback", "该工单需要回访", func(o *record, _ eyes) bool { return o.noCallback() }}
)

// machine is every transition this program knows (domain.md §2.3, the part of
// the life cycle that is open now). Rows of one state and event are tried from
// the top; tests walk the table.
var machine = []Transition{
	{From: "", Event: hotline.EventSubmitted, To: hotline.PendingDispatch, Roles: []hotline.Role{hotline.RoleAgent}, System: true},
	{From: hotline.PendingDispatch, Event: hotline.EventDirectAnswered, To: hotline.DirectClosed, Roles: []hotline.Role{hotline.RoleAgent}, System: true},
	{From: hotline.PendingDispatch, Event: hotline.EventUnmatched, To: hotline.PendingDispatch, System: true, Guard: guardUnmatchedOnce},
	{From: hotline.PendingDispatch, Event: hotline.EventDispatched, To: hotline.Dispatched, Roles: []hotline.Role{hotline.RoleDispatcher}, System: true},
	{From: hotline.Dispatched, Event: hotline.EventSigned, To: hotline.Signed, Roles: []hotline.Role{hotline.RoleUnit}, Guard: guardUnsignedLead},
	{From: hotline.Dispatched, Event: hotline.EventSigned, To: hotline.Dispatched, Roles: []hotline.Role{hotline.RoleUnit}, Guard: guardUnsignedCo},
	{From: hotline.Signed, Event: hotline.EventSigned, To: hotline.Signed, Roles: []hotline.Role{hotline.RoleUnit}, Guard: guardUnsignedCo},
	{From: hotline.Signed, Event: hotline.EventReplied, To: hotline.PendingCallback, Roles: []hotline.Role{hotline.RoleUnit}, Guard: guardHoldsLead},
	{From: hotline.PendingCallback, Event: hotline.EventCallbackFailed, To: hotline.PendingCallback, Roles: []hotline.Role{hotline.RoleCallback}},
	{From: hotline.PendingCallback, Event: hotline.EventCallbackDone, To: hotline.PendingCallback, Roles: []hotline.Role{hotline.RoleCallback}},
	{From: hotline.PendingCallback, Event: hotline.EventClosed, To: hotline.Closed, Roles: []hotline.Role{hotline.RoleCallback}, Guard: guardRatedOrTried},
	{From: hotline.PendingCallback, Event: hotline.EventClosed, To: hotline.Closed, System: true, Guard: guardNoCallback},
	{From: hotline.PendingDispatch, Event: hotline.EventDeadlineMoved, To: hotline.PendingDispatch, System: true},
	{From: hotline.Dispatched, Event: hotline.EventDeadlineMoved, To: hotline.Dispatched, System: true},
	{From: hotline.Signed, Event: hotline.EventDeadlineMoved, To: hotline.Signed, System: true},
	{From: hotline.PendingCallback, Event: hotline.EventDeadlineMoved, To: hotline.PendingCallback, System: true},
}

// Transitions returns a copy of the state machine, for tests and documents.
func Transitions() []Transition { return slices.Clone(machine) }

// stateNames are the words for a state in refusals (domain.md §2.2).
var stateNames = map[hotline.OrderState]string{
	"":                      "未登记",
	hotline.PendingDispatch: "待派单",
	hotline.Dispatched:      "待签收",
	hotline.Signed:          "办理中",
	hotline.PendingCallback: "待回访",
	hotline.Closed:          "办结",
	hotline.DirectClosed:    "直办办结",
}

// eventNames are the words for an event in refusals.
var eventNames = map[hotline.EventKind]string{
	hotline.EventSubmitted:      "登记",
	hotline.EventDirectAnswered: "当场答复",
	hotline.EventUnmatched:      "转人工派单",
	hotline.EventDispatched:     "派单",
	hotline.EventSigned:         "签收",
	hotline.EventReplied:        "答复",
	hotline.EventCallbackFailed: "登记回访未接通",
	hotline.EventCallbackDone:   "登记回访结果",
	hotline.EventClosed:         "办结",
	hotline.EventDeadlineMoved:  "重算时限",
}

// audiences says who may read each event. Deadlines and notes of callbacks are
// the office's; what a unit does and why it got the order is the units';
// acceptance, answer and end are the citizen's as well.
var audiences = map[hotline.EventKind]hotline.Audience{
	hotline.EventSubmitted:      hotline.ForCitizen,
	hotline.EventDirectAnswered: hotline.ForCitizen,
	hotline.EventUnmatched:      hotline.ForCenter,
	hotline.EventDispatched:     hotline.ForUnits,
	hotline.EventSigned:         hotline.ForUnits,
	hotline.EventReplied:        hotline.ForCitizen,
	hotline.EventCallbackFailed: hotline.ForCenter,
	hotline.EventCallbackDone:   hotline.ForCenter,
	hotline.EventClosed:         hotline.ForCitizen,
	hotline.EventDeadlineMoved:  hotline.ForUnits,
}

// permit returns the transition by which the person behind e may write kind
// on o. Errors: Conflict when the state or a guard forbids it, Forbidden when
// it is another role's act.
func permit(o *record, kind hotline.EventKind, e eyes) (Transition, error) {
	var refusal error = hotline.Errorf(hotline.Conflict, "工单当前状态为「%s」，不能%s", stateNames[o.State], eventNames[kind])
	forbidden, open := false, false
	for _, t := range machine {
		if t.From != o.State || t.Event != kind {
			continue
		}
		if !(t.System && e.system) && !e.principal.Has(t.Roles...) {
			forbidden = true
			continue
		}
		if !t.Guard.allows(o, e) {
			open = true
			refusal = hotline.Errorf(hotline.Conflict, "%s", t.Guard.Refusal)
			continue
		}
		return t, nil
	}
	if forbidden && !open {
		return Transition{}, hotline.Errorf(hotline.Forbidden, "您没有%s的权限", eventNames[kind])
	}
	return Transition{}, refusal
}
