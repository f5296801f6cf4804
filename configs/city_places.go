package configs

import (
	"regexp"
	"strings"

	"hotline12345/hotline"
)

// areas reads the places and makes the unit of each government.
func (l *cityLoader) areas() {
	l.areaLine = map[hotline.AreaCode]record{}
	l.unitLine = map[hotline.UnitCode]record{}
	rows := l.rows["areas.csv"]
	for _, r := range rows {
		code := hotline.AreaCode(r.get("code"))
		if !numeric(string(code), 6, 9, 12) {
			l.note(r.fault("code", "须为 6、9 或 12 位数字"))
			continue
		}
		l.require(r, "name")
		claim(l, l.areaLine, code, r, "code")
	}
	var root hotline.UnitCode
	for _, r := range l.rows["units.csv"] {
		if r.get("kind") == string(hotline.UnitCenter) {
			root = hotline.UnitCode(r.get("code"))
			break
		}
	}
	kinds := map[int]hotline.UnitKind{6: hotline.UnitCounty, 9: hotline.UnitTownship, 12: hotline.UnitVillage}
	governed := map[hotline.AreaCode]bool{}
	for _, r := range rows {
		code := hotline.AreaCode(r.get("code"))
		kind, ok := kinds[len(code)]
		if !ok || l.areaLine[code].line != r.line {
			continue
		}
		var parent hotline.AreaCode
		if len(code) > 6 {
			parent = code[:len(code)-3]
			if _, ok := l.areaLine[parent]; !ok {
				l.note(r.fault("code", "上级区划 %s 不存在", parent))
			}
		}
		name := r.get("name")
		l.city.Areas = append(l.city.Areas, hotline.Area{Code: code, Parent: parent, Name: name, Pinyin: initials(placeStem(name))})
		if r.get("government") == "" {
			continue
		}
		// A government's superior is the government of the nearest place above.
		above := root
		for a := parent; a != ""; a = up(a) {
			if governed[a] || l.areaLine[a].get("government") != "" {
				above = hotline.UnitCode(a)
				break
			}
		}
		governed[code] = true
		l.unitLine[hotline.UnitCode(code)] = r
		l.city.Units = append(l.city.Units, hotline.Unit{
			Code: hotline.UnitCode(code), Parent: above, Kind: kind, Name: r.get("government"), Short: name, Area: code,
		})
	}
}

// up returns the place one level above, "" for a county.
func up(a hotline.AreaCode) hotline.AreaCode {
	if len(a) <= 6 {
		return ""
	}
	return a[:len(a)-3]
}

// placeStem drops the generic word that people do not type: 街道 becomes 街.
func placeStem(name string) string {
	if s, ok := strings.CutSuffix(name, "街道"); ok && s != "" {
		return s + "街"
	}
	return name
}

var unitCode = regexp.MustCompile(`^[A-Z0-9]{2,12}$`)

// units reads the departments and companies; the governments are there.
func (l *cityLoader) units() {
	rows := l.rows["units.csv"]
	var office record
	for _, r := range rows {
		code := hotline.UnitCode(r.get("code"))
		if !unitCode.MatchString(string(code)) {
			l.note(r.fault("code", "须为 2 到 12 位大写字母或数字"))
			continue
		}
		claim(l, l.unitLine, code, r, "code")
	}
	shorts := map[string]record{}
	for _, r := range rows {
		l.require(r, "name", "short", "duties")
		claim(l, shorts, r.get("short"), r, "short")
		u := hotline.Unit{
			Code: hotline.UnitCode(r.get("code")), Parent: hotline.UnitCode(r.get("parent")),
			Kind: oneOf(l, r, "kind", hotline.UnitCenter, hotline.UnitDepartment, hotline.UnitCounty, hotline.UnitTownship, hotline.UnitVillage, hotline.UnitEnterprise),
			Name: r.get("name"), Short: r.get("short"), Aliases: r.list("aliases"), Area: hotline.AreaCode(r.get("area")), Duties: r.get("duties"),
		}
		if u.Area != "" {
			if _, ok := l.areaLine[u.Area]; !ok {
				l.note(r.fault("area", "区划 %s 不存在", u.Area))
			}
		}
		switch {
		case u.Kind == hotline.UnitCenter && office.line > 0:
			l.note(r.fault("kind", "热线中心只能有一个，已在第 %d 行", office.line))
		case u.Kind == hotline.UnitCenter:
			office = r
			if u.Parent != "" {
				l.note(r.fault("parent", "热线中心没有上级"))
			}
		case u.Parent == "":
			l.note(r.fault("parent", "必填：只有热线中心没有上级"))
		default:
			if _, ok := l.unitLine[u.Parent]; !ok {
				l.note(r.fault("parent", "上级单位 %s 不存在", u.Parent))
			}
		}
		l.city.Units = append(l.city.Units, u)
	}
	if office.line == 0 && len(rows) > 0 {
		l.note(Fault{File: rows[0].file, Field: "kind", Message: "缺少热线中心（center）"})
	}
	l.noUnitCycles()
}

// noUnitCycles notes units that are their own superior, however far up.
func (l *cityLoader) noUnitCycles() {
	parent := map[hotline.UnitCode]hotline.UnitCode{}
	for _, u := range l.city.Units {
		parent[u.Code] = u.Parent
	}
	for _, u := range l.city.Units {
		steps := 0
		for at := u.Parent; at != ""; at = parent[at] {
			if steps++; at == u.Code || steps > len(parent) {
				l.note(l.unitLine[u.Code].fault("parent", "上级关系成环"))
				break
			}
		}
	}
}
