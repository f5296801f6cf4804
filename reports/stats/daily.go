package stats

import (
	"context"
	"fmt"
	"time"

	"hotline12345/hotline"
)

// DemandTypes are the demand types in the order of print (诉求类型, domain.md
// §2.4).
var DemandTypes = []struct {
	Code hotline.DemandType
	Name string
}{
	{hotline.Consult, "咨询"}, {hotline.Help, "求助"}, {hotline.Complaint, "投诉"}, {hotline.Report, "举报"},
	{hotline.Suggest, "建议"}, {hotline.Praise, "表扬"}, {hotline.Other, "其他"},
}

// MakeDaily reads the figures of a day. q is a transaction that sees one
// snapshot, so that all figures agree with each other and with Pos.
func MakeDaily(ctx context.Context, q Querier, d *hotline.Directory, day hotline.Date, now time.Time) (*Daily, error) {
	w := DayWindow(day)
	out := &Daily{Day: day, From: w.From, To: w.To, MadeAt: now, Final: !now.Before(w.To), City: d.City.Name}
	var err error
	if out.Pos, err = readPos(ctx, q); err != nil {
		return nil, err
	}
	calls, err := readCalls(ctx, q, w)
	if err != nil {
		return nil, err
	}
	if out.Hours, err = readHours(ctx, q, w); err != nil {
		return nil, err
	}
	handling, err := readHandling(ctx, q, w)
	if err != nil {
		return nil, err
	}
	accepted, err := readAccepted(ctx, q, w)
	if err != nil {
		return nil, err
	}
	before, week := DayWindow(day.AddDays(-1)), DayWindow(day.AddDays(-7))
	acceptedBefore, err := readAccepted(ctx, q, before)
	if err != nil {
		return nil, err
	}
	acceptedWeek, err := readAccepted(ctx, q, week)
	if err != nil {
		return nil, err
	}
	overdueAt := link("/orders", "overdue_at", instant(w.To))
	f := figures{}
	f.count(CallsOffered, calls.offered, w.calls())
	f.count(CallsAnswered, calls.answered, w.calls("answered", "true"))
	f.count(CallsAbandoned, calls.abandoned, w.calls("end_reason", hotline.EndAbandoned))
	f.of(AnswerRate, calls.answered, calls.offered, w.calls("answered", "true"), w.calls())
	f.of(AnswerRateNet, calls.answered, calls.offered-calls.brief, w.calls("answered", "true"), "")
	f.of(AnswerRate15, calls.quick, calls.answered, w.calls("answered_within", "15"), w.calls("answered", "true"))
	f.of(MeanWait, calls.waitSeconds, calls.answered, "", w.calls("answered", "true"))
	f.of(MeanTalk, calls.talkSeconds, calls.answered, "", w.calls("answered", "true"))
	f.count(OrdersAccepted, accepted.all, w.accepted())
	f.count(OrdersDayBefore, acceptedBefore.all, before.accepted())
	f.count(OrdersWeekBefore, acceptedWeek.all, week.accepted())
	f.of(OrdersDirect, accepted.direct, accepted.all, w.accepted("direct", "true"), w.accepted())
	f.of(OrdersPassedOn, accepted.all-accepted.direct, accepted.all, w.accepted("direct", "false"), w.accepted())
	f.count(OrdersDue, handling.due, w.due())
	f.of(OnTimeRate, handling.onTime, handling.due, w.due("on_time", "true"), w.due())
	f.count(OrdersOverdue, handling.overdue, overdueAt)
	f.count(OrdersClosed, handling.closed, w.closed())
	f.of(SatisfiedRate, handling.satisfied, handling.rated, w.closed("satisfaction", "1,2,3"), w.closed("satisfaction", "1,2,3,4,5"))
	f.count(OrdersUnrated, handling.closed-handling.rated, w.closed("satisfaction", "0"))
	if out.Figures, err = f.ordered(); err != nil {
		return nil, err
	}
	if err := out.breakdowns(ctx, q, d, w); err != nil {
		return nil, err
	}
	if out.Overdue, err = readOverdue(ctx, q, d, w.To); err != nil {
		return nil, err
	}
	return out, nil
}

// figures collects the numbers of the registry.
type figures map[Key]Figure

func (f figures) count(k Key, n int64, link string) { f[k] = Figure{Num: n, Link: link} }

func (f figures) of(k Key, num, den int64, link, base string) {
	f[k] = Figure{Num: num, Den: den, Link: link, BaseLink: base}
}

// ordered returns the figures as the registry lists them.
func (f figures) ordered() ([]Figure, error) {
	out := make([]Figure, 0, len(registry))
	for _, d := range registry {
		v, ok := f[d.Key]
		if !ok {
			return nil, fmt.Errorf("figure %s has a definition and no value", d.Key)
		}
		v.Key, v.Kind, v.Name, v.Formula, v.Source = d.Key, d.Kind, d.Name, d.Formula, d.Source
		out = append(out, v)
	}
	return out, nil
}

func (out *Daily) breakdowns(ctx context.Context, q Querier, d *hotline.Directory, w Window) error {
	sources, err := readParts(ctx, q, sqlBySource, w, 100)
	if err != nil {
		return err
	}
	out.Sources = rows(sources, w, "source", func(code string) string {
		s, _ := d.Source(hotline.SourceCode(code))
		return s.Name
	})
	types, err := readParts(ctx, q, sqlByType, w, 100)
	if err != nil {
		return err
	}
	out.Types = rows(inPrintOrder(types), w, "type", typeName)
	counties, err := readParts(ctx, q, sqlByCounty, w, 100)
	if err != nil {
		return err
	}
	out.Counties = rows(counties, w, "area", func(code string) string { return d.AreaName(hotline.AreaCode(code)) })
	units, err := readParts(ctx, q, sqlByUnit, w, 2000)
	if err != nil {
		return err
	}
	out.Units = rows(units, w, "lead", func(code string) string { return d.UnitName(hotline.UnitCode(code)) })
	categories, err := readParts(ctx, q, sqlByCategory, w, 5)
	if err != nil {
		return err
	}
	out.Categories = rows(categories, w, "category", func(code string) string { return d.CategoryName(hotline.CategoryCode(code)) })
	return nil
}

// rows names the parts and links each to its list; a code without a name
// shows itself.
func rows(parts []part, w Window, param string, name func(code string) string) []Row {
	out := make([]Row, len(parts))
	for i, p := range parts {
		n := name(p.code)
		if n == "" {
			n = p.code
		}
		out[i] = Row{Code: p.code, Name: n, Count: p.count, Link: w.accepted(param, p.code)}
	}
	return out
}

func typeName(code string) string {
	for _, t := range DemandTypes {
		if string(t.Code) == code {
			return t.Name
		}
	}
	return ""
}

// inPrintOrder lists all demand types, those without orders with zero.
func inPrintOrder(parts []part) []part {
	n := map[string]int64{}
	for _, p := range parts {
		n[p.code] = p.count
	}
	out := make([]part, len(DemandTypes))
	for i, t := range DemandTypes {
		out[i] = part{string(t.Code), n[string(t.Code)]}
	}
	return out
}
