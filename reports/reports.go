// Package reports makes the hotline's documents: the daily summary (每日汇总).
// It owns report_issue; figures come from reports/stats, the printed form from
// reports/compose. cmd's timetable makes issues, hotline/httpapi reads them
// through an interface of its own. It may import hotline and hotline/pg, and
// starts no goroutine.
package reports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/reports/compose"
	"hotline12345/reports/stats"
)

// KindDaily is the daily summary, the one kind of issue there is.
const KindDaily = "daily"

// Options are the parts of a Service; all but Log are required.
type Options struct {
	Pool      *pgxpool.Pool
	Directory func() *hotline.Directory
	Clock     hotline.Clock
	Log       *slog.Logger // nil: slog.Default
}

// Service makes, keeps and shows issues. Safe for concurrent use, on several
// nodes over one database.
type Service struct {
	o   Options
	log *slog.Logger
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.Pool == nil || o.Directory == nil || o.Clock == nil {
		return nil, errors.New("new reports service: Pool, Directory and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Service{o, o.Log.With("component", "reports")}, nil
}

// Issue is one document; its figures hold a stats.Daily.
type Issue = hotline.Issue

// MakeDaily makes the summary of a day and keeps it. A final issue is
// returned as it stands: making it twice changes nothing. The summary of a
// day not yet over is made anew each time, until it is made after the day's
// end. Errors: Invalid for a day in the future.
func (s *Service) MakeDaily(ctx context.Context, day hotline.Date) (Issue, error) {
	now := s.o.Clock.Now()
	if day.IsZero() {
		return Issue{}, hotline.FieldErrorf("date", "请指明日期")
	}
	if hotline.DateOf(now).Before(day) {
		return Issue{}, hotline.FieldErrorf("date", "不能汇总未来的日期")
	}
	if day.Year < 2000 {
		return Issue{}, hotline.FieldErrorf("date", "日期过早")
	}
	if old, err := s.byDay(ctx, KindDaily, day); err != nil || old.Final {
		return old, err
	}
	var figures *stats.Daily
	// One snapshot, so that the figures agree with each other and with the
	// stream position.
	err := pgx.BeginTxFunc(ctx, s.o.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		figures, err = stats.MakeDaily(ctx, tx, s.o.Directory(), day, now)
		return err
	})
	if err != nil {
		return Issue{}, fmt.Errorf("make daily summary of %s: %w", day, err)
	}
	var html bytes.Buffer
	if err := compose.Daily(&html, figures); err != nil {
		return Issue{}, fmt.Errorf("compose daily summary of %s: %w", day, err)
	}
	issue, err := s.save(ctx, figures, html.String())
	if err != nil {
		return Issue{}, fmt.Errorf("keep daily summary of %s: %w", day, err)
	}
	s.log.Info("daily summary made", "day", day.String(), "issue", issue.ID, "final", issue.Final)
	return issue, nil
}

// List returns the newest issues of a kind, without their figures, 366 at
// most.
func (s *Service) List(ctx context.Context, kind string) ([]Issue, error) {
	return s.list(ctx, kind)
}

// Get returns an issue with its figures and page. Errors: NotFound.
func (s *Service) Get(ctx context.Context, id int64) (Issue, error) { return s.byID(ctx, id) }
