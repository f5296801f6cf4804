package sip

import (
	"context"
	"fmt"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/sip/acd"
	"hotline12345/sip/media"
)

// outbound is our INVITE to an agent's phone. Its goroutine talks to the
// transaction and tells the call's actor by events; the actor only calls
// cancel. It acknowledges every 2xx, ends forks it did not keep, and copes
// with a CANCEL that crosses a 200, all without the actor, because the actor
// may be gone by then.
type outbound struct {
	s     *Server
	call  *call
	offer acd.Offer
	to    binding
	media *media.Leg
	req   *gosip.Request
	tag   string

	stop    chan struct{} // closed by cancel
	once    sync.Once
	settled chan struct{} // closed when the first final response was dealt with
	ack     *gosip.Request
	kept    string  // To tag of the 2xx we kept; set before settled
	dialog  *dialog // set before the answered event; then the actor's
}

// The events an outbound leg posts.
type (
	outAnswered struct {
		o    *outbound
		body []byte
	}
	outFailed struct {
		o    *outbound
		code int
	}
)

// ring starts to call an agent's phone with our offer.
func (s *Server) ring(c *call, offer acd.Offer, to binding, leg *media.Leg) (*outbound, error) {
	var uri gosip.Uri
	if err := gosip.ParseUri(to.URI, &uri); err != nil {
		return nil, fmt.Errorf("read contact of extension %s: %w", to.Extension, err)
	}
	o := &outbound{s: s, call: c, offer: offer, to: to, media: leg, tag: gosip.GenerateTagN(16),
		stop: make(chan struct{}), settled: make(chan struct{})}
	req := gosip.NewRequest(gosip.INVITE, uri)
	s.stamp(req, to.Network)
	user := c.caller.Mask() // privacy by default: the phone shows what the console shows
	if user == "" {
		user = "anonymous"
	}
	from := gosip.FromHeader{Address: gosip.Uri{Scheme: "sip", User: user, Host: s.addr(to.Network).Addr().String()}}
	from.Params.Add("tag", o.tag)
	req.AppendHeader(&from)
	req.AppendHeader(&gosip.ToHeader{Address: gosip.Uri{Scheme: "sip", User: to.Extension, Host: uri.Host}})
	callID := gosip.CallIDHeader(gosip.GenerateTagN(24))
	req.AppendHeader(&callID)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: 1, MethodName: gosip.INVITE})
	req.AppendHeader(s.contact(to.Network))
	req.AppendHeader(gosip.NewHeader("Allow", allow))
	req.AppendHeader(gosip.NewHeader("X-Hotline-Call", string(c.id)))
	req.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(leg.Offer())
	req.SetDestination(to.Source.String())
	o.req = req
	s.spawn(o.run)
	return o, nil
}

// cancel gives the attempt up, whatever its state. Safe to call twice.
func (o *outbound) cancel() { o.once.Do(func() { close(o.stop) }) }

func (o *outbound) run() {
	defer close(o.settled)
	dial, done := context.WithTimeout(o.s.life, 3*time.Second) // bounds a TCP connect
	tx, err := o.s.tx.Request(dial, o.req.Clone())
	done()
	if err != nil {
		o.call.post(outFailed{o, 503})
		return
	}
	tx.OnRetransmission(o.again)
	limit := time.NewTimer(o.s.o.Floor.RingTimeout() + 64*gosip.T1)
	defer limit.Stop()
	stop, cancelled, proceeding := o.stop, false, false
	for {
		select {
		case res := <-tx.Responses():
			switch {
			case res.IsProvisional(): // any number of them (pitfall 1)
				if cancelled && !proceeding {
					o.sendCancel()
				}
				proceeding = true
			case res.IsSuccess():
				o.success(res, cancelled)
				return
			default:
				o.call.post(outFailed{o, res.StatusCode})
				return
			}
		case <-stop:
			stop, cancelled = nil, true
			limit.Reset(64 * gosip.T1) // RFC 3261 §9.1: then the transaction is given up
			if proceeding {            // a CANCEL before any 1xx is not allowed (RFC 3261 §9.1)
				o.sendCancel()
			}
		case <-tx.Done():
			o.call.post(outFailed{o, 408})
			return
		case <-limit.C:
			tx.Terminate()
			o.call.post(outFailed{o, 408})
			return
		case <-o.s.life.Done():
			tx.Terminate()
			return
		}
	}
}

// success keeps the first 2xx, or ends it when we had cancelled.
func (o *outbound) success(res *gosip.Response, cancelled bool) {
	d := o.fork(res)
	o.kept, o.dialog = d.key.remote, d
	o.ack = d.request(gosip.ACK, 1)
	o.write(o.ack)
	o.s.remember(d)
	if !cancelled && o.call.post(outAnswered{o, res.Body()}) {
		return
	}
	d.bye() // our CANCEL crossed the 200, or the caller is gone
	o.call.post(outFailed{o, 487})
}

// fork makes the dialog of a 2xx (RFC 3261 §12.1.2).
func (o *outbound) fork(res *gosip.Response) *dialog {
	d := &dialog{s: o.s, post: o.call.post, localSeq: 1, from: *o.req.From(),
		flow: flow{o.to.Network, o.to.Source}, symmetric: true, target: o.req.Recipient}
	if to := res.To(); to != nil {
		d.to = *to
	}
	remote, _ := d.to.Params.Get("tag")
	d.key = dialogKey{o.req.CallID().Value(), o.tag, remote}
	hops := res.GetHeaders("Record-Route")
	for i := len(hops) - 1; i >= 0; i-- {
		if r, ok := hops[i].(*gosip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *r.Address.Clone())
		}
	}
	d.refresh(res.Contact())
	return d
}

// again deals with a 2xx after the first: a retransmission is acknowledged
// anew (RFC 3261 §13.2.2.4), another fork is acknowledged and ended.
func (o *outbound) again(res *gosip.Response) {
	o.s.spawn(func() {
		<-o.settled
		tag := ""
		if to := res.To(); to != nil {
			tag, _ = to.Params.Get("tag")
		}
		if tag == o.kept {
			o.write(o.ack.Clone())
			return
		}
		d := o.fork(res)
		o.write(d.request(gosip.ACK, 1))
		d.bye()
	})
}

func (o *outbound) write(ack *gosip.Request) {
	if err := o.s.tp.WriteMsg(ack); err != nil {
		o.s.log.Warn("ack not sent", "call_id", o.call.id, "err", err)
	}
}

// sendCancel sends the CANCEL of our INVITE (RFC 3261 §9.1): same Via, no
// waiting for its answer beyond the transaction's own timer.
func (o *outbound) sendCancel() {
	req := gosip.NewRequest(gosip.CANCEL, o.req.Recipient)
	req.AppendHeader(o.req.Via().Clone())
	hops := gosip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	from, to, callID := *o.req.From(), *o.req.To(), *o.req.CallID()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: 1, MethodName: gosip.CANCEL})
	req.SetBody(nil)
	req.SetTransport(o.to.Network)
	req.SetDestination(o.to.Source.String())
	req.Laddr = o.req.Laddr
	o.s.spawn(func() {
		ctx, cancel := context.WithTimeout(o.s.life, 64*gosip.T1)
		defer cancel()
		if _, err := o.s.transact(ctx, req); err != nil {
			o.s.log.Debug("cancel unanswered", "call_id", o.call.id, "err", err)
		}
	})
}
