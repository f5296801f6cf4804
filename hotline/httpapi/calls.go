package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hotline12345/hotline"
	"hotline12345/hotline/cdr"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/workorder"
)

type callFilters struct {
	From           string `query:"from" doc:"到达时刻或日期，含"`
	To             string `query:"to" doc:"时刻不含；日期含当日"`
	Agent          string `query:"agent"`
	Answered       string `query:"answered"`
	AnsweredWithin string `query:"answered_within" doc:"进入排队后若干秒内接通"`
	EndReason      string `query:"end_reason"`
	Line           string `query:"line" doc:"拨打的号码"`
	Source         string `query:"source"`
	PersonID       string `query:"person_id"`
	Cursor         string `query:"cursor"`
	Limit          string `query:"limit"`
	Total          string `query:"total"`
}

func (f *callFilters) query() (cdr.CallQuery, error) {
	var p params
	q := cdr.CallQuery{
		From: p.instant("from", f.From, false), To: p.instant("to", f.To, true), Agent: hotline.AccountID(p.number("agent", f.Agent)),
		Answered: p.truth("answered", f.Answered), EndReason: f.EndReason, Line: f.Line, Source: hotline.SourceCode(f.Source),
		PersonID: p.number("person_id", f.PersonID), Cursor: f.Cursor, Limit: int(p.number("limit", f.Limit)), WithTotal: p.yes("total", f.Total),
	}
	within := p.number("answered_within", f.AnsweredWithin)
	if within > 86_400 {
		p.fail("answered_within", "不超过一天")
	}
	q.AnsweredWithin = time.Duration(within) * time.Second
	return q, p.err
}

// CallList is a page of calls. Next is "" on the last page.
type CallList struct {
	Calls []hotline.Call `json:"calls"`
	Next  string         `json:"next"`
	Total *int           `json:"total,omitempty"`
}

type callListOutput struct{ Body CallList }

type callPath struct {
	ID string `path:"id"`
}

type callOutput struct{ Body *hotline.Call }

// Card is what pops up when a phone rings: the call, who is known to have the
// number, and that person's earlier orders, newest first.
type Card struct {
	Call   *hotline.Call       `json:"call"`
	Person *citizen.Person     `json:"person"`
	Orders []hotline.WorkOrder `json:"orders"`
}

type cardOutput struct{ Body Card }

// cardOrders is how many earlier orders a card shows.
const cardOrders = 10

// calls registers the ledger of calls.
func (a *API) calls(r *router) {
	route(r, operation{method: http.MethodGet, path: "/calls", id: "list-calls", tag: "calls", sum: "通话列表"},
		func(ctx context.Context, in *callFilters) (*callListOutput, error) {
			q, err := in.query()
			if err != nil {
				return nil, err
			}
			page, err := a.o.Calls.List(ctx, actor(ctx), q)
			if err != nil {
				return nil, err
			}
			return &callListOutput{CallList{page.Calls, page.Next, page.Total}}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/calls/{id}", id: "get-call", tag: "calls", sum: "通话"},
		func(ctx context.Context, in *callPath) (*callOutput, error) {
			c, err := a.o.Calls.Call(ctx, actor(ctx), hotline.CallID(in.ID))
			if err != nil {
				return nil, err
			}
			return &callOutput{c}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/calls/{id}/card", id: "call-card", tag: "calls", sum: "来电弹屏"}, a.card)
	route(r, operation{method: http.MethodGet, path: "/calls/{id}/recording", id: "call-recording", tag: "calls", sum: "录音（留痕，可分段）", media: "audio/wav"}, a.recording)
	route(r, operation{method: http.MethodPost, path: "/calls/{id}/hangup", id: "hang-up", tag: "calls", sum: "挂断", status: http.StatusNoContent}, a.hangup)
}

func (a *API) card(ctx context.Context, in *callPath) (*cardOutput, error) {
	c, err := a.o.Calls.Call(ctx, actor(ctx), hotline.CallID(in.ID))
	if err != nil {
		return nil, err
	}
	card := Card{Call: c, Orders: []hotline.WorkOrder{}}
	if card.Person, err = a.person(ctx, c.PersonID); err != nil {
		return nil, err
	}
	if c.PersonID != 0 {
		page, err := a.o.Orders.List(ctx, actor(ctx), workorder.Query{PersonID: c.PersonID, Limit: cardOrders})
		if err != nil {
			return nil, err
		}
		card.Orders = page.Orders
	}
	return &cardOutput{card}, nil
}

// recording streams the file with ranges; the ledger has written the audit
// row when it gives the path.
func (a *API) recording(ctx context.Context, in *callPath) (*huma.StreamResponse, error) {
	path, err := a.o.Calls.Recording(ctx, actor(ctx), hotline.CallID(in.ID))
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording of %s: %w", in.ID, err)
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer f.Close()
		req, w := humago.Unwrap(h)
		w.Header().Set("Content-Type", "audio/wav")
		w.Header().Set("Content-Disposition", `inline; filename="recording.wav"`)
		http.ServeContent(w, req, "", time.Time{}, f)
	}}, nil
}

// hangup ends a call: agents their own, leaders of the floor any.
func (a *API) hangup(ctx context.Context, in *callPath) (*struct{}, error) {
	p, id := actor(ctx), hotline.CallID(in.ID)
	if !p.Has(hotline.RoleLeader, hotline.RoleAdmin) {
		if !p.Has(hotline.RoleAgent) {
			return nil, hotline.Errorf(hotline.NotFound, "没有这通电话")
		}
		s, err := a.o.Floor.Snapshot(ctx)
		if err != nil {
			return nil, err
		}
		own := false
		for _, one := range s.Agents {
			own = own || one.ID == p.ID && one.CallID == id && id != ""
		}
		if !own {
			return nil, hotline.Errorf(hotline.NotFound, "没有这通电话")
		}
	}
	return nil, a.o.Phone.Hangup(ctx, id)
}
