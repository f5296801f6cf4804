package media

import "encoding/binary"

// rtpHeader is the fixed header of RFC 3550 §5.1; a packet we send has no more.
const rtpHeader = 12

// packet is a received RTP packet; payload points into the datagram.
type packet struct {
	payload []byte
	ts      uint32
	ssrc    uint32
	seq     uint16
	pt      uint8
	marker  bool
}

// parseRTP reads a datagram (RFC 3550 §5.1), stepping over contributing
// sources, header extension and padding. It allocates nothing; false means
// that the datagram is not RTP.
func parseRTP(b []byte, p *packet) bool {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return false
	}
	off, end := rtpHeader+4*int(b[0]&15), len(b)
	if b[0]&0x10 != 0 {
		if end < off+4 {
			return false
		}
		off += 4 + 4*int(binary.BigEndian.Uint16(b[off+2:]))
	}
	if b[0]&0x20 != 0 {
		pad := int(b[end-1])
		if pad == 0 {
			return false
		}
		end -= pad
	}
	if off > end {
		return false
	}
	p.payload = b[off:end]
	p.marker, p.pt = b[1]&0x80 != 0, b[1]&0x7f
	p.seq = binary.BigEndian.Uint16(b[2:])
	p.ts = binary.BigEndian.Uint32(b[4:])
	p.ssrc = binary.BigEndian.Uint32(b[8:])
	return true
}

// putRTP writes the fixed header over b[:12].
func putRTP(b []byte, pt uint8, marker bool, seq uint16, ts, ssrc uint32) {
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// reception is what RFC 3550 appendix A counts about one incoming stream.
// Only the leg's reader touches it; counters publishes what others read.
type reception struct {
	ssrc     uint32
	started  bool
	base     uint32 // extended sequence number of the first packet
	top      uint32 // extended highest sequence number
	packets  uint32 // of this stream
	transit  int64
	jitter16 int64 // 16 × jitter in timestamp units (RFC 3550 A.8)
	lostOld  int64 // lost in the streams before this one
}

// note counts one packet that arrived at now, in nanoseconds.
func (r *reception) note(p *packet, now int64) {
	arrival := now / (1e9 / RateHz)
	if !r.started || r.ssrc != p.ssrc {
		r.lostOld += r.lost()
		r.started, r.ssrc = true, p.ssrc
		r.base, r.top, r.packets = uint32(p.seq)+1<<16, uint32(p.seq)+1<<16, 1
		r.transit, r.jitter16 = arrival-int64(p.ts), 0
		return
	}
	r.packets++
	if d := int16(p.seq - uint16(r.top)); d > 0 {
		r.top += uint32(d)
	}
	transit := arrival - int64(p.ts)
	d := int64(int32(transit - r.transit)) // timestamps wrap
	r.transit = transit
	if d < 0 {
		d = -d
	}
	r.jitter16 += d - (r.jitter16+8)>>4 // RFC 3550 A.8
}

func (r *reception) lost() int64 {
	if !r.started {
		return 0
	}
	return max(0, int64(r.top-r.base)+1-int64(r.packets)) // RFC 3550 A.3
}
