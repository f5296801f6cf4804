package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/robfig/cron/v3"

	"hotline12345/hotline"
)

// job is one line of the timetable (domain: cron jobs). Spec has five fields
// in Asia/Shanghai, so that every node computes the same due instants.
type job struct {
	name  string
	spec  string
	grace time.Duration // a run missed for longer than this is not caught up
	run   func(ctx context.Context, due time.Time) error
}

// timetable is every scheduled job of the program, on one page.
func (a *App) timetable() []job {
	return []job{
		{"daily_report", a.cfg.Reports.DailyAt, 7 * 24 * time.Hour, func(ctx context.Context, due time.Time) error {
			_, err := a.reports.MakeDaily(ctx, hotline.DateOf(due).AddDays(-1))
			return err
		}},
		{"recompute_deadlines", "10 6 * * *", time.Hour, func(ctx context.Context, _ time.Time) error {
			n, err := a.orders.Recompute(ctx)
			if n > 0 {
				a.log.Info("deadlines recomputed", "count", n)
			}
			return err
		}},
		{"forget_request_keys", "40 3 * * *", time.Hour, func(ctx context.Context, due time.Time) error {
			return a.requestKeys.Forget(ctx, due.Add(-48*time.Hour))
		}},
		{"calendar_check", "0 8 1-31 11,12 *", 24 * time.Hour, func(_ context.Context, due time.Time) error {
			return a.checkNextCalendar(hotline.DateOf(due).Year + 1)
		}},
	}
}

// jobRuns claims runs, so that each due instant of a job is run by one node
// once; pg keeps it in the table job_run.
type jobRuns interface {
	Last(ctx context.Context, job string) (due time.Time, ok bool, err error)
	Unfinished(ctx context.Context, job string) ([]time.Time, error)
	Claim(ctx context.Context, job string, due time.Time, node string) (bool, error)
	Finish(ctx context.Context, job string, due time.Time, failure error) error
}

// scheduler runs the timetable until ctx ends. At start and at each tick it
// walks from the last run to now, so a run missed while the program was down
// is caught up within its grace.
type scheduler struct {
	jobs  []job
	runs  jobRuns
	node  string
	clock hotline.Clock
	log   *slog.Logger
}

// Run blocks until ctx ends and every started run has returned.
func (s *scheduler) Run(ctx context.Context) error {
	c := cron.New(cron.WithLocation(hotline.Shanghai), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	for _, j := range s.jobs {
		schedule, err := cron.ParseStandard(j.spec)
		if err != nil {
			return fmt.Errorf("schedule job %s at %q: %w", j.name, j.spec, err)
		}
		tick := cron.FuncJob(func() { s.tick(ctx, j, schedule) })
		c.Schedule(schedule, tick)
		tick.Run() // what was missed while nobody ran
	}
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
	return nil
}

// tick runs every due instant of a job that nobody has run yet, and those
// whose run failed or died, within the job's grace.
func (s *scheduler) tick(ctx context.Context, j job, schedule cron.Schedule) {
	now := s.clock.Now()
	owed, err := s.runs.Unfinished(ctx, j.name)
	if err != nil {
		s.log.Error("read unfinished runs", "job", j.name, "err", err)
		return
	}
	last, ok, err := s.runs.Last(ctx, j.name)
	if err != nil {
		s.log.Error("read last run", "job", j.name, "err", err)
		return
	}
	if !ok {
		// A new system owes nothing of the time before it. The mark says from
		// when on it does, also to a program that is never up when a job is due.
		if mine, err := s.runs.Claim(ctx, j.name, now, s.node); err != nil || !mine {
			return
		}
		if err := s.runs.Finish(ctx, j.name, now, nil); err != nil {
			s.log.Error("mark the first day of a job", "job", j.name, "err", err)
		}
		return
	}
	for due := schedule.Next(last.In(hotline.Shanghai)); !due.After(now); due = schedule.Next(due) {
		owed = append(owed, due)
	}
	for _, due := range owed {
		if now.Sub(due) > j.grace || ctx.Err() != nil {
			continue
		}
		if err := s.once(ctx, j, due); err != nil {
			s.log.Error("keep run ledger", "job", j.name, "err", err)
			return
		}
	}
}

// safely runs the job and makes a panic its failure: a fault in one job ends
// neither the program nor the other jobs.
func (s *scheduler) safely(ctx context.Context, j job, due time.Time) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic caught", "where", "job", "job", j.name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return j.run(ctx, due)
}

// once runs one due instant unless another node has it. Its error is the
// ledger's; the job's own failure is kept in the ledger and logged.
func (s *scheduler) once(ctx context.Context, j job, due time.Time) error {
	mine, err := s.runs.Claim(ctx, j.name, due.UTC(), s.node)
	if err != nil || !mine {
		return err
	}
	start := s.clock.Now()
	failure := s.safely(ctx, j, due)
	attrs := []any{"job", j.name, "due", due.UTC(), "took_ms", s.clock.Now().Sub(start).Milliseconds()}
	if failure != nil {
		s.log.Error("job failed", append(attrs, "err", failure)...)
	} else {
		s.log.Info("job done", attrs...)
	}
	return s.runs.Finish(context.WithoutCancel(ctx), j.name, due.UTC(), failure)
}
