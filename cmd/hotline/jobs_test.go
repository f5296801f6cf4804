package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

// TestJobsAreCaughtUpOnce walks a daily job through a new system, a night it
// was down, a failure, a panic, and a second node.
func TestJobsAreCaughtUpOnce(t *testing.T) {
	t.Parallel()
	clock := hotlinetest.NewClock(time.Date(2026, 11, 20, 9, 0, 0, 0, hotline.Shanghai))
	var days []string
	fail := false
	j := job{"daily", "30 7 * * *", 7 * 24 * time.Hour, func(_ context.Context, due time.Time) error {
		if fail {
			return errors.New("disk full")
		}
		days = append(days, hotline.DateOf(due).String())
		return nil
	}}
	schedule, err := cron.ParseStandard(j.spec)
	if err != nil {
		t.Fatal(err)
	}
	runs := pg.JobRuns{Pool: hotlinetest.DB(t)}
	node := func(name string) *scheduler {
		return &scheduler{runs: runs, node: name, clock: clock, log: slog.New(slog.DiscardHandler)}
	}
	want := func(when string, n int) {
		t.Helper()
		if len(days) != n {
			t.Errorf("%s: ran for %v, want %d runs", when, days, n)
		}
	}
	a, b := node("a"), node("b")
	a.tick(t.Context(), j, schedule)
	want("a new system owes nothing", 0)
	clock.Set(time.Date(2026, 11, 23, 9, 0, 0, 0, hotline.Shanghai))
	a.tick(t.Context(), j, schedule)
	want("after three nights down", 3)
	b.tick(t.Context(), j, schedule)
	a.tick(t.Context(), j, schedule)
	want("nothing twice, on no node", 3)
	clock.Add(24 * time.Hour)
	fail = true
	a.tick(t.Context(), j, schedule)
	want("a failing run", 3)
	fail = false
	b.tick(t.Context(), j, schedule)
	want("the failed run is done by the other node", 4)
	clock.Add(24 * time.Hour)
	broken := j
	broken.run = func(context.Context, time.Time) error { panic("index out of range") }
	a.tick(t.Context(), broken, schedule)
	want("a run that panics", 4)
	b.tick(t.Context(), j, schedule)
	want("the broken run is done again", 5)
	clock.Add(30 * 24 * time.Hour)
	b.tick(t.Context(), j, schedule)
	want("a month down, within the grace of a week", 12)
}
