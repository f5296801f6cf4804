package console

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hotline12345/hotline"
)

// The topics without a name behind them.
const (
	topicFloor    = "floor"
	topicCalls    = "calls"
	topicOrders   = "orders"
	topicDispatch = "desk:dispatch"
	topicCallback = "desk:callback"
)

// Allow tells whether the person may hear the topic; the only place that
// decides it. Unit staff hear the units of their own subtree, orders they can
// see and their own account; the office's topics go by role. An unknown topic
// is nobody's. The error is visible's.
func Allow(ctx context.Context, d *hotline.Directory, p hotline.Principal, topic string,
	visible func(context.Context, hotline.Principal, hotline.OrderID) (bool, error)) (bool, error) {
	if p.ID == 0 || len(topic) > maxTopicBytes {
		return false, nil
	}
	switch topic {
	case topicFloor, topicOrders:
		return p.Center(), nil
	case topicCalls:
		return p.Has(hotline.RoleAgent, hotline.RoleDispatcher, hotline.RoleLeader, hotline.RoleAdmin), nil
	case topicDispatch:
		return p.Has(hotline.RoleDispatcher, hotline.RoleLeader, hotline.RoleAdmin), nil
	case topicCallback:
		return p.Has(hotline.RoleCallback, hotline.RoleLeader, hotline.RoleAdmin), nil
	}
	kind, name, ok := strings.Cut(topic, ":")
	if !ok || name == "" {
		return false, nil
	}
	switch kind {
	case "unit":
		if p.Center() {
			return true, nil
		}
		return p.Has(hotline.RoleUnit) && p.Unit != "" && slices.Contains(d.Subtree(p.Unit), hotline.UnitCode(name)), nil
	case "agent":
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return false, nil
		}
		return hotline.AccountID(id) == p.ID || p.Has(hotline.RoleLeader, hotline.RoleAdmin), nil
	case "order":
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil || id <= 0 {
			return false, nil
		}
		return visible(ctx, p, hotline.OrderID(id))
	}
	return false, nil
}

// watchFloor pushes each snapshot to the floor's listeners, and each step of
// an agent's phone to that agent.
func (h *Hub) watchFloor(ctx context.Context) {
	if h.o.Floor == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-h.o.Floor:
			if !ok {
				return
			}
			h.pushFloor(s)
		}
	}
}

func (h *Hub) pushFloor(s hotline.FloorSnapshot) {
	msg, err := frame(floor{"floor", s})
	if err != nil {
		h.log.Error("floor not encoded", "err", err)
		return
	}
	steps := phoneSteps(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floor = msg
	for c := range h.topics[topicFloor] {
		h.put(c, item{msg: msg})
	}
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		step, before := steps[id], h.agents[id]
		if step.Agent.State == before.Agent.State && step.Agent.CallID == before.Agent.CallID {
			continue
		}
		for c := range h.topics["agent:"+strconv.FormatInt(int64(id), 10)] {
			h.put(c, item{msg: plainFrame(phone{"call", step})})
		}
	}
	h.agents = steps
}

// phoneSteps pairs each agent with the call on the agent's phone.
func phoneSteps(s hotline.FloorSnapshot) map[hotline.AccountID]phoneStep {
	calls := make(map[hotline.CallID]hotline.WaitingCall, len(s.Waiting))
	for _, w := range s.Waiting {
		calls[w.ID] = w
	}
	steps := make(map[hotline.AccountID]phoneStep, len(s.Agents))
	for _, a := range s.Agents {
		step := phoneStep{Agent: a}
		if w, ok := calls[a.CallID]; ok && a.CallID != "" {
			step.Call = &w
		}
		steps[a.ID] = step
	}
	return steps
}
