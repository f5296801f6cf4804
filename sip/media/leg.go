package media

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// LegOptions tunes one leg; the zero value is right for a call.
type LegOptions struct {
	// FirstPacket is how long the peer may be silent before its first packet,
	// Silence how long after it, until Lost reports. Zero: 30 s and 20 s.
	FirstPacket, Silence time.Duration
	// Hear, when set, gets every audio packet as received. It runs on the
	// leg's reader goroutine: it must be quick and must not keep payload.
	Hear func(c Codec, payload []byte)
}

const (
	defaultFirstPacket = 30 * time.Second
	defaultSilence     = 20 * time.Second
	digitBuffer        = 32
	learnPackets       = 3
	maxDatagram        = 1500
)

// Stats counts a leg's life. All counts start at zero.
type Stats struct {
	Received      uint64        // RTP packets accepted
	ReceivedBytes uint64        // their payload
	Lost          int64         // by sequence numbers (RFC 3550 A.3)
	Jitter        time.Duration // interarrival jitter (RFC 3550 A.8)
	Sent          uint64        // RTP packets sent
	SentBytes     uint64        // their payload
	Foreign       uint64        // datagrams of another source or payload type, or no RTP
	Dropped       uint64        // packets lost by us: two senders met, a key buffer was full
	PeerLost      int64         // what the peer's RTCP said it lost
}

// Leg is the media of one dialog: a socket pair, what was agreed over it and
// what flows. Every method is safe for concurrent use, but one owner (the
// call's actor) should drive it. After Close all methods do nothing.
type Leg struct {
	ports     *Ports
	opt       LegOptions
	index     int
	sessionID uint64
	conn      *net.UDPConn
	rtcpConn  *net.UDPConn
	local0    netip.AddrPort
	timerMu   sync.Mutex  // guards timer
	timer     *time.Timer // the quarantine; nil before Close
	closed    atomic.Bool

	mu      sync.Mutex // guards the two descriptions below
	local   *localSDP  // in force
	offered *localSDP  // waiting for Accept

	agreed       atomic.Pointer[agreed]
	dest         atomic.Pointer[netip.AddrPort]
	window       atomic.Int64  // learning ends then
	negotiations atomic.Uint32 // how many offers and answers were settled
	route        atomic.Pointer[route]
	player       atomic.Pointer[player]
	keys         atomic.Pointer[keySender]
	rec          atomic.Pointer[Recorder]

	digits chan Digit
	lost   chan struct{}

	out output     // written under its claim
	in  receiver   // written by the reader only
	pub published  // written by the reader, read by all
	tx  wheelState // written by the wheel only
}

// published are the reader's counts.
type published struct {
	packets, bytes, foreign, dropped atomic.Uint64
	lost, peerLost                   atomic.Int64
	jitter16                         atomic.Int64
	ssrc, base, top                  atomic.Uint32
	lastSR                           atomic.Uint32 // middle 32 bits of the peer's NTP time
	lastSRAt                         atomic.Int64
}

// receiver is what the reader goroutine knows of the peer.
type receiver struct {
	stats      reception
	described  netip.AddrPort // in SDP
	source     netip.AddrPort // accepted; invalid: none yet
	locked     bool
	seen       uint32 // negotiations of which the window was opened
	candidate  netip.AddrPort
	candSSRC   uint32
	candSeq    uint16
	candCount  int
	key        keyReceiver
	lastPacket packet
}

// route leads a leg's incoming audio to another leg.
type route struct {
	to *Leg
	id uint64
}

// NewLeg takes a port pair and starts to read it. Errors: ErrNoPorts
// (answer 503), ErrClosed.
func (p *Ports) NewLeg(o LegOptions) (*Leg, error) {
	if o.FirstPacket == 0 {
		o.FirstPacket = defaultFirstPacket
	}
	if o.Silence == 0 {
		o.Silence = defaultSilence
	}
	var seed [20]byte
	if _, err := crand.Read(seed[:]); err != nil { // RFC 3550 §8.1: SSRC at random
		return nil, err
	}
	i, rtp, rtcp, err := p.bind()
	if err != nil {
		return nil, err
	}
	l := &Leg{ports: p, opt: o, index: i, conn: rtp, rtcpConn: rtcp, digits: make(chan Digit, digitBuffer), lost: make(chan struct{}, 1)}
	l.local0 = netip.AddrPortFrom(p.opt.IP, uint16(p.opt.Min+2*i))
	l.sessionID = binary.BigEndian.Uint64(seed[:]) >> 2 // fits the signed 63 bits some peers parse
	l.out.ssrc = binary.BigEndian.Uint32(seed[8:])
	l.out.seq = binary.BigEndian.Uint16(seed[12:])
	l.out.ts = binary.BigEndian.Uint32(seed[14:])
	l.tx.id = p.ids.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.pairs[i] = pairFree
		return nil, errors.Join(ErrClosed, rtp.Close(), rtcp.Close())
	}
	p.legs[l] = struct{}{}
	var readers sync.WaitGroup
	readers.Go(l.read)
	readers.Go(l.readRTCP)
	p.wg.Go(func() {
		readers.Wait()
		p.release(l)
	})
	p.wheel.add(l)
	return l, nil
}

// LocalAddr returns the RTP address we describe.
func (l *Leg) LocalAddr() netip.AddrPort { return l.local0 }

// Codec returns what we send now; ok is false before offer and answer.
func (l *Leg) Codec() (c Codec, ok bool) {
	a := l.agreed.Load()
	if a == nil {
		return 0, false
	}
	return a.codec, true
}

// Held tells whether either side asked for silence (hold): the leg neither
// relays both ways nor times out.
func (l *Leg) Held() bool {
	a := l.agreed.Load()
	return a != nil && a.hold
}

// DTMF returns the keys the peer pressed (RFC 4733), each once, as soon as
// its first packet comes. The channel holds 32 keys; more are dropped and
// counted. It is never closed.
func (l *Leg) DTMF() <-chan Digit { return l.digits }

// Lost reports when the peer sent nothing for too long (see LegOptions): one
// value per silence. It waits while the leg is held or nothing is agreed. It
// is never closed.
func (l *Leg) Lost() <-chan struct{} { return l.lost }

// Record copies what the leg hears (left) and what it is sent (right) into r
// until r is closed or Record(nil) is called. Attach the recorder to the
// caller's leg: then left is the caller and right is prompts and agent.
func (l *Leg) Record(r *Recorder) {
	if r != nil {
		r.left.epoch.Store(&l.ports.epoch)
		r.right.epoch.Store(&l.ports.epoch)
	}
	l.rec.Store(r)
}

// Stats returns the counts so far.
func (l *Leg) Stats() Stats {
	return Stats{
		Received: l.pub.packets.Load(), ReceivedBytes: l.pub.bytes.Load(), Lost: l.pub.lost.Load(),
		Jitter: time.Duration(l.pub.jitter16.Load()) * time.Second / 16 / RateHz,
		Sent:   uint64(l.out.packets.Load()), SentBytes: l.out.octets.Load(),
		Foreign: l.pub.foreign.Load(), Dropped: l.pub.dropped.Load() + l.out.dropped.Load(), PeerLost: l.pub.peerLost.Load(),
	}
}

// Bridge relays sound and keys between two legs, both ways, and stops what
// they play. Each hears the other in its own codec, as a continuation of the
// stream it had. A leg bridged before leaves its old partner.
func Bridge(a, b *Leg) {
	a.Unbridge()
	b.Unbridge()
	a.StopPlay()
	b.StopPlay()
	a.route.Store(&route{to: b, id: a.ports.ids.Add(1)})
	b.route.Store(&route{to: a, id: b.ports.ids.Add(1)})
	if a.closed.Load() || b.closed.Load() {
		a.Unbridge()
	}
}

// Unbridge ends the relay in both directions; the legs fall silent until
// something is played. It does nothing on a leg that has no partner.
func (l *Leg) Unbridge() {
	r := l.route.Swap(nil)
	if r == nil {
		return
	}
	if back := r.to.route.Load(); back != nil && back.to == l {
		r.to.route.CompareAndSwap(back, nil)
	}
}

// Close ends the leg: it falls silent at once, leaves its partner, and its
// ports go into quarantine. It does not wait and is safe twice.
func (l *Leg) Close() {
	if l.closed.Swap(true) {
		return
	}
	l.ports.wheel.remove(l)
	l.Unbridge()
	l.StopPlay()
	l.keys.Swap(nil).finish()
	l.rec.Store(nil)
	l.ports.quarantine(l)
	l.timerMu.Lock()
	l.timer = time.AfterFunc(l.ports.opt.Quarantine, l.closeSockets)
	l.timerMu.Unlock()
}

// closeSockets ends the readers, which frees the pair.
func (l *Leg) closeSockets() {
	l.timerMu.Lock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timerMu.Unlock()
	if err := errors.Join(l.conn.Close(), l.rtcpConn.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
		l.ports.log.Warn("cannot close rtp ports", "port", l.local0.Port(), "err", err)
	}
}

// read is the leg's reader goroutine; it goes on through the quarantine.
func (l *Leg) read() {
	buf := make([]byte, maxDatagram)
	var over int64 // when quarantine ends at the latest
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier send
		}
		now := l.ports.now()
		if !l.closed.Load() {
			l.receive(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now)
			continue
		}
		if over == 0 {
			over = now + int64(maxQuarantine)
		}
		l.timerMu.Lock()
		if l.timer != nil && now < over && l.timer.Stop() {
			l.timer.Reset(l.ports.opt.Quarantine)
		}
		l.timerMu.Unlock()
	}
}

// receive handles one datagram. No lock, no allocation, no map.
func (l *Leg) receive(b []byte, from netip.AddrPort, now int64) {
	a := l.agreed.Load()
	p := &l.in.lastPacket
	if a == nil || !parseRTP(b, p) {
		l.pub.foreign.Add(1)
		return
	}
	var c Codec
	event := false
	switch {
	case p.pt == uint8(PCMA) && a.acceptA:
		c = PCMA
	case p.pt == uint8(PCMU) && a.acceptU:
		c = PCMU
	case a.eventRecv != 0 && (p.pt == a.eventRecv || p.pt == a.eventSend):
		event = true
	case p.pt == 13: // comfort noise (RFC 3389): alive, nothing to hear
		if from == l.in.source {
			l.pub.packets.Add(1)
		}
		return
	default:
		l.pub.foreign.Add(1)
		return
	}
	if !l.accepted(a, p, from, now) {
		l.pub.foreign.Add(1)
		return
	}
	st := &l.in.stats
	st.note(p, now)
	l.pub.packets.Add(1)
	l.pub.bytes.Add(uint64(len(p.payload)))
	l.pub.lost.Store(st.lostOld + st.lost())
	l.pub.jitter16.Store(st.jitter16)
	l.pub.ssrc.Store(st.ssrc)
	l.pub.base.Store(st.base)
	l.pub.top.Store(st.top)
	if event {
		l.in.key.receive(l, p, now)
	} else {
		if l.opt.Hear != nil {
			l.opt.Hear(c, p.payload)
		}
		if r := l.rec.Load(); r != nil {
			r.left.put(c, p.ssrc, p.ts, now, p.payload)
		}
	}
	if r := l.route.Load(); r != nil {
		r.to.relay(b, p, c, event, r.id, now)
	}
}

// accepted tells whether a packet comes from the peer: from the described
// address at once, from another only after three packets in sequence with one
// SSRC inside the learning window, and then only until the next offer.
func (l *Leg) accepted(a *agreed, p *packet, from netip.AddrPort, now int64) bool {
	in := &l.in
	if n := l.negotiations.Load(); n != in.seen {
		in.seen, in.locked, in.candCount = n, false, 0
		if in.described != a.remote {
			in.described, in.source = a.remote, netip.AddrPort{}
		}
	}
	switch {
	case from == a.remote && in.source != from: // described beats learned
		l.adopt(from)
		return true
	case from == in.source:
		in.locked = true
		return true
	case in.locked || now > l.window.Load():
		return false
	}
	if from != in.candidate || p.ssrc != in.candSSRC || p.seq != in.candSeq+1 {
		in.candidate, in.candSSRC, in.candCount = from, p.ssrc, 0
	}
	in.candSeq = p.seq
	if in.candCount++; in.candCount < learnPackets {
		return false
	}
	l.adopt(from)
	return true
}

func (l *Leg) adopt(from netip.AddrPort) {
	l.in.source, l.in.locked = from, true
	l.dest.Store(&from)
}
