// Package workcal owns working-day arithmetic: which Shanghai days are worked,
// with the make-up days (调休) of the State Council's yearly notices, and when
// a time limit falls due and its lamp turns yellow. dispatch.Engine and the
// command line call it. It is pure: a Calendar never changes after New and is
// safe for concurrent use. It imports hotline only.
package workcal

import (
	"time"

	"hotline12345/hotline"
)

// day is a count of days since 1970-01-01, so that walking is integer work.
type day int

const secondsPerDay = 24 * 60 * 60

func dayOf(d hotline.Date) day {
	return day(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

func (n day) date() hotline.Date {
	t := time.Unix(int64(n)*secondsPerDay, 0).UTC()
	return hotline.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

// weekend tells Saturdays and Sundays; 1970-01-01 was a Thursday.
func (n day) weekend() bool {
	w := (int(n)%7 + 7 + 4) % 7
	return w == 0 || w == 6
}

// mark is what the notices say of a day.
type mark uint8

const (
	unknown mark = iota // no notice covers the day: weekends only, provisional
	plain               // covered, and the day of the week decides
	off                 // a day off by notice
	work                // a weekend day that is worked (调休上班)
)

// Calendar knows which days are worked. The zero value knows weekends only and
// calls every answer provisional.
type Calendar struct {
	first day    // day of marks[0]
	marks []mark // dense from the first loaded year to the last
}

// yearEndReach is the first day of December that the NEXT year's notice may
// still change: New Year's Day joined to a weekend moves days back to the 28th
// at most (the 2019 notice made 2018-12-29 worked and 2018-12-31 off).
const yearEndReach = 28

// New makes a calendar of the years' notices. A notice may name days of the
// year before it; where two notices speak of one day, the later year wins. A
// year without a notice has weekends only and is provisional.
func New(years []hotline.YearCalendar) *Calendar {
	if len(years) == 0 {
		return &Calendar{}
	}
	loaded := map[int]hotline.YearCalendar{}
	low, high := years[0].Year, years[0].Year
	for _, y := range years {
		loaded[y.Year] = y
		low, high = min(low, y.Year), max(high, y.Year)
	}
	// One year more on the low side: the first notice may reach back.
	c := &Calendar{first: dayOf(hotline.Date{Year: low - 1, Month: time.January, Day: 1})}
	last := dayOf(hotline.Date{Year: high, Month: time.December, Day: 31})
	c.marks = make([]mark, last-c.first+1)
	for y := range loaded {
		_, next := loaded[y+1]
		for n, end := dayOf(hotline.Date{Year: y, Month: time.January, Day: 1}), dayOf(hotline.Date{Year: y, Month: time.December, Day: 31}); n <= end; n++ {
			if end-n <= 31-yearEndReach && !next {
				continue
			}
			c.marks[n-c.first] = plain
		}
	}
	for y := low; y <= high; y++ {
		for _, d := range loaded[y].Off {
			c.set(dayOf(d), off)
		}
		for _, d := range loaded[y].Work {
			c.set(dayOf(d), work)
		}
	}
	return c
}

func (c *Calendar) set(n day, m mark) {
	if i := int(n - c.first); i >= 0 && i < len(c.marks) {
		c.marks[i] = m
	}
}

// at tells whether a day is worked, and whether no notice has said so yet.
func (c *Calendar) at(n day) (worked, provisional bool) {
	m := unknown
	if i := int(n - c.first); i >= 0 && i < len(c.marks) {
		m = c.marks[i]
	}
	switch m {
	case off:
		return false, false
	case work:
		return true, false
	}
	return !n.weekend(), m == unknown
}

// IsWorkday tells whether the day is worked. provisional: the notice that
// decides it is not loaded, so the answer rests on the day of the week alone.
func (c *Calendar) IsWorkday(d hotline.Date) (worked, provisional bool) {
	return c.at(dayOf(d))
}

// AddWorkdays returns the n-th working day after from, counted from the next
// working day: from is day 0, whether worked or not (民法典 201: the first day
// is not counted). n below zero counts back; zero gives from itself.
// provisional: a day that was walked over has no notice yet, so the result may
// move when it is loaded.
func (c *Calendar) AddWorkdays(from hotline.Date, n int) (d hotline.Date, provisional bool) {
	if n == 0 {
		return from, false
	}
	at, provisional := c.walk(dayOf(from), n)
	return at.date(), provisional
}

func (c *Calendar) walk(at day, n int) (day, bool) {
	step, provisional := day(1), false
	if n < 0 {
		step, n = -1, -n
	}
	for n > 0 {
		at += step
		worked, p := c.at(at)
		provisional = provisional || p
		if worked {
			n--
		}
	}
	return at, provisional
}

// Due returns when a limit that starts at start runs out and when its lamp
// turns yellow, both in UTC. A limit of n working days is due at 24:00
// Shanghai time of the n-th working day after the start's day, so that nobody
// loses the evening of the last day. Hours and minutes run on the wall clock
// through nights and holidays and are never provisional. An amount of zero or
// less is due at start.
//
// The lamp turns yellow when the time left is at most one working day or a
// fifth of the limit, whichever is less; hours and minutes at a fifth left
// (domain.md §2.8). A working day counts as its whole 24 hours.
func (c *Calendar) Due(start time.Time, l hotline.Limit) (due, warn time.Time, provisional bool) {
	start = start.UTC()
	if l.Amount <= 0 {
		return start, start, false
	}
	switch l.Unit {
	case hotline.Hours:
		return fixed(start, time.Duration(l.Amount)*time.Hour)
	case hotline.Minutes:
		return fixed(start, time.Duration(l.Amount)*time.Minute)
	}
	last, provisional := c.walk(dayOf(hotline.DateOf(start)), l.Amount)
	due = last.date().End()
	if l.Amount < 5 {
		return due, due.Add(-time.Duration(l.Amount) * 24 * time.Hour / 5), provisional
	}
	// One working day is left from the end of the working day before the last:
	// days off between the two take nothing from it.
	before, _ := c.walk(last, -1)
	return due, before.date().End(), provisional
}

func fixed(start time.Time, d time.Duration) (due, warn time.Time, provisional bool) {
	due = start.Add(d)
	return due, due.Add(-d / 5), false
}
