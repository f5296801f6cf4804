package sip

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/sip/ivr"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// TestTwelveCallersInOrder: twelve citizens wait and hear their place told;
// Redis is emptied; then three agents come and take them in the order of their
// arrival.
func TestTwelveCallersInOrder(t *testing.T) {
	t.Parallel()
	const callers, agents = 12, 3
	h := open(t, houseOptions{ring: 10 * time.Second, change: func(o *Options) {
		o.Prompts = map[string]*media.Prompt{"greeting": media.Tone(700, 60*time.Millisecond), "music": media.Tone(440, time.Second),
			"before": media.Tone(1200, 300*time.Millisecond), "after": media.Tone(1200, 300*time.Millisecond)}
		o.IVR = ivr.Plan{Greeting: "greeting", Music: "music", Position: true, PositionBefore: "before", PositionAfter: "after",
			AnnounceEvery: time.Second}
	}})
	ctx := within(t, 60*time.Second)
	queued := func() (n int) {
		for _, c := range h.desk.calls() {
			if slices.Contains(kinds(c), hotline.CallQueued) {
				n++
			}
		}
		return n
	}
	var talks []*siptest.Talk
	for i := range callers {
		talk, err := h.phone(siptest.Options{User: fmt.Sprintf("1381234%04d", i)}).Call(ctx, "12345")
		if err != nil {
			t.Fatal(err)
		}
		talks = append(talks, talk)
		h.until("the caller waits", func() bool { return queued() == i+1 })
	}
	for _, talk := range talks {
		h.until("the caller hears his place", func() bool { return talk.Level(1200) > 0.2 })
	}
	if err := h.o.Redis.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	h.until("all wait again", func() bool {
		s, err := h.floor.Snapshot(ctx)
		return err == nil && len(s.Waiting) == callers
	})
	for i := range agents {
		h.agentBusy(1001+i, siptest.Options{OnTalk: func(talk *siptest.Talk) {
			talk.Loop(media.Tone(900, time.Second))
			time.Sleep(200 * time.Millisecond) // the length of the talk, not a wait for anybody
			_ = talk.Hangup(ctx)
		}})
	}
	for _, talk := range talks {
		select {
		case <-talk.Ended():
		case <-ctx.Done():
			t.Fatal("a caller was never answered")
		}
	}
	h.until("all calls ended", func() bool { return h.Calls() == 0 })
	var last time.Time
	for i, c := range h.desk.calls() { // in order of arrival
		at := slices.IndexFunc(c, func(f hotline.CallFact) bool { return f.Kind == hotline.CallOffered })
		if at < 0 || !slices.Contains(kinds(c), hotline.CallAnswered) {
			t.Errorf("caller %d: %v", i+1, kinds(c))
			continue
		}
		if c[at].At.Before(last.Add(-100 * time.Millisecond)) { // offers of one round reach their calls side by side
			t.Errorf("caller %d was offered at %v, %v before the one who came earlier", i+1, c[at].At, last.Sub(c[at].At))
		}
		last = c[at].At
	}
}

// agentBusy registers extension n without waiting: its agent may be given a
// call at once.
func (h *house) agentBusy(n int, o siptest.Options) {
	h.t.Helper()
	o.User, o.Password = fmt.Sprint(n), fmt.Sprint("p", n)
	if err := h.phone(o).Register(within(h.t, 10*time.Second)); err != nil {
		h.t.Fatal(err)
	}
}
