// Package compose turns figures into documents: the daily summary as one
// self-contained, printable A4 page with its bars drawn in it. Same figures,
// same bytes. reports calls it; it may import hotline and reports/stats, does
// no I/O but the writer's and starts no goroutine.
package compose

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"hotline12345/hotline"
	"hotline12345/reports/stats"
)

//go:embed daily.tmpl.html
var dailyPage string

var daily = template.Must(template.New("daily").Funcs(template.FuncMap{
	"number": thousands, "rate": rate, "duration": duration, "delta": delta, "date": date, "clock": clock, "until": until, "day": day, "ledger": ledger,
	"share": share, "bars": bars, "hours": hourChart, "paragraphs": paragraphs, "inc": func(i int) int { return i + 1 },
	"len64":     func(o []stats.OverdueOrder) int64 { return int64(len(o)) },
	"breakdown": func(head string, rows []stats.Row, base int64) breakdown { return breakdown{head, rows, base} },
	"sum":       sum,
}).Parse(dailyPage))

// none is printed where there is nothing to divide by (domain.md §7.6).
const none = "—"

// page is what the template sees.
type page struct {
	*stats.Daily
	Title, Number string
	F             map[string]stats.Figure // by key
}

// Daily writes the daily summary. Its links are paths of the console.
func Daily(w io.Writer, d *stats.Daily) error {
	p := page{Daily: d, Title: Title(d.City), Number: Number(d.Day), F: map[string]stats.Figure{}}
	for _, f := range d.Figures {
		p.F[string(f.Key)] = f
	}
	if err := daily.Execute(w, p); err != nil {
		return fmt.Errorf("write daily summary: %w", err)
	}
	return nil
}

// Standalone makes of a summary's page one that is read outside the console,
// as a file: its links lead to the console at base ("https://12345.example");
// with base "" they are plain text, since a file has no lists behind it.
func Standalone(page, base string) string {
	if base == "" {
		return strings.Replace(consoleLink.ReplaceAllString(page, "<a>"), linkNote, "", 1)
	}
	return strings.Replace(page, "<head>", `<head>`+"\n"+`<base href="`+template.HTMLEscapeString(strings.TrimRight(base, "/")+"/")+`">`, 1)
}

// consoleLink is the opening of a link to a list of the console; linkNote the
// sentence that tells the reader of them.
var consoleLink = regexp.MustCompile(`<a href="/[^"]*" target="_top">`)

const linkNote = "带下划线的数字可点开对应清单。"

// Title is the name of the daily summary of a city.
func Title(city string) string { return city + "12345政务服务便民热线每日汇总" }

// Number is the number: the days of a year are counted, so there is
// neither gap nor clash. "〔2026〕第 327 期".
func Number(d hotline.Date) string {
	return fmt.Sprintf("〔%d〕第 %d 期", d.Year, d.Start().In(hotline.Shanghai).YearDay())
}

// thousands writes 12345 as "12,345".
func thousands(n int64) string {
	s := fmt.Sprint(n)
	if n < 0 {
		return "-" + thousands(-n)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate writes a rate with one decimal, "—" on an empty base.
func rate(f stats.Figure) string { return share(f.Num, f.Den) }

// share writes n of all as a percentage with one decimal, half up, "—" when
// all is zero or less.
func share(n, all int64) string {
	if all <= 0 {
		return none
	}
	tenths := (n*1000*2 + all) / (all * 2)
	return fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
}

// duration writes a mean of seconds as "1 分 05 秒", "—" on an empty base.
func duration(f stats.Figure) string {
	if f.Den <= 0 {
		return none
	}
	s := (f.Num*2 + f.Den) / (f.Den * 2)
	switch {
	case s >= 3600:
		return fmt.Sprintf("%d 小时 %02d 分", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%d 分 %02d 秒", s/60, s%60)
	}
	return fmt.Sprintf("%d 秒", s)
}

// delta says how now compares with before: "上升 12.5%"; "—" when there was
// nothing before.
func delta(now, before stats.Figure) string {
	switch {
	case before.Num == 0:
		return none
	case now.Num > before.Num:
		return "上升 " + share(now.Num-before.Num, before.Num)
	case now.Num < before.Num:
		return "下降 " + share(before.Num-now.Num, before.Num)
	}
	return "持平"
}

var weekdays = [...]string{"日", "一", "二", "三", "四", "五", "六"}

// date writes "2026年11月22日（星期日）".
func date(d hotline.Date) string {
	return fmt.Sprintf("%d年%d月%d日（星期%s）", d.Year, int(d.Month), d.Day, weekdays[d.Weekday()])
}

// clock writes an instant as "11月22日 07:30".
func clock(t time.Time) string { return t.In(hotline.Shanghai).Format("1月2日 15:04") }

// day writes the date of an instant as documents are dated: "2026年11月23日".
func day(t time.Time) string { return t.In(hotline.Shanghai).Format("2006年1月2日") }

// ledger names the source of a figure as the reader knows it.
func ledger(view string) string {
	switch view {
	case "v_call_figures":
		return "通话记录"
	case "v_order_figures":
		return "工单台账"
	}
	return view
}

// most names the parts that make up most of a breakdown, n at most, the
// largest first: "求助（17 件）、投诉（16 件）"; "" when there is none.
func most(rows []stats.Row, n int) string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r stats.Row) bool { return r.Count <= 0 })
	slices.SortStableFunc(rows, func(a, b stats.Row) int { return cmp.Compare(b.Count, a.Count) })
	var names []string
	for _, r := range rows[:min(n, len(rows))] {
		leaf := r.Name[strings.LastIndex(r.Name, "/")+1:] // a category's own name says enough here
		names = append(names, fmt.Sprintf("%s（%s 件）", leaf, thousands(r.Count)))
	}
	return strings.Join(names, "、")
}

// until writes an instant at which something ends or falls due. Midnight ends a
// day: "11月25日 24:00", not the next day's 00:00.
func until(t time.Time) string {
	if d := hotline.DateOf(t); t.Equal(d.Start()) {
		return t.In(hotline.Shanghai).AddDate(0, 0, -1).Format("1月2日") + " 24:00"
	}
	return clock(t)
}

// paragraphs is the one-sentence reading of the day under the first heading.
func paragraphs(p page) []string {
	accepted, direct := p.Figure(stats.OrdersAccepted), p.Figure(stats.OrdersDirect)
	out := []string{fmt.Sprintf("%s，热线呼入 %s 次，人工接通 %s 次，接通率 %s；受理群众诉求 %s 件，其中当场办结 %s 件，转承办单位办理 %s 件。",
		date(p.Day), thousands(p.Figure(stats.CallsOffered).Num), thousands(p.Figure(stats.CallsAnswered).Num), rate(p.Figure(stats.AnswerRate)),
		thousands(accepted.Num), thousands(direct.Num), thousands(accepted.Num-direct.Num))}
	var centred []string
	for _, part := range []struct {
		head string
		text string
	}{{"诉求类型以", most(p.Types, 2)}, {"所属区域以", most(p.Counties, 3)}, {"内容以", most(p.Categories, 3)}} {
		if part.text != "" {
			centred = append(centred, part.head+part.text+"居多")
		}
	}
	if len(centred) > 0 {
		out = append(out, strings.Join(centred, "；")+"。")
	}
	if n := p.Figure(stats.OrdersOverdue).Num; n > 0 {
		out = append(out, fmt.Sprintf("截至当日 24 时，逾期未办结工单 %s 件，请有关承办单位抓紧办理。", thousands(n)))
	}
	return out
}

// breakdown is one table of parts; shares are of Base.
type breakdown struct {
	Head string
	Rows []stats.Row
	Base int64
}

func sum(rows []stats.Row) (n int64) {
	for _, r := range rows {
		n += r.Count
	}
	return n
}

// bar is one bar of a breakdown, ready to draw.
type bar struct {
	stats.Row
	Width float64 // 0 to 100; the longest bar is 100
	Share string
}

// bars scales rows to the longest one.
func bars(b breakdown) []bar {
	most := int64(1)
	for _, r := range b.Rows {
		most = max(most, r.Count)
	}
	out := make([]bar, len(b.Rows))
	for i, r := range b.Rows {
		out[i] = bar{Row: r, Share: share(r.Count, b.Base), Width: float64(r.Count*1000/most) / 10}
	}
	return out
}

// hourChart draws calls by hour: grey for all that came, red for those an
// agent took. Each column links to its calls.
func hourChart(hours []stats.Hour) template.HTML {
	const width, height, foot = 640, 150, 18
	most := int64(1)
	for _, h := range hours {
		most = max(most, h.Offered)
	}
	step := float64(width) / float64(max(len(hours), 1))
	tall := func(n int64) float64 { return float64(n) / float64(most) * (height - foot - 16) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="hours" viewBox="0 0 %d %d" role="img" aria-label="分时段呼入与接通">`, width, height)
	for i, h := range hours {
		x := float64(i) * step
		fmt.Fprintf(&b, `<a href="%s" target="_top"><title>%s 时：呼入 %d，接通 %d</title>`, template.HTMLEscapeString(h.Link), h.From.In(hotline.Shanghai).Format("15"), h.Offered, h.Answered)
		fmt.Fprintf(&b, `<rect x="%.1f" y="0" width="%.1f" height="%d" fill="#fff" fill-opacity="0"/>`, x, step, height-foot)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#c9c9c9"/>`, x+3, height-foot-tall(h.Offered), step-6, tall(h.Offered))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#b3261e"/>`, x+3, height-foot-tall(h.Answered), step-6, tall(h.Answered))
		if h.Offered > 0 {
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%d</text>`, x+step/2, height-foot-tall(h.Offered)-3, h.Offered)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text></a>`, x+step/2, height-4, h.From.In(hotline.Shanghai).Format("15"))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
