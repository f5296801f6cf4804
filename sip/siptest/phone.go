// Package siptest owns a softphone: it registers, calls, is called, talks and
// listens, over real SIP and RTP on sockets of its own. Tests use it as the
// caller and as the agent, cmd/callsim as demo traffic and load. Its dialogs
// are its own and deliberately not those of package sip, so that one mistake
// cannot hide in both.
//
// One goroutine per transaction; a Phone's tables are under its mutex. It
// imports hotline, sip/media, sipgo and digest.
package siptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"hotline12345/hotline"
	"hotline12345/sip/media"
)

// Options describes a phone.
type Options struct {
	// Local is the address it listens on. "": "127.0.0.1:0".
	Local string
	// Server is where it registers and calls, "127.0.0.1:5060". Required.
	Server string
	// Transport is "udp" or "tcp". "": "udp".
	Transport string
	// User is its extension or number. Required.
	User string
	// Password answers challenges; "" for a phone on a trunk.
	Password string
	// Ports lets phones share one pool of RTP ports. Nil: an own pool between
	// 40000 and 59999 on the address of Local.
	Ports *media.Ports
	// OnCall decides what becomes of a call; nil: answer at once.
	OnCall func(Incoming) Reaction
	// OnTalk, when set, runs in its own goroutine for every call that was
	// answered here, once the caller has acknowledged.
	OnTalk func(*Talk)
	// Log is nil for no log.
	Log *slog.Logger
}

// Incoming is a call that rings.
type Incoming struct {
	From string // user part
}

// Reaction is what the phone does with a call. The zero value answers at once.
type Reaction struct {
	// After is how long it rings first.
	After time.Duration
	// Status refuses the call with that SIP status: 486 busy, 603 declined.
	// Zero answers it.
	Status int
	// Never lets it ring until the caller gives up.
	Never bool
}

// Phone is a softphone. Its methods are safe for concurrent use.
type Phone struct {
	opt      Options
	log      *slog.Logger
	ua       *sipgo.UserAgent
	socket   io.Closer // sipgo leaves listeners to us
	client   *sipgo.Client
	contact  gosip.Uri
	ports    *media.Ports
	ownPorts bool
	life     context.Context
	die      context.CancelFunc
	wg       sync.WaitGroup

	mu        sync.Mutex
	talks     map[talkKey]*Talk
	challenge *digest.Challenge // of the registrar, kept for refreshes
	nonceUses int
	regCallID string
	regTag    string
	regSeq    uint32
	refresh   bool // the refresher runs
	closed    bool
}

type talkKey struct{ callID, localTag string }

// StatusError is a final SIP response that was no success.
type StatusError struct {
	Code   int
	Reason string
}

// Error names the status.
func (e *StatusError) Error() string { return fmt.Sprintf("sip status %d %s", e.Code, e.Reason) }

const (
	requestLimit = 32 * time.Second // 64 × T1 (RFC 3261 §17.1.2.2)
	expires      = 60 * time.Second
	allow        = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE"
)

// NewPhone opens the phone's sockets. Close it at the end.
func NewPhone(o Options) (*Phone, error) {
	if o.Server == "" || o.User == "" {
		return nil, errors.New("siptest: Options.Server and User are required")
	}
	if o.Local == "" {
		o.Local = "127.0.0.1:0"
	}
	if o.Transport == "" {
		o.Transport = "udp"
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p := &Phone{opt: o, log: log.With("component", "phone", "user", o.User), ports: o.Ports, talks: map[talkKey]*Talk{},
		regCallID: gosip.GenerateTagN(24), regTag: gosip.GenerateTagN(16)}
	p.life, p.die = context.WithCancel(context.Background())
	if err := p.open(); err != nil {
		p.die()
		return nil, err
	}
	return p, nil
}

func (p *Phone) open() error {
	stray := gosip.WithTransactionLayerUnhandledResponseHandler(func(*gosip.Response) {})
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("hotline-phone"), sipgo.WithUserAgentHostname("127.0.0.1"),
		sipgo.WithUserAgentTransactionLayerOptions(stray, gosip.WithTransactionLayerLogger(p.log)),
		sipgo.WithUserAgentTransportLayerOptions(gosip.WithTransportLayerLogger(p.log)))
	if err != nil {
		return fmt.Errorf("open phone: %w", err)
	}
	p.ua = ua
	if err := p.listen(); err != nil {
		return errors.Join(fmt.Errorf("open phone: %w", err), ua.Close())
	}
	return nil
}

// listen binds the socket, prepares what requests need, and only then serves.
func (p *Phone) listen() error {
	srv, err := sipgo.NewServer(p.ua, sipgo.WithServerLogger(p.log))
	if err != nil {
		return err
	}
	p.handle(srv)
	switch p.opt.Transport {
	case "udp":
		c, err := net.ListenPacket("udp4", p.opt.Local)
		if err != nil {
			return err
		}
		if err := p.prepare(c.LocalAddr().String()); err != nil {
			return errors.Join(err, c.Close())
		}
		p.socket = c
		p.wg.Go(func() { p.served(srv.ServeUDP(c)) })
		for end := time.Now().Add(2 * time.Second); p.ua.TransportLayer().Pool("udp").Size() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				return errors.Join(errors.New("udp listener did not start"), c.Close())
			}
		}
	case "tcp":
		l, err := net.Listen("tcp4", p.opt.Local)
		if err != nil {
			return err
		}
		if err := p.prepare(l.Addr().String()); err != nil {
			return errors.Join(err, l.Close())
		}
		p.socket = l
		p.wg.Go(func() { p.served(srv.ServeTCP(l)) })
	default:
		return fmt.Errorf("transport %q is neither udp nor tcp", p.opt.Transport)
	}
	return nil
}

// prepare makes the contact, the client and the media ports for an address.
func (p *Phone) prepare(local string) error {
	addr, err := netip.ParseAddrPort(local)
	if err != nil {
		return err
	}
	p.contact = gosip.Uri{Scheme: "sip", User: p.opt.User, Host: addr.Addr().String(), Port: int(addr.Port())}
	opts := []sipgo.ClientOption{sipgo.WithClientNAT(), sipgo.WithClientLogger(p.log)}
	if p.opt.Transport == "tcp" {
		p.contact.UriParams.Add("transport", "tcp")
	} else {
		opts = append(opts, sipgo.WithClientConnectionAddr(local))
	}
	if p.client, err = sipgo.NewClient(p.ua, opts...); err != nil || p.ports != nil {
		return err
	}
	p.ownPorts = true
	p.ports, err = media.NewPorts(media.PortsOptions{IP: addr.Addr(), Min: 40000, Max: 59999, Quarantine: time.Second,
		Clock: hotline.ClockFunc(time.Now), Log: p.log})
	return err
}

func (p *Phone) served(err error) {
	if err != nil && p.life.Err() == nil {
		p.log.Warn("phone socket ended", "err", err)
	}
}

// Addr returns the address the phone listens on.
func (p *Phone) Addr() string { return net.JoinHostPort(p.contact.Host, strconv.Itoa(p.contact.Port)) }

// Close hangs up nothing and says goodbye to nobody: the phone vanishes, as
// if its power failed. Call Unregister and Talk.Hangup before it to leave in
// order. It is safe twice.
func (p *Phone) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	var talks []*Talk
	for _, t := range p.talks {
		talks = append(talks, t)
	}
	p.mu.Unlock()
	p.die()
	for _, t := range talks {
		t.finish("phone closed")
	}
	err := p.ua.Close()
	if e := p.socket.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	p.wg.Wait()
	if p.ownPorts {
		err = errors.Join(err, p.ports.Close())
	}
	return err
}

// Talks returns the calls in progress, in no order.
func (p *Phone) Talks() []*Talk {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*Talk
	for _, t := range p.talks {
		out = append(out, t)
	}
	return out
}

// Register registers the phone, answering one challenge, and keeps it
// registered until Unregister or Close. Errors: *StatusError, or no answer.
func (p *Phone) Register(ctx context.Context) error {
	if err := p.register(ctx, expires); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.refresh && !p.closed {
		p.refresh = true
		p.wg.Go(p.keepRegistered)
	}
	return nil
}

// Unregister removes the registration.
func (p *Phone) Unregister(ctx context.Context) error {
	p.mu.Lock()
	p.refresh = false
	p.mu.Unlock()
	return p.register(ctx, 0)
}

func (p *Phone) keepRegistered() {
	t := time.NewTicker(expires / 2)
	defer t.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case <-t.C:
		}
		p.mu.Lock()
		on := p.refresh
		p.mu.Unlock()
		if !on {
			return
		}
		ctx, cancel := context.WithTimeout(p.life, requestLimit)
		if err := p.register(ctx, expires); err != nil {
			p.log.Warn("registration not refreshed", "err", err)
		}
		cancel()
	}
}

func (p *Phone) register(ctx context.Context, life time.Duration) error {
	for try := 0; ; try++ {
		req, err := p.newRequest(gosip.REGISTER, "")
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.regSeq++
		from := gosip.FromHeader{Address: gosip.Uri{Scheme: "sip", User: p.opt.User, Host: req.Recipient.Host}}
		from.Params.Add("tag", p.regTag)
		callID := gosip.CallIDHeader(p.regCallID)
		req.AppendHeader(&from)
		req.AppendHeader(&gosip.ToHeader{Address: from.Address})
		req.AppendHeader(&callID)
		req.AppendHeader(&gosip.CSeqHeader{SeqNo: p.regSeq, MethodName: gosip.REGISTER})
		if p.challenge != nil {
			p.nonceUses++
			err = p.authorize(req, p.challenge, p.nonceUses, "Authorization")
		}
		p.mu.Unlock()
		if err != nil {
			return err
		}
		req.AppendHeader(gosip.NewHeader("Expires", strconv.Itoa(int(life/time.Second))))
		req.AppendHeader(&gosip.ContactHeader{Address: p.contact})
		res, err := p.do(ctx, req)
		if err != nil {
			return fmt.Errorf("register extension %s: %w", p.opt.User, err)
		}
		if res.IsSuccess() {
			return nil
		}
		c := challengeOf(res)
		if c == nil || try == 1 || p.opt.Password == "" {
			return fmt.Errorf("register extension %s: %w", p.opt.User, &StatusError{res.StatusCode, res.Reason})
		}
		p.mu.Lock()
		p.challenge, p.nonceUses = c, 0
		p.mu.Unlock()
	}
}

// newRequest begins a request to the server; user "" is the server itself.
func (p *Phone) newRequest(m gosip.RequestMethod, user string) (*gosip.Request, error) {
	host, portText, err := net.SplitHostPort(p.opt.Server)
	if err != nil {
		return nil, fmt.Errorf("read server address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("read server address: %w", err)
	}
	uri := gosip.Uri{Scheme: "sip", User: user, Host: host, Port: port}
	req := gosip.NewRequest(m, uri)
	p.send(req)
	req.SetDestination(p.opt.Server)
	return req, nil
}

// send stamps what every request of ours has.
func (p *Phone) send(req *gosip.Request) {
	req.SetTransport(map[string]string{"udp": "UDP", "tcp": "TCP"}[p.opt.Transport])
	if p.opt.Transport == "udp" {
		req.Laddr = gosip.Addr{IP: net.ParseIP(p.contact.Host), Port: p.contact.Port, Hostname: p.contact.Host}
	}
}

// do sends a request and returns its final response.
func (p *Phone) do(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	return p.client.Do(ctx, req)
}

// challengeOf returns the strongest challenge of a 401 or 407, nil for other
// responses.
func challengeOf(res *gosip.Response) *digest.Challenge {
	name := "WWW-Authenticate"
	switch res.StatusCode {
	case 401:
	case 407:
		name = "Proxy-Authenticate"
	default:
		return nil
	}
	var best *digest.Challenge
	for _, h := range res.GetHeaders(name) {
		c, err := digest.ParseChallenge(h.Value())
		if err == nil && digest.CanDigest(c) && (best == nil || c.Algorithm == "SHA-256") {
			best = c
		}
	}
	return best
}

func (p *Phone) authorize(req *gosip.Request, c *digest.Challenge, count int, header string) error {
	cred, err := digest.Digest(c, digest.Options{Method: req.Method.String(), URI: req.Recipient.String(), Count: count,
		Username: p.opt.User, Password: p.opt.Password})
	if err != nil {
		return fmt.Errorf("answer challenge: %w", err)
	}
	req.AppendHeader(gosip.NewHeader(header, cred.String()))
	return nil
}
