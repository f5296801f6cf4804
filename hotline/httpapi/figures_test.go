package httpapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
	"hotline12345/reports/stats"
)

// life lets orders come and go for nine days, the last of which is day, two
// hours a step, and returns what was accepted and answered on the spot that
// day.
func (r *rig) life(t *testing.T, rnd *rand.Rand, day hotline.Date) (accepted, direct int64) {
	t.Helper()
	ctx := t.Context()
	agent, unit, caller := r.people["agent"], map[hotline.UnitCode]hotline.Principal{"CGJ": r.people["cgj"], "JYTYJ": r.people["jytyj"]}, r.people["callback"]
	var open []*hotline.WorkOrder
	step := func(o *hotline.WorkOrder) (*hotline.WorkOrder, error) {
		lead, _ := o.Lead()
		switch o.State {
		case hotline.PendingDispatch:
			to := []hotline.UnitCode{"CGJ", "JYTYJ"}[rnd.IntN(2)]
			return r.orders.Dispatch(ctx, hotline.System, o.ID, o.Version, hotline.Plan{Lead: to, Reason: hotline.Reason{Kind: "rule", Rule: "test", Text: "按派单目录"}})
		case hotline.Dispatched:
			return r.orders.Sign(ctx, unit[lead.Unit], o.ID, o.Version)
		case hotline.Signed:
			return r.orders.Reply(ctx, unit[lead.Unit], o.ID, o.Version, workorder.ReplyInput{Text: "已办理，情况如实", Solved: hotline.SolvedYes})
		default:
			return r.orders.Callback(ctx, caller, o.ID, o.Version, workorder.CallbackInput{Reached: rnd.IntN(3) > 0, Satisfaction: 1 + rnd.IntN(5), Solved: hotline.SolvedYes})
		}
	}
	for at := day.AddDays(-8).Start(); at.Before(day.End().Add(6 * time.Hour)); at = at.Add(2 * time.Hour) {
		for range 1 + rnd.IntN(3) {
			r.clock.Set(at.Add(time.Duration(rnd.Int64N(int64(time.Hour)))))
			in := workorder.Submission{
				Source: []hotline.SourceCode{"01", "02"}[rnd.IntN(2)], Type: []hotline.DemandType{hotline.Consult, hotline.Complaint, hotline.Suggest}[rnd.IntN(3)],
				Category: []hotline.CategoryCode{"010203", "010204", "0501"}[rnd.IntN(3)], Area: []hotline.AreaCode{"341802001", "341822001", "341822"}[rnd.IntN(3)],
				Title: "联系 139 8765 4321 处理噪声", Content: "市民反映的情况。", CallerPhone: hotline.Phone(fmt.Sprintf("138%08d", rnd.IntN(1000))),
			}
			if in.Type == hotline.Consult {
				in.DirectAnswer, in.Solved = "已当场答复", hotline.SolvedExplained
			}
			o := ok[*hotline.WorkOrder](t)(r.orders.Submit(ctx, agent, in))
			if hotline.DateOf(o.AcceptedAt) == day {
				accepted++
				if o.State == hotline.DirectClosed {
					direct++
				}
			}
			if !o.State.Done() {
				open = append(open, o)
			}
		}
		r.clock.Set(at.Add(time.Hour + time.Duration(rnd.Int64N(int64(time.Hour)))))
		var still []*hotline.WorkOrder
		for _, o := range open {
			if rnd.IntN(5) == 0 {
				next, err := step(o)
				if err != nil && hotline.ErrorCode(err) != hotline.Invalid { // not reached wants no rating
					t.Fatal(err)
				}
				if err == nil {
					o = next
				}
			}
			if !o.State.Done() {
				still = append(still, o)
			}
		}
		open = still
	}
	return accepted, direct
}

// traffic reports calls around the day and returns how many arrived in it and
// were answered.
func (r *rig) traffic(t *testing.T, rnd *rand.Rand, day hotline.Date) (offered, answered int64) {
	t.Helper()
	for i := range 120 {
		at := day.Start().Add(-3 * time.Hour).Add(time.Duration(rnd.Int64N(int64(30 * time.Hour))))
		id, wait := hotline.CallID(fmt.Sprintf("c%d", i)), time.Duration(1+rnd.IntN(40))*time.Second
		facts := []hotline.CallFact{{Kind: hotline.CallArrived, At: at, Caller: "+8613812340000", Original: "12345"}}
		end := hotline.CallFact{Kind: hotline.CallEnded, At: at.Add(wait), EndedBy: "caller"}
		switch rnd.IntN(5) {
		case 0: // gone in the greeting
			end.Reason = hotline.EndNotOffered
		case 1: // gone in the queue
			facts = append(facts, hotline.CallFact{Kind: hotline.CallQueued, At: at})
			end.Reason = hotline.EndAbandoned
		default:
			facts = append(facts, hotline.CallFact{Kind: hotline.CallQueued, At: at},
				hotline.CallFact{Kind: hotline.CallAnswered, At: at.Add(wait), Agent: r.people["agent"].ID, Extension: "1001"})
			end.At, end.Reason = at.Add(wait+90*time.Second), hotline.EndNormal
		}
		if hotline.DateOf(at) == day {
			offered++
			if end.Reason == hotline.EndNormal {
				answered++
			}
		}
		facts = append(facts, end)
		for n := range facts {
			facts[n].CallID, facts[n].Seq = id, n+1
			r.calls.Report(facts[n])
		}
	}
	r.report(t)
	return offered, answered
}

// TestEveryFigureEqualsItsList makes a daily summary of days of work and asks,
// over HTTP, each list a figure links to for its total.
func TestEveryFigureEqualsItsList(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	day := hotline.Date{Year: 2026, Month: 11, Day: 22}
	accepted, direct := r.life(t, rnd, day)
	offered, answered := r.traffic(t, rnd, day)
	r.clock.Set(day.End().Add(450 * time.Minute))

	leader := r.as(t, "leader")
	issue := get[hotline.Issue](leader, "POST", "/api/v1/reports/daily", map[string]string{"date": day.String()})
	again := get[hotline.Issue](leader, "GET", fmt.Sprintf("/api/v1/reports/%d", issue.ID), nil)
	var d stats.Daily
	if err := json.Unmarshal(again.Figures, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Figures) != len(stats.Registry()) || !issue.Final {
		t.Fatalf("%d figures of %d, final %v", len(d.Figures), len(stats.Registry()), issue.Final)
	}
	for key, want := range map[stats.Key]int64{stats.OrdersAccepted: accepted, stats.OrdersDirect: direct, stats.CallsOffered: offered, stats.CallsAnswered: answered} {
		if got := d.Figure(key).Num; got != want || got == 0 {
			t.Errorf("%s is %d, counted while making %d", key, got, want)
		}
	}

	asked := 0
	total := func(what, link string, want int64) {
		asked++
		res := leader.do("GET", "/api/v1"+link+"&total=1&limit=1", nil)
		var l struct{ Total *int64 }
		if err := json.Unmarshal(res.body, &l); res.StatusCode != http.StatusOK || err != nil || l.Total == nil {
			t.Errorf("%s: %s: %d %s", what, link, res.StatusCode, res.body)
		} else if *l.Total != want {
			t.Errorf("%s is %d, its list %s has %d", what, want, link, *l.Total)
		}
	}
	for _, f := range d.Figures {
		if f.Kind != stats.Duration {
			total(string(f.Key), f.Link, f.Num)
		}
		if f.Kind != stats.Count && f.Key != stats.AnswerRateNet { // no list leaves short calls out
			total(string(f.Key)+" base", f.BaseLink, f.Den)
		}
		if f.Num == 0 || f.Kind != stats.Count && f.Den == 0 {
			t.Errorf("%s is %d of %d: the sample is too thin to test it", f.Key, f.Num, f.Den)
		}
	}
	for name, rows := range map[string][]stats.Row{"sources": d.Sources, "types": d.Types, "counties": d.Counties, "units": d.Units, "categories": d.Categories} {
		if len(rows) < 2 {
			t.Errorf("%s has %d rows", name, len(rows))
		}
		sum := int64(0)
		for _, row := range rows {
			total(name+" "+row.Code, row.Link, row.Count)
			sum += row.Count
		}
		if name != "units" && sum != accepted {
			t.Errorf("%s sum to %d of %d", name, sum, accepted)
		}
	}
	hours := int64(0)
	for _, h := range d.Hours {
		total("hour "+h.From.String(), h.Link, h.Offered)
		hours += h.Offered
	}
	if hours != offered || len(d.Hours) != 24 {
		t.Errorf("%d hours sum to %d of %d", len(d.Hours), hours, offered)
	}
	if int64(len(d.Overdue)) != d.Figure(stats.OrdersOverdue).Num {
		t.Errorf("%d overdue orders listed of %d", len(d.Overdue), d.Figure(stats.OrdersOverdue).Num)
	}
	for _, o := range d.Overdue {
		if view := get[OrderView](leader, "GET", "/api/v1"+o.Link, nil); view.Number != o.Number {
			t.Errorf("%s leads to %s, want %s", o.Link, view.Number, o.Number)
		}
		if strings.Contains(o.Title, "8765") {
			t.Errorf("title shows a number: %s", o.Title)
		}
	}
	page := leader.do("GET", fmt.Sprintf("/api/v1/reports/%d/html", issue.ID), nil)
	if s := string(page.body); page.StatusCode != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || strings.Contains(s, "8765") || !strings.Contains(s, issue.Number) {
		t.Errorf("page: %d %s", page.StatusCode, page.Header.Get("Content-Type"))
	}
	t.Logf("%d lists asked; %d orders accepted, %d calls offered that day", asked, accepted, offered)
}
