package reports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
	"hotline12345/reports/compose"
	"hotline12345/reports/stats"
)

const (
	issueColumns = `id, kind, day, made_at, final, as_of_pos, figures->>'city'`

	sqlSave = `insert into report_issue (kind, day, made_at, final, as_of_pos, figures, html) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (kind, day) do update set made_at = excluded.made_at, final = excluded.final, as_of_pos = excluded.as_of_pos, figures = excluded.figures, html = excluded.html
where not report_issue.final`
	sqlByDay = `select ` + issueColumns + `, figures, html from report_issue where kind = $1 and day = $2`
	sqlByID  = `select ` + issueColumns + `, figures, html from report_issue where id = $1`
	sqlList  = `select ` + issueColumns + `, null::jsonb, '' from report_issue where kind = $1 order by day desc limit 366`
)

// save keeps an issue, unless a final one was kept meanwhile by another node,
// and returns the one that stands.
func (s *Service) save(ctx context.Context, d *stats.Daily, html string) (Issue, error) {
	figures, err := json.Marshal(d)
	if err != nil {
		return Issue{}, fmt.Errorf("encode figures: %w", err)
	}
	if _, err := s.o.Pool.Exec(ctx, sqlSave, KindDaily, d.Day.String(), d.MadeAt, d.Final, d.Pos, figures, html); err != nil {
		return Issue{}, pg.Code(err)
	}
	return s.byDay(ctx, KindDaily, d.Day)
}

func scanIssue(row pgx.CollectableRow) (Issue, error) {
	var i Issue
	var day time.Time
	var city string
	if err := row.Scan(&i.ID, &i.Kind, &day, &i.MadeAt, &i.Final, &i.Pos, &city, &i.Figures, &i.HTML); err != nil {
		return Issue{}, err
	}
	i.MadeAt = i.MadeAt.UTC()
	i.Date = hotline.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
	i.Title, i.Number = compose.Title(city), compose.Number(i.Date)
	return i, nil
}

// byDay returns the zero Issue when there is none.
func (s *Service) byDay(ctx context.Context, kind string, day hotline.Date) (Issue, error) {
	i, err := s.one(ctx, sqlByDay, kind, day.String())
	if errors.Is(err, pgx.ErrNoRows) {
		return Issue{}, nil
	}
	if err != nil {
		return Issue{}, fmt.Errorf("read issue of %s: %w", day, pg.Code(err))
	}
	return i, nil
}

func (s *Service) byID(ctx context.Context, id int64) (Issue, error) {
	i, err := s.one(ctx, sqlByID, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Issue{}, hotline.Errorf(hotline.NotFound, "没有这份报告")
	}
	if err != nil {
		return Issue{}, fmt.Errorf("read issue %d: %w", id, pg.Code(err))
	}
	return i, nil
}

func (s *Service) one(ctx context.Context, sql string, args ...any) (Issue, error) {
	rows, err := s.o.Pool.Query(ctx, sql, args...)
	if err != nil {
		return Issue{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanIssue)
}

func (s *Service) list(ctx context.Context, kind string) ([]Issue, error) {
	rows, err := s.o.Pool.Query(ctx, sqlList, kind)
	if err != nil {
		return nil, fmt.Errorf("list issues: %w", pg.Code(err))
	}
	issues, err := pgx.CollectRows(rows, scanIssue)
	if err != nil {
		return nil, fmt.Errorf("list issues: %w", pg.Code(err))
	}
	return issues, nil
}
