package workorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
)

func kinds(events []hotline.Event) []string {
	var k []string
	for _, e := range events {
		k = append(k, string(e.Kind))
	}
	return k
}

// TestDemandFromSubmissionToClose walks the usual way of an order and reads
// every clock and list on it.
func TestDemandFromSubmissionToClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	o := w.submit(t, func(in *Submission) { in.CallID = "20261123-1a2b3c4d5e6f" })
	if o.State != hotline.PendingDispatch || o.Version != 1 || o.Urgency != hotline.Urgent || o.Confidentiality != hotline.Open ||
		o.CallerLast4 != "5678" || o.AgentID != agent.ID || o.Number != o.ID.Number() || len(o.Deadlines) != 1 {
		t.Errorf("submitted %+v", o)
	}
	if _, err := w.Order(ctx, township, o.ID); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("a unit saw an order it has no part in: %v", err)
	}
	if err := w.MarkUnmatched(ctx, o.ID, 1, hotline.Reason{Text: "没有匹配的规则"}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "unmatched twice", w.MarkUnmatched(ctx, o.ID, 2, hotline.Reason{}), hotline.Conflict)
	w.clock.Add(25 * time.Hour) // the dispatch limit is 24 hours
	o = must(w.Dispatch(ctx, dispatcher, o.ID, 2, hotline.Plan{Lead: "341802001", CoUnits: []hotline.UnitCode{"JYTYJ"}, Reason: hotline.Reason{Text: "属地管理"}}))(t)
	if lead, ok := o.Lead(); !ok || lead.Unit != "341802001" || lead.Reason.Kind != "manual" || o.State != hotline.Dispatched {
		t.Errorf("dispatched %+v", o)
	}
	if d := o.Deadlines[0]; d.Outcome != clockBreached || !d.StoppedAt.Equal(w.clock.Now()) {
		t.Errorf("dispatch clock %+v, want breached", d)
	}
	w.clock.Add(time.Hour)
	o = must(w.Sign(ctx, department, o.ID, o.Version))(t) // the co-unit first
	if o.State != hotline.Dispatched || o.Assignments[1].SignedAt == nil {
		t.Errorf("co-unit signed: %+v", o)
	}
	_, err := w.Sign(ctx, department, o.ID, o.Version)
	wantCode(t, "co-unit signs twice", err, hotline.Conflict)
	o = must(w.Sign(ctx, county, o.ID, o.Version))(t) // the county may act for its township
	if o.State != hotline.Signed {
		t.Errorf("lead signed: %+v", o)
	}
	in := ReplyInput{Text: "已责令停止夜间施工", Solved: hotline.SolvedYes, ContactedAt: new(w.clock.Now())}
	_, err = w.Reply(ctx, department, o.ID, o.Version, in)
	wantCode(t, "co-unit replies", err, hotline.Conflict)
	w.clock.Add(20 * time.Hour) // past the contact limit, which was met before
	o = must(w.Reply(ctx, township, o.ID, o.Version, in))(t)
	if o.State != hotline.PendingCallback || o.Answer != in.Text || o.RepliedAt == nil || o.Assignments[1].EndedAt == nil {
		t.Errorf("replied %+v", o)
	}
	o = must(w.Callback(ctx, caller, o.ID, o.Version, CallbackInput{Reached: true, Satisfaction: 2, Solved: hotline.SolvedPartly, Note: "市民认可"}))(t)
	if o.State != hotline.Closed || o.Outcome != OutcomeSatisfied || o.Satisfaction != 2 || o.Solved != hotline.SolvedPartly || o.ClosedAt == nil {
		t.Errorf("closed %+v", o)
	}
	var outcomes []string
	for _, d := range o.Deadlines {
		outcomes = append(outcomes, string(d.Kind)+" "+d.Outcome)
	}
	if want := []string{"dispatch breached", "sign met", "contact met", "resolve met", "callback met"}; !slices.Equal(outcomes, want) {
		t.Errorf("clocks %v, want %v", outcomes, want)
	}
	all, err := w.Timeline(ctx, agent, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(all), []string{"submitted", "unmatched", "dispatched", "signed", "signed", "replied", "callback_done", "closed"}; !slices.Equal(got, want) {
		t.Errorf("timeline %v, want %v", got, want)
	}
	seen, err := w.Timeline(ctx, department, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(seen), []string{"submitted", "dispatched", "signed", "signed", "replied", "closed"}; !slices.Equal(got, want) {
		t.Errorf("a unit's timeline %v, want %v", got, want)
	}
	if page, err := w.List(ctx, leader, Query{CallID: "20261123-1a2b3c4d5e6f"}); err != nil || len(page.Orders) != 1 {
		t.Errorf("orders of the call: %v, %v", page, err)
	}
}

func TestNumbersCountPerShanghaiDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		at   time.Time
		want hotline.OrderID
	}{
		{time.Date(2026, 11, 23, 15, 59, 59, 0, time.UTC), 202611230000001},
		{time.Date(2026, 11, 23, 15, 59, 59, 0, time.UTC), 202611230000002},
		{time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC), 202611240000001},
	} {
		w.clock.Set(c.at)
		if o := w.submit(t, nil); o.ID != c.want {
			t.Errorf("at %v got %d, want %d", c.at, o.ID, c.want)
		}
	}
}

// TestDirectAnswerClosesAtOnce is domain.md §2.3, answer_now.
func TestDirectAnswerClosesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.submit(t, func(in *Submission) { in.Type, in.DirectAnswer = hotline.Consult, "户籍窗口周六上午开放" })
	if o.State != hotline.DirectClosed || o.Outcome != OutcomeDirect || len(o.Deadlines) != 0 || o.Solved != hotline.SolvedExplained || o.ClosedAt == nil || o.Version != 2 {
		t.Errorf("direct answer %+v", o)
	}
	in := submission()
	in.DirectAnswer = "请等待"
	_, err := w.Submit(t.Context(), agent, in)
	if !slices.Equal(fields(err), []string{"solved"}) {
		t.Errorf("an unsolved complaint closed on the spot: %v", err)
	}
	in.Solved = hotline.SolvedYes
	if _, err := w.Submit(t.Context(), agent, in); err != nil {
		t.Errorf("a complaint solved by the talk: %v", err)
	}
	_, err = w.Dispatch(t.Context(), hotline.System, o.ID, o.Version, plan("JYTYJ"))
	wantCode(t, "dispatch of a closed order", err, hotline.Conflict)
}

// TestNoCallback is domain.md §2.3, audit_ok: praise and callers without a
// number are not called back.
func TestNoCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*Submission){
		"praise":    func(in *Submission) { in.Type = hotline.Praise },
		"no number": func(in *Submission) { in.CallerPhone, in.CallerName = "anonymous", "" },
		"only name": func(in *Submission) { in.CallerPhone = "" },
	} {
		o := w.replied(t, change)
		if o.State != hotline.Closed || o.Outcome != OutcomeNoCallback || o.Satisfaction != 0 {
			t.Errorf("%s: %+v", name, o)
		}
		events, err := w.Timeline(t.Context(), agent, o.ID)
		if err != nil || events[len(events)-1].Actor != 0 {
			t.Errorf("%s: closed by %+v, %v; want the system", name, events, err)
		}
	}
}

// TestThreeFailedCallbacksOnTwoDaysCloseUnreached is domain.md §2.2, state 51:
// a caller is tried three times at least, on two days at least.
func TestThreeFailedCallbacksOnTwoDaysCloseUnreached(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		tries []time.Time
	}{
		{"third on the second day", []time.Time{midnight.Add(-2 * time.Hour), midnight.Add(-time.Hour), midnight}},
		{"second day from the second on", []time.Time{midnight.Add(-time.Microsecond), midnight, midnight.Add(time.Hour)}},
		{"four of one day do not count", []time.Time{midnight.Add(-4 * time.Hour), midnight.Add(-3 * time.Hour), midnight.Add(-2 * time.Hour), midnight.Add(-time.Hour), midnight}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.replied(t, nil)
			for i, at := range c.tries {
				if o.State != hotline.PendingCallback {
					t.Fatalf("before try %d: %s", i+1, o.State)
				}
				w.clock.Set(at)
				o = must(w.Callback(t.Context(), caller, o.ID, o.Version, CallbackInput{Note: "无人接听"}))(t)
				if o.CallbackTries != i+1 {
					t.Errorf("tries %d, want %d", o.CallbackTries, i+1)
				}
			}
			if o.State != hotline.Closed || o.Outcome != OutcomeUnreached || o.Satisfaction != 0 {
				t.Errorf("after the last try %+v", o)
			}
		})
	}
}

func TestSubmitNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		change func(*Submission)
		want   []string
	}{
		{"empty", func(in *Submission) { *in = Submission{} }, []string{"source", "demand_type", "category_code", "area_code", "title", "content"}},
		{"not a leaf", func(in *Submission) { in.Category = "0102" }, []string{"category_code"}},
		{"long title", func(in *Submission) { in.Title = strings.Repeat("长", 51) }, []string{"title"}},
		{"long content", func(in *Submission) { in.Content = strings.Repeat("长", 2001) }, []string{"content"}},
		{"only spaces", func(in *Submission) { in.Title = " \t\n " }, []string{"title"}},
		{"urgency", func(in *Submission) { in.Urgency = 9 }, []string{"urgency"}},
		{"confidentiality", func(in *Submission) { in.Confidentiality = "secret" }, []string{"confidentiality"}},
		{"anonymous with a name", func(in *Submission) { in.Confidentiality = hotline.Anonymous }, []string{"caller_name"}},
		{"number in content", func(in *Submission) { in.Content = "请回电 138-1234-5678 谢谢" }, []string{"content"}},
		{"full-width number in title", func(in *Submission) { in.Title = "联系１３８１２３４５６７８" }, []string{"title"}},
		{"name in a hidden order", func(in *Submission) { in.Confidentiality, in.Content = hotline.Hidden, callerName+"反映噪声" }, []string{"content"}},
		{"solved without an answer", func(in *Submission) { in.Solved = hotline.SolvedYes }, []string{"solved"}},
		{"draft", func(in *Submission) { in.DraftID = "1; drop table draft" }, []string{"draft_id"}},
	} {
		in := submission()
		c.change(&in)
		_, err := w.Submit(t.Context(), agent, in)
		if got := fields(err); !slices.Equal(got, c.want) || hotline.ErrorCode(err) != hotline.Invalid {
			t.Errorf("%s: faults %v (%v), want %v", c.name, got, err, c.want)
		}
	}
	for _, p := range []hotline.Principal{dispatcher, township, {}} {
		_, err := w.Submit(t.Context(), p, submission())
		wantCode(t, "submit by "+p.Login, err, hotline.Forbidden)
	}
	o := w.submit(t, func(in *Submission) { in.Title = "噪声\x00扰民\r\n" })
	if o.Title != "噪声扰民" {
		t.Errorf("title kept as %q", o.Title)
	}
}

// TestReportsAreHiddenUnlessAsked is domain.md §2.11.
func TestReportsAreHiddenUnlessAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if o := w.submit(t, func(in *Submission) { in.Type = hotline.Report }); o.Confidentiality != hotline.Hidden {
		t.Errorf("a report is %s", o.Confidentiality)
	}
	if o := w.submit(t, func(in *Submission) { in.Type, in.Confidentiality = hotline.Report, hotline.Open }); o.Confidentiality != hotline.Open {
		t.Errorf("a report asked to be open is %s", o.Confidentiality)
	}
}

func TestDispatchChecksThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.submit(t, nil)
	reason := hotline.Reason{Text: "属地管理"}
	for _, c := range []struct {
		name string
		plan hotline.Plan
		want []string
	}{
		{"no lead", hotline.Plan{Reason: reason}, []string{"lead"}},
		{"the office itself", hotline.Plan{Lead: "CENTER", Reason: reason}, []string{"lead"}},
		{"no reason", hotline.Plan{Lead: "JYTYJ"}, []string{"reason"}},
		{"co-unit twice", hotline.Plan{Lead: "JYTYJ", CoUnits: []hotline.UnitCode{"341802", "341802"}, Reason: reason}, []string{"co_units"}},
		{"lead as co-unit", hotline.Plan{Lead: "JYTYJ", CoUnits: []hotline.UnitCode{"JYTYJ"}, Reason: reason}, []string{"co_units"}},
		{"unknown co-unit", hotline.Plan{Lead: "JYTYJ", CoUnits: []hotline.UnitCode{"NOBODY"}, Reason: reason}, []string{"co_units"}},
	} {
		_, err := w.Dispatch(t.Context(), dispatcher, o.ID, 1, c.plan)
		if got := fields(err); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults %v (%v), want %v", c.name, got, err, c.want)
		}
	}
	_, err := w.Dispatch(t.Context(), agent, o.ID, 1, plan("JYTYJ"))
	wantCode(t, "dispatch by an agent", err, hotline.Forbidden)
	_, err = w.Dispatch(t.Context(), dispatcher, o.ID+1, 1, plan("JYTYJ"))
	wantCode(t, "dispatch of no order", err, hotline.NotFound)
	o = must(w.Dispatch(t.Context(), hotline.System, o.ID, 1, plan("JYTYJ")))(t)
	_, err = w.Dispatch(t.Context(), dispatcher, o.ID, 2, plan("341802"))
	wantCode(t, "dispatch again", err, hotline.Conflict)
}

func TestCoUnitSignsAfterTheLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.signed(t, nil)
	_, err := w.Sign(t.Context(), township, o.ID, o.Version)
	wantCode(t, "lead signs twice", err, hotline.Conflict)
	o = must(w.Sign(t.Context(), department, o.ID, o.Version))(t)
	if o.State != hotline.Signed || o.Assignments[1].SignedAt == nil {
		t.Errorf("after the co-unit signed: %+v", o)
	}
}

func TestNodesWithUnlikeClocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.dispatched(t, nil)
	sent := w.clock.Now()
	w.clock.Set(sent.Add(-3 * time.Second)) // the next command lands on a node whose clock is behind
	o = must(w.Sign(t.Context(), township, o.ID, o.Version))(t)
	if lead, _ := o.Lead(); !lead.SignedAt.Equal(sent) {
		t.Errorf("sent at %v, signed at %v", sent, lead.SignedAt)
	}
	w.clock.Set(sent.Add(-2 * time.Second))
	must(w.Reply(t.Context(), township, o.ID, o.Version, ReplyInput{Text: "已责令停止夜间施工", Solved: hotline.SolvedYes}))(t)
	if fault := w.fault(t, o.ID); fault != "" {
		t.Error(fault)
	}
}

func TestMissingLimitMeansNoClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits.set(func() { clear(w.limits.hours) })
	o := w.replied(t, nil)
	if len(o.Deadlines) != 0 {
		t.Errorf("clocks without a limit: %+v", o.Deadlines)
	}
	if page, err := w.List(t.Context(), caller, Query{Desk: DeskCallback}); err != nil || len(page.Orders) != 1 {
		t.Errorf("an order without clocks left the desk: %v %v", page, err)
	}
}

func TestTwoSignersOneIsStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		o := w.dispatched(t, nil)
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, p := range []hotline.Principal{township, county} {
			wg.Go(func() { _, errs[i] = w.Sign(context.Background(), p, o.ID, o.Version) })
		}
		wg.Wait()
		slices.SortFunc(errs, func(a, b error) int {
			if a == nil {
				return -1
			}
			return 1
		})
		stale, ok := errors.AsType[*StaleError](errs[1])
		if errs[0] != nil || !ok {
			t.Fatalf("errors %v, want one StaleError", errs)
		}
		if hotline.ErrorCode(stale) != hotline.Conflict || stale.Current.State != hotline.Signed || !slices.Equal(kinds(stale.Since), []string{"signed"}) {
			t.Errorf("stale %v %+v %v", stale, stale.Current, kinds(stale.Since))
		}
	}
}

func TestRecomputeMovesProvisionalClocksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits.set(func() { w.limits.provisional = true })
	var open []*hotline.WorkOrder
	for range 3 {
		open = append(open, w.dispatched(t, nil))
	}
	done := w.replied(t, func(in *Submission) { in.Type = hotline.Praise })
	if n, err := w.Recompute(t.Context()); n != 0 || err != nil {
		t.Fatalf("Recompute without a notice = %d, %v", n, err)
	}
	w.limits.set(func() { w.limits.provisional, w.limits.extra = false, 24*time.Hour })
	w.clock.Add(time.Hour)
	if n, err := w.Recompute(t.Context()); n != 9 || err != nil { // sign, contact, resolve of each open order
		t.Fatalf("Recompute = %d, %v, want 9", n, err)
	}
	if n, err := w.Recompute(t.Context()); n != 0 || err != nil {
		t.Errorf("second Recompute = %d, %v", n, err)
	}
	for _, before := range open {
		after := must(w.Order(t.Context(), agent, before.ID))(t)
		for i, d := range after.Deadlines {
			if d.StoppedAt == nil && (d.Provisional || !d.DueAt.Equal(before.Deadlines[i].DueAt.Add(24*time.Hour)) || !d.StartedAt.Equal(before.Deadlines[i].StartedAt)) {
				t.Errorf("clock %+v was %+v", d, before.Deadlines[i])
			}
		}
		seen, err := w.Timeline(t.Context(), township, before.ID)
		if err != nil || seen[len(seen)-1].Kind != hotline.EventDeadlineMoved || seen[len(seen)-1].Actor != 0 {
			t.Errorf("timeline of a unit %v %v", kinds(seen), err)
		}
	}
	if after := must(w.Order(t.Context(), agent, done.ID))(t); after.Version != done.Version {
		t.Error("a done order was touched")
	}
}

// TestADraftBecomesOneOrder: the program may be killed between the order and
// its answer; the submission then comes again, perhaps with a changed text.
func TestADraftBecomesOneOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := submission()
	in.DraftID = "0190a8f0-1111-7222-8333-444455556677"
	var wait sync.WaitGroup
	orders := make([]*hotline.WorkOrder, 6)
	for i := range orders {
		wait.Go(func() {
			var err error
			if orders[i], err = w.Submit(t.Context(), agent, in); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, o := range orders {
		if o == nil || o.ID != orders[0].ID {
			t.Errorf("got %v, want one order", o)
		}
	}
	changed := in
	changed.Content = "改写后的内容"
	_, err := w.Submit(t.Context(), agent, changed)
	wantCode(t, "a changed text", err, hotline.Conflict)
	if err == nil || !strings.Contains(err.Error(), orders[0].Number) {
		t.Errorf("%v does not name the order", err)
	}
	other := agent
	other.ID++
	if o, err := w.Submit(t.Context(), other, in); err != nil || o.ID == orders[0].ID {
		t.Errorf("another account's draft of the same id: %v, %v", o, err)
	}
	if page, err := w.List(t.Context(), leader, Query{}); err != nil || len(page.Orders) != 2 {
		t.Errorf("%d orders, want 2 (%v)", len(page.Orders), err)
	}
}

// TestDraftsKeepWhateverWasTyped: no character may stop a draft from being
// stored, least of all an emoji that a length limit cut in two.
func TestDraftsKeepWhateverWasTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, c := range []struct{ form, want string }{
		{`{"title":"路灯\u0000不亮"}`, `{"title": "路灯不亮"}`},
		{`{"title":"笑\ud83d"}`, `{"title": "笑\ufffd"}`},
		{`{"title":"\ude00笑","a":[{"b\u0000":"\u0000"}]}`, `{"a": [{"b": ""}], "title": "\ufffd笑"}`},
		{`{"title":"反斜杠 \\u0000","n":12345678901234567890}`, `{"n": 12345678901234567890, "title": "反斜杠 \\u0000"}`},
		{`{"title":"😀<b>&"}`, `{"title": "😀<b>&"}`},
	} {
		id := fmt.Sprintf("0190a8f0-1111-7222-8333-4444555566%02d", i)
		if _, err := w.SaveDraft(t.Context(), agent, Draft{ID: id, Form: json.RawMessage(c.form)}); err != nil {
			t.Errorf("%s: %v", c.form, err)
			continue
		}
		kept, err := w.Drafts(t.Context(), agent)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range kept {
			var got, want any
			if err := errors.Join(json.Unmarshal(d.Form, &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
				t.Fatal(err)
			}
			if d.ID == id && !cmp.Equal(got, want) {
				t.Errorf("%s is kept as %s, want %s", c.form, d.Form, c.want)
			}
		}
	}
}

func TestDrafts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	id := "0190a8f0-1111-7222-8333-444455556666"
	for _, title := range []string{"一", "二"} {
		w.clock.Add(time.Second)
		if _, err := w.SaveDraft(ctx, agent, Draft{ID: id, CallID: "c1", Form: json.RawMessage(fmt.Sprintf(`{"title":%q}`, title))}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Drafts(ctx, agent)
	if err != nil || len(got) != 1 || got[0].ID != id || string(got[0].Form) != `{"title": "二"}` || !got[0].UpdatedAt.Equal(w.clock.Now()) {
		t.Errorf("drafts %+v, %v", got, err)
	}
	if other, err := w.Drafts(ctx, caller); err != nil || len(other) != 0 {
		t.Errorf("another account reads %v, %v", other, err)
	}
	w.submit(t, func(in *Submission) { in.DraftID = strings.ToUpper(id) })
	if got, _ := w.Drafts(ctx, agent); len(got) != 0 {
		t.Errorf("the submitted draft stayed: %v", got)
	}
	if err := w.DeleteDraft(ctx, agent, id); err != nil {
		t.Errorf("delete of a gone draft: %v", err)
	}
	for name, d := range map[string]Draft{"id": {ID: "x", Form: json.RawMessage(`{}`)}, "array": {ID: id, Form: json.RawMessage(`[]`)}, "null": {ID: id, Form: json.RawMessage(`null`)}, "none": {ID: id},
		"large": {ID: id, Form: json.RawMessage(`{"a":"` + strings.Repeat("x", maxDraftBytes) + `"}`)}} {
		_, err := w.SaveDraft(ctx, agent, d)
		wantCode(t, name, err, hotline.Invalid)
	}
	for i := range maxDrafts {
		if _, err := w.SaveDraft(ctx, agent, Draft{ID: fmt.Sprintf("0190a8f0-1111-7222-8333-%012d", i), Form: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.SaveDraft(ctx, agent, Draft{ID: id, Form: json.RawMessage(`{}`)})
	wantCode(t, "one too many", err, hotline.TooMany)
}

// outboxRows reads what was written for the stream.
func outboxRows(t testing.TB, w *world) (topics [][]string, kinds, payloads []string) {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), `select topics, kind, payload::text from outbox order by id`)
	if err != nil {
		t.Fatal(err)
	}
	var ts []string
	var k, p string
	_, err = pgx.ForEachRow(rows, []any{&ts, &k, &p}, func() error {
		topics, kinds, payloads = append(topics, slices.Clone(ts)), append(kinds, k), append(payloads, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return topics, kinds, payloads
}

// TestNoEventHoldsTheCaller: house-style 15 and domain.md §2.11. No event, no
// message and no unit's view of a confidential order tells who called.
func TestNoEventHoldsTheCaller(t *testing.T) {
	t.Parallel()
	for _, degree := range []hotline.Confidentiality{hotline.Open, hotline.Hidden, hotline.Anonymous} {
		t.Run(string(degree), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.replied(t, func(in *Submission) {
				in.Confidentiality, in.CallID = degree, "20261123-1a2b3c4d5e6f"
				if degree == hotline.Anonymous {
					in.CallerName = ""
				}
			})
			o = must(w.Callback(t.Context(), caller, o.ID, o.Version, CallbackInput{Reached: true, Satisfaction: 4, Solved: hotline.SolvedNo, Note: "机密的备注"}))(t)
			var everything string
			if err := w.pool.QueryRow(t.Context(), `select coalesce((select string_agg(e::text, '') from order_event e), '')
|| coalesce((select string_agg(w::text, '') from work_order w), '') || coalesce((select string_agg(o::text, '') from outbox o), '')`).Scan(&everything); err != nil {
				t.Fatal(err)
			}
			if len(everything) < 2000 {
				t.Fatal("nothing was searched")
			}
			for _, secret := range []string{callerPhone, callerName} {
				if strings.Contains(everything, secret) {
					t.Errorf("%q stands in the database outside citizen", secret)
				}
			}
			_, _, payloads := outboxRows(t, w)
			unit := must(w.Order(t.Context(), township, o.ID))(t)
			timeline, err := w.Timeline(t.Context(), township, o.ID)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal([]any{unit, timeline})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range append(payloads, string(b)) {
				if strings.Contains(p, "机密的备注") {
					t.Errorf("the office's note reached the units: %s", p)
				}
				if degree == hotline.Open {
					continue
				}
				for _, trace := range []string{`5678`, `1a2b3c4d5e6f`, `"person_id": "1"`, `"person_id":"1"`} {
					if strings.Contains(p, trace) {
						t.Errorf("a confidential order shows %s to units: %s", trace, p)
					}
				}
			}
			if full := must(w.Order(t.Context(), agent, o.ID))(t); full.CallerLast4 != "5678" || full.PersonID != 1 {
				t.Errorf("the office lost the caller: %+v", full)
			}
			for _, q := range []Query{{PersonID: 1}, {CallID: "20261123-1a2b3c4d5e6f"}} {
				page, err := w.List(t.Context(), township, q)
				if err != nil || len(page.Orders) != map[bool]int{true: 1}[degree == hotline.Open] {
					t.Errorf("a unit searching by caller finds %d orders, %v", len(page.Orders), err)
				}
			}
			var stale *StaleError
			if _, err := w.Sign(t.Context(), township, o.ID, 0); !errors.As(err, &stale) {
				t.Fatalf("want stale, got %v", err)
			}
			if want, got := timeline, stale.Since; !cmp.Equal(want, got) {
				t.Errorf("StaleError shows other events than the timeline: %s", cmp.Diff(want, got))
			}
		})
	}
}

func TestTopicsReachEveryDesk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.replied(t, nil)
	must(w.Callback(t.Context(), caller, o.ID, o.Version, CallbackInput{Reached: true, Satisfaction: 1, Solved: hotline.SolvedYes}))(t)
	topics, kinds, _ := outboxRows(t, w)
	id := fmt.Sprintf("order:%d", o.ID)
	lead, co := "unit:341802001", "unit:JYTYJ"
	want := []struct {
		kind   string
		topics []string
	}{
		{"order.submitted", []string{"orders", id, "agent:11", "desk:dispatch"}},
		{"order.dispatched", []string{"orders", id, "agent:11", lead, co, "desk:dispatch"}},
		{"order.signed", []string{"orders", id, "agent:11", lead, co}},
		{"order.replied", []string{"orders", id, "agent:11", lead, co, "desk:callback"}},
		{"order.callback_done", []string{"orders", id, "agent:11", "desk:callback"}},
		{"order.closed", []string{"orders", id, "agent:11", "desk:callback"}},
	}
	if len(kinds) != len(want) {
		t.Fatalf("messages %v", kinds)
	}
	for i, m := range want {
		if kinds[i] != m.kind || !slices.Equal(topics[i], m.topics) {
			t.Errorf("message %d: %s %v, want %s %v", i, kinds[i], topics[i], m.kind, m.topics)
		}
	}
}

func TestFailedSubmissionLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.fail = errors.New("address book away")
	if _, err := w.Submit(t.Context(), agent, submission()); err == nil {
		t.Fatal("submitted without its caller")
	}
	w.people.fail = nil
	w.limits.set(func() { w.limits.hours[hotline.ClockDispatch] = 1; w.limits.extra = -time.Hour })
	w.submit(t, nil)
	n := 0
	if err := w.pool.QueryRow(t.Context(), `select count(*) from work_order`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d orders, %v, want 1", n, err)
	}
}
