package city

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

func sample() hotline.City {
	return hotline.City{
		Name:       "宣城市",
		Units:      []hotline.Unit{{Code: "RXZX", Kind: hotline.UnitCenter, Name: "市热线中心", Short: "热线中心"}, {Code: "CGJ", Parent: "RXZX", Kind: hotline.UnitDepartment, Name: "市城管局", Short: "城管局", Aliases: []string{"城市管理"}}},
		Areas:      []hotline.Area{{Code: "341802", Name: "宣州区", Pinyin: "xzq"}},
		Categories: []hotline.Category{{Code: "01", Name: "城市管理", Pinyin: "csgl"}, {Code: "0101", Parent: "01", Name: "油烟扰民", Urgency: hotline.Urgent, Keywords: []string{"油烟"}}},
		Sources:    []hotline.Source{{Code: "01", Name: "12345 热线", Kind: "phone"}},
		Lines:      []hotline.Line{{Number: "12345", Name: "12345 热线", Source: "01"}},
		Catalogue:  []hotline.CatalogueRule{{ID: "01", Category: "01", Lead: "CGJ"}},
		Limits:     []hotline.Limit{{Policy: "resolve", Clock: hotline.ClockResolve, Amount: 5, Unit: hotline.Workdays}},
		Calendar:   []hotline.YearCalendar{{Year: 2026, Source: "通知", Off: []hotline.Date{{Year: 2026, Month: 10, Day: 1}}, Work: []hotline.Date{{Year: 2026, Month: 10, Day: 10}}}},
	}
}

func archive(t *testing.T) (*Archive, func() *Archive) {
	t.Helper()
	pool := hotlinetest.DB(t)
	node := func() *Archive {
		a, err := New(Options{Pool: pool, Clock: hotlinetest.NewClock(time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC))})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	return node(), node
}

func TestPublishAndCurrent(t *testing.T) {
	t.Parallel()
	a, node := archive(t)
	ctx := t.Context()
	if _, err := a.Current(ctx); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("empty database: got %v, want NotFound", err)
	}
	if a.Directory().Version != 0 {
		t.Errorf("before publishing: version %d, want 0", a.Directory().Version)
	}
	d, changed, err := a.Publish(ctx, sample(), "test")
	if err != nil || !changed || d.Version != 1 {
		t.Fatalf("first publish: version %d, changed %t, %v", d.Version, changed, err)
	}
	if d, changed, err = a.Publish(ctx, sample(), "test again"); err != nil || changed || d.Version != 1 {
		t.Fatalf("same again: version %d, changed %t, %v", d.Version, changed, err)
	}
	b := node()
	read, err := b.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), read.City); diff != "" {
		t.Errorf("read back differs (-want +got):\n%s", diff)
	}
	if b.Directory() != read {
		t.Error("Current did not become the Directory")
	}

	other := sample()
	other.Lines = append(other.Lines, hotline.Line{Number: "12319", Name: "城管热线", Source: "01"})
	if d, changed, err = a.Publish(ctx, other, "new line"); err != nil || !changed || d.Version != 2 {
		t.Fatalf("new line: version %d, changed %t, %v", d.Version, changed, err)
	}
	if read, err = b.Current(ctx); err != nil || read.Version != 2 {
		t.Fatalf("other node: version %d, %v", read.Version, err)
	}
	if _, ok := read.Line("12319"); !ok {
		t.Error("other node lacks the new line")
	}
	var units, lines int
	if err := a.pool.QueryRow(ctx, `select max(version) filter (where kind = 'units'), max(version) filter (where kind = 'lines') from city_dataset`).Scan(&units, &lines); err != nil || units != 1 || lines != 2 {
		t.Errorf("dataset versions: units %d, lines %d, %v; want 1, 2", units, lines, err)
	}
	if d, changed, err = a.Publish(ctx, sample(), "back"); err != nil || !changed || d.Version != 3 || len(d.City.Lines) != 1 {
		t.Errorf("going back: version %d, changed %t, %v", d.Version, changed, err)
	}
}

func TestPublishTwoNodesAtOnce(t *testing.T) {
	t.Parallel()
	_, node := archive(t)
	var wg sync.WaitGroup
	changes := make(chan bool, 8)
	for range 8 {
		a := node()
		wg.Go(func() {
			d, changed, err := a.Publish(t.Context(), sample(), "race")
			if err != nil || d.Version != 1 {
				t.Errorf("publish: version %v, %v", d, err)
			}
			changes <- changed
		})
	}
	wg.Wait()
	close(changes)
	n := 0
	for c := range changes {
		if c {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d nodes made a version, want 1", n)
	}
}

func TestAdoptKeepsTheNewer(t *testing.T) {
	t.Parallel()
	a := &Archive{}
	a.current.Store(hotline.NewDirectory(hotline.City{}, 7))
	if d := a.adopt(hotline.NewDirectory(hotline.City{}, 6)); d.Version != 7 || a.Directory().Version != 7 {
		t.Errorf("got version %d, want 7", d.Version)
	}
}
