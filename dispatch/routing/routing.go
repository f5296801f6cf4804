// Package routing owns the reading of the dispatch catalogue (派单目录): which
// rule an order falls under, which units it goes to, and the sentence that
// says why. dispatch.Engine calls it. It is pure: a Tree never changes after
// New and is safe for concurrent use. It imports hotline only.
package routing

import (
	"fmt"
	"slices"
	"strings"

	"hotline12345/hotline"
)

// rule is a catalogue row ready to match.
type rule struct {
	hotline.CatalogueRule
	words []string // lower case
}

// place is the key rules are kept under.
type place struct {
	category hotline.CategoryCode
	area     hotline.AreaCode
}

// Tree is the catalogue of one city version, by category and area.
type Tree struct {
	dir   *hotline.Directory
	rules map[place][]rule
	seat  map[hotline.AreaCode]hotline.UnitCode // governments of counties (6 digits) and townships (9)
}

// New reads the catalogue of the directory's city.
func New(d *hotline.Directory) *Tree {
	t := &Tree{dir: d, rules: map[place][]rule{}, seat: map[hotline.AreaCode]hotline.UnitCode{}}
	for _, c := range d.City.Catalogue {
		r := rule{CatalogueRule: c}
		for _, w := range c.Words {
			r.words = append(r.words, strings.ToLower(w))
		}
		k := place{c.Category, c.Area}
		t.rules[k] = append(t.rules[k], r)
	}
	for _, u := range d.City.Units {
		if u.Kind == hotline.UnitCounty && len(u.Area) == 6 || u.Kind == hotline.UnitTownship && len(u.Area) == 9 {
			t.seat[u.Area] = u.Code
		}
	}
	return t
}

// Match is the rule an order falls under and the unit it names.
type Match struct {
	Rule hotline.CatalogueRule
	Lead hotline.UnitCode // resolved: never "@county" or "@township"
	Word string           // the word of the rule that stood in the text; "" for a rule without words
}

// Match finds the rule of an order: the deepest category wins, then the
// deepest area, then a rule whose word stands in the text over one without
// words (the longest such word). A rule whose lead cannot be told, because the
// place is unknown or has no such government, is passed over for the next one.
func (t *Tree) Match(category hotline.CategoryCode, area hotline.AreaCode, text string) (Match, bool) {
	text = strings.ToLower(text)
	for _, c := range prefixes(category, 6, 4, 2, 0) {
		for _, a := range prefixes(area, 12, 9, 6, 0) {
			if m, ok := t.best(t.rules[place{c, a}], area, text); ok {
				return m, true
			}
		}
	}
	return Match{}, false
}

// best picks among the rules of one category and area.
func (t *Tree) best(rules []rule, area hotline.AreaCode, text string) (best Match, found bool) {
	for _, r := range rules {
		word, applies := "", len(r.words) == 0
		for i, w := range r.words {
			if len(w) > len(word) && strings.Contains(text, w) {
				word, applies = r.Words[i], true
			}
		}
		if !applies || found && len(word) <= len(best.Word) {
			continue
		}
		if lead, ok := t.lead(r.Lead, area); ok {
			best, found = Match{Rule: r.CatalogueRule, Lead: lead, Word: word}, true
		}
	}
	return best, found
}

// lead resolves a rule's lead for a place.
func (t *Tree) lead(lead string, area hotline.AreaCode) (hotline.UnitCode, bool) {
	digits := 0
	switch lead {
	case "@county":
		digits = 6
	case "@township":
		digits = 9
	default:
		_, ok := t.dir.Unit(hotline.UnitCode(lead))
		return hotline.UnitCode(lead), ok
	}
	if len(area) < digits {
		return "", false
	}
	u, ok := t.seat[area[:digits]]
	return u, ok
}

// prefixes returns the code cut to each of the lengths it has, longest first.
func prefixes[C ~string](code C, lengths ...int) []C {
	all := make([]C, 0, len(lengths))
	for _, n := range lengths {
		if n <= len(code) {
			all = append(all, code[:n])
		}
	}
	return all
}

// Plan says where an order should go and why, in one Chinese sentence. The
// plan has no lead when no rule applies, or when the rule leaves the matter
// with the hotline office; a dispatcher then chooses.
func (t *Tree) Plan(category hotline.CategoryCode, area hotline.AreaCode, text string) hotline.Plan {
	p := hotline.Plan{Reason: hotline.Reason{Kind: "rule", CatalogueVersion: t.dir.Version, Category: category, Area: area}}
	m, ok := t.Match(category, area, text)
	if !ok {
		p.Reason.Text = t.unmatched(category, area)
		return p
	}
	p.Reason.Rule = m.Rule.ID
	about := t.dir.CategoryName(m.Rule.Category)
	if about == "" {
		about = "各类诉求"
	}
	if name := t.dir.AreaName(area); name != "" {
		about += "，事发地" + name
	}
	if m.Word != "" {
		about += fmt.Sprintf("，诉求提到“%s”", m.Word)
	}
	if u, _ := t.dir.Unit(m.Lead); u.Kind == hotline.UnitCenter {
		p.Reason.Text = fmt.Sprintf("按派单目录 %s：%s，由%s直接处理，不派承办单位。", m.Rule.ID, about, u.Short)
		return p
	}
	p.Lead = m.Lead
	var names []string
	for _, c := range m.Rule.CoUnits {
		if c == p.Lead || slices.Contains(p.CoUnits, c) {
			continue
		}
		p.CoUnits = append(p.CoUnits, c)
		names = append(names, t.dir.UnitName(c))
	}
	p.Reason.Text = fmt.Sprintf("按派单目录 %s：%s，由%s主办", m.Rule.ID, about, t.dir.UnitName(p.Lead))
	if len(names) > 0 {
		p.Reason.Text += "，" + strings.Join(names, "、") + "协办"
	}
	if m.Rule.Basis != "" {
		p.Reason.Text += "。依据：" + m.Rule.Basis
	}
	p.Reason.Text += "。"
	return p
}

func (t *Tree) unmatched(category hotline.CategoryCode, area hotline.AreaCode) string {
	name, where := t.dir.CategoryName(category), t.dir.AreaName(area)
	switch {
	case name == "":
		return "诉求分类不在分类表中，请派单员选择承办单位。"
	case where == "":
		return fmt.Sprintf("派单目录中“%s”须按事发地确定承办单位，而事发地不明，请派单员选择。", name)
	}
	return fmt.Sprintf("派单目录中没有适用于“%s”、%s的规则，请派单员选择承办单位。", name, where)
}
