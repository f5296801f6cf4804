package httpapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"hotline12345/hotline"
)

// params reads query members and collects the first fault.
type params struct{ err error }

func (p *params) fail(field, format string, args ...any) {
	if p.err == nil {
		p.err = hotline.FieldErrorf(field, format, args...)
	}
}

// instant reads an instant or a Shanghai day; of a day that ends a span, its
// end.
func (p *params) instant(field, s string, end bool) time.Time {
	if s == "" {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC()
	}
	d, err := hotline.ParseDate(s)
	if err != nil {
		p.fail(field, "时间须写作 2026-11-23 或 2026-11-23T08:00:00+08:00 的样式")
		return time.Time{}
	}
	if end {
		return d.End()
	}
	return d.Start()
}

func (p *params) number(field, s string) int64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		p.fail(field, "须为数字")
	}
	return n
}

// truth reads "1", "true", "0", "false"; nil when not given.
func (p *params) truth(field, s string) *bool {
	switch s {
	case "":
		return nil
	case "1", "true":
		return new(true)
	case "0", "false":
		return new(false)
	}
	p.fail(field, "须为 true 或 false")
	return nil
}

func (p *params) yes(field, s string) bool {
	b := p.truth(field, s)
	return b != nil && *b
}

// list splits at commas; no empty members.
func list(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(one string) bool { return strings.TrimSpace(one) == "" })
}

// orderID reads an id of a path; one that is no number names no order.
func orderID(s string) (hotline.OrderID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, hotline.Errorf(hotline.NotFound, "没有这张工单")
	}
	return hotline.OrderID(n), nil
}
