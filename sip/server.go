// Package sip owns the telephone side of the hotline: listeners, trunks, the
// registrar of the agents' phones, dialogs, and one actor per call that leads
// a caller from his INVITE through greeting and queue to an agent and writes
// the call's facts. cmd makes it; the console asks it to hang up; it tells
// what happened through Desk.
//
// Transport, parser and transactions are sipgo's; dialogs, registrar, digest
// and retransmission of 2xx are our own, for the reasons told in the comments
// where they stand. Each call's state is written by its actor's goroutine
// alone, which other goroutines reach by a bounded mailbox only.
//
// The first New sets the SIP library's process-wide variables; make the server
// before any other user of that library in the process.
//
// It may import the standard library, sipgo, go-redis, package hotline and its
// own rooms sip/acd, sip/ivr and sip/media.
package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/redis/go-redis/v9"

	"hotline12345/hotline"
	"hotline12345/sip/acd"
	"hotline12345/sip/ivr"
	"hotline12345/sip/media"
)

const userAgent = "Hotline12345"

// Desk takes what happens to calls. Report must not block.
type Desk interface{ Report(hotline.CallFact) }

// Trunk is a carrier whose calls we take, known by where its packets come from.
type Trunk struct {
	Name    string
	Sources []netip.Prefix
}

// Options are what a server needs. The parts without a default are required.
type Options struct {
	UDPAddr, TCPAddr string // "127.0.0.1:5060"; a concrete address, port 0 picks one. TCPAddr "": as UDPAddr
	MediaIP          string // put into SDP; "": the address of UDPAddr
	PortMin, PortMax int    // RTP ports

	Trunks    []Trunk
	PhoneNets []netip.Prefix // where phones may register from

	Realm           string // of digest authentication; "": "hotline"
	OfferSHA256     bool   // challenge with SHA-256 (RFC 8760) beside MD5; old phones stumble over a second challenge
	ReadyOnRegister bool   // a phone that registers makes its signed-out agent ready (demonstration)

	Lines  func(number string) (hotline.Line, bool) // numbers citizens may dial
	Desk   Desk
	Phones Phones
	Floor  *acd.Floor // its Run is not started here
	Redis  *redis.Client

	Prompts   map[string]*media.Prompt // by the names of IVR; missing ones become tones
	IVR       ivr.Plan                 // zero: greeting, music and waiting by those names
	RecordDir string                   // recordings go to <RecordDir>/<yyyymmdd>/<call id>.wav
	Node      string
	Clock     hotline.Clock // must run: timers follow it
	Log       *slog.Logger

	MaxCalls      int           // at once; zero: 200
	MaxPerSecond  int           // new calls; zero: 50
	MaxWaiting    int           // in the queue; more hear the busy prompt; zero: 1000
	LongestWait   time.Duration // in the queue; zero: 10 min
	MaxCallLength time.Duration // zero: 2 h
	FirstPacket   time.Duration // of media, before a leg counts as lost; zero: 30 s
	Silence       time.Duration // of media, later; zero: 20 s
}

// Server is the user agent of one node. Its methods are safe for concurrent
// use.
type Server struct {
	o        Options
	log      *slog.Logger
	tp       *gosip.TransportLayer
	parser   *gosip.Parser // the filter's; safe for concurrent use
	tx       *gosip.TransactionLayer
	udp      net.PacketConn
	tcp      net.Listener
	udpAddr  netip.AddrPort
	tcpAddr  netip.AddrPort
	ports    *media.Ports
	reg      *registrar
	fallback map[string]*media.Prompt // tones for missing prompts

	life context.Context // ends after the last call said goodbye; bounds spawned work
	kill context.CancelFunc
	wg   sync.WaitGroup // spawned work and calls

	mu           sync.Mutex // guards the fields below
	calls        map[hotline.CallID]*call
	dialogs      map[dialogKey]*dialog
	invites      map[string]string // Call-ID, From tag and CSeq of a live INVITE → its branch (RFC 3261 §8.2.2.2)
	draining     bool
	stopped      bool    // goodbyes are said; enter lets nothing in
	tokens       float64 // of the rate limit
	filled       time.Time
	complainedAt int64 // the second the complaints are counted in
	complaints   int

	serving   atomic.Bool
	closing   atomic.Bool
	dropped   atomic.Uint64 // datagrams of strangers
	malformed atomic.Uint64 // datagrams that could not be read
}

// New binds the listeners and makes the server; nothing is served before Run.
func New(o Options) (*Server, error) {
	if o.Lines == nil || o.Desk == nil || o.Phones == nil || o.Floor == nil || o.Redis == nil || o.Clock == nil ||
		o.RecordDir == "" || o.Node == "" || o.UDPAddr == "" {
		return nil, errors.New("sip: UDPAddr, Lines, Desk, Phones, Floor, Redis, RecordDir, Node and Clock are required")
	}
	or(&o.TCPAddr, o.UDPAddr)
	or(&o.Realm, "hotline")
	or(&o.MaxCalls, 200)
	or(&o.MaxPerSecond, 50)
	or(&o.MaxWaiting, 1000)
	or(&o.LongestWait, 10*time.Minute)
	or(&o.MaxCallLength, 2*time.Hour)
	or(&o.IVR, ivr.Plan{Greeting: "greeting", Music: "music", Waiting: "waiting", Busy: "busy"})
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{
		o: o, log: o.Log.With("component", "sip"),
		calls: map[hotline.CallID]*call{}, dialogs: map[dialogKey]*dialog{}, invites: map[string]string{},
		tokens: float64(o.MaxPerSecond), filled: o.Clock.Now(),
		fallback: map[string]*media.Prompt{
			o.IVR.Greeting: media.Tone(660, 400*time.Millisecond),
			o.IVR.Music:    media.Concat(media.Tone(440, 300*time.Millisecond), media.Pause(1700*time.Millisecond)),
			o.IVR.Busy:     media.Concat(media.Tone(350, 300*time.Millisecond), media.Pause(300*time.Millisecond)),
		},
	}
	delete(s.fallback, "")
	s.life, s.kill = context.WithCancel(context.Background())
	s.reg = newRegistrar(s)
	setKnobs(s.log, o.Clock)
	if err := s.bind(); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// bind opens the sockets and the media ports and stacks the layers on them.
func (s *Server) bind() (err error) {
	if err := os.MkdirAll(s.o.RecordDir, 0o700); err != nil {
		return fmt.Errorf("make recordings folder: %w", err)
	}
	if s.udp, err = net.ListenPacket("udp", s.o.UDPAddr); err != nil {
		return fmt.Errorf("listen sip udp: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.udp.Close())
		}
	}()
	if u, ok := s.udp.(*net.UDPConn); ok {
		if err := u.SetReadBuffer(8 << 20); err != nil { // the kernel may give less
			s.log.Warn("sip socket buffer stays small", "err", err)
		}
	}
	s.udpAddr = plain(s.udp.LocalAddr().(*net.UDPAddr).AddrPort())
	if s.udpAddr.Addr().IsUnspecified() {
		return fmt.Errorf("listen sip udp: %s names no concrete address, which Via and Contact need", s.o.UDPAddr)
	}
	ip := s.udpAddr.Addr()
	if s.o.MediaIP != "" {
		if ip, err = netip.ParseAddr(s.o.MediaIP); err != nil {
			return fmt.Errorf("read media address: %w", err)
		}
	}
	s.ports, err = media.NewPorts(media.PortsOptions{IP: ip, Min: s.o.PortMin, Max: s.o.PortMax, Clock: s.o.Clock, Log: s.o.Log})
	if err != nil {
		return err
	}
	if s.tcp, err = net.Listen("tcp", s.o.TCPAddr); err != nil {
		return errors.Join(fmt.Errorf("listen sip tcp: %w", err), s.ports.Close())
	}
	s.tcpAddr = plain(s.tcp.Addr().(*net.TCPAddr).AddrPort())
	s.parser = gosip.NewParser()
	s.tp = gosip.NewTransportLayer(&net.Resolver{PreferGo: true, Dial: noNames}, s.parser, nil,
		gosip.WithTransportLayerReadFilter(s.filter),
		gosip.WithTransportLayerTransports(gosip.TransportsConfig{
			// Phones keep their connection between refreshes; a peer that does not read is let go.
			TCP: &gosip.TransportTCP{ReadTimeout: 2 * longestExpiry, WriteTimeout: 5 * time.Second, DialerCreate: s.dialer},
		}))
	s.tp.OnMessage(prepare) // before the transactions see a message
	s.tx = gosip.NewTransactionLayer(s.tp,
		gosip.WithTransactionLayerUnhandledResponseHandler(func(*gosip.Response) {}), // too late for anybody
		gosip.WithTransactionLayerTerminateOnConnClose())
	s.tx.OnRequest(s.handle)
	return nil
}

// Addr returns the bound UDP address.
func (s *Server) Addr() netip.AddrPort { return s.udpAddr }

// TCPAddr returns the bound TCP address.
func (s *Server) TCPAddr() netip.AddrPort { return s.tcpAddr }

// Run serves until ctx ends, then says goodbye to every call and returns when
// all goroutines it started have ended. A listener that fails ends it with an
// error.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	var loops sync.WaitGroup
	loops.Go(func() { failed <- s.tp.ServeUDP(s.udp) })
	loops.Go(func() { failed <- s.tp.ServeTCP(&gate{Listener: s.tcp, s: s, by: map[netip.Addr]int{}}) })
	inner, stop := context.WithCancel(ctx)
	defer stop()
	loops.Go(func() { s.offers(inner) })
	s.serving.Store(true)
	s.log.Info("sip serves", "udp", s.udpAddr.String(), "tcp", s.tcpAddr.String())

	refresh := time.NewTicker(5 * time.Second)
	defer refresh.Stop()
	var err error
serve:
	for {
		select {
		case <-ctx.Done():
			break serve
		case e := <-failed:
			err = fmt.Errorf("sip listener ended: %w", errors.Join(e, errListener))
			break serve
		case <-refresh.C:
			s.reg.refresh(ctx)
		}
	}
	s.serving.Store(false)
	stop()
	s.shut()
	loops.Wait()
	return errors.Join(err, s.tp.Close()) // again: a datagram read in the last moment may have made a socket
}

var errListener = errors.New("listener closed")

// shut ends the calls, waits for their goodbyes a few seconds and closes all.
func (s *Server) shut() {
	s.mu.Lock()
	s.draining, s.stopped = true, true
	for _, c := range s.calls {
		c.post(hangup{hotline.EndShutdown})
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(4 * time.Second): // peers that do not answer our BYE
	}
	s.closing.Store(true) // the filter lets nothing in from here
	s.kill()
	<-ended
	s.tx.Close()
	err := errors.Join(s.udp.Close(), s.tcp.Close(), s.tp.Close(), s.ports.Close())
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("sip did not close cleanly", "err", err)
	}
}

// Drain refuses new calls with 503 and waits until the present ones have
// ended or ctx ends, whose error it returns then.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.Calls() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Calls tells how many calls this node holds.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Ready tells why the node takes no calls; nil when it does.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return errors.New("sip is draining")
	case !s.serving.Load():
		return errors.New("sip does not serve")
	}
	return nil
}

// Hangup ends a call of this node. Errors: NotFound.
func (s *Server) Hangup(_ context.Context, id hotline.CallID) error {
	s.mu.Lock()
	c := s.calls[id]
	s.mu.Unlock()
	if c == nil || !c.post(hangup{hotline.EndNormal}) {
		return hotline.Errorf(hotline.NotFound, "本节点没有这通电话")
	}
	return nil
}

// spawn runs f as part of the server: Run waits for it.
func (s *Server) spawn(f func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		defer s.recovered("sip task")
		f()
	}()
}

// enter makes Run wait for work on one of the library's goroutines, until
// s.wg.Done; false: the server stops, the work must not begin.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.wg.Add(1)
	return true
}

// recovered keeps a panic from ending the program; it is deferred.
func (s *Server) recovered(what string) {
	if p := recover(); p != nil {
		s.log.Error("panic caught", "where", what, "panic", fmt.Sprint(p), "stack", stack())
	}
}

// offers hands the floor's offers to the calls they are for.
func (s *Server) offers(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-s.o.Floor.Offers():
			s.mu.Lock()
			c := s.calls[o.CallID]
			s.mu.Unlock()
			if c != nil && c.post(offered{o}) {
				continue
			}
			s.spawn(func() { s.onFloor(o.CallID, s.o.Floor.Ended) }) // the caller is gone: the agent is ready again
		}
	}
}

// onFloor repeats a floor transition each second until Redis took it.
func (s *Server) onFloor(id hotline.CallID, f func(context.Context, hotline.CallID) error) {
	for {
		ctx, cancel := context.WithTimeout(s.life, 2*time.Second)
		err := f(ctx, id)
		cancel()
		if err == nil || s.life.Err() != nil {
			return
		}
		select {
		case <-s.life.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// remember and forget keep the table of dialogs.
func (s *Server) remember(d *dialog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialogs[d.key] = d
}

func (s *Server) forget(k dialogKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, k)
}

// plain takes the IPv6 wrapping off an IPv4 address.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
