// Package stats owns the numbers: each figure of the reports with its name,
// formula, base, source and the console list whose total must equal it, and
// the SQL that reads them from v_order_figures and v_call_figures. reports
// calls it with a transaction; it writes nothing and starts no goroutine. It
// may import hotline and hotline/pg.
package stats

import (
	"net/url"
	"time"

	"hotline12345/hotline"
)

// Kind says how a figure is read.
type Kind string

// The kinds.
const (
	Count    Kind = "count"    // Num things
	Rate     Kind = "rate"     // Num of Den
	Duration Kind = "duration" // Num seconds over Den things: a mean
)

// Key names a figure for ever: in stored issues, golden files and links.
type Key string

// Definition says what a figure is. The registry below is the only list.
type Definition struct {
	Key     Key
	Kind    Kind
	Name    string // in Chinese, as printed
	Formula string // in Chinese, printed in the notes
	Source  string // the view it is counted in
}

// The figures of the daily summary (domain.md §7.1 items 1 to 3; formulas
// §7.6).
const (
	CallsOffered     Key = "calls_offered"
	CallsAnswered    Key = "calls_answered"
	CallsAbandoned   Key = "calls_abandoned"
	AnswerRate       Key = "answer_rate"
	AnswerRateNet    Key = "answer_rate_net"
	AnswerRate15     Key = "answer_rate_15s"
	MeanWait         Key = "mean_wait"
	MeanTalk         Key = "mean_talk"
	OrdersAccepted   Key = "orders_accepted"
	OrdersDayBefore  Key = "orders_day_before"
	OrdersWeekBefore Key = "orders_week_before"
	OrdersDirect     Key = "orders_direct"
	OrdersPassedOn   Key = "orders_passed_on"
	OrdersDue        Key = "orders_due"
	OnTimeRate       Key = "on_time_rate"
	OrdersOverdue    Key = "orders_overdue"
	OrdersClosed     Key = "orders_closed"
	SatisfiedRate    Key = "satisfied_rate"
	OrdersUnrated    Key = "orders_unrated"
)

const (
	callView  = "v_call_figures"
	orderView = "v_order_figures"
)

var registry = []Definition{
	{CallsOffered, Count, "呼入量", "统计时段内到达的来电数", callView},
	{CallsAnswered, Count, "人工接通量", "统计时段内到达且由话务员接通的来电数", callView},
	{CallsAbandoned, Count, "放弃量", "排队中、接通前由来电人挂断的来电数", callView},
	{AnswerRate, Rate, "接通率", "人工接通量 ÷ 呼入量", callView},
	{AnswerRateNet, Rate, "接通率（剔除 5 秒内挂断）", "人工接通量 ÷（呼入量 − 到达后 5 秒内来电人自行挂断的来电数）", callView},
	{AnswerRate15, Rate, "15 秒接通率", "进入排队后 15 秒内接通的来电数 ÷ 人工接通量", callView},
	{MeanWait, Duration, "平均等待", "接通来电自进入排队至接通的平均时长", callView},
	{MeanTalk, Duration, "平均通话", "接通来电自接通至结束的平均时长", callView},
	{OrdersAccepted, Count, "受理总量", "统计时段内受理登记的工单数", orderView},
	{OrdersDayBefore, Count, "前一日受理量", "前一日受理登记的工单数", orderView},
	{OrdersWeekBefore, Count, "上周同日受理量", "七日前受理登记的工单数", orderView},
	{OrdersDirect, Rate, "直办率", "当场答复办结的工单数 ÷ 受理总量", orderView},
	{OrdersPassedOn, Rate, "转办率", "交承办单位办理（含待派）的工单数 ÷ 受理总量", orderView},
	{OrdersDue, Count, "应办结量", "办理时限在统计时段内届满的工单数", orderView},
	{OnTimeRate, Rate, "按时办结率", "办理时限届满前已答复的工单数 ÷ 应办结量", orderView},
	{OrdersOverdue, Count, "逾期未办结量", "截至统计时段末，办理时限已过而尚未答复的工单数", orderView},
	{OrdersClosed, Count, "办结量", "统计时段内办结的工单数（含直办）", orderView},
	{SatisfiedRate, Rate, "满意率", "评价为非常满意、满意、基本满意的工单数 ÷ 统计时段内办结且已评价的工单数", orderView},
	{OrdersUnrated, Count, "未评价量", "统计时段内办结而未评价的工单数", orderView},
}

// Registry returns every figure's definition, in the order of print. The
// caller does not change it.
func Registry() []Definition { return registry }

// Figure is a number with the lists that produce it. Links are paths of the
// console; behind /api/v1 they are the queries of the lists.
type Figure struct {
	Key      Key    `json:"key"`
	Kind     Kind   `json:"kind"`
	Name     string `json:"name"`
	Formula  string `json:"formula"`
	Source   string `json:"source"`
	Num      int64  `json:"num"`
	Den      int64  `json:"den"`       // zero for counts
	Link     string `json:"link"`      // its total is Num; "" when no list counts it
	BaseLink string `json:"base_link"` // its total is Den; "" when no list counts it
}

// Row is one part of a breakdown.
type Row struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Link  string `json:"link"` // its total is Count
}

// Hour is the calls that arrived in one clock hour.
type Hour struct {
	From     time.Time `json:"from"`
	Offered  int64     `json:"offered"`
	Answered int64     `json:"answered"`
	Link     string    `json:"link"` // its total is Offered
}

// OverdueOrder is a line of the overdue list (逾期清单).
type OverdueOrder struct {
	ID     hotline.OrderID `json:"order_id"`
	Number string          `json:"number"`
	Title  string          `json:"title"` // digit runs masked
	Unit   string          `json:"unit"`  // the lead's short name
	DueAt  time.Time       `json:"due_at"`
	Hours  int64           `json:"hours_over"` // whole hours past the limit at the window's end
	Link   string          `json:"link"`
}

// MaxOverdue is how many overdue orders a daily summary lists; the figure
// OrdersOverdue has them all.
const MaxOverdue = 200

// Daily is everything in a daily summary (每日汇总), ready to print and to
// store.
type Daily struct {
	Day        hotline.Date   `json:"day"`
	From       time.Time      `json:"from"`
	To         time.Time      `json:"to"` // exclusive
	MadeAt     time.Time      `json:"made_at"`
	Final      bool           `json:"final"` // the day was over when it was made
	Pos        int64          `json:"as_of_pos"`
	City       string         `json:"city"`
	Figures    []Figure       `json:"figures"`
	Hours      []Hour         `json:"hours"` // the 24 of the day
	Sources    []Row          `json:"sources"`
	Types      []Row          `json:"types"`
	Counties   []Row          `json:"counties"`
	Units      []Row          `json:"units"`      // lead units of the accepted orders, most first
	Categories []Row          `json:"categories"` // five leaves with most orders
	Overdue    []OverdueOrder `json:"overdue"`    // longest over first, MaxOverdue at most
}

// Figure returns the figure with the key; the zero Figure when there is none.
func (d *Daily) Figure(k Key) Figure {
	for _, f := range d.Figures {
		if f.Key == k {
			return f
		}
	}
	return Figure{}
}

// Window is a span of time, To exclusive.
type Window struct{ From, To time.Time }

// DayWindow is 00:00 to 24:00 of the day in Asia/Shanghai.
func DayWindow(d hotline.Date) Window { return Window{d.Start(), d.End()} }

// instant writes t as the lists take it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// link makes a list's address of alternating names and values.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}

func (w Window) calls(more ...string) string {
	return link("/calls", append([]string{"from", instant(w.From), "to", instant(w.To)}, more...)...)
}

func (w Window) accepted(more ...string) string {
	return link("/orders", append([]string{"accepted_from", instant(w.From), "accepted_to", instant(w.To)}, more...)...)
}

func (w Window) closed(more ...string) string {
	return link("/orders", append([]string{"closed_from", instant(w.From), "closed_to", instant(w.To)}, more...)...)
}

func (w Window) due(more ...string) string {
	return link("/orders", append([]string{"resolve_due_from", instant(w.From), "resolve_due_to", instant(w.To)}, more...)...)
}
