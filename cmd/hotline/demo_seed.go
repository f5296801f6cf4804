package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"hotline12345/dispatch"
	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
)

// anyOrder asks whether there is any order at all.
var anyOrder = workorder.Query{Limit: 1}

// pastClock is a clock moved by the seed, so that yesterday's orders go
// through the same commands as today's.
type pastClock struct{ now time.Time }

func (c *pastClock) Now() time.Time { return c.now }

// seedYesterday fills an empty city with the work of the day before, so that
// lists and the daily summary have something to show.
func seedYesterday(ctx context.Context, a *App) error {
	clock := &pastClock{}
	rules := dispatch.NewRules(a.archive.Directory)
	ledger, err := workorder.New(workorder.Options{
		Pool: a.pool, Clock: clock, Deadlines: rules, Directory: a.archive.Directory, People: a.people, Log: a.log,
	})
	if err != nil {
		return err
	}
	s := &seed{a: a, ledger: ledger, rules: rules, clock: clock, rng: rand.New(rand.NewPCG(2018, 8))}
	if s.cast, err = demoCast(ctx, a); err != nil {
		return err
	}
	day := hotline.DateOf(a.clock.Now()).AddDays(-1)
	for n := range seedCalls {
		// From eight in the morning to eight in the evening.
		at := day.Start().Add(8*time.Hour + time.Duration(n)*12*time.Hour/seedCalls + time.Duration(s.rng.IntN(240))*time.Second)
		if err := s.call(ctx, n, at); err != nil {
			return fmt.Errorf("seed call %d: %w", n, err)
		}
	}
	return nil
}

// seedCalls is how many calls yesterday had: a tenth of the city's real day,
// so that the first start stays short.
const seedCalls = 52

type seed struct {
	a      *App
	ledger *workorder.Service
	rules  *dispatch.Rules
	clock  *pastClock
	rng    *rand.Rand
	cast   map[string]hotline.Principal // by login
}

// call reports the facts of one of yesterday's calls and, when it was
// answered, takes its demand down.
func (s *seed) call(ctx context.Context, n int, at time.Time) error {
	id := hotline.CallID(fmt.Sprintf("%s-seed%08d", at.In(hotline.Shanghai).Format("20060102"), n))
	lines := s.a.archive.Directory().City.Lines
	line := "12345"
	if n%6 == 5 {
		line = lines[s.rng.IntN(len(lines))].Number
	}
	agent := s.cast[demoExtension(s.rng.IntN(demoSeats))]
	wait := time.Duration(2+s.rng.IntN(16)) * time.Second
	seq := 0
	report := func(kind hotline.CallFactKind, after time.Duration, f hotline.CallFact) {
		seq++
		f.CallID, f.Seq, f.Kind, f.At = id, seq, kind, at.Add(after)
		s.a.calls.Report(f)
	}
	caller := hotline.ParsePhone(demoCaller(n))
	report(hotline.CallArrived, 0, hotline.CallFact{Caller: caller, Original: line, Trunk: "local"})
	report(hotline.CallGreeted, 100*time.Millisecond, hotline.CallFact{})
	report(hotline.CallQueued, 7*time.Second, hotline.CallFact{Queue: "main"})
	if n%17 == 16 {
		report(hotline.CallEnded, 7*time.Second+3*wait, hotline.CallFact{EndedBy: "caller", Reason: hotline.EndAbandoned})
		return nil
	}
	seat := hotline.CallFact{Agent: agent.ID, Extension: agent.Extension}
	talk := time.Duration(60+s.rng.IntN(180)) * time.Second
	report(hotline.CallOffered, 7*time.Second, seat)
	report(hotline.CallAnswered, 7*time.Second+wait, seat)
	report(hotline.CallEnded, 7*time.Second+wait+talk, hotline.CallFact{EndedBy: "caller", Reason: hotline.EndNormal})

	s.clock.now = at.Add(7*time.Second + wait + talk)
	in := demoDemands[n%len(demoDemands)].demand(s.a.archive.Directory(), s.rng.IntN)
	in.CallID, in.CallerPhone = id, caller
	if line != "12345" {
		in.Source = "02"
	}
	o, err := s.ledger.Submit(ctx, agent, in)
	if err != nil || o.State.Done() {
		return err
	}
	return s.life(ctx, o)
}

// life takes an order as far as it came by yesterday's end.
func (s *seed) life(ctx context.Context, o *hotline.WorkOrder) error {
	s.clock.now = s.clock.now.Add(time.Second)
	plan := s.rules.Plan(o)
	if plan.Lead == "" {
		return s.ledger.MarkUnmatched(ctx, o.ID, o.Version, plan.Reason)
	}
	o, err := s.ledger.Dispatch(ctx, hotline.System, o.ID, o.Version, plan)
	if err != nil || s.rng.IntN(8) == 0 {
		return err // still to be signed
	}
	unit := officer(s.cast, plan.Lead)
	s.clock.now = s.clock.now.Add(time.Duration(5+s.rng.IntN(40)) * time.Minute)
	if o, err = s.ledger.Sign(ctx, unit, o.ID, o.Version); err != nil || s.rng.IntN(3) == 0 {
		return err // in hand
	}
	contacted := s.clock.now.Add(10 * time.Minute)
	s.clock.now = s.clock.now.Add(time.Duration(30+s.rng.IntN(120)) * time.Minute)
	if o, err = s.ledger.Reply(ctx, unit, o.ID, o.Version, workorder.ReplyInput{
		Text: demoReply(o.Title), Solved: hotline.SolvedYes, ContactedAt: &contacted,
	}); err != nil || o.State.Done() || s.rng.IntN(4) == 0 {
		return err // to be called back
	}
	s.clock.now = s.clock.now.Add(time.Hour)
	_, err = s.ledger.Callback(ctx, s.cast["callback"], o.ID, o.Version, demoCallback(o.ID))
	return err
}

// summariseYesterday makes the summary of the seeded day once its calls have
// reached the ledger, so that the first look at the reports shows one.
func (a *App) summariseYesterday(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for a.calls.Pending() > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	if _, err := a.reports.MakeDaily(ctx, hotline.DateOf(a.clock.Now()).AddDays(-1)); err != nil && ctx.Err() == nil {
		a.log.Error("make the demo's first summary", "err", err)
	}
	<-ctx.Done()
	return nil
}
