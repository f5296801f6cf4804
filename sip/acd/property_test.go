package acd

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// TestFloorProperties is case 45 of the protocol list: random callers, agents
// and accidents; no agent serves two callers, callers come in their order, and
// every reservation ends by its deadline.
func TestFloorProperties(t *testing.T) {
	t.Parallel()
	c := hotlinetest.Redis(t)
	rapid.Check(t, func(rt *rapid.T) {
		if err := c.FlushDB(t.Context()).Err(); err != nil {
			rt.Fatal(err)
		}
		play(t, rt, c)
	})
}

func play(t *testing.T, rt *rapid.T, c *redis.Client) {
	ctx := t.Context()
	clock := hotlinetest.NewClock(start)
	f := floorWith(t, c, "n1", clock)
	agents := rapid.IntRange(1, 4).Draw(rt, "agents")
	for i := 1; i <= agents; i++ {
		must(t, f.PhoneUp(ctx, hotline.AccountID(i), fmt.Sprint(1000+i), true))
	}
	open := map[hotline.CallID]Offer{} // offers not yet settled
	live := map[hotline.CallID]time.Time{}
	n := 0
	some := func(m map[hotline.CallID]Offer) (hotline.CallID, bool) {
		for i := 1; i <= n; i++ {
			id := hotline.CallID(fmt.Sprint("c", i))
			if _, ok := m[id]; ok {
				return id, true
			}
		}
		return "", false
	}
	for range rapid.IntRange(1, 60).Draw(rt, "steps") {
		switch rapid.IntRange(0, 8).Draw(rt, "step") {
		case 0, 1:
			n++
			id := hotline.CallID(fmt.Sprint("c", n))
			live[id] = clock.Now()
			must(t, f.Enqueue(ctx, hotline.WaitingCall{ID: id, Since: clock.Now()}))
			clock.Add(time.Millisecond)
		case 2:
			if id, ok := some(open); ok {
				_ = f.Ringing(ctx, id, open[id].Agent) // void after a deadline: the checks below tell
			}
		case 3:
			if id, ok := some(open); ok {
				_ = f.Answered(ctx, id, open[id].Agent)
				delete(open, id)
			}
		case 4:
			if id, ok := some(open); ok {
				why := rapid.SampledFrom([]string{NoAnswer, Busy, Declined, Unreachable}).Draw(rt, "why")
				_ = f.Refused(ctx, id, open[id].Agent, why)
				delete(open, id)
			}
		case 5:
			if n > 0 {
				id := hotline.CallID(fmt.Sprint("c", rapid.IntRange(1, n).Draw(rt, "ended")))
				must(t, f.Ended(ctx, id))
				delete(live, id)
				delete(open, id)
			}
		case 6:
			clock.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second)
		case 7:
			a := hotline.AccountID(rapid.IntRange(1, agents).Draw(rt, "agent"))
			to := rapid.SampledFrom([]hotline.AgentState{hotline.Ready, hotline.NotReady, hotline.OnBreak}).Draw(rt, "state")
			_ = f.SetState(ctx, a, to, "", 0) // refused during a call: the checks below tell
		case 8:
			a := hotline.AccountID(rapid.IntRange(1, agents).Draw(rt, "phone"))
			if rapid.Bool().Draw(rt, "up") {
				must(t, f.PhoneUp(ctx, a, fmt.Sprint(1000+a), false))
			} else {
				must(t, f.PhoneDown(ctx, a))
			}
		}
		before, err := f.state(ctx)
		must(t, err)
		must(t, f.tick(ctx, true))
		after, err := f.state(ctx)
		must(t, err)
		for _, o := range offers(f) {
			open[o.CallID] = o
		}
		check(rt, before, after, live, clock.Now())
	}
}

func check(rt *rapid.T, before, after state, live map[hotline.CallID]time.Time, now time.Time) {
	holder := map[hotline.CallID]hotline.AccountID{}
	for _, a := range after.agents {
		if a.Deadline != nil && a.Deadline.Before(now) {
			rt.Fatalf("agent %d is past its deadline: %+v", a.ID, a)
		}
		switch a.State {
		case hotline.Reserved, hotline.Ringing, hotline.WrapUp:
			if a.Deadline == nil {
				rt.Fatalf("agent %d waits for ever: %+v", a.ID, a)
			}
		}
		if a.CallID != "" {
			if other, twice := holder[a.CallID]; twice {
				rt.Fatalf("call %s is with agents %d and %d", a.CallID, a.ID, other)
			}
			holder[a.CallID] = a.ID
		}
	}
	if len(after.calls) != len(live) {
		rt.Fatalf("floor holds %d calls, want %d", len(after.calls), len(live))
	}
	var youngest, oldest time.Time // offered now; still waiting
	was := map[hotline.CallID]string{}
	for _, c := range before.calls {
		was[c.ID] = c.State
	}
	for _, c := range after.calls {
		if c.State != Waiting && holder[c.ID] != c.Agent {
			rt.Fatalf("call %s is %s with agent %d, whose holder is %d", c.ID, c.State, c.Agent, holder[c.ID])
		}
		switch {
		case c.State == Waiting && (oldest.IsZero() || c.Since.Before(oldest)):
			oldest = c.Since
		case c.State == Offered && was[c.ID] == Waiting && c.Since.After(youngest):
			youngest = c.Since
		}
	}
	if !oldest.IsZero() && youngest.After(oldest) {
		rt.Fatalf("a caller of %v was served before one of %v", youngest, oldest)
	}
}

func BenchmarkOfferAnswerEnd(b *testing.B) {
	c := hotlinetest.Redis(b)
	clock := hotlinetest.NewClock(start)
	f := floorWith(b, c, "n1", clock)
	f.o.WrapUp = -1
	for i := 1; i <= 50; i++ {
		must(b, f.PhoneUp(b.Context(), hotline.AccountID(i), fmt.Sprint(1000+i), true))
	}
	for i := 0; b.Loop(); i++ {
		id := hotline.CallID(fmt.Sprint(i))
		must(b, f.Enqueue(b.Context(), hotline.WaitingCall{ID: id, Since: clock.Now()}))
		must(b, f.tick(b.Context(), false))
		o := <-f.Offers()
		must(b, f.Answered(b.Context(), o.CallID, o.Agent))
		must(b, f.Ended(b.Context(), o.CallID))
	}
}

func BenchmarkMatch(b *testing.B) {
	s := state{}
	for i := range 300 {
		s.agents = append(s.agents, agentRec{Agent: hotline.Agent{ID: hotline.AccountID(i), State: hotline.Ready, Phone: true}, idle: start.Add(time.Duration(i*7919%300) * time.Second)})
	}
	for i := range 1000 {
		s.calls = append(s.calls, callRec{WaitingCall: hotline.WaitingCall{ID: hotline.CallID(fmt.Sprint(i)), State: Waiting, Since: start.Add(time.Duration(i*7919%1000) * time.Second)}})
	}
	for b.Loop() {
		match(s)
	}
}
