package reports

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

func testService(t *testing.T) (*Service, *hotlinetest.Clock) {
	t.Helper()
	clock := hotlinetest.NewClock(time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC))
	d := hotline.NewDirectory(hotline.City{Name: "宣城市"}, 1)
	s, err := New(Options{Pool: hotlinetest.DB(t), Directory: func() *hotline.Directory { return d }, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s, clock
}

// TestMakeDailyIsIdempotent makes a day's summary on several nodes at once and
// again later: there is one issue and it does not change.
func TestMakeDailyIsIdempotent(t *testing.T) {
	t.Parallel()
	s, clock := testService(t)
	ctx := t.Context()
	day := hotline.DateOf(clock.Now()).AddDays(-1)
	issues := make([]Issue, 4)
	var making sync.WaitGroup
	for i := range issues {
		making.Go(func() {
			var err error
			if issues[i], err = s.MakeDaily(ctx, day); err != nil {
				t.Error(err)
			}
		})
	}
	making.Wait()
	clock.Add(time.Hour)
	later, err := s.MakeDaily(ctx, day)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range append(issues, later) {
		if i.ID != issues[0].ID || !i.MadeAt.Equal(issues[0].MadeAt) || i.HTML != issues[0].HTML || !i.Final {
			t.Errorf("got issue %d made %v, want %d made %v", i.ID, i.MadeAt, issues[0].ID, issues[0].MadeAt)
		}
	}
	list, err := s.List(ctx, KindDaily)
	if err != nil || len(list) != 1 || list[0].Figures != nil || list[0].HTML != "" {
		t.Fatalf("got %v %v, want one issue without figures", list, err)
	}
	got, err := s.Get(ctx, list[0].ID)
	if err != nil || got.Date != day || len(got.Figures) == 0 || !strings.Contains(got.HTML, "每日汇总") || got.Title != "宣城市12345政务服务便民热线每日汇总" {
		t.Errorf("got %+v %v", got, err)
	}
}

func TestUnfinishedDayIsMadeAgain(t *testing.T) {
	t.Parallel()
	s, clock := testService(t)
	ctx := t.Context()
	today := hotline.DateOf(clock.Now())
	first, err := s.MakeDaily(ctx, today)
	if err != nil || first.Final || !strings.Contains(first.HTML, "临时数据") {
		t.Fatalf("got final %v, %v", first.Final, err)
	}
	clock.Add(24 * time.Hour)
	second, err := s.MakeDaily(ctx, today)
	if err != nil || !second.Final || second.ID != first.ID || strings.Contains(second.HTML, "临时数据") {
		t.Errorf("got %+v %v, want the same issue made final", second, err)
	}
}

func TestMakeDailyRefuses(t *testing.T) {
	t.Parallel()
	s, clock := testService(t)
	for _, day := range []hotline.Date{{}, hotline.DateOf(clock.Now()).AddDays(1), {Year: 1, Month: 1, Day: 1}} {
		if _, err := s.MakeDaily(t.Context(), day); hotline.ErrorCode(err) != hotline.Invalid {
			t.Errorf("%v: got %v, want invalid", day, err)
		}
	}
	if _, err := s.Get(t.Context(), 99); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("got %v, want not found", err)
	}
}

// TestIssuesAreFrozen checks the rule in the database too: a save of a final
// issue changes nothing, whoever makes it.
func TestIssuesAreFrozen(t *testing.T) {
	t.Parallel()
	s, clock := testService(t)
	day := hotline.DateOf(clock.Now()).AddDays(-1)
	if _, err := s.MakeDaily(t.Context(), day); err != nil {
		t.Fatal(err)
	}
	tag, err := s.o.Pool.Exec(t.Context(), sqlSave, KindDaily, day.String(), clock.Now(), true, 9, []byte(`{}`), "other")
	if err != nil || tag.RowsAffected() != 0 {
		t.Errorf("got %v %v, want no row changed", tag, err)
	}
	var n int
	if err := s.o.Pool.QueryRow(t.Context(), `select count(id) from report_issue where html = $1`, "other").Scan(&n); err != nil && err != pgx.ErrNoRows || n != 0 {
		t.Errorf("got %d rows, %v", n, err)
	}
}
