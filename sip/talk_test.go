package sip

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/sip/acd"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

var whole = []hotline.CallFactKind{hotline.CallArrived, hotline.CallGreeted, hotline.CallQueued, hotline.CallOffered,
	hotline.CallAnswered, hotline.CallRecorded, hotline.CallEnded}

// TestTenCallersThreeAgents is the whole path: ten citizens call at once,
// three agents take them one after the other, both sides hear each other, all
// is recorded and every fact is there.
func TestTenCallersThreeAgents(t *testing.T) {
	h := open(t, houseOptions{})
	for i := range 3 {
		h.agent(1001+i, siptest.Options{Transport: []string{"udp", "tcp", "udp"}[i],
			OnTalk: func(talk *siptest.Talk) { talk.Loop(media.Tone(900, time.Second)) }})
	}
	ctx := within(t, 60*time.Second)
	var wg sync.WaitGroup
	for i := range 10 {
		p := h.phone(siptest.Options{User: fmt.Sprintf("1381234%04d", i)})
		wg.Go(func() {
			talk, err := p.Call(ctx, "12345")
			if err != nil {
				t.Error(err)
				return
			}
			talk.Loop(media.Tone(500, time.Second))
			for talk.Level(900) < 0.25 {
				select {
				case <-ctx.Done():
					t.Error("caller never heard an agent")
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
			time.Sleep(100 * time.Millisecond) // a word or two: the length of the talk, not a wait for anybody
			if err := talk.Hangup(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.until("all calls ended", func() bool { return h.Calls() == 0 })
	calls := h.desk.calls()
	if len(calls) != 10 {
		t.Fatalf("%d calls", len(calls))
	}
	for _, c := range calls {
		if !slices.Equal(kinds(c), whole) {
			t.Errorf("facts = %v", kinds(c))
			continue
		}
		for i, f := range c {
			if f.Seq != i+1 {
				t.Errorf("fact %d has number %d", i+1, f.Seq)
			}
		}
		if c[0].Original != "12345" || len(c[0].Caller.Reveal()) != 14 || c[0].Trunk != "local" || c[6].EndedBy != "caller" || c[6].Reason != hotline.EndNormal {
			t.Errorf("facts = %+v, %+v", c[0], c[6])
		}
		b, err := os.ReadFile(filepath.Join(h.dir, c[5].Recording))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != c[5].SHA256 || c[5].Duration <= 0 {
			t.Errorf("recording = %+v", c[5])
		}
	}
	for i := range 3 {
		h.until("agents are ready again", func() bool { return h.state(1001+i) == hotline.Ready })
	}
}

// TestAgentHangsUpAndWrapsUp: the other direction of BYE, and the rest after.
func TestAgentHangsUpAndWrapsUp(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{wrap: 400 * time.Millisecond})
	h.agent(1001, siptest.Options{OnTalk: func(talk *siptest.Talk) { _ = talk.Hangup(within(t, 5*time.Second)) }})
	talk, err := h.phone(siptest.Options{User: "05633021234"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	<-talk.Ended()
	h.ended("agent", hotline.EndNormal)
	h.until("the agent wraps up", func() bool { return h.state(1001) == hotline.WrapUp })
	h.until("the agent is ready again", func() bool { return h.state(1001) == hotline.Ready })
}

// TestNoAnswerGoesToTheNext is case 18's no-answer: RONA, and the caller is
// taken by the next agent with his place kept.
func TestNoAnswerGoesToTheNext(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{ring: time.Second})
	h.agent(1001, siptest.Options{OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{Never: true} }})
	h.agent(1002, siptest.Options{})
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.until("the second agent talks", func() bool { return h.state(1002) == hotline.Talking })
	if a := h.seat(1001); a.State != hotline.NotReady || a.Reason != hotline.NotReadyRONA {
		t.Errorf("first agent = %+v", a)
	}
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.ended("caller", hotline.EndNormal)
	got := kinds(h.desk.calls()[0])
	want := []hotline.CallFactKind{hotline.CallArrived, hotline.CallGreeted, hotline.CallQueued, hotline.CallOffered,
		hotline.CallRefused, hotline.CallOffered, hotline.CallAnswered, hotline.CallRecorded, hotline.CallEnded}
	if !slices.Equal(got, want) {
		t.Errorf("facts = %v", got)
	}
}

// TestBusyAndDeclined is case 18: 486 rests the agent, 603 keeps him away.
func TestBusyAndDeclined(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{486: acd.Busy, 603: acd.Declined, 404: acd.Unreachable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			h := open(t, houseOptions{})
			h.agent(1001, siptest.Options{OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{Status: status} }})
			talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
			if err != nil {
				t.Fatal(err)
			}
			h.until("the refusal is a fact", func() bool {
				return slices.ContainsFunc(h.desk.calls()[0], func(f hotline.CallFact) bool {
					return f.Kind == hotline.CallRefused && f.Reason == want
				})
			})
			if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			h.ended("caller", hotline.EndAbandoned)
		})
	}
}

// TestCallerLeavesWhileRinging is case 10: the agent's phone stops ringing and
// the agent is ready within a second.
func TestCallerLeavesWhileRinging(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{ring: 10 * time.Second})
	h.agent(1001, siptest.Options{OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{Never: true} }})
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.until("the agent's phone rings", func() bool { return h.state(1001) == hotline.Ringing })
	begun := time.Now()
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.until("the agent is ready", func() bool { return h.state(1001) == hotline.Ready })
	if d := time.Since(begun); d > time.Second {
		t.Errorf("the agent was free after %v", d)
	}
	h.ended("caller", hotline.EndAbandoned)
}

// TestAgentPhoneVanishes is case 46: the phone's power goes in the talk. No
// BYE is sent, for a BYE would end the call by "agent"; the silence ends it, in
// its time, and the agent is not kept in the talk.
func TestAgentPhoneVanishes(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{change: func(o *Options) { o.Silence, o.FirstPacket = 600*time.Millisecond, 2*time.Second }})
	talking := make(chan *siptest.Talk, 1)
	p := h.agent(1001, siptest.Options{OnTalk: func(talk *siptest.Talk) {
		talk.Loop(media.Tone(900, time.Second))
		talking <- talk
	}})
	caller, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	caller.Loop(media.Tone(500, time.Second))
	<-talking
	h.until("the caller hears the agent", func() bool { return caller.Level(900) > 0.25 })
	begun := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-caller.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("the caller is not told")
	}
	if d := time.Since(begun); d > 5*time.Second { // 600 ms and what a busy machine needs
		t.Errorf("the caller was told after %v", d)
	}
	h.ended("system", hotline.EndAgentLost)
	h.until("the agent is out of the talk", func() bool { return h.seat(1001).CallID == "" && h.state(1001) != hotline.Talking })
}

// TestHoldAndResume is case 19 with the caller's phone; the bridge survives.
func TestHoldAndResume(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	h.agent(1001, siptest.Options{OnTalk: func(talk *siptest.Talk) { talk.Loop(media.Tone(900, time.Second)) }})
	ctx := within(t, 20*time.Second)
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(ctx, "12345")
	if err != nil {
		t.Fatal(err)
	}
	talk.Loop(media.Tone(500, time.Second))
	h.until("the caller hears the agent", func() bool { return talk.Level(900) > 0.25 })
	if err := talk.Hold(ctx); err != nil {
		t.Fatal(err)
	}
	if err := talk.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	n := talk.Stats().Received
	h.until("sound after the hold", func() bool { return talk.Stats().Received > n+10 && talk.Level(900) > 0.25 })
	if err := talk.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	h.ended("caller", hotline.EndNormal)
}

// TestHangupByConsoleAndDrain: Hangup ends a call from outside; Drain waits.
func TestHangupByConsoleAndDrain(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- h.Drain(within(t, 10*time.Second)) }()
	h.until("the node drains", func() bool { return h.Ready() != nil })
	_, err = h.phone(siptest.Options{User: "13812345679"}).Call(within(t, 5*time.Second), "12345")
	if se, ok := err.(*siptest.StatusError); !ok || se.Code != 503 {
		t.Errorf("a new call in the drain: %v", err)
	}
	if err := h.Hangup(t.Context(), h.desk.calls()[0][0].CallID); err != nil {
		t.Error(err)
	}
	<-talk.Ended()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	h.ended("system", hotline.EndNormal)
	if err := h.Hangup(t.Context(), "20260101-000000000000"); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("err = %v", err)
	}
}

// TestPanicEndsOneCall: a fault in one actor leaves the others alone.
func TestPanicEndsOneCall(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	first, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.phone(siptest.Options{User: "13812345679"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	c := h.calls[h.desk.calls()[0][0].CallID]
	h.mu.Unlock()
	c.post(outFailed{}) // no leg: cannot happen, and must not matter
	c.post(outAnswered{})
	select {
	case <-first.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("the broken call did not end")
	}
	h.until("the fact says why", func() bool { return h.last().Reason == hotline.EndFailed })
	select {
	case <-second.Ended():
		t.Error("the other call ended too")
	default:
	}
}

// TestUnknownLineAndPhoneCaller: 404 for a number we do not serve; a
// registered phone is a caller like any other.
func TestUnknownLineAndPhoneCaller(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	_, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 5*time.Second), "999")
	if se, ok := err.(*siptest.StatusError); !ok || se.Code != 404 {
		t.Fatalf("err = %v", err)
	}
	p := h.agent(1005, siptest.Options{OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{Status: 486} }})
	talk, err := p.Call(within(t, 5*time.Second), "056312345")
	if err != nil {
		t.Fatal(err)
	}
	if f := h.desk.calls()[0][0]; f.Trunk != "phone" || f.Caller != "1005" || f.Original != "12345" {
		t.Errorf("arrived = %+v", f)
	}
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkSetUp measures a call from INVITE through queue to answer and
// hang-up with phones in this process.
func BenchmarkSetUp(b *testing.B) {
	h := open(b, houseOptions{change: func(o *Options) {
		o.MaxPerSecond, o.MaxCalls = 10000, 1000
		o.PortMin, o.PortMax = 42000, 57999 // pairs rest 10 s after each call
		o.Prompts = map[string]*media.Prompt{"greeting": media.Pause(20 * time.Millisecond)}
	}})
	answered := make(chan struct{}, 64)
	for i := range 4 {
		h.agent(1001+i, siptest.Options{OnTalk: func(*siptest.Talk) { answered <- struct{}{} }})
	}
	p := h.phone(siptest.Options{User: "13812345678"})
	begun := time.Now()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		talk, err := p.Call(ctx, "12345")
		if err != nil {
			b.Fatal(err)
		}
		<-answered
		if err := talk.Hangup(ctx); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "calls/s")
}
