package acd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"hotline12345/hotline"
)

// coalesce is the shortest time between two snapshots of Changes.
const coalesce = 200 * time.Millisecond

// Run beats the node's heart, sweeps deadlines, matches callers to agents on
// each change and delivers offers, until ctx ends. A Redis that is away is
// tried again each sweep. It returns nil.
func (f *Floor) Run(ctx context.Context) error {
	sub := f.o.Redis.Subscribe(ctx, key("wake"))
	wake := sub.Channel(redis.WithChannelSize(64)) // full: its reader waits; each round empties it
	defer func() {
		_ = sub.Close()
		for range wake { // until its reader, which may wait for room, has ended
		}
	}()
	sweep := time.NewTicker(f.o.SweepInterval)
	defer sweep.Stop()
	show := time.NewTicker(coalesce)
	defer show.Stop()

	changed, away := true, false
	tick := func(full bool) {
		err := f.tick(ctx, full)
		if err != nil && !away && ctx.Err() == nil {
			f.log.Error("floor cannot reach redis", "err", err)
		}
		if err == nil && away {
			f.log.Info("floor reached redis again")
		}
		away = err != nil
	}
	tick(true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-wake:
			if !ok {
				return nil
			}
			drain(wake)
			changed = true
			tick(false)
		case <-f.kick:
			changed = true
			tick(false)
		case <-sweep.C:
			changed = true
			tick(true)
		case <-show.C:
			if changed {
				changed = false
				f.broadcast(ctx)
			}
		}
	}
}

func drain[T any](c <-chan T) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// tick is one round: sweep when full, restore, match, deliver.
func (f *Floor) tick(ctx context.Context, full bool) error {
	if full {
		_, err := f.run(ctx, sweepScript, f.me, f.o.NodeTimeout.Milliseconds(),
			max(0, f.o.WrapUp.Milliseconds()), 2*f.o.NodeTimeout.Milliseconds())
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	s, err := f.state(ctx)
	if err != nil {
		return err
	}
	if err := f.restore(ctx, s); err != nil {
		return err
	}
	for _, p := range match(s) {
		if err := f.offer(ctx, p); err != nil {
			return err
		}
	}
	return f.deliver(ctx)
}

func (f *Floor) offer(ctx context.Context, p pair) error {
	now := f.o.Clock.Now()
	o := Offer{p.call.ID, p.agent.ID, p.agent.Extension, now.Add(f.o.RingTimeout)}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	// A lost race is not an error: the next round sees the floor anew.
	_, err = f.run(ctx, offerScript, string(p.call.ID), id(p.agent.ID), p.call.version, p.agent.Version,
		now.Add(grace*time.Millisecond).UnixMilli(), string(b))
	return wrapf(err, "offer call %s", p.call.ID)
}

// deliver hands this node's offers to its calls. A full channel leaves the
// rest in Redis for the next round; the reserve deadline bounds the wait.
func (f *Floor) deliver(ctx context.Context) error {
	for len(f.offers) < cap(f.offers) {
		b, err := f.o.Redis.LPop(ctx, key("offers:"+f.me)).Bytes()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("take offers: %w", err)
		}
		var o Offer
		if err := json.Unmarshal(b, &o); err != nil {
			f.log.Error("offer unreadable", "err", err)
			continue
		}
		f.offers <- o
	}
	return nil
}

// restore puts agents back that this node knew and Redis lost; agents are
// never deleted, so a missing one means that Redis was emptied.
func (f *Floor) restore(ctx context.Context, s state) error {
	f.mu.Lock()
	var lost []agentRec
	for aid, a := range f.seen {
		if !slices.ContainsFunc(s.agents, func(b agentRec) bool { return b.ID == aid }) {
			lost = append(lost, a)
		}
	}
	for _, a := range s.agents {
		f.seen[a.ID] = a
	}
	f.mu.Unlock()
	for _, a := range lost {
		deadline := int64(0)
		if a.Deadline != nil {
			deadline = a.Deadline.UnixMilli()
		}
		_, err := f.run(ctx, restoreScript, id(a.ID), "state", string(a.State), "reason", a.Reason,
			"since", a.Since.UnixMilli(), "idle", a.idle.UnixMilli(), "deadline", deadline, "call", string(a.CallID),
			"phone", flag(a.Phone), "ext", a.Extension, "name", a.Name, "ver", a.Version+1)
		if err != nil {
			return fmt.Errorf("restore agent %d: %w", a.ID, err)
		}
	}
	if len(lost) > 0 {
		f.log.Warn("floor restored after redis lost it", "agents", len(lost))
	}
	return nil
}

// Snapshot returns the whole floor now: callers longest first, agents by
// extension. Errors: Unavailable when Redis is away.
func (f *Floor) Snapshot(ctx context.Context) (hotline.FloorSnapshot, error) {
	s, err := f.state(ctx)
	if err != nil {
		return hotline.FloorSnapshot{}, &hotline.Error{Code: hotline.Unavailable, Message: "暂时读不到话务大厅的状态", Err: err}
	}
	out := hotline.FloorSnapshot{At: s.at, Waiting: []hotline.WaitingCall{}, Agents: []hotline.Agent{}}
	for _, c := range s.calls {
		out.Waiting = append(out.Waiting, c.WaitingCall)
	}
	for _, a := range s.agents {
		out.Agents = append(out.Agents, a.Agent)
	}
	slices.SortFunc(out.Waiting, func(a, b hotline.WaitingCall) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(out.Agents, func(a, b hotline.Agent) int {
		return cmp.Or(cmp.Compare(a.Extension, b.Extension), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// Changes returns a channel that gives the floor now and after each change,
// at most five times a second; a slow reader misses the ones between. It is
// closed when ctx ends. It needs Run to be running.
func (f *Floor) Changes(ctx context.Context) <-chan hotline.FloorSnapshot {
	ch := make(chan hotline.FloorSnapshot, 1)
	f.mu.Lock()
	f.subs[ch] = struct{}{}
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, ch)
		close(ch)
	})
	select {
	case f.kick <- struct{}{}:
	default:
	}
	return ch
}

func (f *Floor) broadcast(ctx context.Context) {
	f.mu.Lock()
	n := len(f.subs)
	f.mu.Unlock()
	if n == 0 {
		return
	}
	snap, err := f.Snapshot(ctx)
	if err != nil {
		return // tick reports an absent Redis once; the next round shows the floor
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.subs {
		drain(ch) // latest wins
		ch <- snap
	}
}

// state reads the whole floor in one step.
func (f *Floor) state(ctx context.Context) (state, error) {
	now := f.o.Clock.Now()
	raw, err := snapshotScript.Run(ctx, f.o.Redis, []string{key("agents")}, now.UnixMilli()).Slice()
	if err != nil {
		return state{}, fmt.Errorf("read floor: %w", err)
	}
	s := state{at: now}
	if len(raw) != 2 {
		return state{}, fmt.Errorf("read floor: %d parts", len(raw))
	}
	for _, r := range rows(raw[0]) {
		n, err := strconv.ParseInt(r.id, 10, 64)
		if err != nil {
			return state{}, fmt.Errorf("read floor: agent %q: %w", r.id, err)
		}
		a := agentRec{idle: r.instant("idle")}
		a.Agent = hotline.Agent{
			ID: hotline.AccountID(n), Name: r.m["name"], Extension: r.m["ext"], State: hotline.AgentState(r.m["state"]),
			Reason: r.m["reason"], Since: r.instant("since"), CallID: hotline.CallID(r.m["call"]),
			Phone: r.m["phone"] == "1", Version: r.number("ver"),
		}
		if d := r.instant("deadline"); !d.IsZero() {
			a.Deadline = &d
		}
		s.agents = append(s.agents, a)
	}
	for _, r := range rows(raw[1]) {
		node, _, _ := strings.Cut(r.m["node"], "/") // without the mark of its start
		s.calls = append(s.calls, callRec{version: r.number("ver"), WaitingCall: hotline.WaitingCall{
			ID: hotline.CallID(r.id), Caller: hotline.Phone(r.m["caller"]), Original: r.m["original"],
			Since: r.instant("since"), State: r.m["state"], Agent: hotline.AccountID(r.number("agent")), Node: node,
		}})
	}
	return s, nil
}

// row is one hash of the snapshot.
type row struct {
	id string
	m  map[string]string
}

func rows(v any) []row {
	list, _ := v.([]any)
	out := make([]row, 0, len(list))
	for _, e := range list {
		p, ok := e.([]any)
		if !ok || len(p) != 2 {
			continue
		}
		kv, _ := p[1].([]any)
		r := row{id: fmt.Sprint(p[0]), m: make(map[string]string, len(kv)/2)}
		for i := 0; i+1 < len(kv); i += 2 {
			r.m[fmt.Sprint(kv[i])] = fmt.Sprint(kv[i+1])
		}
		out = append(out, r)
	}
	return out
}

func (r row) number(name string) int64 {
	n, _ := strconv.ParseInt(r.m[name], 10, 64) // absent: zero
	return n
}

func (r row) instant(name string) time.Time {
	if n := r.number(name); n > 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}
