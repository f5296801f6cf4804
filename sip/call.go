package sip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/hotline"
	"hotline12345/sip/acd"
	"hotline12345/sip/media"
)

// event is what a call's actor can be told.
type event any

type (
	cancelled struct{}              // the caller's CANCEL ended the INVITE
	offered   struct{ o acd.Offer } // the floor chose an agent
	hangup    struct{ why string }  // the console, or the end of the program
)

// phase is where a call stands.
type phase int

const (
	greeting phase = iota
	queued
	ringing
	talking
	leaving // the apology plays, then we hang up
	over
)

// alarm names a timer of the actor.
type alarm int

const (
	alarmRing alarm = iota
	alarmAnnounce
	alarmAssert
	alarmLength
	alarmWait
	alarmSession
	alarmHeld
)

// assertEvery is how often the actor repeats to the floor what it knows.
const assertEvery = 3 * time.Second

// call is one citizen's call. Its goroutine, run, alone touches the fields
// below the mailbox.
type call struct {
	s   *Server
	id  hotline.CallID
	log *slog.Logger

	mu     sync.Mutex // guards closed and sending to box
	closed bool
	box    chan event // full: the call is ended, nobody is blocked

	flood     chan struct{} // closed when the mailbox overflowed
	floodOnce sync.Once

	tx        *gosip.ServerTx
	invite    *gosip.Request
	inviteKey string
	caller1   *dialog // the caller's leg
	a, b      *media.Leg
	out       *outbound // the agent's leg: ringing, or in the talk
	rec       *media.Recorder
	finals    []*final  // 2xx of ours that wait for an ACK
	held      []request // re-INVITEs that came before the ACK of the last one
	session   time.Duration

	caller   hotline.Phone
	number   string
	trunk    string
	seq      int
	phase    phase
	since    time.Time // entered the queue
	joined   bool      // the floor was told
	reached  bool      // our 200 went out
	byeSent  bool
	played   <-chan struct{}
	alarms   map[alarm]time.Time
	arrived  time.Time
	answered time.Time
}

// final is a 2xx to an INVITE that is repeated until its ACK comes (RFC 3261
// §13.3.1.4; the library does not, pitfall 4).
type final struct {
	d     *dialog
	leg   *media.Leg
	tx    *gosip.ServerTx
	res   *gosip.Response
	seq   uint32
	late  bool // our 200 held the offer: the ACK holds the answer
	first bool // of the dialog
	next  time.Time
	gap   time.Duration
	until time.Time
}

func (s *Server) newCall(req *gosip.Request, tx *gosip.ServerTx, src flow, trunk, ext, number string) *call {
	var b [6]byte
	rand.Read(b[:])
	now := s.o.Clock.Now()
	id := hotline.CallID(strings.ReplaceAll(hotline.DateOf(now).String(), "-", "") + "-" + hex.EncodeToString(b[:]))
	c := &call{s: s, id: id, log: s.log.With("call_id", string(id)), box: make(chan event, 128), flood: make(chan struct{}),
		tx: tx, invite: req, caller: callerOf(req, ext), number: number, trunk: trunk, arrived: now, alarms: map[alarm]time.Time{}}
	c.caller1 = s.newUAS(req, src, ext != "")
	c.caller1.post = c.post
	return c
}

// post puts an event into the mailbox; false: the call is over. An overfull
// mailbox ends the call instead of blocking the sender.
func (c *call) post(e event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	select {
	case c.box <- e:
		return true
	default:
		c.floodOnce.Do(func() { close(c.flood) })
		return false
	}
}

// run is the actor.
func (c *call) run() {
	defer c.s.wg.Done()
	defer c.leave()
	defer c.crashed()
	c.tx.OnCancel(func(*gosip.Request) { c.post(cancelled{}) }) // under the library's locks: only post
	c.begin()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	flood := c.flood
	for !c.settled() {
		timer.Reset(c.untilNext())
		var lostA, lostB <-chan struct{}
		if c.a != nil && c.phase != over {
			lostA = c.a.Lost()
		}
		if c.b != nil && c.phase == talking {
			lostB = c.b.Lost()
		}
		select {
		case e := <-c.box:
			c.handle(e)
		case <-timer.C:
			c.tick()
		case <-c.played:
			c.played = nil
			c.quiet()
		case <-lostA:
			c.end("system", hotline.EndMediaLost)
		case <-lostB:
			c.end("system", hotline.EndAgentLost)
		case <-flood:
			c.log.Error("mailbox overflowed")
			flood = nil
			c.end("system", hotline.EndFailed)
		case <-c.s.life.Done():
			c.end("system", hotline.EndShutdown)
			return
		}
	}
}

// settled tells that the call is over and no ACK is owed to us any more.
func (c *call) settled() bool { return c.phase == over && len(c.finals) == 0 }

// leave takes the call out of the tables and answers what came too late.
func (c *call) leave() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for {
		select {
		case e := <-c.box:
			switch e := e.(type) {
			case request:
				c.tooLate(e)
			case outAnswered:
				e.o.dialog.bye()
			}
			continue
		default:
		}
		break
	}
	if !c.byeSent { // else the BYE's transaction forgets it
		c.s.forget(c.caller1.key)
	}
	c.s.mu.Lock()
	delete(c.s.calls, c.id)
	delete(c.s.invites, c.inviteKey)
	c.s.mu.Unlock()
	if c.joined {
		c.s.spawn(func() { c.s.onFloor(c.id, c.s.o.Floor.Ended) })
	}
}

func (c *call) tooLate(r request) {
	switch r.req.Method {
	case gosip.ACK:
		r.tx.Terminate()
	case gosip.BYE:
		c.s.send(r.tx, respond(r.req, 200, "OK"))
	default:
		c.s.send(r.tx, respond(r.req, 481, "Call/Transaction Does Not Exist"))
	}
}

// crashed ends this call, and only this one, after a panic in its actor.
func (c *call) crashed() {
	p := recover()
	if p == nil {
		return
	}
	c.log.Error("panic caught", "where", "call", "panic", fmt.Sprint(p), "stack", stack())
	defer c.s.recovered("call after a panic")
	c.finals = nil
	c.end("system", hotline.EndFailed)
}

func (c *call) now() time.Time { return c.s.o.Clock.Now() }

func (c *call) set(a alarm, d time.Duration) { c.alarms[a] = c.now().Add(d) }

// untilNext is the time to the earliest alarm or repetition.
func (c *call) untilNext() time.Duration {
	next := c.now().Add(time.Hour)
	for _, t := range c.alarms {
		if t.Before(next) {
			next = t
		}
	}
	for _, f := range c.finals {
		if f.next.Before(next) {
			next = f.next
		}
	}
	return max(0, next.Sub(c.now()))
}

// report writes a fact; kind, seq and time are filled in here.
func (c *call) report(kind hotline.CallFactKind, f hotline.CallFact) {
	c.seq++
	f.CallID, f.Seq, f.Kind, f.At = c.id, c.seq, kind, c.now()
	c.s.o.Desk.Report(f)
}

// begin answers the INVITE and starts the greeting.
func (c *call) begin() {
	c.report(hotline.CallArrived, hotline.CallFact{Caller: c.caller, Original: c.number, Trunk: c.trunk})
	c.set(alarmLength, c.s.o.MaxCallLength)
	c.s.send(c.tx, respond(c.invite, 100, "Trying"))
	var bad *refusal
	if c.session, bad = sessionTimer(c.invite); bad != nil {
		c.refuse(bad.response(c.invite))
		return
	}
	leg, err := c.s.ports.NewLeg(media.LegOptions{FirstPacket: c.s.o.FirstPacket, Silence: c.s.o.Silence})
	if err != nil {
		c.log.Warn("no media for call", "err", err)
		c.refuse(respond(c.invite, 503, "Service Unavailable", "Retry-After", retryAfter()))
		return
	}
	c.a = leg
	sdp, late, err := describe(leg, c.invite)
	if err != nil {
		c.refuse(refusedSDP(c.invite, err))
		return
	}
	ring := respond(c.invite, 180, "Ringing")
	ring.AppendHeader(c.s.contact(c.caller1.network()))
	c.s.send(c.tx, ring)
	c.accept(c.caller1, leg, c.tx, c.invite, sdp, late, true)
	c.reached = true
	c.report(hotline.CallGreeted, hotline.CallFact{})
	c.played = c.play(c.s.o.IVR.Greeting)
}

// refuse answers the first INVITE with a failure and ends the call.
func (c *call) refuse(res *gosip.Response) {
	c.s.send(c.tx, res)
	c.end("system", hotline.EndRejected)
}

// describe answers the offer in a request, or makes one when it has none.
func describe(leg *media.Leg, req *gosip.Request) (sdp []byte, late bool, err error) {
	if len(req.Body()) == 0 {
		return leg.Offer(), true, nil
	}
	sdp, err = leg.Answer(req.Body())
	return sdp, false, err
}

func refusedSDP(req *gosip.Request, err error) *gosip.Response {
	if errors.Is(err, media.ErrNoCodec) {
		return respond(req, 488, "Not Acceptable Here", "Warning", `305 hotline "Incompatible media format"`)
	}
	return respond(req, 400, "Bad Request: session description")
}

// accept sends a 200 with a description to an INVITE and remembers to repeat
// it until the ACK.
func (c *call) accept(d *dialog, leg *media.Leg, tx *gosip.ServerTx, req *gosip.Request, sdp []byte, late, first bool) {
	res := c.ok(d, req, sdp)
	now := c.now()
	c.finals = append(c.finals, &final{d: d, leg: leg, tx: tx, res: res, seq: req.CSeq().SeqNo, late: late, first: first,
		gap: gosip.T1, next: now.Add(gosip.T1), until: now.Add(64 * gosip.T1)})
	c.s.send(tx, res)
}

// ok makes the 200 to an INVITE or UPDATE.
func (c *call) ok(d *dialog, req *gosip.Request, sdp []byte) *gosip.Response {
	res := respond(req, 200, "OK", "Allow", allow, "Supported", "timer")
	res.AppendHeader(c.s.contact(d.network()))
	if d == c.caller1 && c.session > 0 { // RFC 4028 §9: the peer refreshes
		res.AppendHeader(gosip.NewHeader("Session-Expires", seconds(c.session)+";refresher=uac"))
		res.AppendHeader(gosip.NewHeader("Require", "timer"))
		c.set(alarmSession, c.session-min(32*time.Second, c.session/3))
	}
	if sdp != nil {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(sdp)
	}
	return res
}

// tick does what is due.
func (c *call) tick() {
	now := c.now()
	for _, f := range append([]*final(nil), c.finals...) {
		switch {
		case now.Before(f.next):
		case !now.Before(f.until): // never acknowledged (RFC 3261 §13.3.1.4)
			c.acked(f)
			c.end("system", hotline.EndNoACK)
		default:
			f.gap = min(2*f.gap, gosip.T2)
			f.next = now.Add(f.gap)
			if f.next.After(f.until) {
				f.next = f.until
			}
			c.s.send(f.tx, f.res.Clone())
		}
	}
	for a, t := range c.alarms {
		if now.Before(t) || c.phase == over {
			continue
		}
		delete(c.alarms, a)
		switch a {
		case alarmLength:
			c.end("system", hotline.EndMaxLength)
		case alarmSession:
			c.end("system", hotline.EndMediaLost) // the peer stopped refreshing: it is gone
		case alarmHeld:
			c.release(false)
		case alarmAssert:
			c.assert()
		case alarmAnnounce:
			c.announce()
		case alarmWait:
			switch c.phase {
			case queued:
				c.apologise()
			case ringing: // let this agent try
				c.set(alarmWait, time.Second)
			}
		case alarmRing:
			if c.phase == ringing {
				c.fail(acd.NoAnswer)
			}
		}
	}
}

// acked takes a 2xx off the list; a goodbye that waited for it goes out now.
func (c *call) acked(f *final) {
	for i, g := range c.finals {
		if g == f {
			c.finals = append(c.finals[:i], c.finals[i+1:]...)
			break
		}
	}
	if c.phase == over {
		c.goodbye()
	}
	c.release(true)
}

// handle deals with one event.
func (c *call) handle(e event) {
	switch e := e.(type) {
	case request:
		c.request(e)
	case cancelled: // before our 200: the transaction answered 487 itself
		c.reached, c.finals = false, nil
		c.end("caller", "")
	case hangup:
		c.end("system", e.why)
	case offered:
		c.offer(e.o)
	case outAnswered:
		c.agentAnswered(e)
	case outFailed:
		if e.o == c.out && c.phase == ringing {
			c.fail(failureOf(e.code))
		}
	}
}

// end ends the call: who by and why. An empty why is found from the phase.
// It is done once.
func (c *call) end(by, why string) {
	if c.phase == over {
		return
	}
	was := c.phase
	c.phase = over
	clear(c.alarms)
	c.release(false)
	c.played = nil
	if why == "" {
		why = map[phase]string{greeting: hotline.EndNotOffered, queued: hotline.EndAbandoned, ringing: hotline.EndAbandoned,
			talking: hotline.EndNormal, leaving: hotline.EndNoAgent}[was]
	}
	if out := c.out; out != nil {
		if was == ringing {
			out.cancel()
		} else if by != "agent" {
			out.dialog.bye()
		} else {
			c.s.forget(out.dialog.key)
		}
	}
	if by == "caller" {
		c.byeSent, c.finals = false, nil
	} else if c.reached && len(c.firstUnacked()) == 0 {
		c.finals = nil
		c.goodbye()
	}
	if c.rec != nil {
		c.seal()
	}
	for _, l := range []*media.Leg{c.a, c.b} {
		if l != nil {
			l.Close()
		}
	}
	c.report(hotline.CallEnded, hotline.CallFact{EndedBy: by, Reason: why})
	if c.joined {
		ctx, cancel := context.WithTimeout(c.s.life, time.Second)
		if c.s.o.Floor.Ended(ctx, c.id) == nil {
			c.joined = false // else leave repeats it
		}
		cancel()
	}
	talk := int64(0)
	if !c.answered.IsZero() {
		talk = c.now().Sub(c.answered).Milliseconds()
	}
	c.log.Info("call ended", "why", why, "by", by, "trunk", c.trunk, "number", c.number,
		"total_ms", c.now().Sub(c.arrived).Milliseconds(), "talk_ms", talk)
}

// firstUnacked returns the first 2xx while its ACK is owed: until then we may
// not send BYE (RFC 3261 §15).
func (c *call) firstUnacked() []*final {
	var out []*final
	for _, f := range c.finals {
		if f.first {
			out = append(out, f)
		}
	}
	return out
}

// goodbye sends BYE to the caller, once.
func (c *call) goodbye() {
	if c.reached && !c.byeSent {
		c.byeSent = true
		c.caller1.bye()
	}
}

// seal closes the recording and reports it.
func (c *call) seal() {
	rec := c.rec
	c.rec = nil
	c.a.Record(nil)
	sealed, err := rec.Close()
	if err != nil {
		c.log.Error("recording not sealed", "err", err)
		return
	}
	rel, err := filepath.Rel(c.s.o.RecordDir, sealed.Path)
	if err != nil {
		rel = sealed.Path
	}
	c.report(hotline.CallRecorded, hotline.CallFact{Recording: filepath.ToSlash(rel), SHA256: sealed.SHA256, Duration: sealed.Duration})
}

// record starts the recording of the talk. A failure leaves the talk alone.
func (c *call) record() {
	dir := filepath.Join(c.s.o.RecordDir, strings.ReplaceAll(hotline.DateOf(c.now()).String(), "-", ""))
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		c.rec, err = media.NewRecorder(media.RecorderOptions{Path: filepath.Join(dir, string(c.id)+".wav"), Clock: c.s.o.Clock, Log: c.log})
	}
	if err != nil {
		c.log.Error("call is not recorded", "err", err)
		return
	}
	c.a.Record(c.rec)
}
