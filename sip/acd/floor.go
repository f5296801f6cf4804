// Package acd owns the floor (话务大厅): which callers wait and what each agent
// does now. The truth is a handful of Redis keys under the tag {acd}; every
// change is one Lua script, so that any number of nodes may share one floor
// and no agent is given to two callers. Package sip calls it for its calls and
// phones, the consoles for snapshots and an agent's own state.
//
// Every state that waits for somebody else carries a deadline, and each node
// sweeps the deadlines once a second. A node shows that it lives by a
// heartbeat; the calls of a node that fell silent, or was started anew, are let
// go and their agents freed. Deadlines and heartbeats are instants of the nodes' clocks: nodes
// that share a floor keep their clocks within a second of each other.
//
// The goroutine of Run is the only one that matches callers to agents on its
// node. Full telephone numbers never enter Redis, only their masks.
//
// It may import the standard library, go-redis and package hotline.
package acd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"hotline12345/hotline"
)

// Options are what a floor needs. Redis, Clock and Node are required.
type Options struct {
	Redis *redis.Client
	Clock hotline.Clock
	Node  string // unique among the nodes that share the floor
	Log   *slog.Logger

	RingTimeout   time.Duration // how long an agent's phone may ring; zero: 20 s
	WrapUp        time.Duration // rest after a talk (话后处理); zero: 20 s, negative: none
	BusyRest      time.Duration // not ready after a busy answer, then ready again; zero: 10 s
	NodeTimeout   time.Duration // silence after which a node counts as dead; zero: 6 s
	SweepInterval time.Duration // deadlines are looked at this often; zero: 1 s
}

// Floor is one node's door to the shared floor. Safe for concurrent use.
type Floor struct {
	o      Options
	me     string // the node in Redis: a new one at each start, so that what a killed program left is swept
	log    *slog.Logger
	offers chan Offer
	kick   chan struct{}

	mu   sync.Mutex
	subs map[chan hotline.FloorSnapshot]struct{}
	seen map[hotline.AccountID]agentRec // last known agents, to restore an emptied Redis
}

// Seat is an agent with the phone in front of him (坐席).
type Seat struct {
	ID        hotline.AccountID
	Name      string
	Extension string
}

// Offer says that a caller was given to an agent and that the agent's phone
// should ring now. It goes to the node that holds the call.
type Offer struct {
	CallID    hotline.CallID    `json:"call"`
	Agent     hotline.AccountID `json:"agent"`
	Extension string            `json:"ext"`
	Deadline  time.Time         `json:"deadline"` // the ringing ends then at the latest
}

// The reasons an offer fails, for Refused and hotline.CallFact.Reason.
const (
	NoAnswer    = "no_answer"   // rang out: the agent becomes not ready (RONA)
	Busy        = "busy"        // 486: the agent rests a moment, then is ready again
	Declined    = "declined"    // 603: the agent becomes not ready
	Unreachable = "unreachable" // no phone there: the agent becomes not ready
	Cancelled   = "cancelled"   // the caller went: the agent is ready at once
)

// The states of a waiting call, as in hotline.WaitingCall.
const (
	Waiting = "waiting"
	Offered = "offered"
	Talking = "talking"
)

// New makes a floor. It does not touch Redis yet.
func New(o Options) (*Floor, error) {
	if o.Redis == nil || o.Clock == nil || o.Node == "" {
		return nil, errors.New("acd: Redis, Clock and Node are required")
	}
	setDefault(&o.RingTimeout, 20*time.Second)
	setDefault(&o.WrapUp, 20*time.Second)
	setDefault(&o.BusyRest, 10*time.Second)
	setDefault(&o.NodeTimeout, 6*time.Second)
	setDefault(&o.SweepInterval, time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Floor{
		o: o, me: o.Node + "/" + rand.Text(), log: o.Log.With("component", "acd"),
		offers: make(chan Offer, 1024),
		kick:   make(chan struct{}, 1),
		subs:   map[chan hotline.FloorSnapshot]struct{}{},
		seen:   map[hotline.AccountID]agentRec{},
	}, nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// RingTimeout tells how long an agent's phone may ring.
func (f *Floor) RingTimeout() time.Duration { return f.o.RingTimeout }

// Know tells the floor of seats without changing what their agents do. Agents
// it did not know are signed out.
func (f *Floor) Know(ctx context.Context, seats ...Seat) error {
	for _, s := range seats {
		if _, err := f.run(ctx, knowScript, id(s.ID), s.Name, s.Extension); err != nil {
			return fmt.Errorf("know seat %d: %w", s.ID, err)
		}
	}
	return nil
}

// SignIn brings an agent to the floor, not ready yet (签入). It changes
// nothing for an agent who is signed in.
func (f *Floor) SignIn(ctx context.Context, s Seat) error {
	_, err := f.run(ctx, signInScript, id(s.ID), s.Name, s.Extension)
	return wrapf(err, "sign in agent %d", s.ID)
}

// SignOut takes an agent off the floor (签出). Errors: Conflict while a call
// is with him.
func (f *Floor) SignOut(ctx context.Context, agent hotline.AccountID) error {
	ok, err := f.run(ctx, signOutScript, id(agent))
	if err == nil && !ok {
		err = hotline.Errorf(hotline.Conflict, "通话或振铃中不能签出")
	}
	return wrapf(err, "sign out agent %d", agent)
}

// SetState makes a signed-in agent ready, not ready or on break; reason is a
// short word shown to the team leader. version is the one the page showed, or
// zero for any. Errors: Invalid for other states, Conflict when the agent
// changed meanwhile, has a call, or wants to be ready without a phone.
func (f *Floor) SetState(ctx context.Context, agent hotline.AccountID, state hotline.AgentState, reason string, version int64) error {
	switch state {
	case hotline.Ready, hotline.NotReady, hotline.OnBreak:
	default:
		return hotline.FieldErrorf("state", "坐席状态只能置为示闲、示忙或小休")
	}
	ok, err := f.run(ctx, setStateScript, id(agent), string(state), reason, version)
	if err == nil && !ok {
		err = hotline.Errorf(hotline.Conflict, "坐席状态已变化、正有来电或话机未注册")
	}
	return wrapf(err, "set state of agent %d", agent)
}

// PhoneUp tells that the agent's phone registered. With ready, a signed-out
// agent is made ready at once, as the demonstration wants it.
func (f *Floor) PhoneUp(ctx context.Context, agent hotline.AccountID, extension string, ready bool) error {
	_, err := f.run(ctx, phoneUpScript, id(agent), extension, flag(ready))
	return wrapf(err, "phone up of agent %d", agent)
}

// PhoneDown tells that the agent's phone is gone. A ready agent becomes not
// ready; a call in hand is left to its actor.
func (f *Floor) PhoneDown(ctx context.Context, agent hotline.AccountID) error {
	_, err := f.run(ctx, phoneDownScript, id(agent))
	return wrapf(err, "phone down of agent %d", agent)
}

// Enqueue puts a caller into the queue at its Since, or repeats what the
// call's actor knows (state and agent) when the floor has lost it. Repeating
// it changes nothing, so actors do it every few seconds.
func (f *Floor) Enqueue(ctx context.Context, w hotline.WaitingCall) error {
	state := w.State
	if state == "" {
		state = Waiting
	}
	_, err := f.run(ctx, enqueueScript, string(w.ID), w.Caller.Mask(), w.Original,
		w.Since.UnixMilli(), state, id(w.Agent), f.me)
	return wrapf(err, "enqueue call %s", w.ID)
}

// Offers returns the offers for calls of this node. One reader takes them.
func (f *Floor) Offers() <-chan Offer { return f.offers }

// Ringing tells that the agent's phone was reached. Errors: Conflict when the
// offer is void by now.
func (f *Floor) Ringing(ctx context.Context, call hotline.CallID, agent hotline.AccountID) error {
	return f.own(ctx, ringingScript, call, agent, f.o.RingTimeout.Milliseconds()+grace)
}

// Answered tells that the agent took the call. Errors: Conflict when the offer
// is void by now; the caller of Answered must then let the agent's phone go.
func (f *Floor) Answered(ctx context.Context, call hotline.CallID, agent hotline.AccountID) error {
	return f.own(ctx, answeredScript, call, agent)
}

// grace is the margin, in milliseconds, by which the floor's ring deadline
// follows the actor's own, so that the sweep only acts when the actor cannot.
const grace = 5000

// Refused returns the caller to the place it had and the agent to the state
// the reason asks for. Errors: Conflict when the offer is void by now.
func (f *Floor) Refused(ctx context.Context, call hotline.CallID, agent hotline.AccountID, reason string) error {
	state, why, rest := hotline.NotReady, reason, int64(0)
	switch reason {
	case NoAnswer:
		why = hotline.NotReadyRONA
	case Busy:
		rest = f.o.BusyRest.Milliseconds()
	case Cancelled:
		state, why = hotline.Ready, ""
	}
	return f.own(ctx, refusedScript, call, agent, string(state), why, rest)
}

// Ended takes the call off the floor. Its agent wraps up after a talk, and is
// ready at once when the phone only rang.
func (f *Floor) Ended(ctx context.Context, call hotline.CallID) error {
	_, err := f.run(ctx, endedScript, string(call), max(0, f.o.WrapUp.Milliseconds()))
	return wrapf(err, "end call %s", call)
}

// Position returns the call's place among the waiting, from 1 (zero when it
// does not wait), and how many wait.
func (f *Floor) Position(ctx context.Context, call hotline.CallID) (place, waiting int, err error) {
	rank, err := f.o.Redis.ZRank(ctx, key("wait"), string(call)).Result()
	if errors.Is(err, redis.Nil) {
		rank = -1
	} else if err != nil {
		return 0, 0, fmt.Errorf("find place of call %s: %w", call, err)
	}
	n, err := f.o.Redis.ZCard(ctx, key("wait")).Result()
	if err != nil {
		return 0, 0, fmt.Errorf("count waiting calls: %w", err)
	}
	return int(rank) + 1, int(n), nil
}

func (f *Floor) own(ctx context.Context, s *redis.Script, call hotline.CallID, agent hotline.AccountID, more ...any) error {
	ok, err := f.run(ctx, s, append([]any{string(call), id(agent)}, more...)...)
	if err == nil && !ok {
		err = hotline.Errorf(hotline.Conflict, "来电已不归该坐席")
	}
	return wrapf(err, "call %s with agent %d", call, agent)
}

// run executes one transition; false means that its condition did not hold.
func (f *Floor) run(ctx context.Context, s *redis.Script, args ...any) (bool, error) {
	args = append([]any{f.o.Clock.Now().UnixMilli()}, args...)
	n, err := s.Run(ctx, f.o.Redis, []string{key("agents")}, args...).Int()
	if err != nil {
		return false, err
	}
	return n == 1, nil
}

func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

func key(name string) string { return "{acd}:" + name }

func id(a hotline.AccountID) string { return strconv.FormatInt(int64(a), 10) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
