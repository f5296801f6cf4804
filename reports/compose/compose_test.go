package compose

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hotline12345/hotline"
	"hotline12345/reports/stats"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample() *stats.Daily {
	day := hotline.Date{Year: 2026, Month: time.November, Day: 22}
	w := stats.DayWindow(day)
	d := &stats.Daily{Day: day, From: w.From, To: w.To, MadeAt: w.To.Add(450 * time.Minute), Final: true, Pos: 4711, City: "宣城市"}
	numbers := map[stats.Key][2]int64{
		stats.CallsOffered: {1234, 0}, stats.CallsAnswered: {1150, 0}, stats.CallsAbandoned: {60, 0},
		stats.AnswerRate: {1150, 1234}, stats.AnswerRateNet: {1150, 1200}, stats.AnswerRate15: {1000, 1150},
		stats.MeanWait: {9200, 1150}, stats.MeanTalk: {230_000, 1150},
		stats.OrdersAccepted: {640, 0}, stats.OrdersDayBefore: {600, 0}, stats.OrdersWeekBefore: {0, 0},
		stats.OrdersDirect: {480, 640}, stats.OrdersPassedOn: {160, 640},
		stats.OrdersDue: {0, 0}, stats.OnTimeRate: {0, 0}, stats.OrdersOverdue: {2, 0}, stats.OrdersClosed: {500, 0},
		stats.SatisfiedRate: {98, 100}, stats.OrdersUnrated: {400, 0},
	}
	for _, def := range stats.Registry() {
		n := numbers[def.Key]
		d.Figures = append(d.Figures, stats.Figure{Key: def.Key, Kind: def.Kind, Name: def.Name, Formula: def.Formula, Source: def.Source,
			Num: n[0], Den: n[1], Link: "/orders?figure=" + string(def.Key)})
	}
	for i := range 24 {
		d.Hours = append(d.Hours, stats.Hour{From: w.From.Add(time.Duration(i) * time.Hour), Offered: int64(i * 4), Answered: int64(i * 3), Link: "/calls?a=1&b=2"})
	}
	d.Sources = []stats.Row{{Code: "01", Name: "电话", Count: 600, Link: "/orders?source=01"}, {Code: "02", Name: "网站", Count: 40, Link: "/orders?source=02"}}
	d.Units = []stats.Row{{Code: "JYTYJ", Name: `教体局<script>`, Count: 1, Link: "/orders?lead=JYTYJ"}}
	d.Categories = []stats.Row{{Code: "010203", Name: "城市管理/噪声", Count: 64, Link: "/orders?category=010203"}} // a tenth of all, not all of the five
	d.Overdue = []stats.OverdueOrder{
		{ID: hotline.NewOrderID(day, 7), Number: hotline.NewOrderID(day, 7).Number(), Title: "西林街道 138**** 来电反映路灯不亮", Unit: "住建局", DueAt: w.From, Hours: 24, Link: "/orders/1"},
		{ID: hotline.NewOrderID(day, 9), Number: hotline.NewOrderID(day, 9).Number(), Title: "小区噪声", Unit: "城管局", DueAt: w.From.Add(time.Hour), Hours: 23, Link: "/orders/2"},
	}
	return d
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), accept with -update:\n%s", name, diff)
	}
}

func TestDailyGolden(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Daily(&b, sample()); err != nil {
		t.Fatal(err)
	}
	golden(t, "daily.golden.html", b.Bytes())
	interim := sample()
	interim.Final = false
	interim.Hours, interim.Sources, interim.Units, interim.Overdue = nil, nil, nil, nil
	for i := range interim.Figures {
		interim.Figures[i].Num, interim.Figures[i].Den = 0, 0
	}
	b.Reset()
	if err := Daily(&b, interim); err != nil {
		t.Fatal(err)
	}
	golden(t, "daily_empty.golden.html", b.Bytes())
}

// TestDailyIsSelfContained checks that the page loads nothing, runs nothing,
// escapes what people wrote and shows every figure of the registry.
func TestDailyIsSelfContained(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Daily(&b, sample()); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	for _, bad := range []string{"<script", "http:", "https:", "@import", "url(", "src=", "ZgotmplZ"} {
		if strings.Contains(s, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, d := range stats.Registry() {
		if !strings.Contains(s, d.Name) || !strings.Contains(s, d.Formula) {
			t.Errorf("figure %s is not on the page", d.Key)
		}
		if d.Key != stats.AnswerRate && !strings.Contains(s, `href="/orders?figure=`+string(d.Key)+`"`) && d.Kind != stats.Duration {
			t.Errorf("figure %s has no link on the page", d.Key)
		}
	}
	dec := xml.NewDecoder(strings.NewReader(s))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
	}
}

// TestEmptyBasePrintsADash is domain.md §7.6: an empty denominator prints "—".
func TestEmptyBasePrintsADash(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"rate", rate(stats.Figure{Num: 0, Den: 0}), "—"},
		{"mean", duration(stats.Figure{Num: 0, Den: 0}), "—"},
		{"change", delta(stats.Figure{Num: 3}, stats.Figure{Num: 0}), "—"},
		{"none of some", rate(stats.Figure{Num: 0, Den: 3}), "0.0%"},
		{"all", rate(stats.Figure{Num: 3, Den: 3}), "100.0%"},
		{"half up", rate(stats.Figure{Num: 1, Den: 2000}), "0.1%"},
		{"a third", rate(stats.Figure{Num: 1, Den: 3}), "33.3%"},
		{"seconds", duration(stats.Figure{Num: 17, Den: 2}), "9 秒"},
		{"minutes", duration(stats.Figure{Num: 65, Den: 1}), "1 分 05 秒"},
		{"hours", duration(stats.Figure{Num: 3660, Den: 1}), "1 小时 01 分"},
		{"down", delta(stats.Figure{Num: 90}, stats.Figure{Num: 100}), "下降 10.0%"},
		{"same", delta(stats.Figure{Num: 5}, stats.Figure{Num: 5}), "持平"},
		{"thousands", thousands(1234567), "1,234,567"},
		{"hundreds", thousands(123), "123"},
		{"issue", Number(hotline.Date{Year: 2026, Month: 12, Day: 31}), "〔2026〕第 365 期"},
		{"day", date(hotline.Date{Year: 2026, Month: 11, Day: 22}), "2026年11月22日（星期日）"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.got != tt.want {
				t.Errorf("got %s, want %s", tt.got, tt.want)
			}
		})
	}
}

func BenchmarkDaily(b *testing.B) {
	d := sample()
	for i := range 200 {
		d.Overdue = append(d.Overdue, stats.OverdueOrder{Number: fmt.Sprint(i), Title: "路灯不亮"})
	}
	for b.Loop() {
		if err := Daily(io.Discard, d); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEndOfDayIsTwentyFour: officials read a day's end as 24:00 of that day.
func TestEndOfDayIsTwentyFour(t *testing.T) {
	t.Parallel()
	midnight := hotline.Date{Year: 2027, Month: time.January, Day: 1}.Start()
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{midnight, "12月31日 24:00"},
		{midnight.Add(time.Minute), "1月1日 00:01"},
		{midnight.Add(-time.Second), "12月31日 23:59"},
	} {
		if got := until(c.at); got != c.want {
			t.Errorf("until %v is %q, want %q", c.at, got, c.want)
		}
	}
}

// TestStandaloneHasNoDeadLinks: a page kept as a file names its lists by full
// addresses or not at all.
func TestStandaloneHasNoDeadLinks(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Daily(&b, sample()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.Contains(page, "<a href") || !strings.Contains(page, linkNote) {
		t.Fatal("the page of the console has no links to test with")
	}
	if got := Standalone(page, ""); strings.Contains(got, "href=") || strings.Contains(got, linkNote) || !strings.Contains(got, "1,234") {
		t.Error("the plain file still links, or lost its figures")
	}
	for _, base := range []string{"https://12345.example", "https://12345.example/"} {
		if got := Standalone(page, base); strings.Count(got, `<base href="https://12345.example/">`) != 1 || strings.Count(got, "<a href=\"/") != strings.Count(page, "<a href=\"/") {
			t.Errorf("base %q is not in the file", base)
		}
	}
	if got := Standalone(page, `x"><script>`); strings.Contains(got, "x\"><script>") {
		t.Error("the base address is not escaped")
	}
}

func TestMostNamesTheLargestFirst(t *testing.T) {
	t.Parallel()
	rows := []stats.Row{{Name: "咨询", Count: 8}, {Name: "诉求/求助", Count: 17}, {Name: "投诉", Count: 17}, {Name: "其他", Count: 0}}
	for _, c := range []struct {
		n    int
		want string
	}{{2, "求助（17 件）、投诉（17 件）"}, {9, "求助（17 件）、投诉（17 件）、咨询（8 件）"}} {
		if got := most(rows, c.n); got != c.want {
			t.Errorf("most(%d) = %q, want %q", c.n, got, c.want)
		}
	}
	if got := most(rows[3:], 3); got != "" {
		t.Errorf("most of nothing is %q", got)
	}
}
