package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/workorder"
)

// orderFilters are the members of a list's address; the same names stand in
// the console's addresses and in the links of reports.
type orderFilters struct {
	Desk           string `query:"desk" doc:"unit, dispatch, callback 或 all"`
	Number         string `query:"number" doc:"16 位工单编号"`
	Unit           string `query:"unit" doc:"单位及其下级"`
	Lead           string `query:"lead" doc:"主办单位"`
	State          string `query:"state" doc:"可用逗号并列"`
	Source         string `query:"source"`
	Type           string `query:"type"`
	Category       string `query:"category" doc:"分类及其下级"`
	Area           string `query:"area" doc:"区域及其下级"`
	AcceptedFrom   string `query:"accepted_from" doc:"日期或时刻，含"`
	AcceptedTo     string `query:"accepted_to" doc:"时刻不含；日期含当日"`
	ClosedFrom     string `query:"closed_from"`
	ClosedTo       string `query:"closed_to"`
	DueFrom        string `query:"due_from" doc:"未办结工单的下一时限"`
	DueTo          string `query:"due_to"`
	ResolveDueFrom string `query:"resolve_due_from" doc:"办理时限，不论是否已答复"`
	ResolveDueTo   string `query:"resolve_due_to"`
	OnTime         string `query:"on_time" doc:"是否在办理时限内答复"`
	Satisfaction   string `query:"satisfaction" doc:"1 非常满意 至 5 非常不满意，0 为未评价，可用逗号并列"`
	Overdue        string `query:"overdue"`
	OverdueAt      string `query:"overdue_at"`
	Direct         string `query:"direct"`
	PersonID       string `query:"person_id"`
	CallID         string `query:"call_id"`
	Agent          string `query:"agent"`
	Cursor         string `query:"cursor"`
	Limit          string `query:"limit" doc:"1 至 200，默认 50"`
	Total          string `query:"total" doc:"1: 同时返回总数"`
}

func (f *orderFilters) query() (workorder.Query, error) {
	var p params
	q := workorder.Query{
		Desk: f.Desk, Unit: hotline.UnitCode(f.Unit), Lead: hotline.UnitCode(f.Lead), Source: hotline.SourceCode(f.Source),
		Type: hotline.DemandType(f.Type), Category: hotline.CategoryCode(f.Category), Area: hotline.AreaCode(f.Area),
		AcceptedFrom: p.instant("accepted_from", f.AcceptedFrom, false), AcceptedTo: p.instant("accepted_to", f.AcceptedTo, true),
		ClosedFrom: p.instant("closed_from", f.ClosedFrom, false), ClosedTo: p.instant("closed_to", f.ClosedTo, true),
		DueFrom: p.instant("due_from", f.DueFrom, false), DueTo: p.instant("due_to", f.DueTo, true),
		ResolveDueFrom: p.instant("resolve_due_from", f.ResolveDueFrom, false), ResolveDueTo: p.instant("resolve_due_to", f.ResolveDueTo, true),
		OnTime: p.truth("on_time", f.OnTime), Overdue: p.yes("overdue", f.Overdue), Direct: p.truth("direct", f.Direct),
		PersonID: p.number("person_id", f.PersonID), CallID: hotline.CallID(f.CallID), Agent: hotline.AccountID(p.number("agent", f.Agent)),
		Cursor: f.Cursor, Limit: int(p.number("limit", f.Limit)), WithTotal: p.yes("total", f.Total),
	}
	for _, s := range list(f.State) {
		q.States = append(q.States, hotline.OrderState(s))
	}
	for _, s := range list(f.Satisfaction) {
		n := p.number("satisfaction", s)
		if n > 5 {
			p.fail("satisfaction", "须为 0 至 5")
		}
		q.Satisfaction = append(q.Satisfaction, int(n))
	}
	if f.OverdueAt != "" {
		q.OverdueAt = new(p.instant("overdue_at", f.OverdueAt, true))
	}
	return q, p.err
}

// OrderList is a page of orders. Next is "" on the last page.
type OrderList struct {
	Orders []hotline.WorkOrder `json:"orders"`
	Next   string              `json:"next"`
	Total  *int                `json:"total,omitempty"`
}

type orderListOutput struct{ Body OrderList }

// OrderView is an order with its caller as the person may see one.
type OrderView struct {
	hotline.WorkOrder
	Caller *citizen.Person `json:"caller"`
}

type orderViewOutput struct{ Body OrderView }

type orderOutput struct{ Body *hotline.WorkOrder }

// OrderEvent is an event with its actor's name, for people of the office.
type OrderEvent struct {
	hotline.Event
	ActorName string `json:"actor_name,omitempty"`
}

type timelineOutput struct {
	Body struct {
		Events []OrderEvent `json:"events"`
	}
}

// OrderPath is the order an operation is about.
type OrderPath struct {
	ID string `path:"id"`
}

type submitInput struct{ Body workorder.Submission }

type dispatchInput struct {
	OrderPath
	Body struct {
		Version int                `json:"version"`
		Lead    hotline.UnitCode   `json:"lead"`
		CoUnits []hotline.UnitCode `json:"co_units"`
		Reason  string             `json:"reason"`
	}
}

type signInput struct {
	OrderPath
	Body struct {
		Version int `json:"version"`
	}
}

type replyInput struct {
	OrderPath
	Body struct {
		Version     int            `json:"version"`
		Text        string         `json:"text"`
		Solved      hotline.Solved `json:"solved"`
		ContactedAt *time.Time     `json:"contacted_at"`
	}
}

type callbackInput struct {
	OrderPath
	Body struct {
		Version      int            `json:"version"`
		Reached      bool           `json:"reached"`
		Satisfaction int            `json:"satisfaction" doc:"1 非常满意、2 满意、3 基本满意、4 不满意、5 非常不满意；接通时必填"`
		Solved       hotline.Solved `json:"solved"`
		Note         string         `json:"note"`
	}
}

type revealInput struct {
	OrderPath
	Body struct {
		Reason string `json:"reason"`
	}
}

// Revealed is a caller in full; the audit row is written before it is sent.
type Revealed struct {
	Name  string `json:"name"`
	Phone string `json:"phone"` // as dialled inside China
}

type revealOutput struct{ Body Revealed }

// orders registers the ledger of orders.
func (a *API) orders(r *router) {
	route(r, operation{method: http.MethodGet, path: "/orders", id: "list-orders", tag: "orders", sum: "工单列表"},
		func(ctx context.Context, in *orderFilters) (*orderListOutput, error) {
			if in.Number != "" {
				return a.orderByNumber(ctx, in.Number)
			}
			q, err := in.query()
			if err != nil {
				return nil, err
			}
			page, err := a.o.Orders.List(ctx, actor(ctx), q)
			if err != nil {
				return nil, err
			}
			return &orderListOutput{OrderList{page.Orders, page.Next, page.Total}}, nil
		})
	route(r, operation{method: http.MethodPost, path: "/orders", id: "submit-order", tag: "orders", sum: "登记受理", status: http.StatusCreated, keyed: true},
		func(ctx context.Context, in *submitInput) (*orderOutput, error) {
			if err := a.fromCall(ctx, &in.Body); err != nil {
				return nil, err
			}
			return order(a.o.Orders.Submit(ctx, actor(ctx), in.Body))
		})
	route(r, operation{method: http.MethodGet, path: "/orders/{id}", id: "get-order", tag: "orders", sum: "工单"}, a.orderView)
	route(r, operation{method: http.MethodGet, path: "/orders/{id}/timeline", id: "order-timeline", tag: "orders", sum: "工单经过"}, a.timeline)
	route(r, operation{method: http.MethodPost, path: "/orders/{id}/dispatch", id: "dispatch-order", tag: "orders", sum: "派单", keyed: true},
		func(ctx context.Context, in *dispatchInput) (*orderOutput, error) {
			id, err := orderID(in.ID)
			if err != nil {
				return nil, err
			}
			b := in.Body
			plan := hotline.Plan{Lead: b.Lead, CoUnits: b.CoUnits, Reason: hotline.Reason{Kind: "manual", CatalogueVersion: a.o.Directory().Version, Text: b.Reason}}
			return order(a.o.Orders.Dispatch(ctx, actor(ctx), id, b.Version, plan))
		})
	route(r, operation{method: http.MethodPost, path: "/orders/{id}/sign", id: "sign-order", tag: "orders", sum: "签收", keyed: true},
		func(ctx context.Context, in *signInput) (*orderOutput, error) {
			id, err := orderID(in.ID)
			if err != nil {
				return nil, err
			}
			return order(a.o.Orders.Sign(ctx, actor(ctx), id, in.Body.Version))
		})
	route(r, operation{method: http.MethodPost, path: "/orders/{id}/reply", id: "reply-order", tag: "orders", sum: "答复", keyed: true},
		func(ctx context.Context, in *replyInput) (*orderOutput, error) {
			id, err := orderID(in.ID)
			if err != nil {
				return nil, err
			}
			b := in.Body
			return order(a.o.Orders.Reply(ctx, actor(ctx), id, b.Version, workorder.ReplyInput{Text: b.Text, Solved: b.Solved, ContactedAt: b.ContactedAt}))
		})
	route(r, operation{method: http.MethodPost, path: "/orders/{id}/callback", id: "callback-order", tag: "orders", sum: "回访", keyed: true},
		func(ctx context.Context, in *callbackInput) (*orderOutput, error) {
			id, err := orderID(in.ID)
			if err != nil {
				return nil, err
			}
			b := in.Body
			return order(a.o.Orders.Callback(ctx, actor(ctx), id, b.Version, workorder.CallbackInput{Reached: b.Reached, Satisfaction: b.Satisfaction, Solved: b.Solved, Note: b.Note}))
		})
	// Not keyed: the answer must not be kept.
	route(r, operation{method: http.MethodPost, path: "/orders/{id}/reveal", id: "reveal-caller", tag: "orders", sum: "查看来电人完整信息（留痕）"}, a.reveal)
}

func order(o *hotline.WorkOrder, err error) (*orderOutput, error) {
	if err != nil {
		return nil, err
	}
	return &orderOutput{o}, nil
}

// orderByNumber is the list of the one order with a printed number.
func (a *API) orderByNumber(ctx context.Context, number string) (*orderListOutput, error) {
	id, err := hotline.ParseOrderNumber(number)
	if err != nil {
		return nil, err
	}
	out := OrderList{Orders: []hotline.WorkOrder{}}
	o, err := a.o.Orders.Order(ctx, actor(ctx), id)
	switch {
	case err == nil:
		out.Orders = append(out.Orders, *o)
	case hotline.ErrorCode(err) != hotline.NotFound:
		return nil, err
	}
	out.Total = new(len(out.Orders))
	return &orderListOutput{out}, nil
}

// fromCall takes number and channel of an order opened on a call from the
// call itself, where the form leaves them open; the page knows the number
// only masked. A call that is not in the ledger yet holds nobody up.
func (a *API) fromCall(ctx context.Context, in *workorder.Submission) error {
	if in.CallID == "" {
		return nil
	}
	c, err := a.o.Calls.Call(ctx, actor(ctx), in.CallID)
	if hotline.ErrorCode(err) == hotline.NotFound {
		a.log.Warn("order on a call that is not in the ledger", "call_id", in.CallID)
		return nil
	}
	if err != nil {
		return err
	}
	if hotline.ParsePhone(in.CallerPhone.Reveal()) == "" {
		in.CallerPhone = c.Caller
	}
	if in.Source == "" {
		in.Source = c.Source
	}
	return nil
}

func (a *API) orderView(ctx context.Context, in *OrderPath) (*orderViewOutput, error) {
	id, err := orderID(in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.o.Orders.Order(ctx, actor(ctx), id)
	if err != nil {
		return nil, err
	}
	person, err := a.person(ctx, o.PersonID)
	if err != nil {
		return nil, err
	}
	return &orderViewOutput{OrderView{*o, person}}, nil
}

// person returns the masked caller; nil when there is none.
func (a *API) person(ctx context.Context, id int64) (*citizen.Person, error) {
	if id == 0 {
		return nil, nil
	}
	p, err := a.o.People.Person(ctx, id)
	if hotline.ErrorCode(err) == hotline.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func (a *API) timeline(ctx context.Context, in *OrderPath) (*timelineOutput, error) {
	id, err := orderID(in.ID)
	if err != nil {
		return nil, err
	}
	p := actor(ctx)
	events, err := a.o.Orders.Timeline(ctx, p, id)
	if err != nil {
		return nil, err
	}
	names := map[hotline.AccountID]string{p.ID: p.Name}
	if p.Center() { // units learn the acting unit, not the person
		var ids []hotline.AccountID
		for _, e := range events {
			ids = append(ids, e.Actor)
		}
		if names, err = a.o.Auth.Names(ctx, ids); err != nil {
			return nil, err
		}
	}
	out := &timelineOutput{}
	out.Body.Events = make([]OrderEvent, len(events))
	for i, e := range events {
		out.Body.Events[i] = OrderEvent{e, names[e.Actor]}
	}
	return out, nil
}

func (a *API) reveal(ctx context.Context, in *revealInput) (*revealOutput, error) {
	id, err := orderID(in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.o.Orders.Order(ctx, actor(ctx), id)
	if err != nil {
		return nil, err
	}
	if o.PersonID == 0 {
		return nil, hotline.Errorf(hotline.NotFound, "这张工单没有可查看的来电人信息")
	}
	name, phone, err := a.o.People.Reveal(ctx, actor(ctx), o.PersonID, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	a.log.Info("caller revealed", "order_id", strconv.FormatInt(int64(id), 10), "account_id", int64(actor(ctx).ID))
	return &revealOutput{Revealed{name, phone.National()}}, nil
}
