package workcal

import (
	"testing"
	"time"

	"hotline12345/hotline"

	"pgregory.net/rapid"
)

func date(t testing.TB, s string) hotline.Date {
	t.Helper()
	d, err := hotline.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// span lists the days from..to; to empty: one day.
func span(t testing.TB, from, to string) []hotline.Date {
	t.Helper()
	a := date(t, from)
	all := []hotline.Date{a}
	if to == "" {
		return all
	}
	for b := date(t, to); a.Before(b); {
		a = a.AddDays(1)
		all = append(all, a)
	}
	return all
}

// notices are the years of domain.md §8, and 2019 as far as it reaches back.
func notices(t testing.TB) []hotline.YearCalendar {
	t.Helper()
	year := func(y int, work []string, off ...[2]string) hotline.YearCalendar {
		c := hotline.YearCalendar{Year: y}
		for _, w := range work {
			c.Work = append(c.Work, date(t, w))
		}
		for _, o := range off {
			c.Off = append(c.Off, span(t, o[0], o[1])...)
		}
		return c
	}
	return []hotline.YearCalendar{
		year(2018, []string{"2018-02-11", "2018-02-24", "2018-04-08", "2018-04-28", "2018-09-29", "2018-09-30"},
			[2]string{"2018-01-01"}, [2]string{"2018-02-15", "2018-02-21"}, [2]string{"2018-04-05", "2018-04-07"},
			[2]string{"2018-04-29", "2018-05-01"}, [2]string{"2018-06-16", "2018-06-18"}, [2]string{"2018-09-22", "2018-09-24"}, [2]string{"2018-10-01", "2018-10-07"}),
		year(2019, []string{"2018-12-29"}, [2]string{"2018-12-30", "2019-01-01"}),
		year(2025, []string{"2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"},
			[2]string{"2025-01-01"}, [2]string{"2025-01-28", "2025-02-04"}, [2]string{"2025-04-04", "2025-04-06"},
			[2]string{"2025-05-01", "2025-05-05"}, [2]string{"2025-05-31", "2025-06-02"}, [2]string{"2025-10-01", "2025-10-08"}),
		year(2026, []string{"2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"},
			[2]string{"2026-01-01", "2026-01-03"}, [2]string{"2026-02-15", "2026-02-23"}, [2]string{"2026-04-04", "2026-04-06"},
			[2]string{"2026-05-01", "2026-05-05"}, [2]string{"2026-06-19", "2026-06-21"}, [2]string{"2026-09-25", "2026-09-27"}, [2]string{"2026-10-01", "2026-10-07"}),
	}
}

// TestWorkdaysDomain8 holds the ten computed vectors of domain.md §8.
func TestWorkdaysDomain8(t *testing.T) {
	t.Parallel()
	c := New(notices(t))
	for _, tc := range []struct {
		name, from string
		add        int
		want       string
	}{
		{"next day is a make-up Saturday", "2026-02-13", 1, "2026-02-14"},
		{"across the Spring Festival", "2026-02-13", 3, "2026-02-25"},
		{"from a day off", "2026-02-16", 3, "2026-02-26"},
		{"across Labour Day", "2026-04-30", 3, "2026-05-08"},
		{"over a make-up Sunday", "2026-09-18", 5, "2026-09-24"},
		{"make-up Sunday counts", "2025-09-26", 3, "2025-09-30"},
		{"across National Day", "2025-09-30", 5, "2025-10-14"},
		{"before the Spring Festival", "2025-01-24", 5, "2025-02-07"},
		{"2018, two make-up days", "2018-09-28", 5, "2018-10-10"},
		{"from an ordinary Saturday", "2026-03-07", 1, "2026-03-09"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, provisional := c.AddWorkdays(date(t, tc.from), tc.add)
			if got.String() != tc.want || provisional {
				t.Errorf("%s + %d = %s (provisional %v), want %s", tc.from, tc.add, got, provisional, tc.want)
			}
		})
	}
}

// TestWorkdaysPerYearDomain8 counts the years: 250, 248, 248 (domain.md §8).
func TestWorkdaysPerYearDomain8(t *testing.T) {
	t.Parallel()
	c := New(notices(t))
	for year, want := range map[int]int{2018: 250, 2025: 248, 2026: 248} {
		n := 0
		for d := (hotline.Date{Year: year, Month: time.January, Day: 1}); d.Year == year; d = d.AddDays(1) {
			if worked, _ := c.IsWorkday(d); worked {
				n++
			}
		}
		if n != want {
			t.Errorf("%d has %d working days, want %d", year, n, want)
		}
	}
}

// TestProvisionalDomain8: a year without a notice is computed with weekends
// only and said to be provisional; a loaded notice moves the result.
func TestProvisionalDomain8(t *testing.T) {
	t.Parallel()
	before := New(notices(t))
	got, provisional := before.AddWorkdays(date(t, "2026-12-31"), 3)
	if got.String() != "2027-01-05" || !provisional {
		t.Errorf("without the 2027 notice: %s, provisional %v", got, provisional)
	}
	after := New(append(notices(t), hotline.YearCalendar{Year: 2027, Off: span(t, "2027-01-01", "2027-01-03"), Work: span(t, "2026-12-31", "")}))
	if got, provisional = after.AddWorkdays(date(t, "2026-12-31"), 3); got.String() != "2027-01-06" || provisional {
		t.Errorf("with the 2027 notice: %s, provisional %v", got, provisional)
	}
	for _, tc := range []struct {
		day                 string
		worked, provisional bool
	}{
		{"2026-12-25", true, false},
		{"2026-12-31", true, true}, // the 2027 notice may still change it
		{"2018-12-29", true, false},
		{"2018-12-31", false, false},
		{"2024-05-06", true, true},
		{"1970-01-01", true, true},
		{"1969-12-28", false, true},
	} {
		if worked, p := before.IsWorkday(date(t, tc.day)); worked != tc.worked || p != tc.provisional {
			t.Errorf("%s: worked %v provisional %v, want %v %v", tc.day, worked, p, tc.worked, tc.provisional)
		}
	}
}

// TestLampDomain28 checks due and yellow lamp (domain.md §2.8).
func TestLampDomain28(t *testing.T) {
	t.Parallel()
	c := New(notices(t))
	at := func(s string) time.Time {
		v, err := time.ParseInLocation(time.DateTime, s, hotline.Shanghai)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		name, start string
		amount      int
		unit        hotline.LimitUnit
		due, warn   string
		provisional bool
	}{
		{"five days: yellow with one working day left", "2026-11-23 10:00:00", 5, hotline.Workdays, "2026-12-01 00:00:00", "2026-11-28 00:00:00", false},
		{"three days: yellow at a fifth", "2026-11-23 10:00:00", 3, hotline.Workdays, "2026-11-27 00:00:00", "2026-11-26 09:36:00", false},
		{"one day", "2026-11-23 23:59:59", 1, hotline.Workdays, "2026-11-25 00:00:00", "2026-11-24 19:12:00", false},
		{"late evening UTC is the next Shanghai day", "2026-11-24 00:00:00", 1, hotline.Workdays, "2026-11-26 00:00:00", "2026-11-25 19:12:00", false},
		{"sent on a day off", "2026-02-16 09:00:00", 3, hotline.Workdays, "2026-02-27 00:00:00", "2026-02-26 09:36:00", false},
		{"hours run through the holiday", "2026-10-01 20:00:00", 24, hotline.Hours, "2026-10-02 20:00:00", "2026-10-02 15:12:00", false},
		{"minutes run through the holiday", "2026-10-01 23:50:00", 30, hotline.Minutes, "2026-10-02 00:20:00", "2026-10-02 00:14:00", false},
		{"hours are never provisional", "2030-01-01 00:00:00", 2, hotline.Hours, "2030-01-01 02:00:00", "2030-01-01 01:36:00", false},
		{"no notice yet", "2026-12-31 09:00:00", 3, hotline.Workdays, "2027-01-06 00:00:00", "2027-01-05 09:36:00", true},
		{"no amount", "2026-11-23 10:00:00", 0, hotline.Workdays, "2026-11-23 10:00:00", "2026-11-23 10:00:00", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			due, warn, provisional := c.Due(at(tc.start), hotline.Limit{Amount: tc.amount, Unit: tc.unit})
			if !due.Equal(at(tc.due)) || !warn.Equal(at(tc.warn)) || provisional != tc.provisional {
				t.Errorf("due %s, warn %s, provisional %v", due.In(hotline.Shanghai), warn.In(hotline.Shanghai), provisional)
			}
			if due.Location() != time.UTC || warn.Location() != time.UTC {
				t.Error("instants are not in UTC")
			}
		})
	}
}

func TestDayRoundTrip(t *testing.T) {
	t.Parallel()
	for d := (hotline.Date{Year: 1965, Month: time.January, Day: 1}); d.Year < 2035; d = d.AddDays(1) {
		n := dayOf(d)
		if n.date() != d || n.weekend() != (d.Weekday() == time.Saturday || d.Weekday() == time.Sunday) {
			t.Fatalf("%s became %s, weekend %v", d, n.date(), n.weekend())
		}
	}
}

func anyDate(t *rapid.T) hotline.Date {
	return day(rapid.IntRange(17_000, 21_500).Draw(t, "day")).date() // 2016 to 2028
}

func TestAddWorkdaysProperties(t *testing.T) {
	t.Parallel()
	c := New(notices(t))
	rapid.Check(t, func(t *rapid.T) {
		d := anyDate(t)
		a, b := rapid.IntRange(0, 80).Draw(t, "a"), rapid.IntRange(0, 80).Draw(t, "b")
		mid, _ := c.AddWorkdays(d, a)
		two, _ := c.AddWorkdays(mid, b)
		one, _ := c.AddWorkdays(d, a+b)
		if one != two {
			t.Fatalf("%s + %d + %d = %s, at once %s", d, a, b, two, one)
		}
		if worked, _ := c.IsWorkday(one); a+b > 0 && !worked {
			t.Fatalf("%s + %d = %s, a day off", d, a+b, one)
		}
		if back, _ := c.AddWorkdays(one, -a-b); d.Before(back) {
			t.Fatalf("%s + %d - %d = %s, later than the start", d, a+b, a+b, back)
		}
	})
}

func TestDueProperties(t *testing.T) {
	t.Parallel()
	c := New(notices(t))
	rapid.Check(t, func(t *rapid.T) {
		start := anyDate(t).Start().Add(time.Duration(rapid.Int64Range(0, 86_399).Draw(t, "second")) * time.Second)
		later := start.Add(time.Duration(rapid.Int64Range(0, 30*86_400).Draw(t, "later")) * time.Second)
		l := hotline.Limit{
			Amount: rapid.IntRange(1, 60).Draw(t, "amount"),
			Unit:   rapid.SampledFrom([]hotline.LimitUnit{hotline.Workdays, hotline.Hours, hotline.Minutes}).Draw(t, "unit"),
		}
		due, warn, _ := c.Due(start, l)
		due2, warn2, _ := c.Due(later, l)
		if due2.Before(due) || warn2.Before(warn) {
			t.Fatalf("start %s → %s/%s but start %s → %s/%s", start, due, warn, later, due2, warn2)
		}
		if !due.After(start) || !warn.Before(due) || warn.Before(start) {
			t.Fatalf("start %s, warn %s, due %s are out of order", start, warn, due)
		}
		more := l
		more.Amount++
		if due3, _, _ := c.Due(start, more); !due3.After(due) {
			t.Fatalf("%d → %s but %d → %s", l.Amount, due, more.Amount, due3)
		}
	})
}

func FuzzAddWorkdays(f *testing.F) {
	f.Add(20_497, 3)
	f.Add(0, 0)
	f.Add(-1, 1)
	f.Add(17_000, -12)
	f.Add(40_000, 500)
	c := New(notices(f))
	f.Fuzz(func(t *testing.T, n, add int) {
		n, add = n%50_000, add%1_000
		d := day(n).date()
		got, _ := c.AddWorkdays(d, add)
		switch {
		case add > 0 && !d.Before(got), add < 0 && !got.Before(d), add == 0 && got != d:
			t.Errorf("%s + %d = %s", d, add, got)
		}
	})
}

func BenchmarkAddWorkdays(b *testing.B) {
	c := New(notices(b))
	from := date(b, "2026-02-13")
	b.ReportAllocs()
	for b.Loop() {
		c.AddWorkdays(from, 10)
	}
}

func BenchmarkDue(b *testing.B) {
	c := New(notices(b))
	start := date(b, "2026-02-13").Start()
	l := hotline.Limit{Amount: 5, Unit: hotline.Workdays}
	b.ReportAllocs()
	for b.Loop() {
		c.Due(start, l)
	}
}

func BenchmarkNew(b *testing.B) {
	years := notices(b)
	b.ReportAllocs()
	for b.Loop() {
		New(years)
	}
}
