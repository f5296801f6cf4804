package hotline

import (
	"slices"
	"strings"
)

// UnitCode identifies a unit for ever, through renames: "JYTYJ" (教育体育局),
// "341802" (a county), "341802001" (a township), "341802001001" (a village).
type UnitCode string

// AreaCode is a place of GB/T 2260 and its statistical extension: 6 digits a
// county, 9 a township, 12 a village or community; each prefixes the next.
type AreaCode string

// CategoryCode is a content category (受理内容分类) of 2, 4 or 6 digits, each
// level a prefix of the next. Orders carry leaf codes.
type CategoryCode string

// SourceCode is a channel a demand came by (诉求来源), "01" the telephone.
type SourceCode string

// UnitKind says what a unit is (domain: organisation tree).
type UnitKind string

// The kinds of unit, from the hotline office down to villages.
const (
	UnitCenter     UnitKind = "center"     // 热线中心
	UnitDepartment UnitKind = "department" // 市直单位
	UnitCounty     UnitKind = "county"     // 县市区、开发区
	UnitTownship   UnitKind = "township"   // 乡镇街道
	UnitVillage    UnitKind = "village"    // 村社区
	UnitEnterprise UnitKind = "enterprise" // 公共服务企业
)

// Unit is an organisation that handles orders (承办单位) or the office itself.
type Unit struct {
	Code    UnitCode `json:"code"`
	Parent  UnitCode `json:"parent"` // "" for the office
	Kind    UnitKind `json:"kind"`
	Name    string   `json:"name"`
	Short   string   `json:"short"`
	Aliases []string `json:"aliases,omitempty"`
	Area    AreaCode `json:"area_code,omitempty"` // the place it governs; "" for city-wide
	Duties  string   `json:"duties,omitempty"`    // one sentence
}

// Area is a place of the division tree.
type Area struct {
	Code   AreaCode `json:"code"`
	Parent AreaCode `json:"parent"` // "" for a county
	Name   string   `json:"name"`
	Pinyin string   `json:"pinyin"` // initials, "xlj" for 西林街道
}

// Category is a node of the content tree.
type Category struct {
	Code     CategoryCode `json:"code"`
	Parent   CategoryCode `json:"parent"`
	Name     string       `json:"name"`
	Pinyin   string       `json:"pinyin"`
	Urgency  Urgency      `json:"urgency"`            // default urgency of the leaf; zero: ordinary
	Keywords []string     `json:"keywords,omitempty"` // words that point here
}

// Source is a channel (受理渠道).
type Source struct {
	Code    SourceCode `json:"code"`
	Name    string     `json:"name"`
	Kind    string     `json:"kind"`     // phone, web, upstream, monitoring, social, app, text, office, lower
	ReplyTo string     `json:"reply_to"` // where the answer goes, in words
}

// Line is a number citizens dial: 12345 itself or a merged old line (归并热线).
type Line struct {
	Number string     `json:"number"` // as dialled, digits only
	Name   string     `json:"name"`
	Source SourceCode `json:"source"`
}

// CatalogueRule is one row of the dispatch catalogue (派单目录): an order whose
// category lies under Category and whose place lies under Area goes to Lead
// and CoUnits. The deepest category wins, then the deepest area.
type CatalogueRule struct {
	ID       string       `json:"id"`       // stable name of the row, "0102-341802"
	Category CategoryCode `json:"category"` // "" matches all
	Area     AreaCode     `json:"area"`     // "" matches all
	Words    []string     `json:"words,omitempty"`
	Lead     string       `json:"lead"` // a UnitCode, or "@county" / "@township": the unit that governs the order's place
	CoUnits  []UnitCode   `json:"co_units,omitempty"`
	Basis    string       `json:"basis,omitempty"` // duty or law the row rests on
}

// ClockKind names what a deadline measures.
type ClockKind string

// The clocks of this program (domain.md §2.4).
const (
	ClockDispatch ClockKind = "dispatch" // 派单时限: accepted → sent to a unit
	ClockSign     ClockKind = "sign"     // 签收时限: sent → signed
	ClockContact  ClockKind = "contact"  // 联系时限: sent → caller contacted
	ClockResolve  ClockKind = "resolve"  // 办理时限: sent → replied
	ClockCallback ClockKind = "callback" // 回访时限: replied → called back
)

// LimitUnit is the unit a time limit is counted in.
type LimitUnit string

// Working days follow the calendar; hours and minutes run on all days.
const (
	Workdays LimitUnit = "workday"
	Hours    LimitUnit = "hour"
	Minutes  LimitUnit = "minute"
)

// Limit is one row of the time-limit table (时限表), keyed by clock × demand
// type × urgency × source. Empty key members match all; the row with most
// members set wins, source before type before urgency.
type Limit struct {
	Policy  string     `json:"policy"` // name kept on the clock, "resolve-complaint-ordinary"
	Clock   ClockKind  `json:"clock"`
	Type    DemandType `json:"type,omitempty"`
	Urgency Urgency    `json:"urgency,omitempty"`
	Source  SourceCode `json:"source,omitempty"`
	Amount  int        `json:"amount"`
	Unit    LimitUnit  `json:"unit"`
	Basis   string     `json:"basis,omitempty"` // the rule it comes from
}

// YearCalendar is one year's holiday notice (放假安排): days off that are not
// weekends or weekends made explicit, and weekend days that are worked (调休).
type YearCalendar struct {
	Year   int    `json:"year"`
	Source string `json:"source"` // the notice, "国办发明电〔2024〕12号"
	Off    []Date `json:"off"`
	Work   []Date `json:"work"`
}

// City is everything an administrator may change, as one consistent set of
// versions: who exists, what can be demanded, who answers and in what time.
// It is read-only after NewDirectory.
type City struct {
	Name       string          `json:"name"` // 宣城市
	Units      []Unit          `json:"units"`
	Areas      []Area          `json:"areas"`
	Categories []Category      `json:"categories"`
	Sources    []Source        `json:"sources"`
	Lines      []Line          `json:"lines"`
	Catalogue  []CatalogueRule `json:"catalogue"`
	Limits     []Limit         `json:"limits"`
	Calendar   []YearCalendar  `json:"calendar"`
}

// Directory answers look-ups over a City. It is immutable and safe for
// concurrent use.
type Directory struct {
	City       City
	Version    int // of the city data in the database; zero: not stored
	units      map[UnitCode]Unit
	areas      map[AreaCode]Area
	categories map[CategoryCode]Category
	sources    map[SourceCode]Source
	lines      map[string]Line
	below      map[UnitCode][]UnitCode
	leaf       map[CategoryCode]bool
}

// NewDirectory indexes a city. It trusts the data: configs has checked it.
func NewDirectory(c City, version int) *Directory {
	d := &Directory{
		City: c, Version: version,
		units: map[UnitCode]Unit{}, areas: map[AreaCode]Area{}, categories: map[CategoryCode]Category{},
		sources: map[SourceCode]Source{}, lines: map[string]Line{}, below: map[UnitCode][]UnitCode{}, leaf: map[CategoryCode]bool{},
	}
	for _, u := range c.Units {
		d.units[u.Code] = u
		d.below[u.Parent] = append(d.below[u.Parent], u.Code)
	}
	for _, a := range c.Areas {
		d.areas[a.Code] = a
	}
	for _, k := range c.Categories {
		d.categories[k.Code] = k
	}
	for _, k := range c.Categories {
		d.leaf[k.Code] = !slices.ContainsFunc(c.Categories, func(o Category) bool { return o.Parent == k.Code })
	}
	for _, s := range c.Sources {
		d.sources[s.Code] = s
	}
	for _, l := range c.Lines {
		d.lines[l.Number] = l
	}
	return d
}

// Unit returns the unit with the code.
func (d *Directory) Unit(c UnitCode) (Unit, bool) { u, ok := d.units[c]; return u, ok }

// Area returns the place with the code.
func (d *Directory) Area(c AreaCode) (Area, bool) { a, ok := d.areas[c]; return a, ok }

// Category returns the content category with the code.
func (d *Directory) Category(c CategoryCode) (Category, bool) { k, ok := d.categories[c]; return k, ok }

// Leaf tells whether the code is a category that orders may carry.
func (d *Directory) Leaf(c CategoryCode) bool { return d.leaf[c] }

// Source returns the channel with the code.
func (d *Directory) Source(c SourceCode) (Source, bool) { s, ok := d.sources[c]; return s, ok }

// Line returns the dialled line with the number.
func (d *Directory) Line(number string) (Line, bool) { l, ok := d.lines[number]; return l, ok }

// Subtree returns the unit and every unit below it, the unit first.
func (d *Directory) Subtree(c UnitCode) []UnitCode {
	all := []UnitCode{c}
	for i := 0; i < len(all); i++ {
		all = append(all, d.below[all[i]]...)
	}
	return all
}

// UnitName returns the unit's short name, or the code when it is unknown.
func (d *Directory) UnitName(c UnitCode) string {
	if u, ok := d.units[c]; ok {
		return u.Short
	}
	return string(c)
}

// AreaName returns the place from the county down: "宣州区西林街道".
func (d *Directory) AreaName(c AreaCode) string {
	var parts []string
	for a, ok := d.areas[c]; ok; a, ok = d.areas[a.Parent] {
		parts = append(parts, a.Name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "")
}

// CategoryName returns the path of names: "城市管理/油烟与噪声扰民".
func (d *Directory) CategoryName(c CategoryCode) string {
	var parts []string
	for k, ok := d.categories[c]; ok; k, ok = d.categories[k.Parent] {
		parts = append(parts, k.Name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// GoverningUnit returns the unit of the kind whose Area contains the place:
// the county or township government an order from there falls to.
func (d *Directory) GoverningUnit(a AreaCode, kind UnitKind) (Unit, bool) {
	for _, u := range d.City.Units {
		if u.Kind == kind && u.Area != "" && strings.HasPrefix(string(a), string(u.Area)) {
			return u, true
		}
	}
	return Unit{}, false
}
