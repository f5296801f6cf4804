package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
)

// The bounds of an orderly stop.
const (
	drainTime = 20 * time.Second // calls may end by themselves
	stopTime  = 15 * time.Second // each loop must have returned
)

// stage is a loop of the running system. Stages start in order and stop in
// the opposite one, each waiting for the one before.
type stage struct {
	name string
	run  func(ctx context.Context) error
	stop func() // ends run in order, before its context is cancelled; may be nil

	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// stages lists the loops: what others need comes first and so ends last.
// Left are recordings of a killed program.
func (a *App) stages(left []string, extra []func(context.Context) error) []*stage {
	s := []*stage{
		{name: "relay", run: a.relay.Run},
		{name: "stream", run: a.stream.Run},
		{name: "city", run: a.archive.Run},
		{name: "calls", run: a.calls.Run},
		{name: "dispatch", run: func(ctx context.Context) error {
			return a.stream.Follow(ctx, "dispatch", []string{"orders"}, a.dispatchEntry)
		}},
		{name: "jobs", run: (&scheduler{jobs: a.timetable(), runs: pg.JobRuns{Pool: a.pool}, node: a.cfg.Node, clock: a.clock, log: a.log.With("component", "jobs")}).Run},
		{name: "floor", run: a.floor.Run},
		{name: "agent states", run: func(ctx context.Context) error { return a.roster.RecordStates(ctx, a.floor.Changes(ctx)) }},
		{name: "http", run: a.serveHTTP, stop: a.stopHTTP},
		{name: "consoles", run: a.hub.Run},
	}
	// The demo's people stop after the telephone, so that their phones answer
	// its goodbyes.
	for _, run := range extra {
		s = append(s, &stage{name: "robots", run: run})
	}
	s = append(s,
		&stage{name: "telephone", run: a.phones.Run, stop: a.drainCalls},
		&stage{name: "recordings", run: func(ctx context.Context) error { return a.mendRecordings(ctx, left) }})
	if a.cluster != nil {
		s = append(s, &stage{name: "postgresql", run: a.watchCluster})
	}
	return s
}

// dispatchEntry hands a stream entry to the engine. An entry whose key is no
// order id is not the engine's.
func (a *App) dispatchEntry(ctx context.Context, e outbox.Entry) error {
	n, err := strconv.ParseInt(e.Key, 10, 64)
	if err != nil {
		a.log.Error("stream entry without an order id", "pos", e.Pos, "kind", e.Kind)
		return nil
	}
	return a.engine.Handle(ctx, e.Kind, hotline.OrderID(n))
}

// Run serves until ctx ends or a loop fails, then stops in order: no longer
// ready, new calls refused, calls drained, consoles told to come back, jobs
// and loops ended, the relay flushed, Redis, PostgreSQL.
func (a *App) Run(ctx context.Context, extra ...func(context.Context) error) error {
	left, err := a.unfinishedRecordings()
	if err != nil {
		return joinClose(err, a)
	}
	if err := a.knowSeats(ctx); err != nil {
		return joinClose(err, a)
	}
	all := a.stages(left, extra)
	failed := make(chan *stage, len(all))
	for _, s := range all {
		runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s.cancel, s.done = cancel, make(chan struct{})
		go func() {
			defer close(s.done)
			if s.err = s.run(runCtx); s.err != nil && runCtx.Err() == nil {
				failed <- s
			}
		}()
	}
	a.serving.Store(true)
	if a.onServing != nil && a.telephoneServes(ctx, failed) {
		a.onServing()
	}
	var errs []error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case s := <-failed:
		errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
		a.log.Error("a loop failed, stopping", "loop", s.name, "err", s.err)
	}
	a.serving.Store(false)
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		if s.stop != nil {
			s.stop()
		}
		s.cancel()
		select {
		case <-s.done:
		case <-time.After(stopTime):
			errs = append(errs, fmt.Errorf("%s did not stop within %v", s.name, stopTime))
		}
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := a.relay.Flush(flush); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, a.Close())
	return errors.Join(errs...)
}

// telephoneServes waits until calls are taken, the last thing to be ready;
// false when the program is to stop before.
func (a *App) telephoneServes(ctx context.Context, failed <-chan *stage) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for a.phones.Ready() != nil && len(failed) == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return len(failed) == 0
}

// watchCluster ends the program when its private database server died: the
// next start recovers it.
func (a *App) watchCluster(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.cluster.Exited():
		return errors.New("the private PostgreSQL server ended")
	}
}

func (a *App) serveHTTP(context.Context) error {
	if err := a.server.Serve(a.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a *App) stopHTTP() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		a.log.Warn("http connections were cut", "err", err)
		_ = a.server.Close()
	}
}

// drainCalls refuses new calls and waits for the running ones, up to a limit.
func (a *App) drainCalls() {
	ctx, cancel := context.WithTimeout(context.Background(), a.drainTime)
	defer cancel()
	if err := a.phones.Drain(ctx); err != nil {
		a.log.Warn("calls were ended by the stop", "err", err)
	}
}

// checkNextCalendar warns when the next year has no published calendar yet:
// the State Council's notice comes in October or November.
func (a *App) checkNextCalendar(year int) error {
	for _, y := range a.archive.Directory().City.Calendar {
		if y.Year == year {
			return nil
		}
	}
	a.log.Warn("no calendar of next year is loaded, deadlines in it are provisional", "year", year)
	return nil
}
