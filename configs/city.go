package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mozillazg/go-pinyin"

	"hotline12345/hotline"
)

// xuancheng is the name of the embedded city.
const xuancheng = "xuancheng"

// The tables of a city and their columns, in order.
var tables = map[string][]string{
	"areas.csv":      {"code", "name", "government"},
	"units.csv":      {"code", "parent", "kind", "name", "short", "aliases", "area", "duties"},
	"categories.csv": {"code", "name", "urgency", "keywords"},
	"sources.csv":    {"code", "name", "kind", "reply_to"},
	"lines.csv":      {"number", "name", "source"},
	"catalogue.csv":  {"id", "category", "area", "words", "lead", "co_units", "basis"},
	"limits.csv":     {"policy", "clock", "type", "urgency", "source", "amount", "unit", "basis"},
}

// LoadCity reads a city: "" or "xuancheng" the embedded one, anything else a
// folder whose files (units.csv, areas.csv, categories.csv, sources.csv,
// lines.csv, catalogue.csv, limits.csv, city.yaml, calendar/<year>.json)
// replace the embedded ones one by one. Governments of counties, townships and
// villages become units with their area's code. Data that breaks a rule gives
// Faults: all of them.
func LoadCity(city string) (hotline.City, error) {
	var over fs.FS
	if city != "" && city != xuancheng {
		info, err := os.Stat(city)
		if err != nil {
			return hotline.City{}, fmt.Errorf("open city data: %w", err)
		}
		if !info.IsDir() {
			return hotline.City{}, fmt.Errorf("open city data: %s is not a folder", city)
		}
		over = os.DirFS(city)
	}
	return loadCity(over, city)
}

// loadCity reads the embedded city with the files of over, shown under name,
// in the place of its own.
func loadCity(over fs.FS, name string) (hotline.City, error) {
	l := cityLoader{over: over, name: name, rows: map[string][]record{}}
	l.refuseStrangers()
	for table, header := range tables {
		file, src, err := l.open(table)
		if err != nil {
			return hotline.City{}, err
		}
		rows, faults := readTable(file, src, header)
		l.rows[table] = rows
		l.faults = append(l.faults, faults...)
	}
	var head struct {
		Name string `yaml:"name"`
	}
	file, src, err := l.open("city.yaml")
	if err != nil {
		return hotline.City{}, err
	}
	r := newReader(file)
	r.decode(src, &head)
	if len(r.faults) == 0 && head.Name == "" {
		r.fault("name", "必填")
	}
	l.faults = append(l.faults, r.faults...)
	l.city.Name = head.Name

	l.areas()
	l.units()
	l.categories()
	l.sources()
	l.lines()
	l.catalogue()
	l.limits()
	if err := l.calendars(); err != nil {
		return hotline.City{}, err
	}
	if err := asError(l.faults); err != nil {
		return hotline.City{}, err
	}
	return l.city, nil
}

// cityLoader gathers one city and its faults.
type cityLoader struct {
	over   fs.FS // nil: embedded files only
	name   string
	rows   map[string][]record
	city   hotline.City
	faults []Fault

	areaLine     map[hotline.AreaCode]record
	unitLine     map[hotline.UnitCode]record
	categoryLine map[hotline.CategoryCode]record
	sourceLine   map[hotline.SourceCode]record
}

func (l *cityLoader) note(f Fault) { l.faults = append(l.faults, f) }

// open returns a file of the operator's, else the embedded one, with the name
// to show in faults.
func (l *cityLoader) open(name string) (shown string, src []byte, err error) {
	if l.over != nil {
		src, err = fs.ReadFile(l.over, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return filepath.Join(l.name, name), src, err
		}
	}
	shown = path.Join(xuancheng, name)
	if strings.HasPrefix(name, "calendar/") {
		shown = name
	}
	src, err = embedded.ReadFile(shown)
	return shown, src, err
}

// refuseStrangers notes data files of the folder that nobody would read: a
// misspelt name must not look like a loaded file.
func (l *cityLoader) refuseStrangers() {
	if l.over == nil {
		return
	}
	entries, err := fs.ReadDir(l.over, ".")
	if err != nil {
		l.note(Fault{File: l.name, Message: "目录无法读取"})
		return
	}
	for _, e := range entries {
		name := e.Name()
		if _, known := tables[name]; known || name == "city.yaml" || e.IsDir() {
			continue
		}
		if slices.Contains([]string{".csv", ".yaml", ".yml", ".json"}, path.Ext(name)) {
			l.note(Fault{File: filepath.Join(l.name, name), Message: "未知的文件，不会被读取"})
		}
	}
}

// require notes every empty cell of the columns.
func (l *cityLoader) require(r record, columns ...string) {
	for _, c := range columns {
		if r.get(c) == "" {
			l.note(r.fault(c, "必填"))
		}
	}
}

// oneOf notes a cell that is none of the words.
func oneOf[T ~string](l *cityLoader, r record, column string, words ...T) T {
	v := T(r.get(column))
	if !slices.Contains(words, v) {
		all := make([]string, len(words))
		for i, w := range words {
			all[i] = string(w)
		}
		l.note(r.fault(column, "值 %q 无效，可用：%s", string(v), strings.TrimPrefix(strings.Join(all, "、"), "、")))
	}
	return v
}

// claim notes a key that an earlier row already has; it tells whether the key
// is new.
func claim[K ~string](l *cityLoader, seen map[K]record, key K, r record, column string) bool {
	if old, ok := seen[key]; ok {
		l.note(r.fault(column, "%s 与第 %d 行重复", string(key), old.line))
		return false
	}
	seen[key] = r
	return true
}

// numeric tells whether s is digits only, of one of the lengths.
func numeric(s string, lengths ...int) bool {
	if !slices.Contains(lengths, len(s)) {
		return false
	}
	return digits(s)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// urgency reads a cell of "", "1", "2" or "3".
func (l *cityLoader) urgency(r record) hotline.Urgency {
	s := oneOf(l, r, "urgency", "", "1", "2", "3")
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return hotline.Urgency(n)
}

// initials returns the first pinyin letters of a name, "xlj" for 西林街道
// without its generic last syllable; Latin letters and digits stay.
func initials(name string) string {
	var b strings.Builder
	args := pinyin.Args{Style: pinyin.FirstLetter}
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if py := pinyin.SinglePinyin(c, args); len(py) > 0 {
			b.WriteString(py[0])
		}
	}
	return b.String()
}
