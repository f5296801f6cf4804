package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hotline12345/hotline"
)

func (l *cityLoader) categories() {
	l.categoryLine = map[hotline.CategoryCode]record{}
	rows := l.rows["categories.csv"]
	for _, r := range rows {
		code := hotline.CategoryCode(r.get("code"))
		if !numeric(string(code), 2, 4, 6) {
			l.note(r.fault("code", "须为 2、4 或 6 位数字"))
			continue
		}
		claim(l, l.categoryLine, code, r, "code")
	}
	for _, r := range rows {
		l.require(r, "name")
		code := hotline.CategoryCode(r.get("code"))
		var parent hotline.CategoryCode
		if len(code) > 2 {
			parent = code[:len(code)-2]
			if _, ok := l.categoryLine[parent]; !ok {
				l.note(r.fault("code", "上级分类 %s 不存在", parent))
			}
		}
		l.city.Categories = append(l.city.Categories, hotline.Category{
			Code: code, Parent: parent, Name: r.get("name"), Pinyin: initials(r.get("name")),
			Urgency: l.urgency(r), Keywords: r.list("keywords"),
		})
	}
}

func (l *cityLoader) sources() {
	l.sourceLine = map[hotline.SourceCode]record{}
	for _, r := range l.rows["sources.csv"] {
		code := hotline.SourceCode(r.get("code"))
		if !numeric(string(code), 2) {
			l.note(r.fault("code", "须为 2 位数字"))
		}
		l.require(r, "name", "reply_to")
		claim(l, l.sourceLine, code, r, "code")
		l.city.Sources = append(l.city.Sources, hotline.Source{
			Code: code, Name: r.get("name"), ReplyTo: r.get("reply_to"),
			Kind: oneOf(l, r, "kind", "phone", "web", "upstream", "monitoring", "social", "app", "text", "office", "lower"),
		})
	}
}

func (l *cityLoader) lines() {
	seen := map[string]record{}
	for _, r := range l.rows["lines.csv"] {
		n := r.get("number")
		if !digits(n) || len(n) > 16 {
			l.note(r.fault("number", "须为 1 到 16 位数字"))
		}
		l.require(r, "name")
		claim(l, seen, n, r, "number")
		l.city.Lines = append(l.city.Lines, hotline.Line{Number: n, Name: r.get("name"), Source: l.source(r, true)})
	}
}

// source reads a source code that must exist; empty means all unless needed.
func (l *cityLoader) source(r record, needed bool) hotline.SourceCode {
	code := hotline.SourceCode(r.get("source"))
	if _, ok := l.sourceLine[code]; !ok && (needed || code != "") {
		l.note(r.fault("source", "来源 %q 不存在", string(code)))
	}
	return code
}

// catalogue reads the dispatch rules. A row whose lead is the hotline office
// leaves the matter with its dispatchers.
func (l *cityLoader) catalogue() {
	type place struct {
		category hotline.CategoryCode
		area     hotline.AreaCode
		word     string // "" for the row without words
	}
	ids, claimed := map[string]record{}, map[place]record{}
	covered := map[hotline.CategoryCode]bool{} // by a row for every area and text
	for _, r := range l.rows["catalogue.csv"] {
		c := hotline.CatalogueRule{
			ID: r.get("id"), Category: hotline.CategoryCode(r.get("category")), Area: hotline.AreaCode(r.get("area")),
			Words: r.list("words"), Lead: r.get("lead"), Basis: r.get("basis"),
		}
		l.require(r, "id", "lead", "basis")
		claim(l, ids, c.ID, r, "id")
		if _, ok := l.categoryLine[c.Category]; !ok && c.Category != "" {
			l.note(r.fault("category", "分类 %s 不存在", c.Category))
		}
		if _, ok := l.areaLine[c.Area]; !ok && c.Area != "" {
			l.note(r.fault("area", "区划 %s 不存在", c.Area))
		}
		if _, ok := l.unitLine[hotline.UnitCode(c.Lead)]; !ok && c.Lead != "" && c.Lead != "@county" && c.Lead != "@township" {
			l.note(r.fault("lead", "单位 %s 不存在", c.Lead))
		}
		for _, code := range r.list("co_units") {
			u := hotline.UnitCode(code)
			switch _, ok := l.unitLine[u]; {
			case !ok:
				l.note(r.fault("co_units", "单位 %s 不存在", u))
			case l.unitLine[u].get("kind") == string(hotline.UnitCenter):
				l.note(r.fault("co_units", "热线中心不作协办单位"))
			case code == c.Lead:
				l.note(r.fault("co_units", "协办单位 %s 已是主办单位", u))
			case slices.Contains(c.CoUnits, u):
				l.note(r.fault("co_units", "协办单位 %s 重复", u))
			}
			c.CoUnits = append(c.CoUnits, u)
		}
		words := c.Words
		if len(words) == 0 {
			words = []string{""}
			if c.Area == "" {
				covered[c.Category] = true
			}
		}
		for _, w := range words {
			key := place{c.Category, c.Area, w}
			if old, ok := claimed[key]; ok {
				l.note(r.fault("words", "与第 %d 行重叠：同一分类、区划与词", old.line))
				break
			}
			claimed[key] = r
		}
		l.city.Catalogue = append(l.city.Catalogue, c)
	}
	l.everyLeafCovered(covered)
}

// everyLeafCovered notes each category that orders may carry and no row of the
// catalogue would catch in every place.
func (l *cityLoader) everyLeafCovered(covered map[hotline.CategoryCode]bool) {
	parents := map[hotline.CategoryCode]bool{}
	for _, c := range l.city.Categories {
		parents[c.Parent] = true
	}
	for _, c := range l.city.Categories {
		if parents[c.Code] {
			continue
		}
		ok := covered[""]
		for n := 2; n <= len(c.Code); n += 2 {
			ok = ok || covered[c.Code[:n]]
		}
		if !ok {
			l.note(l.categoryLine[c.Code].fault("code", "末级分类 %s %s 在派单目录中没有不限区划的规则", c.Code, c.Name))
		}
	}
}

var (
	clockKinds  = []hotline.ClockKind{hotline.ClockDispatch, hotline.ClockSign, hotline.ClockContact, hotline.ClockResolve, hotline.ClockCallback}
	demandTypes = []hotline.DemandType{hotline.Consult, hotline.Help, hotline.Complaint, hotline.Report, hotline.Suggest, hotline.Praise, hotline.Other}
)

func (l *cityLoader) limits() {
	type key struct {
		clock   hotline.ClockKind
		typ     hotline.DemandType
		urgency hotline.Urgency
		source  hotline.SourceCode
	}
	policies, keys := map[string]record{}, map[key]record{}
	rows := l.rows["limits.csv"]
	for _, r := range rows {
		l.require(r, "policy")
		claim(l, policies, r.get("policy"), r, "policy")
		amount, err := strconv.Atoi(r.get("amount"))
		if err != nil || amount < 1 || amount > 1000 {
			l.note(r.fault("amount", "须为 1 到 1000 的整数"))
		}
		lim := hotline.Limit{
			Policy: r.get("policy"), Clock: oneOf(l, r, "clock", clockKinds...),
			Type: oneOf(l, r, "type", append([]hotline.DemandType{""}, demandTypes...)...), Urgency: l.urgency(r), Source: l.source(r, false),
			Amount: amount, Unit: oneOf(l, r, "unit", hotline.Workdays, hotline.Hours, hotline.Minutes), Basis: r.get("basis"),
		}
		k := key{lim.Clock, lim.Type, lim.Urgency, lim.Source}
		if old, ok := keys[k]; ok {
			l.note(r.fault("clock", "与第 %d 行重叠：同一时限、类型、紧急程度与来源", old.line))
		}
		keys[k] = r
		l.city.Limits = append(l.city.Limits, lim)
	}
	if len(rows) == 0 {
		return
	}
	for _, c := range clockKinds {
		if _, all := keys[key{clock: c}]; all {
			continue
		}
		var missing []string
		for _, t := range demandTypes {
			if _, ok := keys[key{clock: c, typ: t}]; !ok {
				missing = append(missing, string(t))
			}
		}
		if len(missing) > 0 {
			l.note(Fault{File: rows[0].file, Field: "clock", Message: fmt.Sprintf("时限 %s 缺少类型 %s 的通用行", c, strings.Join(missing, "、"))})
		}
	}
}
