package acd

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

var start = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// floorWith makes a floor whose loop does not run: tests step it by hand.
func floorWith(t testing.TB, c *redis.Client, node string, clock hotline.Clock) *Floor {
	t.Helper()
	f, err := New(Options{Redis: c, Clock: clock, Node: node, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ready seats agents 1…n, ready, the first idle longest.
func ready(t testing.TB, f *Floor, clock *hotlinetest.Clock, n int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		must(t, f.Know(t.Context(), Seat{hotline.AccountID(i), fmt.Sprint("话务员", i), fmt.Sprint(1000 + i)}))
		must(t, f.PhoneUp(t.Context(), hotline.AccountID(i), fmt.Sprint(1000+i), true))
		clock.Add(time.Second)
	}
}

func enqueue(t testing.TB, f *Floor, id string, since time.Time) {
	t.Helper()
	must(t, f.Enqueue(t.Context(), hotline.WaitingCall{ID: hotline.CallID(id), Caller: hotline.ParsePhone("13812345678"),
		Original: "12345", Since: since}))
}

func agent(t testing.TB, f *Floor, id hotline.AccountID) hotline.Agent {
	t.Helper()
	s, err := f.Snapshot(t.Context())
	must(t, err)
	for _, a := range s.Agents {
		if a.ID == id {
			return a
		}
	}
	t.Fatalf("agent %d is not on the floor", id)
	return hotline.Agent{}
}

func offers(f *Floor) (out []Offer) {
	for {
		select {
		case o := <-f.offers:
			out = append(out, o)
		default:
			return out
		}
	}
}

func TestFloor(t *testing.T) {
	t.Parallel()
	hotlinetest.EachRedis(t, func(t *testing.T, c *redis.Client) {
		for name, f := range map[string]func(*testing.T, *Floor, *hotlinetest.Clock, *redis.Client){
			"life of a call":                   lifeOfACall,
			"longest idle first, FIFO":         longestIdle,
			"RONA keeps the caller's place":    rona,
			"caller gone while ringing":        callerGone,
			"ring deadline frees both":         ringDeadline,
			"reserve deadline frees both":      reserveDeadline,
			"answer after the deadline":        lateAnswer,
			"busy rests, then ready":           busyRests,
			"no sign-out while ringing":        noSignOut,
			"version guards the state":         versionGuards,
			"ready needs a phone":              readyNeedsPhone,
			"dead node lets its agents go":     deadNode,
			"restarted node lets them go too":  restartedNode,
			"emptied redis is restored":        emptiedRedis,
			"old memory yields to a talk":      oldMemory,
			"offers reach the call's node":     twoNodes,
			"full numbers stay out of redis":   onlyMasks,
			"sign-in of a ringing agent stays": signInTwice,
		} {
			t.Run(name, func(t *testing.T) {
				must(t, c.FlushDB(t.Context()).Err())
				clock := hotlinetest.NewClock(start)
				f(t, floorWith(t, c, "n1", clock), clock, c)
			})
		}
	})
}

func lifeOfACall(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ctx := t.Context()
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(ctx, true))
	got := offers(f)
	if len(got) != 1 || got[0].CallID != "c1" || got[0].Agent != 1 || got[0].Extension != "1001" {
		t.Fatalf("offers = %v", got)
	}
	if a := agent(t, f, 1); a.State != hotline.Reserved || a.Deadline == nil || a.CallID != "c1" {
		t.Fatalf("after the offer: %+v", a)
	}
	must(t, f.Ringing(ctx, "c1", 1))
	must(t, f.Answered(ctx, "c1", 1))
	if a := agent(t, f, 1); a.State != hotline.Talking || a.Deadline != nil {
		t.Fatalf("after the answer: %+v", a)
	}
	must(t, f.Ended(ctx, "c1"))
	a := agent(t, f, 1)
	if a.State != hotline.WrapUp || a.Deadline == nil || !a.Deadline.Equal(clock.Now().Add(20*time.Second)) {
		t.Fatalf("after the end: %+v", a)
	}
	clock.Add(20 * time.Second)
	must(t, f.tick(ctx, true))
	if a := agent(t, f, 1); a.State != hotline.Ready {
		t.Fatalf("after wrap-up: %+v", a)
	}
}

// oldMemory empties Redis in the moment between an answer and the next sweep:
// the node puts the agent back as it last saw him, ringing, and the call's
// actor then says that he talks. Ringing out must not part them.
func oldMemory(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	ctx := t.Context()
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(ctx, true))
	must(t, f.Ringing(ctx, "c1", 1))
	must(t, f.tick(ctx, true)) // the memory: ringing
	must(t, f.Answered(ctx, "c1", 1))
	must(t, c.FlushDB(ctx).Err())
	must(t, f.tick(ctx, true))
	if a := agent(t, f, 1); a.State != hotline.Ringing || a.CallID != "c1" {
		t.Fatalf("put back: %+v", a)
	}
	talk := hotline.WaitingCall{ID: "c1", Since: clock.Now(), State: Talking, Agent: 1}
	must(t, f.Enqueue(ctx, talk))
	if a := agent(t, f, 1); a.State != hotline.Talking || a.Deadline != nil {
		t.Fatalf("after the actor spoke: %+v", a)
	}
	clock.Add(time.Hour)
	must(t, f.tick(ctx, true))
	must(t, f.Enqueue(ctx, talk))
	if a := agent(t, f, 1); a.State != hotline.Talking {
		t.Fatalf("an hour later: %+v", a)
	}
	must(t, f.Ended(ctx, "c1"))
	if a := agent(t, f, 1); a.State != hotline.WrapUp {
		t.Fatalf("after the end: %+v", a)
	}
}

func longestIdle(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 3)
	enqueue(t, f, "late", clock.Now().Add(2*time.Second))
	enqueue(t, f, "early", clock.Now())
	must(t, f.tick(t.Context(), true))
	got := offers(f)
	if len(got) != 2 || got[0].CallID != "early" || got[0].Agent != 1 || got[1].CallID != "late" || got[1].Agent != 2 {
		t.Fatalf("offers = %v", got)
	}
}

func rona(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	first := clock.Now()
	enqueue(t, f, "c1", first)
	must(t, f.tick(t.Context(), true))
	clock.Add(20 * time.Second)
	enqueue(t, f, "c2", clock.Now())
	must(t, f.Refused(t.Context(), "c1", 1, NoAnswer))
	if a := agent(t, f, 1); a.State != hotline.NotReady || a.Reason != hotline.NotReadyRONA {
		t.Fatalf("agent = %+v", a)
	}
	s, err := f.Snapshot(t.Context())
	must(t, err)
	if s.Waiting[0].ID != "c1" || !s.Waiting[0].Since.Equal(first) || s.Waiting[0].State != Waiting {
		t.Fatalf("queue = %+v", s.Waiting)
	}
	if place, n, err := f.Position(t.Context(), "c1"); err != nil || place != 1 || n != 2 {
		t.Fatalf("position = %d of %d, %v", place, n, err)
	}
	if place, n, err := f.Position(t.Context(), "other"); err != nil || place != 0 || n != 2 {
		t.Fatalf("position of a stranger = %d of %d, %v", place, n, err)
	}
}

func callerGone(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	must(t, f.Ringing(t.Context(), "c1", 1))
	must(t, f.Ended(t.Context(), "c1"))
	if a := agent(t, f, 1); a.State != hotline.Ready {
		t.Fatalf("agent = %+v, want ready at once", a)
	}
}

func ringDeadline(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	must(t, f.Ringing(t.Context(), "c1", 1))
	clock.Add(26 * time.Second)
	must(t, f.tick(t.Context(), true))
	if a := agent(t, f, 1); a.State != hotline.NotReady || a.Reason != hotline.NotReadyRONA || a.CallID != "" {
		t.Fatalf("agent = %+v", a)
	}
	if place, _, _ := f.Position(t.Context(), "c1"); place != 1 {
		t.Fatal("the caller is not back in the queue")
	}
}

func reserveDeadline(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	clock.Add(6 * time.Second)
	_, err := f.run(t.Context(), sweepScript, "n1", 6000, 20000, 12000)
	must(t, err)
	if a := agent(t, f, 1); a.State != hotline.Ready {
		t.Fatalf("agent = %+v", a)
	}
}

func lateAnswer(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	ringDeadline(t, f, clock, c)
	if err := f.Answered(t.Context(), "c1", 1); hotline.ErrorCode(err) != hotline.Conflict {
		t.Fatalf("err = %v, want conflict", err)
	}
}

func busyRests(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	must(t, f.Refused(t.Context(), "c1", 1, Busy))
	if a := agent(t, f, 1); a.State != hotline.NotReady || a.Reason != Busy || a.Deadline == nil {
		t.Fatalf("agent = %+v", a)
	}
	clock.Add(10 * time.Second)
	must(t, f.tick(t.Context(), true))
	if got := offers(f); len(got) != 2 { // the first, and again
		t.Fatalf("offers = %v", got)
	}
}

func noSignOut(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	if err := f.SignOut(t.Context(), 1); hotline.ErrorCode(err) != hotline.Conflict {
		t.Fatalf("err = %v, want conflict", err)
	}
	must(t, f.Ended(t.Context(), "c1"))
	must(t, f.SignOut(t.Context(), 1))
	if a := agent(t, f, 1); a.State != hotline.SignedOut {
		t.Fatalf("agent = %+v", a)
	}
}

func versionGuards(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	v := agent(t, f, 1).Version
	must(t, f.SetState(t.Context(), 1, hotline.OnBreak, "午餐", v))
	if err := f.SetState(t.Context(), 1, hotline.Ready, "", v); hotline.ErrorCode(err) != hotline.Conflict {
		t.Fatalf("err = %v, want conflict", err)
	}
	if err := f.SetState(t.Context(), 1, hotline.Talking, "", 0); hotline.ErrorCode(err) != hotline.Invalid {
		t.Fatalf("err = %v, want invalid", err)
	}
}

func readyNeedsPhone(t *testing.T, f *Floor, _ *hotlinetest.Clock, _ *redis.Client) {
	must(t, f.SignIn(t.Context(), Seat{1, "甲", "1001"}))
	if err := f.SetState(t.Context(), 1, hotline.Ready, "", 0); hotline.ErrorCode(err) != hotline.Conflict {
		t.Fatalf("err = %v, want conflict", err)
	}
	must(t, f.PhoneUp(t.Context(), 1, "1001", false))
	must(t, f.SetState(t.Context(), 1, hotline.Ready, "", 0))
	must(t, f.PhoneDown(t.Context(), 1))
	if a := agent(t, f, 1); a.State != hotline.NotReady || a.Phone {
		t.Fatalf("agent = %+v", a)
	}
}

func deadNode(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	other := floorWith(t, c, "n2", clock)
	ready(t, f, clock, 2)
	must(t, other.tick(t.Context(), true))
	enqueue(t, f, "talk", clock.Now())
	enqueue(t, f, "ring", clock.Now().Add(time.Millisecond))
	must(t, f.tick(t.Context(), true))
	must(t, f.Answered(t.Context(), "talk", 1))
	must(t, f.Ringing(t.Context(), "ring", 2))
	clock.Add(7 * time.Second)
	must(t, other.tick(t.Context(), true))
	if a := agent(t, other, 1); a.State != hotline.WrapUp || a.CallID != "" {
		t.Errorf("talking agent = %+v", a)
	}
	if a := agent(t, other, 2); a.State != hotline.Ready {
		t.Errorf("ringing agent = %+v", a)
	}
	if s, _ := other.Snapshot(t.Context()); len(s.Waiting) != 0 {
		t.Errorf("calls = %+v", s.Waiting)
	}
}

// restartedNode: a program that was killed is back under its own name before
// anybody missed it; the talk of its earlier life must not hold the agent.
func restartedNode(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "talk", clock.Now())
	must(t, f.tick(t.Context(), true))
	must(t, f.Answered(t.Context(), "talk", 1))
	again := floorWith(t, c, "n1", clock)
	if s, _ := again.Snapshot(t.Context()); len(s.Waiting) != 1 || s.Waiting[0].Node != "n1" {
		t.Errorf("calls = %+v, want the name of the node as it was given", s.Waiting)
	}
	for range 8 {
		must(t, again.tick(t.Context(), true))
		clock.Add(time.Second)
	}
	if a := agent(t, again, 1); a.State != hotline.WrapUp || a.CallID != "" {
		t.Errorf("agent = %+v", a)
	}
}

func emptiedRedis(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	ready(t, f, clock, 3)
	since := clock.Now()
	enqueue(t, f, "talk", since)
	must(t, f.tick(t.Context(), true))
	must(t, f.Answered(t.Context(), "talk", 1))
	must(t, f.SetState(t.Context(), 3, hotline.OnBreak, "午餐", 0))
	must(t, f.tick(t.Context(), true))
	must(t, c.FlushAll(t.Context()).Err())
	must(t, f.tick(t.Context(), true))
	must(t, f.Enqueue(t.Context(), hotline.WaitingCall{ID: "talk", Since: since, State: Talking, Agent: 1}))
	if a := agent(t, f, 1); a.State != hotline.Talking || a.CallID != "talk" || !a.Phone || a.Extension != "1001" {
		t.Errorf("agent 1 = %+v", a)
	}
	if a := agent(t, f, 2); a.State != hotline.Ready {
		t.Errorf("agent 2 = %+v", a)
	}
	if a := agent(t, f, 3); a.State != hotline.OnBreak || a.Reason != "午餐" {
		t.Errorf("agent 3 = %+v", a)
	}
	must(t, f.Ended(t.Context(), "talk"))
	if a := agent(t, f, 1); a.State != hotline.WrapUp {
		t.Errorf("agent 1 after the talk = %+v", a)
	}
}

func twoNodes(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	other := floorWith(t, c, "n2", clock)
	must(t, f.tick(t.Context(), true))
	must(t, other.tick(t.Context(), true))
	ready(t, f, clock, 1)
	enqueue(t, other, "c1", clock.Now())
	must(t, f.tick(t.Context(), true)) // n1 matches, n2 holds the call
	if got := offers(f); len(got) != 0 {
		t.Fatalf("n1 got %v", got)
	}
	must(t, other.tick(t.Context(), false))
	if got := offers(other); len(got) != 1 {
		t.Fatalf("n2 got %v", got)
	}
}

func onlyMasks(t *testing.T, f *Floor, clock *hotlinetest.Clock, c *redis.Client) {
	enqueue(t, f, "c1", clock.Now())
	if v := c.HGet(t.Context(), key("call:c1"), "caller").Val(); v != "138****5678" {
		t.Fatalf("stored %q", v)
	}
	s, err := f.Snapshot(t.Context())
	must(t, err)
	if got := s.Waiting[0].Caller.Mask(); got != "138****5678" {
		t.Fatalf("snapshot shows %q", got)
	}
}

func signInTwice(t *testing.T, f *Floor, clock *hotlinetest.Clock, _ *redis.Client) {
	ready(t, f, clock, 1)
	enqueue(t, f, "c1", clock.Now())
	must(t, f.tick(t.Context(), true))
	must(t, f.SignIn(t.Context(), Seat{1, "甲", "1001"}))
	if a := agent(t, f, 1); a.State != hotline.Reserved || a.Name != "甲" {
		t.Fatalf("agent = %+v", a)
	}
}

// TestRunOffersAtOnce runs the real loop: an offer follows the call without
// waiting for the sweep, and watchers see the change.
func TestRunOffersAtOnce(t *testing.T) {
	t.Parallel()
	hotlinetest.EachRedis(t, func(t *testing.T, c *redis.Client) {
		f, err := New(Options{Redis: c, Clock: hotline.ClockFunc(time.Now), Node: "n1", SweepInterval: time.Hour,
			Log: slog.New(slog.DiscardHandler)})
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		changes := f.Changes(ctx)
		<-changes // the loop listens
		must(t, f.PhoneUp(ctx, 1, "1001", true))
		enqueue(t, f, "c1", time.Now())
		select {
		case o := <-f.Offers():
			if o.CallID != "c1" {
				t.Errorf("offer = %+v", o)
			}
		case <-time.After(5 * time.Second):
			t.Error("no offer")
		}
		hotlinetest.Eventually(t, 5*time.Second, "watchers see the reserved agent", func() bool {
			s := <-changes
			return len(s.Agents) == 1 && s.Agents[0].State == hotline.Reserved
		})
		stop()
		must(t, <-done)
	})
}
