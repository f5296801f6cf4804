package configs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hotline12345/hotline"
)

func TestXuancheng(t *testing.T) {
	t.Parallel()
	c, err := LoadCity("xuancheng")
	if err != nil {
		t.Fatal(err)
	}
	d := hotline.NewDirectory(c, 0)
	kinds := map[hotline.UnitKind]int{}
	for _, u := range c.Units {
		kinds[u.Kind]++
	}
	// 7 counties and the development zone; 47 municipal units (domain.md §0.9).
	if kinds[hotline.UnitCenter] != 1 || kinds[hotline.UnitCounty] != 8 || kinds[hotline.UnitDepartment] != 47 || kinds[hotline.UnitTownship] < 95 || kinds[hotline.UnitVillage] < 840 {
		t.Errorf("units by kind: %v", kinds)
	}
	five, seven := 0, 0
	for _, l := range c.Lines {
		switch {
		case l.Number == "12345" && l.Source == "01":
		case len(l.Number) == 5 && l.Source == "02":
			five++
		case len(l.Number) == 7 && l.Source == "02" && strings.Contains(l.Name, "示范"):
			seven++
		default:
			t.Errorf("line %+v", l)
		}
	}
	if five != 9 || seven != 31 { // domain.md §0.1
		t.Errorf("%d five-digit and %d seven-digit lines, want 9 and 31", five, seven)
	}
	if got := len(d.Subtree("RXZX")); got != len(c.Units) {
		t.Errorf("%d units hang below the office, want all %d", got, len(c.Units))
	}
	for _, tc := range []struct{ name, got, want string }{
		{"area", d.AreaName("341802001"), "宣州区西林街道"},
		{"category", d.CategoryName("0203"), "城市管理/油烟与噪声扰民"},
		{"unit", d.UnitName("JYTYJ"), "市教体局"},
		{"village unit's superior", string(must(d.Unit("341802001001")).Parent), "341802001"},
		{"city", c.Name, "宣城市"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, tc.got, tc.want)
		}
	}
	if a, _ := d.Area("341802001"); a.Pinyin != "xlj" {
		t.Errorf("initials %q, want xlj", a.Pinyin)
	}
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("not found")
	}
	return v
}

// TestLimitsDomain24 walks the default profile of domain.md §2.4.
func TestLimitsDomain24(t *testing.T) {
	t.Parallel()
	c, err := LoadCity("")
	if err != nil {
		t.Fatal(err)
	}
	find := func(clock hotline.ClockKind, typ hotline.DemandType, u hotline.Urgency, s hotline.SourceCode) hotline.Limit {
		for _, l := range c.Limits {
			if l.Clock == clock && l.Type == typ && l.Urgency == u && l.Source == s {
				return l
			}
		}
		return hotline.Limit{}
	}
	for _, tc := range []struct {
		clock  hotline.ClockKind
		typ    hotline.DemandType
		u      hotline.Urgency
		s      hotline.SourceCode
		amount int
		unit   hotline.LimitUnit
	}{
		{hotline.ClockResolve, hotline.Consult, 0, "", 3, hotline.Workdays},
		{hotline.ClockResolve, hotline.Consult, hotline.Urgent, "", 1, hotline.Workdays},
		{hotline.ClockResolve, hotline.Consult, hotline.Extra, "", 2, hotline.Hours},
		{hotline.ClockResolve, hotline.Help, 0, "", 5, hotline.Workdays},
		{hotline.ClockResolve, hotline.Help, hotline.Urgent, "", 24, hotline.Hours},
		{hotline.ClockResolve, hotline.Complaint, 0, "", 5, hotline.Workdays},
		{hotline.ClockResolve, hotline.Complaint, hotline.Extra, "", 24, hotline.Hours},
		{hotline.ClockResolve, hotline.Report, 0, "", 10, hotline.Workdays},
		{hotline.ClockResolve, hotline.Suggest, 0, "", 10, hotline.Workdays},
		{hotline.ClockResolve, hotline.Praise, 0, "", 3, hotline.Workdays},
		{hotline.ClockResolve, hotline.Other, 0, "", 5, hotline.Workdays},
		{hotline.ClockSign, "", 0, "", 1, hotline.Workdays},
		{hotline.ClockSign, "", hotline.Urgent, "", 30, hotline.Minutes},
		{hotline.ClockSign, "", hotline.Extra, "", 15, hotline.Minutes},
		{hotline.ClockContact, "", 0, "", 1, hotline.Workdays},
		{hotline.ClockContact, "", hotline.Urgent, "", 2, hotline.Hours},
		{hotline.ClockContact, "", hotline.Extra, "", 30, hotline.Minutes},
		{hotline.ClockDispatch, "", 0, "", 24, hotline.Hours},
		{hotline.ClockDispatch, "", hotline.Urgent, "", 2, hotline.Hours},
		{hotline.ClockDispatch, "", hotline.Extra, "", 1, hotline.Hours},
		{hotline.ClockCallback, "", 0, "", 2, hotline.Workdays},
		{hotline.ClockResolve, "", 0, "13", 3, hotline.Workdays},
		{hotline.ClockResolve, "", 0, "16", 48, hotline.Hours},
	} {
		if l := find(tc.clock, tc.typ, tc.u, tc.s); l.Amount != tc.amount || l.Unit != tc.unit {
			t.Errorf("%s/%s/%d/%s: %d %s, want %d %s", tc.clock, tc.typ, tc.u, tc.s, l.Amount, l.Unit, tc.amount, tc.unit)
		}
	}
}

// TestCalendarsDomain8 compares the loaded notices with domain.md §8: days off
// that are weekdays and weekend days that are worked.
func TestCalendarsDomain8(t *testing.T) {
	t.Parallel()
	c, err := LoadCity("")
	if err != nil {
		t.Fatal(err)
	}
	off, work := map[hotline.Date]bool{}, map[hotline.Date]bool{}
	years := map[int]bool{}
	for _, y := range c.Calendar {
		years[y.Year] = true
		for _, d := range y.Off {
			off[d] = true
		}
		for _, d := range y.Work {
			work[d] = true
		}
	}
	for y := 2017; y <= 2026; y++ {
		if !years[y] {
			t.Errorf("no notice of %d", y)
		}
	}
	for year, want := range map[int]struct{ off, work string }{
		2018: {"1/1 2/15-2/21 4/5-4/7 4/29-5/1 6/16-6/18 9/22-9/24 10/1-10/7 12/30-12/31", "2/11 2/24 4/8 4/28 9/29 9/30 12/29"},
		2025: {"1/1 1/28-2/4 4/4-4/6 5/1-5/5 5/31-6/2 10/1-10/8", "1/26 2/8 4/27 9/28 10/11"},
		2026: {"1/1-1/3 2/15-2/23 4/4-4/6 5/1-5/5 6/19-6/21 9/25-9/27 10/1-10/7", "1/4 2/14 2/28 5/9 9/20 10/10"},
	} {
		isOff, isWork := spans(t, year, want.off), spans(t, year, want.work)
		for d := (hotline.Date{Year: year, Month: time.January, Day: 1}); d.Year == year; d = d.AddDays(1) {
			weekend := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
			got := !off[d] && !weekend || work[d]
			if worked := !isOff[d] && !weekend || isWork[d]; got != worked {
				t.Errorf("%s: worked %v, want %v", d, got, worked)
			}
		}
	}
}

func spans(t *testing.T, year int, s string) map[hotline.Date]bool {
	t.Helper()
	all := map[hotline.Date]bool{}
	for _, span := range strings.Fields(s) {
		from, to, ok := strings.Cut(span, "-")
		if !ok {
			to = from
		}
		parse := func(md string) hotline.Date {
			v, err := time.Parse("2006 1/2", time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006 ")+md)
			if err != nil {
				t.Fatal(err)
			}
			return hotline.Date{Year: v.Year(), Month: v.Month(), Day: v.Day()}
		}
		for d := parse(from); !parse(to).Before(d); d = d.AddDays(1) {
			all[d] = true
		}
	}
	return all
}

// TestCityFaults lays one broken file over the embedded city and reads what is
// said of it.
func TestCityFaults(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		b, err := fs.ReadFile(embedded, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	catalogue := read("xuancheng/catalogue.csv")
	n := strings.Count(catalogue, "\n") // the next row's line is n+1
	line := func(i int) string { return ":" + itoa(n+i) + " " }
	categories := strings.Count(read("xuancheng/categories.csv"), "\n")
	for _, tc := range []struct {
		name, file, text string
		want             []string
	}{
		{"header", "units.csv", "code,name\n", []string{"units.csv:1: 首行须为 code,parent,"}},
		{"empty", "sources.csv", "", []string{"sources.csv: 文件为空"}},
		{"columns", "lines.csv", "number,name,source\n12345,热线\n", []string{"lines.csv:2: 应有 3 列，实有 2 列"}},
		{"GBK", "lines.csv", "number,name,source\n12345,\xc8\xc8\xcf\xdf,01\n", []string{"lines.csv:2: 不是 UTF-8 编码"}},
		{"lines", "lines.csv", "number,name,source\n12345,热线,01\n12345,又一,01\n12 3,坏,77\n", []string{
			"lines.csv:3 number: 12345 与第 2 行重复", "lines.csv:4 number: 须为 1 到 16 位数字", "lines.csv:4 source: 来源 \"77\" 不存在"}},
		{"catalogue", "catalogue.csv", catalogue + "0101,7777,999999,,NOBODY,CGJ;CGJ;NIX,\nA,0101,,,ZJJ,ZJJ,依据\nB,0101,,词,ZJJ,,依据\nC,0101,,词,ZJJ,,依据\n", []string{
			line(1) + "basis: 必填", line(1) + "id: 0101 与第", line(1) + "category: 分类 7777 不存在", line(1) + "area: 区划 999999 不存在",
			line(1) + "lead: 单位 NOBODY 不存在", line(1) + "co_units: 协办单位 CGJ 重复", line(1) + "co_units: 单位 NIX 不存在",
			line(2) + "co_units: 协办单位 ZJJ 已是主办单位", line(2) + "words: 与第", line(4) + "words: 与第 " + itoa(n+3) + " 行重叠"}},
		{"leaf without a row", "categories.csv", read("xuancheng/categories.csv") + "0207,新分类,,\n020801,孤儿,9,\n", []string{
			":" + itoa(categories+1) + " code: 末级分类 0207 新分类 在派单目录中没有", ":" + itoa(categories+2) + " code: 上级分类 0208 不存在",
			":" + itoa(categories+2) + " urgency: 值 \"9\" 无效", ":" + itoa(categories+2) + " code: 末级分类 020801 孤儿 在派单目录中没有"}},
		{"areas", "areas.csv", read("xuancheng/areas.csv") + "34,x,\n341802,宣州区,\n341899001,孤儿镇,\n", []string{
			"code: 须为 6、9 或 12 位数字", "code: 341802 与第 2 行重复", "code: 上级区划 341899 不存在"}},
		{"units", "units.csv", read("xuancheng/units.csv") + "X1,X2,department,甲,甲,,,做\nX2,X1,department,乙,乙,,,做\nX3,RXZX,office,丙,丙,,,做\nRXZX,,center,又,又,,,做\n", []string{
			"parent: 上级关系成环", "parent: 上级关系成环", "kind: 值 \"office\" 无效", "code: RXZX 与第 2 行重复", "kind: 热线中心只能有一个"}},
		{"limits", "limits.csv", "policy,clock,type,urgency,source,amount,unit,basis\na,resolve,consult,,,3,workday,\nb,resolve,consult,,,0,week,\nc,dispatch,,,,24,hour,\nd,sign,,,,1,workday,\ne,contact,,,,1,workday,\n", []string{
			"limits.csv:3 amount: 须为", "limits.csv:3 unit: 值 \"week\"", "limits.csv:3 clock: 与第 2 行重叠",
			"clock: 时限 resolve 缺少类型 help、complaint、report、suggest、praise、other 的通用行", "clock: 时限 callback 缺少类型 consult、"}},
		{"calendar", "calendar/2027.json", "{\n\"year\": 2026,\n\"source\": \"\",\n\"off\": [\"2027-01-01\", \"2027-13-01\",\n\"2025-12-31\"],\n\"work\": [\"2027-01-01\"]\n}", []string{
			":2 year: 须与文件名一致", ":3 source: 必填", ":4 off: 日期 \"2027-13-01\" 无效", ":4 work: 日期 2027-01-01 已在 off 中", ":5 off: 日期 2025-12-31 不在 2027 年"}},
		{"calendar syntax", "calendar/2027.json", "{\n\"year\": x}", []string{"2027.json:2: 不是合法的日历"}},
		{"calendar key", "calendar/2027.json", "{\n\"yaer\": 2027}", []string{"2027.json:2: 不是合法的日历"}},
		{"calendar name", "calendar/next.json", "{}", []string{"next.json: 文件名须为年份"}},
		{"a file nobody reads", "unit.csv", "x", []string{"unit.csv: 未知的文件"}},
		{"city", "city.yaml", "nam: 宣城\n", []string{"city.yaml:1:1 nam: 未知的键"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadCity(fstest.MapFS{tc.file: {Data: []byte(tc.text)}}, "mycity")
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("got %v, want Faults", err)
			}
			rest := faults.Error()
			for _, w := range tc.want {
				if !strings.Contains(rest, w) {
					t.Errorf("missing %q in:\n%s", w, faults)
				}
				rest = strings.Replace(rest, w, "", 1)
			}
			if !strings.Contains(faults[0].File, "mycity/"+tc.file) && !strings.Contains(faults.Error(), "mycity/"+tc.file) {
				t.Errorf("faults do not name the file: %s", faults)
			}
		})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func TestOperatorsFilesReplaceOneByOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "lines.csv"), "\xef\xbb\xbfnumber,name,source\r\n12345,只有一条,01\r\n")
	write(t, filepath.Join(dir, "calendar", "2027.json"), `{"year": 2027, "source": "通知", "off": ["2027-01-01"], "work": []}`)
	c, err := LoadCity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lines) != 1 || len(c.Units) < 1000 || c.Calendar[len(c.Calendar)-1].Year != 2027 || len(c.Calendar) != 11 {
		t.Errorf("%d lines, %d units, %d calendars", len(c.Lines), len(c.Units), len(c.Calendar))
	}
	if _, err := LoadCity(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a missing folder passed")
	}
}

func FuzzReadTable(f *testing.F) {
	for _, s := range []string{"number,name,source\n1,2,3\n", "", "\"", "number,name,source\n\"a\nb\",c,d\n1,2\n", "\xef\xbb\xbfnumber,name,source"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rows, _ := readTable("f.csv", []byte(s), tables["lines.csv"])
		for _, r := range rows {
			if len(r.cells) != 3 || r.line < 2 {
				t.Errorf("row %+v", r)
			}
		}
	})
}

func FuzzCity(f *testing.F) {
	for table := range tables {
		b, err := embedded.ReadFile("xuancheng/" + table)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(table, string(b[:min(len(b), 400)]))
	}
	f.Add("calendar/2027.json", `{"year":2027}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		if !fs.ValidPath(name) || name == "." {
			return
		}
		_, _ = loadCity(fstest.MapFS{name: {Data: []byte(text)}}, "f")
	})
}

func FuzzReadCalendar(f *testing.F) {
	f.Add(`{"year":2027,"source":"x","off":["2027-01-01"],"work":[]}`)
	f.Add(`{`)
	f.Fuzz(func(t *testing.T, s string) {
		c, faults := readCalendar("2027.json", []byte(s), 2027)
		if len(faults) == 0 && (c.Year != 2027 || c.Source == "") {
			t.Errorf("accepted %q as %+v", s, c)
		}
	})
}

func BenchmarkLoadCity(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadCity(""); err != nil {
			b.Fatal(err)
		}
	}
}
