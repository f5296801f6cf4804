package routing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hotline12345/configs"
	"hotline12345/hotline"
)

// small is a city whose every rule can be read at a glance.
func small() *hotline.Directory {
	return hotline.NewDirectory(hotline.City{
		Units: []hotline.Unit{
			{Code: "HQ", Kind: hotline.UnitCenter, Short: "热线中心"},
			{Code: "CG", Parent: "HQ", Kind: hotline.UnitDepartment, Short: "市城管局"},
			{Code: "HB", Parent: "HQ", Kind: hotline.UnitDepartment, Short: "市环保局"},
			{Code: "341802", Parent: "HQ", Kind: hotline.UnitCounty, Short: "宣州区", Area: "341802"},
			{Code: "341821", Parent: "HQ", Kind: hotline.UnitCounty, Short: "郎溪县", Area: "341821"},
			{Code: "341802001", Parent: "341802", Kind: hotline.UnitTownship, Short: "西林街道", Area: "341802001"},
			{Code: "341802001001", Parent: "341802001", Kind: hotline.UnitVillage, Short: "城西社区", Area: "341802001001"},
		},
		Areas: []hotline.Area{
			{Code: "341802", Name: "宣州区"}, {Code: "341802001", Parent: "341802", Name: "西林街道"}, {Code: "341802002", Parent: "341802", Name: "无政府农场"},
			{Code: "341802001001", Parent: "341802001", Name: "城西社区"}, {Code: "341821", Name: "郎溪县"},
		},
		Categories: []hotline.Category{
			{Code: "02", Name: "城市管理"}, {Code: "0203", Parent: "02", Name: "油烟与噪声"}, {Code: "020301", Parent: "0203", Name: "烧烤"},
			{Code: "11", Name: "农业农村"}, {Code: "1104", Parent: "11", Name: "村务公开"}, {Code: "99", Name: "其他"}, {Code: "50", Name: "无人管"},
		},
		Catalogue: []hotline.CatalogueRule{
			{ID: "02", Category: "02", Lead: "@county", Basis: "属地"},
			{ID: "0203", Category: "0203", Lead: "@county", CoUnits: []hotline.UnitCode{"CG", "HB"}},
			{ID: "0203-341802", Category: "0203", Area: "341802", Lead: "CG", CoUnits: []hotline.UnitCode{"HB"}, Basis: "执法职责"},
			{ID: "0203-341802-W", Category: "0203", Area: "341802", Words: []string{"KTV", "广场舞"}, Lead: "HB"},
			{ID: "0203-341802-L", Category: "0203", Area: "341802", Words: []string{"广场舞音响"}, Lead: "341802"},
			{ID: "0203-341802001", Category: "0203", Area: "341802001", Lead: "@township"},
			{ID: "020301", Category: "020301", Lead: "HB"},
			{ID: "11", Category: "11", Lead: "@county"},
			{ID: "1104", Category: "1104", Lead: "@township"},
			{ID: "99", Category: "99", Lead: "HQ"},
		},
	}, 7)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tree := New(small())
	for _, tc := range []struct {
		name     string
		category hotline.CategoryCode
		area     hotline.AreaCode
		text     string
		rule     string
		lead     hotline.UnitCode
		word     string
	}{
		{"deepest category beats deepest area", "020301", "341802001", "", "020301", "HB", ""},
		{"then the deepest area", "0203", "341802001001", "", "0203-341802001", "341802001", ""},
		{"area of the county", "0203", "341802002", "噪声", "0203-341802", "CG", ""},
		{"a word beats no word", "0203", "341802", "楼下ktv扰民", "0203-341802-W", "HB", "KTV"},
		{"the longest word wins", "0203", "341802", "广场舞音响太大", "0203-341802-L", "341802", "广场舞音响"},
		{"any area", "0203", "341821", "KTV", "0203", "341821", ""},
		{"parent category", "02", "341802001001", "", "02", "341802", ""},
		{"township", "1104", "341802001001", "", "1104", "341802001", ""},
		{"a place without township government falls back", "1104", "341802002", "", "11", "341802", ""},
		{"a county-wide place falls back", "1104", "341821", "", "11", "341821", ""},
		{"no place", "0203", "", "", "", "", ""},
		{"no place is needed", "020301", "", "", "020301", "HB", ""},
		{"no rule", "50", "341802", "", "", "", ""},
		{"unknown category", "77", "341802", "", "", "", ""},
		{"odd codes", "020", "34", "", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m, ok := tree.Match(tc.category, tc.area, tc.text)
			if m.Rule.ID != tc.rule || m.Lead != tc.lead || m.Word != tc.word || ok != (tc.rule != "") {
				t.Errorf("got rule %q lead %q word %q %v, want %q %q %q", m.Rule.ID, m.Lead, m.Word, ok, tc.rule, tc.lead, tc.word)
			}
		})
	}
}

func TestPlanReasons(t *testing.T) {
	t.Parallel()
	tree := New(small())
	for _, tc := range []struct {
		name     string
		category hotline.CategoryCode
		area     hotline.AreaCode
		text     string
		want     hotline.Plan
	}{
		{"rule", "0203", "341802", "", hotline.Plan{Lead: "CG", CoUnits: []hotline.UnitCode{"HB"}, Reason: hotline.Reason{Rule: "0203-341802",
			Text: "按派单目录 0203-341802：城市管理/油烟与噪声，事发地宣州区，由市城管局主办，市环保局协办。依据：执法职责。"}}},
		{"word", "0203", "341802", "KTV", hotline.Plan{Lead: "HB", Reason: hotline.Reason{Rule: "0203-341802-W",
			Text: "按派单目录 0203-341802-W：城市管理/油烟与噪声，事发地宣州区，诉求提到“KTV”，由市环保局主办。"}}},
		{"office", "99", "341802", "", hotline.Plan{Reason: hotline.Reason{Rule: "99", Text: "按派单目录 99：其他，事发地宣州区，由热线中心直接处理，不派承办单位。"}}},
		{"no rule", "50", "341802", "", hotline.Plan{Reason: hotline.Reason{Text: "派单目录中没有适用于“无人管”、宣州区的规则，请派单员选择承办单位。"}}},
		{"no place", "0203", "", "", hotline.Plan{Reason: hotline.Reason{Text: "派单目录中“城市管理/油烟与噪声”须按事发地确定承办单位，而事发地不明，请派单员选择。"}}},
		{"no category", "", "341802", "", hotline.Plan{Reason: hotline.Reason{Text: "诉求分类不在分类表中，请派单员选择承办单位。"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.want.Reason.Kind, tc.want.Reason.CatalogueVersion = "rule", 7
			tc.want.Reason.Category, tc.want.Reason.Area = tc.category, tc.area
			if diff := cmp.Diff(tc.want, tree.Plan(tc.category, tc.area, tc.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func xuancheng(t testing.TB) *hotline.Directory {
	t.Helper()
	c, err := configs.LoadCity("")
	if err != nil {
		t.Fatal(err)
	}
	return hotline.NewDirectory(c, 1)
}

// TestXuanchengRoutes spot-checks the embedded catalogue.
func TestXuanchengRoutes(t *testing.T) {
	t.Parallel()
	tree := New(xuancheng(t))
	for _, tc := range []struct {
		category hotline.CategoryCode
		area     hotline.AreaCode
		text     string
		want     hotline.UnitCode
	}{
		{"0306", "341802001", "校门口接送拥堵", "JJZD"}, // the joint case of domain.md §0.7
		{"0905", "341821107", "河道采砂", "341821"},
		{"020101", "341802001001", "垃圾没人清", "CGJ"},
		{"020101", "341882100", "垃圾没人清", "341882"},
		{"0203", "341802003", "广场舞太吵", "GAJ"},
		{"1301", "341802002", "停水", "GSGS"},
		{"1301", "341823100", "停水", "341823"},
		{"1305", "341881001", "电信宽带断网", "DXGS"},
		{"0501", "341871", "工地欠薪", "RSJ"},
		{"1104", "341802200", "村账不公开", "341802200"},
		{"1104", "341802", "村账不公开", "341802"},
		{"990101", "341802", "", ""},
	} {
		if p := tree.Plan(tc.category, tc.area, tc.text); p.Lead != tc.want || p.Reason.Text == "" {
			t.Errorf("%s %s %s → %s (%s), want %s", tc.category, tc.area, tc.text, p.Lead, p.Reason.Text, tc.want)
		}
	}
}

// TestEveryLeafHasAUnitEverywhere: in each county every leaf category goes to
// a unit, or to the office by a rule that says so; the lead is never among its
// co-units and a reason fits the ledger.
func TestEveryLeafHasAUnitEverywhere(t *testing.T) {
	t.Parallel()
	d := xuancheng(t)
	tree := New(d)
	for _, c := range d.City.Categories {
		if !d.Leaf(c.Code) {
			continue
		}
		for _, a := range d.City.Areas {
			p := tree.Plan(c.Code, a.Code, "")
			if p.Reason.Rule == "" {
				t.Errorf("%s %s: no rule", c.Code, a.Code)
			}
			if u, ok := d.Unit(p.Lead); p.Lead != "" && (!ok || u.Kind == hotline.UnitCenter) {
				t.Errorf("%s %s: lead %s", c.Code, a.Code, p.Lead)
			}
			for _, co := range p.CoUnits {
				if co == p.Lead {
					t.Errorf("%s %s: %s leads and assists", c.Code, a.Code, co)
				}
			}
			if n := len([]rune(p.Reason.Text)); n < 2 || n > 300 {
				t.Errorf("%s %s: reason of %d letters", c.Code, a.Code, n)
			}
		}
	}
}

// TestMatchProperties: a deeper place never loses to a shallower rule, and
// words only ever choose among rules of one category and area.
func TestMatchProperties(t *testing.T) {
	t.Parallel()
	d := xuancheng(t)
	tree := New(d)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(d.City.Categories).Draw(t, "category").Code
		a := rapid.SampledFrom(d.City.Areas).Draw(t, "area").Code
		text := rapid.SampledFrom([]string{"", "违建", "KTV扰民", "电信", "邮局", "停车费"}).Draw(t, "text")
		m, ok := tree.Match(c, a, text)
		plain, okPlain := tree.Match(c, a, "")
		if ok != okPlain && okPlain {
			t.Fatal("a word made a rule disappear")
		}
		if !ok {
			return
		}
		if !strings.HasPrefix(string(c), string(m.Rule.Category)) || !strings.HasPrefix(string(a), string(m.Rule.Area)) {
			t.Fatalf("rule %s does not contain %s %s", m.Rule.ID, c, a)
		}
		if okPlain && (len(m.Rule.Category) < len(plain.Rule.Category) || len(m.Rule.Category) == len(plain.Rule.Category) && len(m.Rule.Area) < len(plain.Rule.Area)) {
			t.Fatalf("words chose the shallower rule %s over %s", m.Rule.ID, plain.Rule.ID)
		}
	})
}

func FuzzPlan(f *testing.F) {
	f.Add("0203", "341802001", "广场舞")
	f.Add("", "", "")
	f.Add("0", "3418020010011", "\xff")
	d := xuancheng(f)
	tree := New(d)
	f.Fuzz(func(t *testing.T, c, a, text string) {
		p := tree.Plan(hotline.CategoryCode(c), hotline.AreaCode(a), text)
		if _, ok := d.Unit(p.Lead); p.Lead != "" && !ok {
			t.Errorf("lead %q is no unit", p.Lead)
		}
		if p.Reason.Text == "" {
			t.Error("no reason")
		}
	})
}

func BenchmarkPlan(b *testing.B) {
	tree := New(xuancheng(b))
	text := strings.Repeat("小区门口的流动摊贩占道经营，晚上油烟很大，", 10) + "广场舞音响扰民"
	b.ReportAllocs()
	for b.Loop() {
		tree.Plan("0203", "341802001001", text)
	}
}
