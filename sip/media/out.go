package media

import "sync/atomic"

// output is a leg's one outgoing RTP stream: whatever feeds it, its SSRC
// stays, its sequence numbers have no gap of ours and its timestamp runs with
// the clock (telephony rule: prompt, music, bridge and survey are continuous).
//
// It is written by the wheel and by the partner's reader, one at a time: the
// claim guards the plain fields. Who finds it taken drops its packet instead
// of waiting; that happens only in the instant of a switch.
type output struct {
	claim  atomic.Bool
	ssrc   uint32
	seq    uint16 // highest sent
	ts     uint32 // highest sent
	at     int64  // when, in nanoseconds
	src    source
	seqOff uint16
	tsOff  uint32
	first  uint16 // first sequence number of the source
	fresh  int    // packets since the switch, up to freshPackets

	packets, lastTS atomic.Uint32
	octets, dropped atomic.Uint64
	lastAt          atomic.Int64
}

// source tells one feeding stream from the next.
type source struct {
	id   uint64 // of the route or the wheel
	ssrc uint32 // of the partner's stream
}

// freshPackets is how long after a switch packets older than it may come.
const freshPackets = 50

// send stamps pkt, which has room for the fixed header before its payload,
// as the next of the stream and sends it. seq and ts are those of the source.
func (l *Leg) send(pkt []byte, c Codec, pt uint8, event, marker bool, src source, seq uint16, ts uint32, now int64) {
	a, dst := l.agreed.Load(), l.dest.Load()
	if a == nil || dst == nil || !a.dir.send || l.closed.Load() {
		return
	}
	o := &l.out
	if !o.claim.CompareAndSwap(false, true) {
		o.dropped.Add(1)
		return
	}
	if o.src != src {
		gap := max(frameSamples, (now-o.at)*RateHz/1e9)
		o.tsOff, o.seqOff = o.ts+uint32(gap)-ts, o.seq+1-seq
		o.src, o.first, o.fresh, marker = src, seq, 0, true
		if event {
			marker = false
		}
	} else if o.fresh < freshPackets {
		if o.fresh++; int16(seq-o.first) < 0 { // older than the switch: its number is taken
			o.claim.Store(false)
			return
		}
	}
	seq, ts = seq+o.seqOff, ts+o.tsOff
	if int16(seq-o.seq) > 0 {
		o.seq = seq
	}
	if int32(ts-o.ts) > 0 {
		o.ts = ts
	}
	o.at = now
	o.lastTS.Store(o.ts)
	o.lastAt.Store(now)
	putRTP(pkt, pt, marker, seq, ts, o.ssrc)
	if r := l.rec.Load(); r != nil && !event {
		r.right.put(c, o.ssrc, ts, now, pkt[rtpHeader:])
	}
	o.claim.Store(false)
	if _, err := l.conn.WriteToUDPAddrPort(pkt, *dst); err != nil {
		o.dropped.Add(1)
		return
	}
	o.packets.Add(1)
	o.octets.Add(uint64(len(pkt) - rtpHeader))
}

// relay sends a packet the partner received. It runs on the partner's reader
// and rewrites its buffer.
func (l *Leg) relay(b []byte, p *packet, c Codec, event bool, id uint64, now int64) {
	a := l.agreed.Load()
	if a == nil || l.player.Load() != nil || l.keys.Load() != nil {
		return
	}
	pt := uint8(a.codec)
	if event {
		if pt = a.eventSend; pt == 0 {
			return
		}
	} else {
		transcode(p.payload, c, a.codec)
	}
	if len(b)-len(p.payload) != rtpHeader { // CSRC, extension or padding stay behind
		b = b[:rtpHeader+copy(b[rtpHeader:], p.payload)]
	}
	l.send(b, a.codec, pt, event, p.marker, source{id, p.ssrc}, p.seq, p.ts, now)
}
