package siptest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/sip/media"
)

// The reasons a talk ends for.
const (
	EndedHere   = "hung up here"
	EndedThere  = "hung up there"
	EndedNoACK  = "200 not acknowledged"
	EndedBroken = "broken"
)

// Talk is an established call. Its methods are safe for concurrent use.
type Talk struct {
	phone *Phone
	leg   *media.Leg
	ear   ear
	acks  chan *gosip.Request
	ended chan struct{}
	once  sync.Once
	why   atomic.Value // string, set before ended is closed
	ack   atomic.Pointer[gosip.Request]

	mu     sync.Mutex // guards the dialog below
	key    talkKey
	from   gosip.FromHeader // of our requests
	to     gosip.ToHeader
	target gosip.Uri
	routes []gosip.Uri
	seq    uint32
}

// ear keeps the last second of what is heard.
type ear struct {
	mu   sync.Mutex
	pcm  [media.RateHz]int16
	n    int
	part [1500]int16
}

func (e *ear) hear(c media.Codec, payload []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.Decode(e.part[:len(payload)], payload)
	for _, s := range e.part[:len(payload)] {
		e.pcm[e.n%len(e.pcm)] = s
		e.n++
	}
}

// last copies the most recent n samples, fewer when fewer came.
func (e *ear) last(n int) []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n = min(n, e.n, len(e.pcm))
	out := make([]int16, n)
	for i := range out {
		out[i] = e.pcm[(e.n-n+i)%len(e.pcm)]
	}
	return out
}

// newTalk takes a media leg for a call to come.
func (p *Phone) newTalk() (*Talk, error) {
	t := &Talk{phone: p, acks: make(chan *gosip.Request, 4), ended: make(chan struct{})}
	leg, err := p.ports.NewLeg(media.LegOptions{Hear: t.ear.hear})
	if err != nil {
		return nil, err
	}
	t.leg = leg
	return t, nil
}

// remember makes the talk reachable for requests inside its dialog; false
// when the phone was closed.
func (p *Phone) remember(t *Talk) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.talks[t.key] = t
	}
	return !p.closed
}

func (p *Phone) find(req *gosip.Request) *Talk {
	if req.CallID() == nil || req.To() == nil {
		return nil
	}
	tag, _ := req.To().Params.Get("tag")
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.talks[talkKey{req.CallID().Value(), tag}]
}

// Loop plays sound to the other side, over and over; see media.Leg.Loop.
func (t *Talk) Loop(clips ...*media.Prompt) { t.leg.Loop(clips...) }

// SendDTMF presses keys; the channel is closed when they are sent.
func (t *Talk) SendDTMF(keys string) <-chan struct{} { return t.leg.SendDTMF(keys) }

// DTMF returns the keys the other side pressed.
func (t *Talk) DTMF() <-chan media.Digit { return t.leg.DTMF() }

// Level returns how loud one frequency was in the last 200 ms heard, 0 to 1.
func (t *Talk) Level(hz float64) float64 { return media.ToneLevel(t.ear.last(media.RateHz/5), hz) }

// Loudness returns the root mean square of the last 200 ms heard, 0 to 1.
func (t *Talk) Loudness() float64 {
	pcm := t.ear.last(media.RateHz / 5)
	if len(pcm) == 0 {
		return 0
	}
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum/float64(len(pcm))) / 32768
}

// Stats returns the media counts so far.
func (t *Talk) Stats() media.Stats { return t.leg.Stats() }

// Ended is closed when the call is over, whoever ended it.
func (t *Talk) Ended() <-chan struct{} { return t.ended }

// Reason says why the call ended; "" while it lasts.
func (t *Talk) Reason() string {
	s, _ := t.why.Load().(string)
	return s
}

// finish ends the talk on this side; true for the first to do so.
func (t *Talk) finish(reason string) bool {
	first := false
	t.once.Do(func() {
		first = true
		t.leg.Close()
		t.phone.mu.Lock()
		delete(t.phone.talks, t.key)
		t.phone.mu.Unlock()
		t.why.Store(reason)
		close(t.ended)
	})
	return first
}

// Hangup ends the call with BYE and waits for the answer. It does nothing on
// a call that is over.
func (t *Talk) Hangup(ctx context.Context) error {
	if !t.finish(EndedHere) {
		return nil
	}
	return t.bye(ctx)
}

func (t *Talk) bye(ctx context.Context) error {
	if _, err := t.phone.do(ctx, t.request(gosip.BYE, 0)); err != nil {
		return fmt.Errorf("send bye: %w", err)
	}
	return nil
}

// Hold asks the other side to be quiet (sendonly), Resume to talk again. Both
// return when the re-INVITE was answered. Errors: *StatusError.
func (t *Talk) Hold(ctx context.Context) error { return t.reoffer(ctx, "sendonly") }

// Resume ends a Hold.
func (t *Talk) Resume(ctx context.Context) error { return t.reoffer(ctx, "sendrecv") }

func (t *Talk) reoffer(ctx context.Context, direction string) error {
	req := t.request(gosip.INVITE, 0)
	req.AppendHeader(&gosip.ContactHeader{Address: t.phone.contact})
	setSDP(req, redirect(t.leg.Offer(), direction))
	res, err := t.phone.do(ctx, req)
	if err != nil {
		return fmt.Errorf("send re-invite: %w", err)
	}
	if !res.IsSuccess() {
		return &StatusError{res.StatusCode, res.Reason}
	}
	ack := t.request(gosip.ACK, req.CSeq().SeqNo)
	t.ack.Store(ack)
	if err := t.phone.client.WriteRequest(ack.Clone()); err != nil {
		return fmt.Errorf("send ack: %w", err)
	}
	return t.leg.Accept(res.Body())
}

// request makes a request inside the dialog (RFC 3261 §12.2.1.1). seq zero
// takes the next sequence number.
func (t *Talk) request(m gosip.RequestMethod, seq uint32) *gosip.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	if seq == 0 {
		t.seq++
		seq = t.seq
	}
	req := gosip.NewRequest(m, *t.target.Clone())
	t.phone.send(req)
	for _, r := range t.routes {
		req.AppendHeader(&gosip.RouteHeader{Address: *r.Clone()})
	}
	from, to := t.from, t.to
	callID := gosip.CallIDHeader(t.key.callID)
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: seq, MethodName: m})
	return req
}

// again acknowledges a repeated 2xx (RFC 3261 §13.2.2.4).
func (t *Talk) again(*gosip.Response) {
	if ack := t.ack.Load(); ack != nil {
		if err := t.phone.client.WriteRequest(ack.Clone()); err != nil {
			t.phone.log.Warn("ack not sent", "err", err)
		}
	}
}

// dialled is an INVITE we sent.
type dialled struct {
	t   *Talk
	req *gosip.Request
	tx  gosip.ClientTransaction
}

// Call calls a number and returns when the other side answered. When ctx ends
// first the call is cancelled, also when the answer crosses our CANCEL.
// Errors: *StatusError for a refusal, ctx's error.
func (p *Phone) Call(ctx context.Context, number string) (*Talk, error) {
	return p.CallWithHeaders(ctx, number, nil)
}

// CallWithHeaders calls with additional headers in the INVITE, such as
// "Diversion" or "History-Info".
func (p *Phone) CallWithHeaders(ctx context.Context, number string, headers map[string]string) (*Talk, error) {
	t, err := p.newTalk()
	if err != nil {
		return nil, err
	}
	callID, tag := gosip.GenerateTagN(24), gosip.GenerateTagN(16)
	t.key, t.seq = talkKey{callID, tag}, 0
	offer := t.leg.Offer()
	var auth func(*gosip.Request) error
	for {
		req, err := p.newRequest(gosip.INVITE, number)
		if err != nil {
			t.finish(EndedBroken)
			return nil, err
		}
		t.seq++
		t.from = gosip.FromHeader{Address: gosip.Uri{Scheme: "sip", User: p.opt.User, Host: p.contact.Host}}
		t.from.Params.Add("tag", tag)
		id := gosip.CallIDHeader(callID)
		from := t.from
		req.AppendHeader(&from)
		req.AppendHeader(&gosip.ToHeader{Address: gosip.Uri{Scheme: "sip", User: number, Host: req.Recipient.Host}})
		req.AppendHeader(&id)
		req.AppendHeader(&gosip.CSeqHeader{SeqNo: t.seq, MethodName: gosip.INVITE})
		req.AppendHeader(&gosip.ContactHeader{Address: p.contact})
		req.AppendHeader(gosip.NewHeader("Allow", allow))
		for k, v := range headers {
			req.AppendHeader(gosip.NewHeader(k, v))
		}
		if auth != nil {
			if err := auth(req); err != nil {
				t.finish(EndedBroken)
				return nil, err
			}
		}
		setSDP(req, offer)
		tx, err := p.client.TransactionRequest(p.life, req)
		if err != nil {
			t.finish(EndedBroken)
			return nil, fmt.Errorf("send invite: %w", err)
		}
		tx.OnRetransmission(t.again)
		res, err := (&dialled{t, req, tx}).wait(ctx)
		if err != nil {
			t.finish(EndedBroken)
			return nil, err
		}
		if res.IsSuccess() {
			return t, nil
		}
		c := challengeOf(res)
		if c == nil || auth != nil || p.opt.Password == "" {
			t.finish(EndedBroken)
			return nil, &StatusError{res.StatusCode, res.Reason}
		}
		header := map[int]string{401: "Authorization", 407: "Proxy-Authorization"}[res.StatusCode]
		auth = func(r *gosip.Request) error { return p.authorize(r, c, 1, header) }
	}
}

// wait brings an INVITE to its final response and establishes the dialog of a
// 2xx. It reads any number of provisional responses.
func (d *dialled) wait(ctx context.Context) (*gosip.Response, error) {
	t, p := d.t, d.t.phone
	done, provisional, cancelled := ctx.Done(), false, false
	limit := time.NewTimer(10 * time.Minute)
	defer limit.Stop()
	for {
		select {
		case res := <-d.tx.Responses():
			switch {
			case res.IsProvisional():
				if cancelled && !provisional {
					p.wg.Go(d.cancel)
				}
				provisional = true
			case res.IsSuccess():
				if err := t.established(d.req, res); err != nil || cancelled {
					t.finish(EndedHere)
					bye, stop := context.WithTimeout(p.life, requestLimit)
					defer stop()
					if err == nil {
						err = ctx.Err()
					}
					if e := t.bye(bye); e != nil {
						p.log.Warn("answered call not ended", "err", e)
					}
					return nil, err
				}
				return res, nil
			default:
				if cancelled {
					return nil, ctx.Err()
				}
				return res, nil
			}
		case <-done:
			done, cancelled = nil, true
			limit.Reset(requestLimit)
			if provisional { // RFC 3261 §9.1: no CANCEL before a 1xx
				p.wg.Go(d.cancel)
			}
		case <-d.tx.Done():
			return nil, fmt.Errorf("call: %w", d.tx.Err())
		case <-limit.C:
			d.tx.Terminate()
			return nil, fmt.Errorf("call: no final response")
		case <-p.life.Done():
			return nil, p.life.Err()
		}
	}
}

// cancel sends CANCEL for the INVITE (RFC 3261 §9.1).
func (d *dialled) cancel() {
	req := gosip.NewRequest(gosip.CANCEL, d.req.Recipient)
	d.t.phone.send(req)
	req.SetDestination(d.req.Destination())
	req.AppendHeader(d.req.Via().Clone())
	from, to, id := *d.req.From(), *d.req.To(), *d.req.CallID()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: d.req.CSeq().SeqNo, MethodName: gosip.CANCEL})
	if _, err := d.t.phone.do(d.t.phone.life, req); err != nil {
		d.t.phone.log.Warn("cancel unanswered", "err", err)
	}
}

// established makes the dialog of a 2xx to our INVITE and acknowledges it.
func (t *Talk) established(req *gosip.Request, res *gosip.Response) error {
	t.mu.Lock()
	t.to = *res.To()
	t.target = req.Recipient
	if c := res.Contact(); c != nil {
		t.target = *c.Address.Clone()
	}
	hops := res.GetHeaders("Record-Route")
	for i := len(hops) - 1; i >= 0; i-- {
		if r, ok := hops[i].(*gosip.RecordRouteHeader); ok {
			t.routes = append(t.routes, *r.Address.Clone())
		}
	}
	t.mu.Unlock()
	ack := t.request(gosip.ACK, req.CSeq().SeqNo)
	t.ack.Store(ack)
	if err := t.phone.client.WriteRequest(ack.Clone()); err != nil {
		return fmt.Errorf("send ack: %w", err)
	}
	if err := t.leg.Accept(res.Body()); err != nil {
		return err
	}
	if !t.phone.remember(t) {
		return context.Canceled
	}
	return nil
}
