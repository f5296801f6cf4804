package workorder

import (
	"context"
	"slices"
	"time"

	"hotline12345/hotline"
)

// Submit opens an order (登记受理). With a DirectAnswer it is answered and
// closed at once (当场答复); else its dispatch clock starts and the rules of
// dispatch will find a unit. A draft becomes one order, however often it is
// submitted. Errors: Invalid with one hotline.Error per field
// at fault, joined; Forbidden for others than agents and the program.
func (s *Service) Submit(ctx context.Context, p hotline.Principal, in Submission) (*hotline.WorkOrder, error) {
	d := s.directory()
	e := look(d, p)
	if _, err := permit(&record{}, hotline.EventSubmitted, e); err != nil {
		return nil, err
	}
	in = in.normal(d)
	if err := in.check(d); err != nil {
		return nil, err
	}
	person, err := s.people.Register(ctx, in.CallerPhone, in.CallerName)
	if err != nil {
		return nil, err
	}
	now := s.now()
	id, err := s.nextID(ctx, hotline.DateOf(now))
	if err != nil {
		return nil, err
	}
	c := newChange(&record{WorkOrder: hotline.WorkOrder{ID: id, Assignments: []hotline.Assignment{}, Deadlines: []hotline.Deadline{}}}, e, now)
	data := Submitted{
		Type: in.Type, Source: in.Source, Category: in.Category, Area: in.Area, Address: in.Address,
		Title: in.Title, Content: in.Content, Urgency: in.Urgency, Confidentiality: in.Confidentiality,
		Caller: &Caller{PersonID: person, Last4: in.CallerPhone.Last4(), CallID: in.CallID}, Agent: p.ID,
	}
	if in.DirectAnswer == "" {
		o := hotline.WorkOrder{ID: id, Type: in.Type, Source: in.Source, Category: in.Category, Area: in.Area, Urgency: in.Urgency, AcceptedAt: now}
		if data.Started, err = s.start(&o, now, hotline.ClockDispatch); err != nil {
			return nil, err
		}
	}
	if err := c.add(hotline.EventSubmitted, data); err != nil {
		return nil, err
	}
	if in.DirectAnswer != "" {
		if err := c.add(hotline.EventDirectAnswered, DirectAnswered{Answer: in.DirectAnswer, Solved: in.Solved}); err != nil {
			return nil, err
		}
	}
	if err := s.create(ctx, c, in); err != nil {
		if in.DraftID != "" && hotline.ErrorCode(err) == hotline.Conflict {
			return s.again(ctx, p, in, err)
		}
		return nil, err
	}
	return e.order(c.after.WorkOrder), nil
}

// again answers a submission whose draft is an order already, because the
// first answer was lost: with that order, or, when the text was changed
// since, with a Conflict that names it. failed is why the order was not made.
func (s *Service) again(ctx context.Context, p hotline.Principal, in Submission, failed error) (*hotline.WorkOrder, error) {
	id, err := s.ofDraft(ctx, p.ID, in.DraftID)
	if err != nil {
		return nil, err
	}
	if id == 0 {
		return nil, failed
	}
	o, err := s.Order(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if o.Title != in.Title || o.Content != in.Content || o.Type != in.Type || o.Category != in.Category || o.Area != in.Area || o.Address != in.Address {
		return nil, hotline.Errorf(hotline.Conflict, "这份草稿已登记为工单 %s，请打开核对，不要重复登记", o.Number)
	}
	return o, nil
}

// Dispatch sends a pending order to the plan's units (派单): by the program
// after the rules, or by a dispatcher with a reason in words. It stops the
// dispatch clock and starts those of signing, contact and handling (domain.md
// §2.3: handling counts from dispatch, not from signing). Errors: Invalid,
// NotFound, Forbidden, Conflict, *StaleError.
func (s *Service) Dispatch(ctx context.Context, p hotline.Principal, id hotline.OrderID, version int, plan hotline.Plan) (*hotline.WorkOrder, error) {
	e := look(s.directory(), p)
	plan.Reason.Text = clean(plan.Reason.Text)
	if !e.system {
		plan.Reason.Kind = "manual"
	}
	if err := s.checkPlan(plan); err != nil {
		return nil, err
	}
	return s.command(ctx, p, id, &version, func(c *change) error {
		started, err := s.start(&c.after.WorkOrder, c.now, hotline.ClockSign, hotline.ClockContact, hotline.ClockResolve)
		if err != nil {
			return err
		}
		data := Dispatched{Clocks: Clocks{Started: started, Stopped: c.after.stop(c.now, hotline.ClockDispatch)}}
		for i, u := range append([]hotline.UnitCode{plan.Lead}, plan.CoUnits...) {
			role := hotline.CoRole
			if i == 0 {
				role = hotline.LeadRole
			}
			data.Assignments = append(data.Assignments, hotline.Assignment{ID: int64(len(c.after.Assignments) + i + 1), Unit: u, Role: role, Reason: plan.Reason, SentAt: c.now})
		}
		return c.add(hotline.EventDispatched, data)
	})
}

func (s *Service) checkPlan(plan hotline.Plan) error {
	var f faults
	d := s.directory()
	if u, ok := d.Unit(plan.Lead); !ok || u.Kind == hotline.UnitCenter {
		f.add("lead", "请选择主办单位")
	}
	for i, u := range plan.CoUnits {
		if k, ok := d.Unit(u); !ok || k.Kind == hotline.UnitCenter {
			f.add("co_units", "没有协办单位 %s", u)
		} else if u == plan.Lead || slices.Contains(plan.CoUnits[:i], u) {
			f.add("co_units", "协办单位重复：%s", d.UnitName(u))
		}
	}
	if len(plan.CoUnits) > 20 {
		f.add("co_units", "协办单位不超过 20 个")
	}
	f.text("reason", "派单理由", plan.Reason.Text, 2, maxNote)
	return f.err()
}

// MarkUnmatched records that no rule found a unit and a dispatcher must choose
// (转人工派单). Errors: NotFound, Conflict when it was recorded before or the
// order went out, *StaleError.
func (s *Service) MarkUnmatched(ctx context.Context, id hotline.OrderID, version int, reason hotline.Reason) error {
	_, err := s.command(ctx, hotline.System, id, &version, func(c *change) error {
		return c.add(hotline.EventUnmatched, Unmatched{Reason: reason})
	})
	return err
}

// Sign confirms that the person's unit has the order (签收): the lead's
// signature moves the order on and stops the sign clock, a co-unit signs its
// own share. Errors: NotFound, Forbidden, Conflict, *StaleError.
func (s *Service) Sign(ctx context.Context, p hotline.Principal, id hotline.OrderID, version int) (*hotline.WorkOrder, error) {
	return s.command(ctx, p, id, &version, func(c *change) error {
		data := Signed{}
		if i, ok := c.eyes.unsigned(&c.after.WorkOrder); ok {
			a := c.after.Assignments[i]
			data = Signed{Assignment: a.ID, Unit: a.Unit, Role: a.Role}
			if a.Role == hotline.LeadRole {
				data.Stopped = c.after.stop(c.now, hotline.ClockSign)
			}
		}
		return c.add(hotline.EventSigned, data)
	})
}

// ReplyInput is the lead unit's answer.
type ReplyInput struct {
	Text        string         `json:"text"`
	Solved      hotline.Solved `json:"solved"`
	ContactedAt *time.Time     `json:"contacted_at,omitempty"` // when the unit spoke with the caller; nil: it did not
}

// Reply records the lead unit's answer (答复): it ends all assignments, stops
// the clocks of contact and handling and starts that of the callback; praise
// and orders with nobody to call close at once. Errors: Invalid, NotFound,
// Forbidden, Conflict, *StaleError.
func (s *Service) Reply(ctx context.Context, p hotline.Principal, id hotline.OrderID, version int, in ReplyInput) (*hotline.WorkOrder, error) {
	in.Text = clean(in.Text)
	var f faults
	f.text("text", "答复内容", in.Text, minReply, maxContent)
	if !knownSolved(in.Solved) {
		f.add("solved", "请选择是否解决")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return s.command(ctx, p, id, &version, func(c *change) error {
		lead, _ := c.after.Lead()
		data := Replied{Unit: lead.Unit, Text: in.Text, Solved: in.Solved}
		contacted := c.now
		if in.ContactedAt != nil {
			contacted = in.ContactedAt.UTC().Truncate(time.Microsecond)
			if contacted.After(c.now) || contacted.Before(lead.SentAt) {
				return hotline.FieldErrorf("contacted_at", "联系时间须在派单之后、答复之前")
			}
			data.ContactedAt = &contacted
		}
		data.Stopped = append(c.after.stop(contacted, hotline.ClockContact), c.after.stop(c.now, hotline.ClockSign, hotline.ClockResolve)...)
		if c.after.noCallback() {
			if err := c.add(hotline.EventReplied, data); err != nil {
				return err
			}
			return c.addAs(s.byProgram(), hotline.EventClosed, Ended{Outcome: OutcomeNoCallback})
		}
		var err error
		if data.Started, err = s.start(&c.after.WorkOrder, c.now, hotline.ClockCallback); err != nil {
			return err
		}
		return c.add(hotline.EventReplied, data)
	})
}

// CallbackInput is the result of one call back to the caller.
type CallbackInput struct {
	Reached      bool           `json:"reached"`
	Satisfaction int            `json:"satisfaction,omitempty"` // 1 very good … 5 very bad (GB/T 39735-2020); only when reached
	Solved       hotline.Solved `json:"solved,omitempty"`       // the caller's word; only when reached
	Note         string         `json:"note,omitempty"`
}

// Callback records one call back (回访). Reached: the order closes with the
// caller's rating. Not reached: it stays for another try and closes as
// unreached after the third, when the first was on an earlier day: further
// tries of one day leave it pending (domain.md §2.2, state 51). Errors: Invalid, NotFound, Forbidden, Conflict,
// *StaleError.
func (s *Service) Callback(ctx context.Context, p hotline.Principal, id hotline.OrderID, version int, in CallbackInput) (*hotline.WorkOrder, error) {
	in.Note = clean(in.Note)
	if err := in.check(); err != nil {
		return nil, err
	}
	// Read before the order is locked: events of the version named do not
	// change, and with another version the command fails.
	var first *time.Time
	if !in.Reached {
		var err error
		if first, err = s.firstTry(ctx, id); err != nil {
			return nil, err
		}
	}
	return s.command(ctx, p, id, &version, func(c *change) error {
		outcome := OutcomeUnreached
		if in.Reached {
			outcome = OutcomeSatisfied
			if in.Satisfaction > 3 {
				outcome = OutcomeDissatisfied
			}
			if err := c.add(hotline.EventCallbackDone, CallbackDone{Satisfaction: in.Satisfaction, Solved: in.Solved, Note: in.Note}); err != nil {
				return err
			}
		} else {
			if err := c.add(hotline.EventCallbackFailed, CallbackFailed{Try: c.after.CallbackTries + 1, Note: in.Note}); err != nil {
				return err
			}
			oneDay := first == nil || !hotline.DateOf(*first).Before(hotline.DateOf(c.now))
			if c.after.CallbackTries < callbackLimit || oneDay {
				return nil
			}
		}
		return c.add(hotline.EventClosed, Ended{Outcome: outcome, Clocks: Clocks{Stopped: c.after.stop(c.now, hotline.ClockCallback)}})
	})
}

func (in CallbackInput) check() error {
	var f faults
	f.text("note", "备注", in.Note, 0, maxNote)
	if in.Reached {
		if in.Satisfaction < 1 || in.Satisfaction > 5 {
			f.add("satisfaction", "请选择满意度")
		}
		if !knownSolved(in.Solved) {
			f.add("solved", "请选择是否解决")
		}
	} else if in.Satisfaction != 0 || in.Solved != "" {
		f.add("satisfaction", "未接通时不填满意度和是否解决")
	}
	return f.err()
}

// Recompute asks again for the deadline of every running provisional clock and
// records those that moved, so that a holiday notice loaded late corrects open
// orders. It returns how many moved; a second run moves none.
func (s *Service) Recompute(ctx context.Context) (int, error) {
	moved := 0
	var after hotline.OrderID
	for {
		ids, err := s.provisional(ctx, after)
		if err != nil {
			return moved, err
		}
		if len(ids) == 0 {
			return moved, nil
		}
		for _, id := range ids {
			n := 0
			if _, err := s.command(ctx, hotline.System, id, nil, func(c *change) error {
				n = 0
				return s.recompute(c, &n)
			}); err != nil {
				return moved, err
			}
			moved, after = moved+n, id
		}
	}
}

func (s *Service) recompute(c *change, n *int) error {
	for _, old := range slices.Clone(c.after.Deadlines) {
		if old.StoppedAt != nil || !old.Provisional {
			continue
		}
		d, ok, err := s.deadline(&c.after.WorkOrder, old.Kind, old.StartedAt)
		if err != nil {
			return err
		}
		// A limit taken away since does not free an order that runs under it.
		if !ok || d.DueAt.Equal(old.DueAt) && d.WarnAt.Equal(old.WarnAt) && d.Provisional == old.Provisional {
			continue
		}
		if err := c.add(hotline.EventDeadlineMoved, DeadlineMoved{Before: old, After: d}); err != nil {
			return err
		}
		*n++
	}
	return nil
}
