package siptest

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/sip/media"
)

// handle sets what the phone does with requests.
func (p *Phone) handle(srv *sipgo.Server) {
	srv.OnInvite(p.onInvite)
	srv.OnAck(func(req *gosip.Request, _ gosip.ServerTransaction) {
		if t := p.find(req); t != nil {
			select {
			case t.acks <- req:
			default: // a repeated ACK nobody waits for
			}
		}
	})
	srv.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		t := p.find(req)
		if t == nil {
			p.respond(req, tx, 481, "Call/Transaction Does Not Exist", nil)
			return
		}
		p.respond(req, tx, 200, "OK", nil)
		t.finish(EndedThere)
	})
	srv.OnCancel(func(req *gosip.Request, tx gosip.ServerTransaction) {
		p.respond(req, tx, 481, "Call/Transaction Does Not Exist", nil)
	})
	srv.OnOptions(func(req *gosip.Request, tx gosip.ServerTransaction) { p.respond(req, tx, 200, "OK", nil) })
	inDialog := func(req *gosip.Request, tx gosip.ServerTransaction) {
		if p.find(req) == nil {
			p.respond(req, tx, 481, "Call/Transaction Does Not Exist", nil)
			return
		}
		p.respond(req, tx, 200, "OK", nil)
	}
	srv.OnInfo(inDialog)
	srv.OnUpdate(inDialog)
}

// respond sends a response; a body is a description.
func (p *Phone) respond(req *gosip.Request, tx gosip.ServerTransaction, code int, reason string, sdp []byte) *gosip.Response {
	res := gosip.NewResponseFromRequest(req, code, reason, nil)
	res.AppendHeader(gosip.NewHeader("Allow", allow))
	if req.Method == gosip.INVITE && code > 100 && code < 300 {
		res.AppendHeader(&gosip.ContactHeader{Address: p.contact})
	}
	if sdp != nil {
		setSDP(res, sdp)
	}
	if err := tx.Respond(res); err != nil && p.life.Err() == nil {
		p.log.Debug("response not sent", "status", code, "err", err)
	}
	return res
}

// onInvite rings, reacts and stays until the INVITE is acknowledged: sipgo
// ends the transaction when the handler returns.
func (p *Phone) onInvite(req *gosip.Request, tx gosip.ServerTransaction) {
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		p.respond(req, tx, 400, "Bad Request", nil)
		return
	}
	if req.To().Params.Has("tag") {
		if t := p.find(req); t != nil {
			t.answer(req, tx)
		} else {
			p.respond(req, tx, 481, "Call/Transaction Does Not Exist", nil)
		}
		return
	}
	tag := gosip.GenerateTagN(16)
	req.To().Params.Add("tag", tag) // all our responses carry it (RFC 3261 §8.2.6.2)
	gone := make(chan struct{})
	if !tx.OnCancel(func(*gosip.Request) { close(gone) }) {
		return
	}
	p.respond(req, tx, 180, "Ringing", nil)
	var r Reaction
	if p.opt.OnCall != nil {
		r = p.opt.OnCall(Incoming{From: req.From().Address.User})
	}
	if !p.ring(r, tx, gone) {
		return
	}
	if r.Status != 0 {
		p.respond(req, tx, r.Status, map[int]string{486: "Busy Here", 603: "Decline"}[r.Status], nil)
		p.untilDone(tx)
		return
	}
	t, err := p.newTalk()
	if err != nil {
		p.respond(req, tx, 503, "Service Unavailable", nil)
		p.untilDone(tx)
		return
	}
	t.key = talkKey{req.CallID().Value(), tag}
	t.from = gosip.FromHeader{Address: req.To().Address, Params: req.To().Params.Clone()}
	t.to = gosip.ToHeader{Address: req.From().Address, Params: req.From().Params.Clone()}
	t.target = req.Recipient
	if c := req.Contact(); c != nil {
		t.target = *c.Address.Clone()
	}
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*gosip.RecordRouteHeader); ok {
			t.routes = append(t.routes, *rr.Address.Clone())
		}
	}
	if !p.remember(t) {
		t.finish("phone closed")
		return
	}
	if t.answer(req, tx) && p.opt.OnTalk != nil {
		p.wg.Go(func() { p.opt.OnTalk(t) })
	}
}

// ring waits as the reaction says; false when the caller gave up.
func (p *Phone) ring(r Reaction, tx gosip.ServerTransaction, gone <-chan struct{}) bool {
	var after <-chan time.Time
	if !r.Never {
		timer := time.NewTimer(r.After)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-after:
		select {
		case <-gone:
			return false
		default:
			return true
		}
	case <-gone:
		p.untilDone(tx)
	case <-tx.Done():
	case <-p.life.Done():
	}
	return false
}

// untilDone waits until the refusal was acknowledged.
func (p *Phone) untilDone(tx gosip.ServerTransaction) {
	t := time.NewTimer(requestLimit)
	defer t.Stop()
	select {
	case <-tx.Done():
	case <-tx.Acks():
	case <-t.C:
	case <-p.life.Done():
	}
}

// answer answers an INVITE or re-INVITE and repeats the 200 until its ACK
// comes (RFC 3261 §13.3.1.4); without one the call is ended.
func (t *Talk) answer(req *gosip.Request, tx gosip.ServerTransaction) bool {
	p := t.phone
	late := len(req.Body()) == 0
	var sdp []byte
	var err error
	if late {
		sdp = t.leg.Offer()
	} else {
		sdp, err = t.leg.Answer(req.Body())
	}
	if err != nil {
		if errors.Is(err, media.ErrNoCodec) {
			p.respond(req, tx, 488, "Not Acceptable Here", nil)
		} else {
			p.respond(req, tx, 400, "Bad Request", nil)
		}
		p.untilDone(tx)
		if _, settled := t.leg.Codec(); !settled {
			t.finish(EndedBroken)
		}
		return false
	}
	res := p.respond(req, tx, 200, "OK", sdp)
	wait, limit := gosip.T1, time.NewTimer(requestLimit)
	defer limit.Stop()
	again := time.NewTimer(wait)
	defer again.Stop()
	for {
		select {
		case ack := <-t.acks:
			if ack.CSeq() == nil || ack.CSeq().SeqNo != req.CSeq().SeqNo {
				continue
			}
			if late {
				if err := t.leg.Accept(ack.Body()); err != nil {
					p.log.Warn("answer in ack not usable", "err", err)
				}
			}
			return true
		case <-again.C:
			wait = min(2*wait, gosip.T2)
			again.Reset(wait)
			if err := tx.Respond(res); err != nil {
				p.log.Debug("200 not repeated", "err", err)
			}
		case <-t.ended:
			return false
		case <-limit.C:
			if t.finish(EndedNoACK) {
				ctx, cancel := context.WithTimeout(p.life, requestLimit)
				defer cancel()
				if err := t.bye(ctx); err != nil {
					p.log.Debug("call without ack not ended", "err", err)
				}
			}
			return false
		case <-p.life.Done():
			return false
		}
	}
}

// setSDP puts a description into a message.
func setSDP(m interface {
	AppendHeader(gosip.Header)
	SetBody([]byte)
}, sdp []byte) {
	m.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
	m.SetBody(sdp)
}

// redirect changes the direction attribute of a description of ours.
func redirect(sdp []byte, to string) []byte {
	for _, d := range []string{"sendrecv", "sendonly", "recvonly", "inactive"} {
		sdp = bytes.ReplaceAll(sdp, []byte("a="+d+"\r\n"), []byte("a="+to+"\r\n"))
	}
	return sdp
}
