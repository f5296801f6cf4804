package media

import (
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"time"
)

const (
	rtcpInterval = 5 * time.Second // RFC 3550 §6.2: at least 5 s
	rtcpSR       = 200
	rtcpRR       = 201
	rtcpSDES     = 202
	ntpOffset    = 2208988800 // seconds from 1900 to 1970 (RFC 5905 §6)
)

// report sends a sender report, or a receiver report when nothing was sent,
// with a CNAME (RFC 3550 §6.1, §6.4). It runs on the wheel.
func (l *Leg) report(now int64) {
	a := l.agreed.Load()
	if a == nil || a.remote.Addr().IsUnspecified() {
		return
	}
	b := make([]byte, 0, 128)
	sent := l.out.packets.Load()
	blocks := byte(0)
	if l.pub.packets.Load() > 0 {
		blocks = 1
	}
	if sent > 0 {
		t := l.ports.opt.Clock.Now()
		b = append(b, 0x80|blocks, rtcpSR, 0, 6+6*blocks)
		b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
		b = binary.BigEndian.AppendUint32(b, uint32(t.Unix()+ntpOffset))
		b = binary.BigEndian.AppendUint32(b, uint32(uint64(t.Nanosecond())<<32/1e9))
		b = binary.BigEndian.AppendUint32(b, l.out.lastTS.Load()+uint32((now-l.out.lastAt.Load())*RateHz/1e9))
		b = binary.BigEndian.AppendUint32(b, sent)
		b = binary.BigEndian.AppendUint32(b, uint32(l.out.octets.Load()))
	} else {
		b = append(b, 0x80|blocks, rtcpRR, 0, 1+6*blocks)
		b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	}
	if blocks == 1 {
		b = l.reportBlock(b, now)
	}
	cname := strconv.FormatUint(l.sessionID, 36)
	item := append([]byte{1, byte(len(cname))}, cname...)
	for len(item)%4 != 0 || item[len(item)-1] != 0 {
		item = append(item, 0)
	}
	b = append(b, 0x81, rtcpSDES, 0, byte(1+len(item)/4))
	b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	b = append(b, item...)
	if _, err := l.rtcpConn.WriteToUDPAddrPort(b, a.rtcp); err != nil {
		l.out.dropped.Add(1) // the peer takes no RTCP
	}
}

// reportBlock appends what we received (RFC 3550 §6.4.1).
func (l *Leg) reportBlock(b []byte, now int64) []byte {
	t := &l.tx
	lost := l.pub.lost.Load()
	received := int64(l.pub.packets.Load())
	expected := received + lost
	fraction := byte(0)
	if e, r := expected-t.expected, received-t.received; e > 0 && e > r {
		fraction = byte(min(255, (e-r)<<8/e))
	}
	t.expected, t.received = expected, received
	b = binary.BigEndian.AppendUint32(b, l.pub.ssrc.Load())
	b = binary.BigEndian.AppendUint32(b, uint32(fraction)<<24|uint32(min(lost, 0x7FFFFF)))
	b = binary.BigEndian.AppendUint32(b, l.pub.top.Load()-1<<16)
	b = binary.BigEndian.AppendUint32(b, uint32(l.pub.jitter16.Load()>>4))
	sr, delay := l.pub.lastSR.Load(), int64(0)
	if sr != 0 {
		delay = (now - l.pub.lastSRAt.Load()) * 65536 / 1e9
	}
	b = binary.BigEndian.AppendUint32(b, sr)
	return binary.BigEndian.AppendUint32(b, uint32(delay))
}

// readRTCP drains the RTCP socket and keeps what the reports need.
func (l *Leg) readRTCP() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := l.rtcpConn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		dst := l.dest.Load()
		if err != nil || l.closed.Load() || dst == nil || from.Addr().Unmap() != dst.Addr() {
			continue
		}
		l.noteRTCP(buf[:n])
	}
}

// noteRTCP walks a compound packet (RFC 3550 §6.1).
func (l *Leg) noteRTCP(b []byte) {
	for len(b) >= 8 && b[0]>>6 == 2 {
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size < 8 || size > len(b) {
			return
		}
		p, blocks := b[:size], b[8:size]
		switch p[1] {
		case rtcpSR:
			if size < 28 {
				return
			}
			l.pub.lastSR.Store(binary.BigEndian.Uint32(p[10:]))
			l.pub.lastSRAt.Store(l.ports.now())
			blocks = p[28:]
		case rtcpRR:
		default:
			blocks = nil
		}
		for range p[0] & 31 {
			if len(blocks) < 24 {
				break
			}
			if binary.BigEndian.Uint32(blocks) == l.out.ssrc {
				l.pub.peerLost.Store(int64(int32(binary.BigEndian.Uint32(blocks[4:])<<8) >> 8))
			}
			blocks = blocks[24:]
		}
		b = b[size:]
	}
}
