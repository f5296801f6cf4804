package media

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hotline12345/hotline"
)

// PortsOptions says where the RTP sockets live.
type PortsOptions struct {
	// IP is the one local address that sockets bind and SDP names. Required,
	// not 0.0.0.0.
	IP netip.Addr
	// Min and Max bound the UDP ports, both included. Each leg takes an even
	// port for RTP and the next for RTCP (RFC 3550 §11). Required.
	Min, Max int
	// Quarantine is how long a released pair must be quiet before it is used
	// again, so that nobody hears the tail of another's call. Zero: 10 s.
	Quarantine time.Duration
	// Clock must run: arrival times, jitter and the recorder are measured by
	// it. Required.
	Clock hotline.Clock
	// Log is nil for slog.Default.
	Log *slog.Logger
}

const (
	defaultQuarantine = 10 * time.Second
	maxQuarantine     = 10 * time.Minute // then the pair is freed though packets still come
	maxBindFailures   = 5                // ports held by foreign processes, per NewLeg
)

type pairState uint8

const (
	pairFree pairState = iota
	pairUsed
	pairQuarantined
)

// Ports is the pool of RTP port pairs and the wheel that sends for all legs.
// Its methods are safe for concurrent use.
type Ports struct {
	opt   PortsOptions
	log   *slog.Logger
	epoch time.Time
	ids   atomic.Uint64
	wheel *wheel
	wg    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	pairs  []pairState
	legs   map[*Leg]struct{} // used and quarantined
	cursor int
	closed bool
}

// NewPorts makes the pool; it binds nothing yet. Close it at the end.
func NewPorts(o PortsOptions) (*Ports, error) {
	o.Min += o.Min & 1
	switch {
	case !o.IP.IsValid() || o.IP.IsUnspecified():
		return nil, errors.New("media: PortsOptions.IP must be one local address")
	case o.Min < 1024 || o.Max > 65535 || o.Max <= o.Min:
		return nil, fmt.Errorf("media: ports %d to %d hold no pair between 1024 and 65535", o.Min, o.Max)
	case o.Clock == nil:
		return nil, errors.New("media: PortsOptions.Clock is required")
	}
	if o.Quarantine == 0 {
		o.Quarantine = defaultQuarantine
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	n := (o.Max - o.Min + 1) / 2
	p := &Ports{opt: o, log: o.Log.With("component", "media"), epoch: o.Clock.Now(), pairs: make([]pairState, n),
		legs: map[*Leg]struct{}{}, cursor: rand.IntN(n)}
	p.wheel = newWheel(p)
	p.wg.Go(p.wheel.run)
	return p, nil
}

// now is the monotonic time since the pool was made, in nanoseconds.
func (p *Ports) now() int64 { return int64(p.opt.Clock.Now().Sub(p.epoch)) }

// Free returns how many pairs are neither in use nor in quarantine, for
// admission: a call needs two.
func (p *Ports) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.pairs {
		if s == pairFree {
			n++
		}
	}
	return n
}

// Lateness returns how late the wheel's latest round began, for admission:
// above 40 ms the machine has too much to do.
func (p *Ports) Lateness() time.Duration { return time.Duration(p.wheel.late.Load()) }

// bind takes the next free pair. Errors: ErrNoPorts, ErrClosed.
func (p *Ports) bind() (index int, rtp, rtcp *net.UDPConn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, nil, nil, ErrClosed
	}
	failures := 0
	for range p.pairs {
		i := p.cursor
		p.cursor = (p.cursor + 1) % len(p.pairs)
		if p.pairs[i] != pairFree {
			continue
		}
		if rtp, rtcp, err = listenPair(p.opt.IP, p.opt.Min+2*i); err == nil {
			p.pairs[i] = pairUsed
			return i, rtp, rtcp, nil
		}
		if failures++; failures > maxBindFailures {
			p.log.Warn("rtp ports held by others", "port", p.opt.Min+2*i, "err", err)
			break
		}
	}
	return 0, nil, nil, ErrNoPorts
}

func listenPair(ip netip.Addr, port int) (rtp, rtcp *net.UDPConn, err error) {
	network := "udp4"
	if ip.Is6() {
		network = "udp6"
	}
	rtp, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port))))
	if err != nil {
		return nil, nil, fmt.Errorf("bind rtp port: %w", err)
	}
	rtcp, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port+1))))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("bind rtcp port: %w", err), rtp.Close())
	}
	if err := errors.Join(rtp.SetReadBuffer(128<<10), rtcp.SetReadBuffer(16<<10)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("size rtp buffer: %w", err), rtp.Close(), rtcp.Close())
	}
	return rtp, rtcp, nil
}

func (p *Ports) quarantine(l *Leg) {
	p.mu.Lock()
	p.pairs[l.index] = pairQuarantined
	p.mu.Unlock()
}

// release frees a leg's pair; its sockets are closed.
func (p *Ports) release(l *Leg) {
	p.mu.Lock()
	p.pairs[l.index] = pairFree
	delete(p.legs, l)
	p.mu.Unlock()
}

// Close closes every leg at once, without quarantine, and returns when all
// goroutines have ended. It is safe twice.
func (p *Ports) Close() error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	var legs []*Leg
	for l := range p.legs {
		legs = append(legs, l)
	}
	p.mu.Unlock()
	for _, l := range legs {
		l.Close()
		l.closeSockets()
	}
	if !already {
		p.wheel.stop()
	}
	p.wg.Wait()
	return nil
}
