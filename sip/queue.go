package sip

import (
	"context"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/hotline"
	"hotline12345/sip/acd"
	"hotline12345/sip/media"
)

// floorWait bounds each question of an actor to the floor.
const floorWait = time.Second

func (c *call) ask() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.s.life, floorWait)
}

// play plays prompts by name, one after the other; unknown names are silent.
func (c *call) play(names ...string) <-chan struct{} { return c.a.Play(c.prompts(names)...) }

func (c *call) prompts(names []string) []*media.Prompt {
	var out []*media.Prompt
	for _, n := range names {
		if p := c.s.o.Prompts[n]; p != nil {
			out = append(out, p)
		} else if p := c.s.fallback[n]; p != nil {
			out = append(out, p)
		}
	}
	return out
}

// music fills the wait.
func (c *call) music() {
	if p := c.prompts([]string{c.s.o.IVR.Music}); len(p) > 0 {
		c.a.Loop(p...)
		return
	}
	c.a.Silence()
}

// quiet goes on after a prompt: from the greeting to the queue, from an
// announcement to the music, from the apology to the end.
func (c *call) quiet() {
	switch c.phase {
	case greeting:
		c.enqueue()
	case queued, ringing:
		c.music()
	case leaving:
		c.end("system", hotline.EndNoAgent)
	}
}

// enqueue puts the caller into the queue.
func (c *call) enqueue() {
	ctx, cancel := c.ask()
	_, waiting, err := c.s.o.Floor.Position(ctx, c.id)
	cancel()
	if err == nil && waiting >= c.s.o.MaxWaiting {
		c.apologise()
		return
	}
	c.phase, c.since = queued, c.now()
	c.report(hotline.CallQueued, hotline.CallFact{Queue: "main"})
	c.set(alarmWait, c.s.o.LongestWait)
	c.set(alarmAnnounce, c.s.o.IVR.Every())
	if p := c.prompts([]string{c.s.o.IVR.Waiting}); len(p) > 0 {
		c.played = c.a.Play(p...)
	} else {
		c.music()
	}
	c.assert()
}

// assert tells the floor what this actor knows. It repeats it, so that a
// floor whose Redis was emptied, or away, comes to know it again.
func (c *call) assert() {
	w := hotline.WaitingCall{ID: c.id, Caller: c.caller, Original: c.number, Since: c.since, State: acd.Waiting}
	switch c.phase {
	case ringing:
		w.State, w.Agent = acd.Offered, c.out.offer.Agent
	case talking:
		w.State, w.Agent = acd.Talking, c.out.offer.Agent
	case queued:
	default:
		return
	}
	c.joined = true
	ctx, cancel := c.ask()
	defer cancel()
	if err := c.s.o.Floor.Enqueue(ctx, w); err != nil {
		c.log.Warn("floor not told of call", "err", err)
	}
	c.set(alarmAssert, assertEvery)
}

// announce tells the caller his place.
func (c *call) announce() {
	c.set(alarmAnnounce, c.s.o.IVR.Every())
	if c.phase != queued { // a phone rings: the music goes on
		return
	}
	ctx, cancel := c.ask()
	place, _, err := c.s.o.Floor.Position(ctx, c.id)
	cancel()
	if err != nil {
		place = 0
	}
	if p := c.prompts(c.s.o.IVR.Announcement(place)); len(p) > 0 {
		c.played = c.a.Play(p...)
	}
}

// apologise gives the wait up: the apology, then the end.
func (c *call) apologise() {
	c.phase = leaving
	c.leaveFloor()
	c.played = c.play(c.s.o.IVR.Busy)
}

func (c *call) leaveFloor() {
	if !c.joined {
		return
	}
	ctx, cancel := c.ask()
	defer cancel()
	if c.s.o.Floor.Ended(ctx, c.id) == nil {
		c.joined = false
	}
}

// offer rings the agent the floor chose.
func (c *call) offer(o acd.Offer) {
	if c.phase != queued {
		ctx, cancel := c.ask()
		defer cancel()
		if err := c.s.o.Floor.Refused(ctx, c.id, o.Agent, acd.Cancelled); err != nil {
			c.log.Debug("void offer", "agent_id", o.Agent, "err", err)
		}
		return
	}
	c.report(hotline.CallOffered, hotline.CallFact{Agent: o.Agent, Extension: o.Extension})
	c.phase = ringing
	c.out = &outbound{offer: o}
	ctx, cancel := c.ask()
	defer cancel()
	to, ok := c.s.reg.find(ctx, o.Extension)
	if !ok {
		c.fail(acd.Unreachable)
		return
	}
	leg, err := c.s.ports.NewLeg(media.LegOptions{FirstPacket: c.s.o.FirstPacket, Silence: c.s.o.Silence})
	if err != nil {
		c.log.Warn("no media for agent", "err", err)
		c.fail(acd.Busy)
		return
	}
	c.b = leg
	out, err := c.s.ring(c, o, to, leg)
	if err != nil {
		c.log.Warn("agent's phone cannot be called", "err", err)
		c.fail(acd.Unreachable)
		return
	}
	c.out = out
	if err := c.s.o.Floor.Ringing(ctx, c.id, o.Agent); err != nil {
		if hotline.ErrorCode(err) == hotline.Conflict {
			c.fail(acd.Cancelled)
			return
		}
		c.log.Warn("floor not told of ringing", "err", err)
	}
	c.set(alarmRing, min(c.s.o.Floor.RingTimeout(), max(time.Second, o.Deadline.Sub(c.now()))))
}

// failureOf turns a phone's answer into a reason of the floor.
func failureOf(code int) string {
	switch code {
	case 486, 600:
		return acd.Busy
	case 603, 480, 403:
		return acd.Declined
	}
	return acd.Unreachable // 408, 404, 5xx, 302 (never followed), transport faults
}

// fail takes the caller back from an agent who did not answer.
func (c *call) fail(reason string) {
	out := c.out
	delete(c.alarms, alarmRing)
	c.out, c.phase = nil, queued
	if out.stop != nil {
		out.cancel()
	}
	if c.b != nil {
		c.b.Close()
		c.b = nil
	}
	c.report(hotline.CallRefused, hotline.CallFact{Agent: out.offer.Agent, Extension: out.offer.Extension, Reason: reason})
	ctx, cancel := c.ask()
	defer cancel()
	err := c.s.o.Floor.Refused(ctx, c.id, out.offer.Agent, reason)
	if err != nil && hotline.ErrorCode(err) != hotline.Conflict {
		c.log.Warn("floor not told of refusal", "err", err) // its deadline frees the agent
	}
}

// agentAnswered joins caller and agent, or lets the agent go when the offer
// is void by now.
func (c *call) agentAnswered(e outAnswered) {
	if e.o != c.out || c.phase != ringing {
		e.o.dialog.bye()
		return
	}
	delete(c.alarms, alarmRing)
	if err := c.b.Accept(e.body); err != nil {
		c.log.Warn("agent's phone answered without usable media", "err", err)
		e.o.dialog.bye()
		c.fail(acd.Unreachable)
		return
	}
	ctx, cancel := c.ask()
	defer cancel()
	if err := c.s.o.Floor.Answered(ctx, c.id, e.o.offer.Agent); hotline.ErrorCode(err) == hotline.Conflict {
		e.o.dialog.bye()
		c.fail(acd.Cancelled)
		return
	} else if err != nil {
		c.log.Warn("floor not told of answer", "err", err) // assert repeats it
	}
	c.phase, c.answered, c.played = talking, c.now(), nil
	delete(c.alarms, alarmWait)
	delete(c.alarms, alarmAnnounce)
	media.Bridge(c.a, c.b)
	c.record()
	c.report(hotline.CallAnswered, hotline.CallFact{Agent: e.o.offer.Agent, Extension: e.o.offer.Extension})
	c.set(alarmAssert, assertEvery)
}

// request answers a request inside one of the call's dialogs.
func (c *call) request(r request) {
	d, seq := r.d, r.req.CSeq().SeqNo
	leg, who := c.a, "caller"
	if d != c.caller1 {
		leg, who = c.b, "agent"
	}
	if r.req.Method == gosip.ACK {
		r.tx.Terminate()
		c.ack(d, r.req)
		return
	}
	if seq <= d.remoteSeq && d.remoteSeq != 0 { // RFC 3261 §12.2.2
		c.s.send(r.tx, respond(r.req, 500, "Request Out Of Order"))
		return
	}
	d.remoteSeq = seq
	if c.phase == over && r.req.Method != gosip.BYE {
		c.tooLate(r)
		return
	}
	switch r.req.Method {
	case gosip.BYE:
		c.s.send(r.tx, respond(r.req, 200, "OK"))
		if c.phase == over { // both hung up
			c.finals = nil
			return
		}
		if who == "agent" && (c.out == nil || d != c.out.dialog) {
			c.s.forget(d.key)
			return
		}
		c.end(who, "")
	case gosip.INVITE:
		c.reinvite(r, leg)
	case gosip.UPDATE:
		d.refresh(r.req.Contact())
		if len(r.req.Body()) == 0 {
			c.s.send(r.tx, c.ok(d, r.req, nil))
			return
		}
		if leg == nil {
			c.tooLate(r)
			return
		}
		sdp, err := leg.Answer(r.req.Body())
		if err != nil {
			c.s.send(r.tx, refusedSDP(r.req, err))
			return
		}
		c.s.send(r.tx, c.ok(d, r.req, sdp))
	case gosip.INFO:
		kind, _, _ := strings.Cut(headerText(r.req, "Content-Type"), ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "", "application/dtmf-relay", "application/dtmf":
			c.s.send(r.tx, respond(r.req, 200, "OK"))
		default:
			c.s.send(r.tx, respond(r.req, 415, "Unsupported Media Type", "Accept", "application/dtmf-relay, application/dtmf"))
		}
	case gosip.OPTIONS:
		c.s.send(r.tx, respond(r.req, 200, "OK", "Allow", allow, "Accept", "application/sdp"))
	case gosip.REFER: // transfers are made by the console, not by phones
		c.s.send(r.tx, respond(r.req, 603, "Decline"))
	case gosip.PRACK: // we send no reliable provisionals
		c.s.send(r.tx, respond(r.req, 481, "Call/Transaction Does Not Exist"))
	default:
		c.s.send(r.tx, respond(r.req, 405, "Method Not Allowed", "Allow", allow))
	}
}

// reinvite answers an INVITE inside a dialog: hold, resume, a new address or
// codec, a late offer, a session refresh.
func (c *call) reinvite(r request, leg *media.Leg) {
	for _, f := range c.finals {
		if f.d == r.d { // the ACK of our earlier 2xx may be a goroutine behind (pitfall 6)
			c.held = append(c.held, r)
			c.set(alarmHeld, gosip.T1)
			return
		}
	}
	if leg == nil {
		c.tooLate(r)
		return
	}
	sdp, late, err := describe(leg, r.req)
	if err != nil {
		c.s.send(r.tx, refusedSDP(r.req, err)) // the call goes on as it was
		return
	}
	r.d.refresh(r.req.Contact())
	c.accept(r.d, leg, r.tx, r.req, sdp, late, false)
}

// release goes on with the re-INVITEs that waited for an ACK, or refuses them
// when it did not come.
func (c *call) release(acked bool) {
	held := c.held
	c.held = nil
	delete(c.alarms, alarmHeld)
	for _, r := range held {
		leg := c.a
		if r.d != c.caller1 {
			leg = c.b
		}
		switch {
		case c.phase == over:
			c.tooLate(r)
		case acked:
			c.reinvite(r, leg)
		default:
			c.s.send(r.tx, respond(r.req, 491, "Request Pending"))
		}
	}
}

// ack takes the ACK of one of our 2xx, by the INVITE's number; others may come
// between (pitfall 7).
func (c *call) ack(d *dialog, req *gosip.Request) {
	for _, f := range c.finals {
		if f.d != d || f.seq != req.CSeq().SeqNo {
			continue
		}
		c.acked(f)
		if f.late && c.phase != over {
			if err := f.leg.Accept(req.Body()); err != nil {
				c.log.Warn("ack holds no usable answer", "err", err)
				if f.first {
					c.end("system", hotline.EndRejected)
				}
			}
		}
		return
	}
}

func headerText(m gosip.Message, name string) string {
	for _, h := range m.GetHeaders(name) {
		return h.Value()
	}
	return ""
}

// sessionTimer reads what the caller wants (RFC 4028). We let the caller
// refresh; a caller who wants us to is answered without a timer, which §9
// allows to a server that does not support it. Zero: no timer.
func sessionTimer(req *gosip.Request) (time.Duration, *refusal) {
	v := headerText(req, "Session-Expires")
	if v == "" {
		v = headerText(req, "x") // compact form
	}
	if v == "" || !strings.Contains(strings.ToLower(headerText(req, "Supported")+headerText(req, "Require")+headerText(req, "k")), "timer") {
		return 0, nil
	}
	num, params, _ := strings.Cut(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(num), 10, 31)
	if err != nil {
		return 0, refuse(400, "Bad Request: Session-Expires")
	}
	if n < 90 {
		return 0, refuse(422, "Session Interval Too Small", "Min-SE", "90")
	}
	if strings.Contains(strings.ToLower(strings.Join(strings.Fields(params), "")), "refresher=uas") {
		return 0, nil
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour), nil
}
