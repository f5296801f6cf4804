package acd

import (
	"cmp"
	"slices"
	"time"

	"hotline12345/hotline"
)

// agentRec is an agent as Redis holds it.
type agentRec struct {
	hotline.Agent
	idle time.Time // since when he waits for a call; kept when a caller went away
}

// callRec is a call as Redis holds it.
type callRec struct {
	hotline.WaitingCall
	version int64
}

// state is the whole floor at one instant.
type state struct {
	at     time.Time
	agents []agentRec
	calls  []callRec
}

// pair is one caller meant for one agent.
type pair struct {
	call  callRec
	agent agentRec
}

// match decides who gets whom: callers by the instant they entered the queue,
// agents by the time they have been idle, longest first. Equal instants are
// settled by id, so that all nodes decide alike.
func match(s state) []pair {
	ready := make([]agentRec, 0, len(s.agents))
	for _, a := range s.agents {
		if a.State == hotline.Ready && a.Phone && a.CallID == "" {
			ready = append(ready, a)
		}
	}
	waiting := make([]callRec, 0, len(s.calls))
	for _, c := range s.calls {
		if c.State == Waiting {
			waiting = append(waiting, c)
		}
	}
	slices.SortFunc(ready, func(a, b agentRec) int {
		return cmp.Or(a.idle.Compare(b.idle), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(waiting, func(a, b callRec) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	pairs := make([]pair, min(len(ready), len(waiting)))
	for i := range pairs {
		pairs[i] = pair{waiting[i], ready[i]}
	}
	return pairs
}
