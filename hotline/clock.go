package hotline

import "time"

// Clock tells the time. Every room takes one; only cmd and tests make one.
// Implementations are safe for concurrent use and return UTC.
type Clock interface {
	Now() time.Time
}

// ClockFunc makes a Clock of a function.
type ClockFunc func() time.Time

// Now calls the function and returns its instant in UTC.
func (f ClockFunc) Now() time.Time { return f().UTC() }

// Shanghai is the zone of all office hours, report days and printed instants
// (GB/T 7408: UTC+8, no summer time since 1992). It is fixed so that no zone
// file is needed; instants before 1992 are not ours.
var Shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// Date is a calendar day in Asia/Shanghai, written "2026-11-23". The zero
// value is no day. Comparable; order with Before.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the Shanghai day that contains t.
func DateOf(t time.Time) Date {
	y, m, d := t.In(Shanghai).Date()
	return Date{y, m, d}
}

// ParseDate reads "2026-11-23". Errors: Invalid.
func ParseDate(s string) (Date, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, Shanghai)
	if err != nil {
		return Date{}, &Error{Code: Invalid, Message: "日期须写作 2026-11-23 的样式", Err: err}
	}
	return DateOf(t), nil
}

// Start returns the instant the day begins in Asia/Shanghai, in UTC.
func (d Date) Start() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, Shanghai).UTC()
}

// End returns the instant the day ends (24:00), which is the next day's Start.
func (d Date) End() time.Time { return d.AddDays(1).Start() }

// AddDays returns the day n calendar days later (earlier when n < 0).
func (d Date) AddDays(n int) Date {
	t := time.Date(d.Year, d.Month, d.Day+n, 12, 0, 0, 0, time.UTC)
	return Date{t.Year(), t.Month(), t.Day()}
}

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday {
	return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC).Weekday()
}

// Before tells whether d is an earlier day than e.
func (d Date) Before(e Date) bool {
	if d.Year != e.Year {
		return d.Year < e.Year
	}
	if d.Month != e.Month {
		return d.Month < e.Month
	}
	return d.Day < e.Day
}

// IsZero tells whether d is no day.
func (d Date) IsZero() bool { return d == Date{} }

// String writes the day as "2026-11-23".
func (d Date) String() string {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// MarshalText writes the day as "2026-11-23"; the zero day as "".
func (d Date) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText wrote. Errors: Invalid.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	v, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}
