package httpapi

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"hotline12345/hotline"
	"hotline12345/hotline/cdr"
)

// FloorView is the floor with today's figures.
type FloorView struct {
	hotline.FloorSnapshot
	Today Today `json:"today"`
}

// Today counts the calls that arrived since midnight in Asia/Shanghai, a few
// seconds old at most.
type Today struct {
	Offered       int `json:"offered"`
	Answered      int `json:"answered"`
	Abandoned     int `json:"abandoned"`
	Answered15s   int `json:"answered_15s"`
	OrdersToday   int `json:"orders_accepted"`
	DirectToday   int `json:"orders_direct"`
	DispatchQueue int `json:"orders_pending_dispatch"`
}

type floorOutput struct{ Body FloorView }

type stateInput struct {
	Body struct {
		State   hotline.AgentState `json:"state"`
		Reason  string             `json:"reason"`
		Version int64              `json:"version"` // of the agent as the page showed it; zero: any
	}
}

// todayFresh is how old the figures of the floor may be.
const todayFresh = 5 * time.Second

// today keeps the figures between requests, so that many consoles cost one
// count.
type today struct {
	mu    sync.Mutex // guards the figures; not held over the count
	value Today
	until time.Time
}

// floor registers the agents' live state.
func (a *API) floor(r *router) {
	route(r, operation{method: http.MethodGet, path: "/floor", id: "floor", tag: "floor", sum: "话务现场"},
		func(ctx context.Context, _ *struct{}) (*floorOutput, error) {
			if !actor(ctx).Center() {
				return nil, hotline.Errorf(hotline.Forbidden, "只有热线中心可以查看话务现场")
			}
			s, err := a.o.Floor.Snapshot(ctx)
			if err != nil {
				return nil, err
			}
			t, err := a.countToday(ctx)
			if err != nil {
				return nil, err
			}
			if s.Waiting == nil {
				s.Waiting = []hotline.WaitingCall{}
			}
			if s.Agents == nil {
				s.Agents = []hotline.Agent{}
			}
			return &floorOutput{FloorView{s, t}}, nil
		})
	route(r, operation{method: http.MethodPost, path: "/floor/state", id: "set-state", tag: "floor", sum: "示闲、示忙、小休", status: http.StatusNoContent},
		func(ctx context.Context, in *stateInput) (*struct{}, error) {
			p, err := a.seated(ctx)
			if err != nil {
				return nil, err
			}
			reason := strings.TrimSpace(in.Body.Reason)
			if utf8.RuneCountInString(reason) > 40 {
				return nil, hotline.FieldErrorf("reason", "理由不超过 40 个字")
			}
			return nil, a.o.Floor.SetState(ctx, p.ID, in.Body.State, reason, in.Body.Version)
		})
	route(r, operation{method: http.MethodPost, path: "/floor/signin", id: "sign-in", tag: "floor", sum: "签入", status: http.StatusNoContent},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			p, err := a.seated(ctx)
			if err != nil {
				return nil, err
			}
			return nil, a.o.Floor.SignIn(ctx, p)
		})
	route(r, operation{method: http.MethodPost, path: "/floor/signout", id: "sign-out", tag: "floor", sum: "签出", status: http.StatusNoContent},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			p, err := a.seated(ctx)
			if err != nil {
				return nil, err
			}
			return nil, a.o.Floor.SignOut(ctx, p.ID)
		})
}

// seated is the person, who must be an agent with a phone.
func (a *API) seated(ctx context.Context) (hotline.Principal, error) {
	p := actor(ctx)
	if !p.Has(hotline.RoleAgent) || p.Extension == "" {
		return p, hotline.Errorf(hotline.Forbidden, "您没有坐席，不能签入或更改坐席状态")
	}
	return p, nil
}

// countToday returns the day's figures. Several requests may count at once
// when they are stale; all get right ones.
func (a *API) countToday(ctx context.Context) (Today, error) {
	now := a.o.Clock.Now()
	a.today.mu.Lock()
	t, until := a.today.value, a.today.until
	a.today.mu.Unlock()
	if now.Before(until) && !now.Before(until.Add(-todayFresh)) {
		return t, nil
	}
	from := hotline.DateOf(now).Start()
	t = Today{}
	for _, c := range []struct {
		into *int
		q    cdr.CallQuery
	}{
		{&t.Offered, cdr.CallQuery{}},
		{&t.Answered, cdr.CallQuery{Answered: new(true)}},
		{&t.Abandoned, cdr.CallQuery{EndReason: hotline.EndAbandoned}},
		{&t.Answered15s, cdr.CallQuery{Answered: new(true), AnsweredWithin: 15 * time.Second}},
	} {
		c.q.From, c.q.Limit, c.q.WithTotal = from, 1, true
		page, err := a.o.Calls.List(ctx, actor(ctx), c.q)
		if err != nil {
			return Today{}, err
		}
		if page.Total != nil {
			*c.into = *page.Total
		}
	}
	if err := a.countOrders(ctx, from, &t); err != nil {
		return Today{}, err
	}
	a.today.mu.Lock()
	a.today.value, a.today.until = t, now.Add(todayFresh)
	a.today.mu.Unlock()
	return t, nil
}
