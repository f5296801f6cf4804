package sip

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/hotline"
)

// request is a request inside a dialog, on its way to the call's actor.
type request struct {
	d   *dialog
	req *gosip.Request
	tx  *gosip.ServerTx
}

// respond makes a response with our name and further headers on it.
func respond(req *gosip.Request, code int, reason string, kv ...string) *gosip.Response {
	res := gosip.NewResponseFromRequest(req, code, reason, nil)
	res.SipVersion = "SIP/2.0"
	res.AppendHeader(gosip.NewHeader("Server", userAgent))
	for i := 0; i+1 < len(kv); i += 2 {
		res.AppendHeader(gosip.NewHeader(kv[i], kv[i+1]))
	}
	return res
}

// send gives a response to its transaction.
func (s *Server) send(tx *gosip.ServerTx, res *gosip.Response) {
	if err := tx.Respond(res); err != nil {
		s.log.Debug("response not sent", "status", res.StatusCode, "err", err)
	}
}

// handle is called by the transaction layer for each new request, in its own
// goroutine.
func (s *Server) handle(shared *gosip.Request, tx *gosip.ServerTx) {
	answered := false
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic caught", "where", "request", "panic", p, "stack", stack())
			if !answered && shared.Method != gosip.ACK {
				s.send(tx, respond(shared, 500, "Server Internal Error"))
				return
			}
		}
		if !answered { // nothing will be said: the transaction must not wait for ever
			tx.Terminate()
		}
	}()
	req := shared.Clone() // the transaction reads its own
	req.SetTransport(shared.Transport())
	req.SetSource(shared.Source())
	addr, err := netip.ParseAddrPort(req.Source())
	if err != nil {
		return
	}
	src := flow{gosip.NetworkToUpper(req.Transport()), plain(addr)}
	trunk, isTrunk := s.trunk(src.addr.Addr())
	ext := s.reg.extension(src.addr)
	known := isTrunk || ext != ""
	if !known && !s.phoneNet(src.addr.Addr()) {
		return
	}
	reject := func(r *refusal) {
		answered = true
		s.send(tx, r.response(shared))
	}
	if r := validate(req); r != nil {
		if req.Method == gosip.ACK { // RFC 3261 §17: an ACK is never answered
			return
		}
		if !known && req.Method != gosip.REGISTER && req.Method != gosip.OPTIONS {
			return
		}
		reject(r)
		return
	}
	say := func(code int, reason string, kv ...string) {
		answered = true
		s.send(tx, respond(shared, code, reason, kv...))
	}
	if tag := toTag(req); tag != "" {
		remote, _ := req.From().Params.Get("tag")
		s.mu.Lock()
		d := s.dialogs[dialogKey{req.CallID().Value(), tag, remote}]
		s.mu.Unlock()
		switch {
		case d != nil && d.post(request{d, req, tx}):
			answered = true // the actor does
		case req.Method == gosip.ACK || d == nil && !known:
		case d != nil && req.Method == gosip.BYE: // both hung up in the same moment
			say(200, "OK")
		default:
			say(481, "Call/Transaction Does Not Exist")
		}
		return
	}
	switch req.Method {
	case gosip.REGISTER:
		if !s.phoneNet(src.addr.Addr()) {
			say(403, "Forbidden")
			return
		}
		if !s.enter() { // Redis may be gone before the answer
			say(503, "Service Unavailable", "Retry-After", retryAfter())
			return
		}
		defer s.wg.Done()
		if res := s.reg.register(req, src); res != nil {
			answered = true
			s.send(tx, res)
		}
	case gosip.OPTIONS:
		if s.Ready() != nil {
			say(503, "Service Unavailable", "Retry-After", retryAfter())
			return
		}
		say(200, "OK", "Allow", allow, "Accept", "application/sdp", "Supported", "timer")
	case gosip.INVITE:
		if !known {
			return
		}
		if ext != "" {
			trunk = "phone"
		}
		if r := s.admit(req, tx, src, trunk, ext); r != nil {
			reject(r)
			return
		}
		answered = true
	case gosip.ACK:
	default:
		if known {
			say(481, "Call/Transaction Does Not Exist")
		}
	}
}

// admit starts a call for an INVITE, or says why not.
func (s *Server) admit(req *gosip.Request, tx *gosip.ServerTx, src flow, trunk, ext string) *refusal {
	tag, _ := req.From().Params.Get("tag")
	key := req.CallID().Value() + "|" + tag + "|" + strconv.FormatUint(uint64(req.CSeq().SeqNo), 10)
	branch, _ := req.Via().Params.Get("branch")
	number, ok := s.line(req.Recipient)
	now := s.o.Clock.Now()

	s.mu.Lock()
	defer s.mu.Unlock()
	if other, twice := s.invites[key]; twice && other != branch {
		return refuse(482, "Loop Detected") // merged (RFC 3261 §8.2.2.2)
	}
	if !ok {
		return refuse(404, "Not Found")
	}
	s.tokens = min(float64(s.o.MaxPerSecond), s.tokens+now.Sub(s.filled).Seconds()*float64(s.o.MaxPerSecond))
	s.filled = now
	if s.draining || len(s.calls) >= s.o.MaxCalls || s.tokens < 1 || s.ports.Free() < 2 {
		return refuse(503, "Service Unavailable", "Retry-After", retryAfter())
	}
	s.tokens--
	c := s.newCall(req, tx, src, trunk, ext, number)
	c.inviteKey = key
	s.invites[key] = branch
	s.calls[c.id] = c
	s.dialogs[c.caller1.key] = c.caller1
	s.wg.Add(1)
	go c.run()
	return nil
}

// retryAfter spreads the callers who were refused over time.
func retryAfter() string { return strconv.Itoa(5 + rand.IntN(16)) }

// line finds the dialled line: as it was dialled, without the country code and
// without Xuancheng's area code.
func (s *Server) line(u gosip.Uri) (string, bool) {
	user := u.User
	if strings.EqualFold(u.Scheme, "tel") {
		user = u.Raw()
	}
	user, _, _ = strings.Cut(user, ";")
	var digits strings.Builder
	for _, r := range user {
		if r >= '0' && r <= '9' {
			digits.WriteRune(r)
		} else if !strings.ContainsRune("+-. ()", r) {
			return "", false
		}
	}
	n := digits.String()
	for _, cc := range []string{"", "0086", "86"} {
		rest, ok := strings.CutPrefix(n, cc)
		if !ok {
			continue
		}
		for _, area := range []string{"", "0563", "563"} {
			if m, ok := strings.CutPrefix(rest, area); ok && m != "" {
				if _, ok := s.o.Lines(m); ok {
					return m, true
				}
			}
		}
	}
	return "", false
}

// callerOf finds who calls: the phone's extension, else the trunk's asserted
// identity (RFC 3325, trunks only), else From.
func callerOf(req *gosip.Request, ext string) hotline.Phone {
	if ext != "" {
		return hotline.ParsePhone(ext)
	}
	for _, h := range req.GetHeaders("P-Asserted-Identity") {
		for _, scheme := range []string{"sip:", "sips:", "tel:"} {
			if _, rest, ok := strings.Cut(h.Value(), scheme); ok {
				if end := strings.IndexAny(rest, "@;>"); end >= 0 {
					rest = rest[:end]
				}
				if p := hotline.ParsePhone(rest); p != "" {
					return p
				}
			}
		}
	}
	a := req.From().Address
	if strings.EqualFold(a.Scheme, "tel") {
		number, _, _ := strings.Cut(a.Raw(), ";")
		return hotline.ParsePhone(number)
	}
	return hotline.ParsePhone(a.User)
}
