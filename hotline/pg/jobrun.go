package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// JobRuns is the ledger of scheduled runs: each due instant of a job is run by
// one node once; a run that failed, or did not finish within 15 minutes and so
// counts as dead, may be claimed again. A job must therefore end within 15
// minutes or bear being run twice. Safe for concurrent use.
type JobRuns struct{ Pool *pgxpool.Pool }

const (
	lastJobRun   = `select due from job_run where job = $1 order by due desc limit 1`
	unfinishedAt = `select due from job_run where job = $1 and (error is not null or finished_at is null and started_at < clock_timestamp() - interval '15 minutes') order by due`
	claimJobRun  = `insert into job_run (job, due, node) values ($1, $2, $3)
on conflict (job, due) do update set node = excluded.node, started_at = clock_timestamp(), finished_at = null, error = null
where job_run.error is not null or job_run.finished_at is null and job_run.started_at < clock_timestamp() - interval '15 minutes'`
	finishJobRun = `update job_run set finished_at = clock_timestamp(), error = $3 where job = $1 and due = $2`
)

// Last returns the newest due instant anybody claimed; ok is false when the
// job never ran.
func (r JobRuns) Last(ctx context.Context, job string) (due time.Time, ok bool, err error) {
	err = r.Pool.QueryRow(ctx, lastJobRun, job).Scan(&due)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read last run of %s: %w", job, err)
	}
	return due.UTC(), true, nil
}

// Unfinished returns the due instants whose run failed or died, oldest first.
func (r JobRuns) Unfinished(ctx context.Context, job string) ([]time.Time, error) {
	rows, err := r.Pool.Query(ctx, unfinishedAt, job)
	if err != nil {
		return nil, fmt.Errorf("read unfinished runs of %s: %w", job, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[time.Time])
}

// Claim takes a run for a node; false when another has it or it is done.
func (r JobRuns) Claim(ctx context.Context, job string, due time.Time, node string) (bool, error) {
	tag, err := r.Pool.Exec(ctx, claimJobRun, job, due, node)
	if err != nil {
		return false, fmt.Errorf("claim run of %s: %w", job, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Finish notes the end of a claimed run and its failure, if any.
func (r JobRuns) Finish(ctx context.Context, job string, due time.Time, failure error) error {
	var text *string
	if failure != nil {
		s := failure.Error()
		text = &s
	}
	if _, err := r.Pool.Exec(ctx, finishJobRun, job, due, text); err != nil {
		return fmt.Errorf("finish run of %s: %w", job, err)
	}
	return nil
}
