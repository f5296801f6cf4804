package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
)

// robots are the demo's people: citizens who call, agents who answer and take
// demands down, units that sign and reply, a callback desk. They use the same
// services and the same SIP as everybody else. Simulated agents are the last
// robotSeats seats; the first ones are left to people.
type robots struct {
	a    *App
	log  *slog.Logger
	cast map[string]hotline.Principal // by login
	rng  *rand.Rand                   // used by the callers' loop only
}

func newRobots(ctx context.Context, a *App) (*robots, error) {
	cast, err := demoCast(ctx, a)
	if err != nil {
		return nil, err
	}
	return &robots{a: a, log: a.log.With("component", "robots"), cast: cast, rng: rand.New(rand.NewPCG(12345, 2018))}, nil
}

// Run lives until ctx ends.
func (r *robots) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for n := demoSeats - robotSeats; n < demoSeats; n++ {
		g.Go(func() error { return r.agent(ctx, demoExtension(n)) })
	}
	g.Go(func() error { return r.callers(ctx) })
	g.Go(func() error { return r.units(ctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// every calls f each d until ctx ends; f's errors are logged.
func (r *robots) every(ctx context.Context, d time.Duration, what string, f func(context.Context) error) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("robot stumbled", "act", what, "err", err)
			}
		}
	}
}

// demand makes the submission of a demo demand, somewhere in the city.
func (d demoDemand) demand(dir *hotline.Directory, pick func(n int) int) workorder.Submission {
	var places []hotline.AreaCode
	for _, area := range dir.City.Areas {
		if len(area.Code) == 9 {
			places = append(places, area.Code)
		}
	}
	in := workorder.Submission{
		Source: "01", Type: d.kind, Urgency: d.urgency, Title: d.title, Content: d.content,
		Area: places[pick(len(places))], Category: leafUnder(dir, d.category),
	}
	if d.answer != "" {
		in.DirectAnswer, in.Solved = d.answer, hotline.SolvedExplained
	}
	return in
}

// leafUnder returns the first leaf category below the prefix.
func leafUnder(dir *hotline.Directory, prefix hotline.CategoryCode) hotline.CategoryCode {
	for _, c := range dir.City.Categories {
		if strings.HasPrefix(string(c.Code), string(prefix)) && dir.Leaf(c.Code) {
			return c.Code
		}
	}
	return prefix
}

// units lets the officials of units and the callback desk do their work. An
// order is looked at once it has lain long enough for a person to see it.
func (r *robots) units(ctx context.Context) error {
	return r.every(ctx, 10*time.Second, "unit work", func(ctx context.Context) error {
		page, err := r.a.orders.List(ctx, r.cast["admin"], workorder.Query{
			States: []hotline.OrderState{hotline.Dispatched, hotline.Signed, hotline.PendingCallback}, Limit: 100,
		})
		if err != nil {
			return err
		}
		for _, o := range page.Orders {
			if err := r.work(ctx, &o); err != nil && hotline.ErrorCode(err) != hotline.Conflict {
				return err
			}
		}
		return nil
	})
}

// work does the next step of an order, or nothing. Every fourth order is left
// for the person who tries the demo.
func (r *robots) work(ctx context.Context, o *hotline.WorkOrder) error {
	if o.ID%4 == 0 {
		return nil
	}
	age := r.a.clock.Now().Sub(o.AcceptedAt)
	lead, led := o.Lead()
	var err error
	switch {
	case o.State == hotline.Dispatched && led && age > 90*time.Second:
		_, err = r.a.orders.Sign(ctx, officer(r.cast, lead.Unit), o.ID, o.Version)
	case o.State == hotline.Signed && led && age > 4*time.Minute:
		contacted := r.a.clock.Now()
		_, err = r.a.orders.Reply(ctx, officer(r.cast, lead.Unit), o.ID, o.Version, workorder.ReplyInput{
			Text: demoReply(o.Title), Solved: hotline.SolvedYes, ContactedAt: &contacted,
		})
	case o.State == hotline.PendingCallback && age > 7*time.Minute:
		_, err = r.a.orders.Callback(ctx, r.cast["callback"], o.ID, o.Version, demoCallback(o.ID))
	}
	return err
}

// demoReply is the unit's answer to the matter with the title.
func demoReply(title string) string {
	for _, d := range demoDemands {
		if d.title == title && d.reply != "" {
			return d.reply
		}
	}
	return "经核实情况属实，已安排专人处理完毕，并电话告知来电人。"
}

// demoCallback is what the citizen says; most are content.
func demoCallback(id hotline.OrderID) workorder.CallbackInput {
	in := workorder.CallbackInput{Reached: true, Satisfaction: 1 + int(id%3), Solved: hotline.SolvedYes, Note: "回访确认处理结果。"}
	if id%11 == 0 {
		in.Satisfaction, in.Solved, in.Note = 4, hotline.SolvedPartly, "来电人认为处理不彻底。"
	}
	return in
}

// demoCaller is a number nobody has: the 1390563 block of the demo.
func demoCaller(n int) string { return fmt.Sprintf("1390563%04d", n%10000) }
