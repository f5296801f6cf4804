package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// rooms names the groups of the table for people; other rooms stand under
// their path alone.
var rooms = map[string]string{
	"sip":               "来电接续 / calls",
	"sip/acd":           "排队与分配 / the floor",
	"sip/media":         "语音转发 / audio",
	"hotline/cdr":       "话单 / call records",
	"hotline/citizen":   "来电人 / callers",
	"hotline/auth":      "登录 / accounts",
	"hotline/workorder": "工单 / orders",
	"hotline/outbox":    "事件流 / the stream",
	"hotline/console":   "控制台推送 / live consoles",
	"dispatch":          "派单时限 / deadlines",
	"dispatch/routing":  "派单目录 / the catalogue",
	"dispatch/workcal":  "工作日历 / the calendar",
	"reports/compose":   "报表 / documents",
}

// The columns of the table.
const (
	what = iota
	rate
	took
	more
	columns
)

// print writes the machine's facts and one aligned table, grouped by room.
func print(w io.Writer, facts string, rows []row) {
	table := [][columns]string{{"项目 / benchmark", "吞吐 / rate", "用时 / time", "其他 / besides"}}
	for _, r := range rows {
		table = append(table, cells(r))
	}
	var widths [columns]int
	for _, line := range table {
		for i, c := range line {
			widths[i] = max(widths[i], width(c))
		}
	}
	put := func(line [columns]string) {
		var b strings.Builder
		b.WriteString("  ")
		for i, c := range line {
			b.WriteString(c + strings.Repeat(" ", widths[i]-width(c)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	fmt.Fprintf(w, "机器 / machine: %s\n\n", facts)
	put(table[0])
	room := ""
	for i, r := range rows {
		if r.room != room {
			room = r.room
			title := room
			if zh, ok := rooms[room]; ok {
				title = zh + " (" + room + ")"
			}
			fmt.Fprintf(w, "\n%s\n", title)
		}
		put(table[i+1])
	}
}

// cells puts each metric of a row into its column: what goes through a second,
// how long one takes, and the rest.
func cells(r row) [columns]string {
	var parts [columns][]string
	slices.SortStableFunc(r.metrics, func(a, b metric) int { return cmp.Compare(rank(a.unit), rank(b.unit)) })
	for _, m := range r.metrics {
		switch {
		case m.unit == "ns/op":
			parts[took] = append(parts[took], duration(m.value))
		case strings.HasPrefix(m.unit, "p") && strings.HasSuffix(m.unit, "-ms"):
			parts[took] = append(parts[took], strings.TrimSuffix(m.unit, "-ms")+" "+number(m.value)+" ms")
		case strings.HasPrefix(m.unit, "cpu-ns/"):
			parts[took] = append(parts[took], duration(m.value)+" cpu/"+strings.TrimPrefix(m.unit, "cpu-ns/"))
		case strings.Contains(m.unit, "/s"):
			parts[rate] = append(parts[rate], number(m.value)+" "+m.unit)
		default:
			parts[more] = append(parts[more], number(m.value)+" "+m.unit)
		}
	}
	out := [columns]string{what: r.name}
	for i := rate; i < columns; i++ {
		out[i] = strings.Join(parts[i], ", ")
	}
	return out
}

// rank keeps the allocations, which every benchmark may have, behind what it
// reported itself.
func rank(unit string) int {
	switch unit {
	case "B/op", "allocs/op":
		return 1
	}
	return 0
}

// number writes three significant digits, thousands parted by commas.
func number(v float64) string {
	switch {
	case v >= 1000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100, v == float64(int(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// duration writes nanoseconds in the unit that suits them.
func duration(ns float64) string {
	switch {
	case ns >= 1e9:
		return number(ns/1e9) + " s"
	case ns >= 1e6:
		return number(ns/1e6) + " ms"
	case ns >= 1e3:
		return number(ns/1e3) + " µs"
	}
	return number(ns) + " ns"
}

// width is how many places a string takes on a terminal: a Chinese character
// takes two.
func width(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x2e80 {
			n++
		}
	}
	return n
}
