package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// dialogKey names a dialog (RFC 3261 §12).
type dialogKey struct{ callID, local, remote string }

// dialog is one leg's signalling state. The key never changes; the rest
// belongs to the call's actor.
type dialog struct {
	s         *Server
	key       dialogKey
	post      func(event) bool // to the actor; false: the call is over
	from      gosip.FromHeader // of our requests, tag included
	to        gosip.ToHeader
	localSeq  uint32
	remoteSeq uint32
	routes    []gosip.Uri // first hop first
	target    gosip.Uri
	flow      flow // where the peer's packets come from
	symmetric bool // send to the flow, not to the Contact (a phone behind NAT, RFC 5626's idea)
}

// flow is a way to a peer: the transport and its address.
type flow struct {
	network string // "UDP" or "TCP"
	addr    netip.AddrPort
}

// newUAS makes the dialog of a request that invites us (RFC 3261 §12.1.1).
func (s *Server) newUAS(req *gosip.Request, src flow, symmetric bool) *dialog {
	tag, _ := req.To().Params.Get("tag")
	remote, _ := req.From().Params.Get("tag")
	d := &dialog{
		s: s, key: dialogKey{req.CallID().Value(), tag, remote},
		from: req.To().AsFrom(), to: req.From().AsTo(),
		localSeq: 1, remoteSeq: req.CSeq().SeqNo, flow: src, symmetric: symmetric,
	}
	for _, h := range req.GetHeaders("Record-Route") {
		if r, ok := h.(*gosip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *r.Address.Clone())
		}
	}
	d.refresh(req.Contact())
	return d
}

// refresh takes a new remote target (RFC 3261 §12.2.1.2).
func (d *dialog) refresh(c *gosip.ContactHeader) {
	if c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		d.target = *c.Address.Clone()
		d.target.Headers = nil
	}
}

// request makes a request inside the dialog (RFC 3261 §12.2.1.1). An ACK takes
// the number of its INVITE.
func (d *dialog) request(method gosip.RequestMethod, seq uint32) *gosip.Request {
	target, routes := d.target, d.routes
	if len(routes) > 0 && !routes[0].UriParams.Has("lr") { // a strict router takes the Request-URI
		routes = append(append([]gosip.Uri{}, routes[1:]...), target)
		target = d.routes[0]
	}
	req := gosip.NewRequest(method, target)
	d.s.stamp(req, d.network())
	for _, r := range routes {
		req.AppendHeader(&gosip.RouteHeader{Address: r})
	}
	from, to, callID := d.from, d.to, gosip.CallIDHeader(d.key.callID)
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: seq, MethodName: method})
	if method != gosip.BYE {
		req.AppendHeader(d.s.contact(d.network()))
	}
	req.SetBody(nil)
	req.SetDestination(d.nextHop().String())
	return req
}

// network is the transport of the dialog's next hop.
func (d *dialog) network() string {
	if d.symmetric || len(d.routes) == 0 && !literal(d.target) {
		return d.flow.network
	}
	u := d.target
	if len(d.routes) > 0 {
		u = d.routes[0]
	}
	if t, ok := u.UriParams.Get("transport"); ok && strings.EqualFold(t, "tcp") {
		return "TCP"
	}
	return d.flow.network
}

// nextHop is where requests go: the first route, else the target, else the
// address packets come from. Names are never resolved here: that could keep
// the actor waiting.
func (d *dialog) nextHop() netip.AddrPort {
	if d.symmetric && len(d.routes) == 0 {
		return d.flow.addr
	}
	u := d.target
	if len(d.routes) > 0 {
		u = d.routes[0]
	}
	if ip, err := netip.ParseAddr(strings.Trim(u.Host, "[]")); err == nil {
		port := u.Port
		if port == 0 {
			port = 5060
		}
		return netip.AddrPortFrom(ip, uint16(port))
	}
	return d.flow.addr
}

func literal(u gosip.Uri) bool {
	_, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	return err == nil
}

// bye ends the dialog from our side and takes it out of the table when the
// peer has answered or cannot (481, 408 and no answer count as ended). It
// answers at once; the work is waited for by Run, which gives an unanswered
// goodbye up when the server's life ends.
func (d *dialog) bye() {
	d.localSeq++
	req := d.request(gosip.BYE, d.localSeq)
	d.s.spawn(func() {
		defer d.s.forget(d.key)
		ctx, cancel := context.WithTimeout(d.s.life, 64*gosip.T1)
		defer cancel()
		if _, err := d.s.transact(ctx, req); err != nil {
			d.s.log.Debug("bye unanswered", "err", err)
		}
	})
}

// stamp puts on a request what every one of ours carries.
func (s *Server) stamp(req *gosip.Request, network string) {
	at := s.addr(network)
	via := &gosip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: network,
		Host: at.Addr().String(), Port: int(at.Port())}
	via.Params.Add("branch", gosip.GenerateBranchN(16))
	via.Params.Add("rport", "") // RFC 3581 §3
	req.AppendHeader(via)
	hops := gosip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.AppendHeader(gosip.NewHeader("User-Agent", userAgent))
	req.SetTransport(network)
	if network == "UDP" { // send from the listener's own socket
		req.Laddr = gosip.Addr{IP: net.IP(s.udpAddr.Addr().AsSlice()), Port: int(s.udpAddr.Port())}
	}
}

func (s *Server) contact(network string) gosip.Header {
	at := s.addr(network)
	v := "<sip:hotline@" + at.String()
	if network == "TCP" {
		v += ";transport=tcp"
	}
	return gosip.NewHeader("Contact", v+">")
}

// addr is our own address as peers see it.
func (s *Server) addr(network string) netip.AddrPort {
	if network == "TCP" {
		return s.tcpAddr
	}
	return s.udpAddr
}

// Why a request found no final response.
var (
	errNoAnswer = errors.New("no final response")
	errNotSent  = errors.New("request not sent")
)

// transact sends a request and waits for its final response, bounded by ctx
// and by the transaction's own timer.
func (s *Server) transact(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	tx, err := s.tx.Request(ctx, req)
	if err != nil {
		return nil, errNotSent // the library's text holds the Request-URI, which may hold a number
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, errNoAnswer
		case <-ctx.Done():
			return nil, errNoAnswer
		}
	}
}

// seconds writes d for headers that count seconds.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
