package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotline12345/hotline"
)

// calendars reads calendar/<year>.json: the embedded years and the folder's.
func (l *cityLoader) calendars() error {
	years := map[string]bool{}
	list := func(f fs.FS) error {
		entries, err := fs.ReadDir(f, "calendar")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			years[path.Join("calendar", e.Name())] = true
		}
		return err
	}
	if err := list(embedded); err != nil {
		return err
	}
	if l.over != nil {
		if err := list(l.over); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(years)) {
		file, src, err := l.open(name)
		if err != nil {
			return err
		}
		year, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), ".json"))
		if err != nil || path.Ext(name) != ".json" || year < 2000 || year > 2200 {
			l.note(Fault{File: file, Message: "文件名须为年份，如 calendar/2027.json"})
			continue
		}
		c, faults := readCalendar(file, src, year)
		l.faults = append(l.faults, faults...)
		l.city.Calendar = append(l.city.Calendar, c)
	}
	return nil
}

// readCalendar reads one year's notice: {"year", "source", "off": [dates],
// "work": [dates]}. A notice may reach into the December before it.
func readCalendar(file string, src []byte, year int) (hotline.YearCalendar, []Fault) {
	var raw struct {
		Year   int      `json:"year"`
		Source string   `json:"source"`
		Off    []string `json:"off"`
		Work   []string `json:"work"`
	}
	src = withoutMark(src)
	if f, ok := notUTF8(file, src); ok {
		return hotline.YearCalendar{}, []Fault{f}
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		f := Fault{File: file, Message: "不是合法的日历：" + err.Error()}
		offset := d.InputOffset()
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = s.Offset
		} else if u, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			offset, f.Field = u.Offset, u.Field
		}
		f.Line = 1 + bytes.Count(src[:min(int(offset), len(src))], []byte("\n"))
		return hotline.YearCalendar{}, []Fault{f}
	}
	var faults []Fault
	note := func(field, needle, format string, args ...any) {
		line := 0
		if i := bytes.Index(src, []byte(needle)); i >= 0 && needle != "" {
			line = 1 + bytes.Count(src[:i], []byte("\n"))
		}
		faults = append(faults, Fault{File: file, Line: line, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if d.More() {
		note("", "", "日历之后还有多余的内容")
	}
	if raw.Year != year {
		note("year", `"year"`, "须与文件名一致：%d", year)
	}
	if raw.Source == "" {
		note("source", `"source"`, "必填：放假通知的出处")
	}
	seen := map[hotline.Date]string{}
	days := func(field string, list []string) []hotline.Date {
		var all []hotline.Date
		for _, s := range list {
			day, err := hotline.ParseDate(s)
			switch {
			case err != nil:
				note(field, strconv.Quote(s), "日期 %q 无效", s)
				continue
			case day.Year != year && (day.Year != year-1 || day.Month != time.December):
				note(field, strconv.Quote(s), "日期 %s 不在 %d 年，也不在上年 12 月", s, year)
			case seen[day] != "":
				note(field, strconv.Quote(s), "日期 %s 已在 %s 中", s, seen[day])
			}
			seen[day] = field
			all = append(all, day)
		}
		return all
	}
	c := hotline.YearCalendar{Year: year, Source: raw.Source, Off: days("off", raw.Off), Work: days("work", raw.Work)}
	return c, faults
}
