package media

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// peer is a bare socket that speaks RTP as the test wants.
type peer struct {
	t    testing.TB
	conn *net.UDPConn
	to   netip.AddrPort
	seq  uint16
	ts   uint32
	ssrc uint32
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &peer{t: t, conn: c, ssrc: 0xABCD, seq: 65530, ts: 1<<32 - 800}
}

func (p *peer) offer(body string) []byte {
	port := p.conn.LocalAddr().(*net.UDPAddr).Port
	return fmt.Appendf(nil, "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio %d RTP/AVP %s", port, body)
}

// call offers to a leg and learns where to send.
func (p *peer) call(l *Leg, body string) {
	p.t.Helper()
	if _, err := l.Answer(p.offer(body)); err != nil {
		p.t.Fatal(err)
	}
	p.to = l.LocalAddr()
}

func (p *peer) send(pt uint8, marker bool, ts uint32, payload ...byte) {
	p.t.Helper()
	b := make([]byte, rtpHeader, rtpHeader+len(payload))
	putRTP(b, pt, marker, p.seq, ts, p.ssrc)
	p.seq++
	if _, err := p.conn.WriteToUDPAddrPort(append(b, payload...), p.to); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) audio(pt uint8) {
	p.send(pt, false, p.ts, make([]byte, frameSamples)...)
	p.ts += frameSamples
}

// next reads the next RTP packet into k.
func (p *peer) next(k *packet) bool {
	b := make([]byte, maxDatagram)
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		p.t.Fatal(err)
	}
	n, err := p.conn.Read(b)
	return err == nil && parseRTP(b[:n], k)
}

// TestOneContinuousStream: prompt, music, bridge and prompt again are one RTP
// stream: one SSRC, no gap in sequence numbers, time never backwards, a marker
// at each switch.
func TestOneContinuousStream(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 4, time.Second)
	caller, agent := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
	pc, pa := newPeer(t), newPeer(t)
	pc.call(caller, "8")
	pa.call(agent, "0") // the other law
	go func() {
		<-caller.Play(Tone(400, 100*time.Millisecond))
		<-caller.Play(Tone(500, 100*time.Millisecond))
		Bridge(caller, agent)
		for range 10 {
			pa.audio(0)
		}
		time.Sleep(50 * time.Millisecond)
		pa.ssrc, pa.seq, pa.ts = 77, 9, 3 // the agent's phone starts a new stream
		for range 5 {
			pa.audio(0)
		}
		eventually(t, "relayed", func() bool { return caller.Stats().Sent >= 25 })
		caller.Unbridge()
		<-caller.Play(Tone(600, 100*time.Millisecond))
	}()
	var last packet
	markers := 0
	for i := range 30 {
		var k packet
		if !pc.next(&k) {
			t.Fatalf("packet %d did not come", i)
		}
		if i > 0 {
			if k.ssrc != last.ssrc {
				t.Errorf("packet %d: SSRC changed", i)
			}
			if k.seq != last.seq+1 {
				t.Errorf("packet %d: sequence %d after %d", i, k.seq, last.seq)
			}
			if d := int32(k.ts - last.ts); d < frameSamples || d > 40*frameSamples {
				t.Errorf("packet %d: timestamp moved by %d", i, d)
			}
		}
		if k.pt != 8 || len(k.payload) != frameSamples {
			t.Errorf("packet %d: type %d, %d bytes", i, k.pt, len(k.payload))
		}
		if k.marker {
			markers++
		}
		last = k
	}
	if markers != 5 { // two prompts, two streams of the agent, one prompt
		t.Errorf("%d markers, want 5", markers)
	}
}

// TestBleedIgnored: packets of strangers are not heard (telephony test case
// 41, RTP bleed), not even three in sequence once the peer is known, nor one
// or two before.
func TestBleedIgnored(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 2, time.Second)
	l := newLeg(t, p, LegOptions{})
	real, stranger := newPeer(t), newPeer(t)
	real.call(l, "8")
	stranger.to = real.to
	stranger.audio(8)
	stranger.audio(8)
	eventually(t, "strangers counted", func() bool { return l.Stats().Foreign == 2 })
	real.audio(8)
	eventually(t, "peer heard", func() bool { return l.Stats().Received == 1 })
	for range 10 {
		stranger.audio(8)
	}
	real.audio(18) // not negotiated
	eventually(t, "strangers counted", func() bool { return l.Stats().Foreign == 13 })
	if n := l.Stats().Received; n != 1 {
		t.Errorf("%d packets accepted, want 1", n)
	}
}

// TestSymmetricLearning: a phone behind NAT sends from another address than it
// described; three packets in sequence teach it, and then we send there.
func TestSymmetricLearning(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 2, time.Second)
	l := newLeg(t, p, LegOptions{})
	described, nat := newPeer(t), newPeer(t)
	described.call(l, "8")
	nat.to = described.to
	nat.audio(8)
	nat.seq += 5 // not in sequence: counts anew
	nat.audio(8)
	nat.audio(8)
	eventually(t, "three seen", func() bool { return l.Stats().Foreign == 3 })
	nat.audio(8)
	eventually(t, "learned", func() bool { return l.Stats().Received == 1 })
	l.Silence()
	var k packet
	if !nat.next(&k) {
		t.Error("nothing sent to the learned address")
	}
}

// TestKeysRFC4733: telephony test case 40.
func TestKeysRFC4733(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 4, time.Second)
	l, far := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
	a, b := newPeer(t), newPeer(t)
	a.call(l, "8 96\na=rtpmap:96 telephone-event/8000")
	b.call(far, "0 127\na=rtpmap:127 telephone-event/8000")
	Bridge(l, far)
	event := func(key byte, end bool, ts uint32, duration uint16) {
		e := byte(10)
		if end {
			e |= 0x80
		}
		a.send(96, false, ts, key, e, byte(duration>>8), byte(duration))
	}
	event(1, false, 1000, 160) // no marker, repeats, three ends
	event(1, false, 1000, 320)
	for range 3 {
		event(1, true, 1000, 480)
	}
	event(1, true, 1480+480, 480) // again, only the end arrived
	event(1, false, 1000, 320)    // a late packet of the first
	event(11, false, 5000, 160)   // # … held longer than 0xFFFF
	event(11, false, 5000, 0xFFFF)
	event(11, false, 5000+0xFFFF, 160)
	event(11, true, 5000+0xFFFF, 800)
	event(16, false, 200000, 160) // flash: no key
	event(0, false, 300000, 160)
	for i, want := range []byte("11#0") {
		select {
		case d := <-l.DTMF():
			if d.Key != want {
				t.Errorf("key %d: %c, want %c", i, d.Key, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("key %d did not come", i)
		}
	}
	var k packet
	if !b.next(&k) || k.pt != 127 || k.payload[0] != 1 || binary.BigEndian.Uint16(k.payload[2:]) != 160 {
		t.Errorf("relayed as %+v, want type 127", k)
	}
	if len(l.DTMF()) != 0 {
		t.Error("a key twice")
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 2, time.Second)
	l := newLeg(t, p, LegOptions{FirstPacket: 300 * time.Millisecond, Silence: 100 * time.Millisecond})
	a := newPeer(t)
	start := time.Now()
	a.call(l, "8")
	<-l.Lost()
	if d := time.Since(start); d < 250*time.Millisecond {
		t.Errorf("lost after %v, before the first packet's limit", d)
	}
	a.audio(8)
	eventually(t, "heard", func() bool { return l.Stats().Received == 1 })
	<-l.Lost()
	a.call(l, "8\na=inactive")
	a.audio(8)
	select {
	case <-l.Lost():
		t.Error("lost while held")
	case <-time.After(300 * time.Millisecond):
	}
}

// TestReceptionRFC3550A8 checks loss and jitter by hand-made arrivals.
func TestReceptionRFC3550A8(t *testing.T) {
	t.Parallel()
	var r reception
	for i := range 100 {
		if i%10 == 5 {
			continue
		}
		at := int64(i) * int64(Frame)
		if i%2 == 1 {
			at += int64(5 * time.Millisecond)
		}
		r.note(&packet{seq: uint16(65500 + i), ts: uint32(1<<32 - 1600 + i*frameSamples), ssrc: 1}, at)
	}
	if r.lost() != 10 {
		t.Errorf("lost %d, want 10", r.lost())
	}
	if ms := float64(r.jitter16) / 16 / 8; ms < 3.5 || ms > 5.1 {
		t.Errorf("jitter %.2f ms, want near 5", ms)
	}
}

func FuzzParseRTP(f *testing.F) {
	b := make([]byte, 172)
	putRTP(b, 8, true, 1, 2, 3)
	f.Add(b)
	f.Add([]byte{0xBF, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p packet
		if parseRTP(b, &p) && len(p.payload) > len(b)-rtpHeader {
			t.Errorf("%d bytes of payload in %d", len(p.payload), len(b))
		}
		l := &Leg{digits: make(chan Digit, 1), ports: &Ports{opt: PortsOptions{Clock: wall}}}
		l.in.key.receive(l, &p, 0)
		l.noteRTCP(b)
	})
}
