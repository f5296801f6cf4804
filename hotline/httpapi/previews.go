package httpapi

import (
	"context"
	"net/http"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
)

// PlanView is where the rules would send an order, with names.
type PlanView struct {
	hotline.Plan
	LeadName string   `json:"lead_name"`
	CoNames  []string `json:"co_names"`
}

type planInput struct {
	Category string `query:"category"`
	Area     string `query:"area"`
	Text     string `query:"text" doc:"标题与内容，供词语规则"`
}

type planOutput struct{ Body PlanView }

type deadlineInput struct {
	Type     string `query:"type"`
	Category string `query:"category"`
	Urgency  string `query:"urgency"`
	Source   string `query:"source"`
}

type deadlineOutput struct {
	Body struct {
		Deadlines []hotline.Deadline `json:"deadlines"`
	}
}

// previewClocks are the clocks shown before an order exists, each as if it
// started now.
var previewClocks = []hotline.ClockKind{hotline.ClockDispatch, hotline.ClockSign, hotline.ClockContact, hotline.ClockResolve, hotline.ClockCallback}

// previews registers what the rules would do; nothing is stored.
func (a *API) previews(r *router) {
	route(r, operation{method: http.MethodGet, path: "/plan", id: "plan", tag: "rules", sum: "派单方案预览"},
		func(ctx context.Context, in *planInput) (*planOutput, error) {
			if !actor(ctx).Center() {
				return nil, hotline.Errorf(hotline.Forbidden, "只有热线中心可以预览派单方案")
			}
			d := a.o.Directory()
			v := PlanView{Plan: a.o.Dispatcher.Plan(&hotline.WorkOrder{Category: hotline.CategoryCode(in.Category), Area: hotline.AreaCode(in.Area), Title: in.Text}), CoNames: []string{}}
			if v.Lead != "" {
				v.LeadName = d.UnitName(v.Lead)
			}
			if v.CoUnits == nil {
				v.CoUnits = []hotline.UnitCode{}
			}
			for _, u := range v.CoUnits {
				v.CoNames = append(v.CoNames, d.UnitName(u))
			}
			return &planOutput{v}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/deadline-preview", id: "deadline-preview", tag: "rules", sum: "时限预览"},
		func(ctx context.Context, in *deadlineInput) (*deadlineOutput, error) {
			if !actor(ctx).Center() {
				return nil, hotline.Errorf(hotline.Forbidden, "只有热线中心可以预览时限")
			}
			var p params
			now := a.o.Clock.Now()
			o := &hotline.WorkOrder{Type: hotline.DemandType(in.Type), Category: hotline.CategoryCode(in.Category), Source: hotline.SourceCode(in.Source),
				Urgency: hotline.Urgency(p.number("urgency", in.Urgency)), AcceptedAt: now}
			if p.err != nil {
				return nil, p.err
			}
			if o.Urgency == 0 {
				k, _ := a.o.Directory().Category(o.Category)
				o.Urgency = max(k.Urgency, hotline.Ordinary)
			}
			out := &deadlineOutput{}
			out.Body.Deadlines = []hotline.Deadline{}
			for _, k := range previewClocks {
				d, err := a.o.Dispatcher.Deadline(k, o, now)
				if hotline.ErrorCode(err) == hotline.NotFound {
					continue
				}
				if err != nil {
					return nil, err
				}
				out.Body.Deadlines = append(out.Body.Deadlines, d)
			}
			return out, nil
		})
}

// countOrders adds today's orders to the floor's figures.
func (a *API) countOrders(ctx context.Context, from time.Time, t *Today) error {
	for _, c := range []struct {
		into *int
		q    workorder.Query
	}{
		{&t.OrdersToday, workorder.Query{AcceptedFrom: from}},
		{&t.DirectToday, workorder.Query{AcceptedFrom: from, Direct: new(true)}},
		{&t.DispatchQueue, workorder.Query{Desk: workorder.DeskDispatch}},
	} {
		c.q.Limit, c.q.WithTotal = 1, true
		page, err := a.o.Orders.List(ctx, actor(ctx), c.q)
		if err != nil {
			return err
		}
		if page.Total != nil {
			*c.into = *page.Total
		}
	}
	return nil
}
