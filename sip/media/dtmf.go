package media

import (
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// Digit is one key a peer pressed.
type Digit struct {
	Key byte      // '0'-'9', '*', '#', 'A'-'D'
	At  time.Time // when its first packet came
}

// keyNames orders the keys by event code (RFC 4733 §3.2).
const keyNames = "0123456789*#ABCD"

// keyReceiver finds keys in event packets. The leg's reader owns it.
type keyReceiver struct {
	started  bool
	ssrc, ts uint32
	event    uint8
	duration uint16
	ended    bool
}

// receive handles one event packet (RFC 4733 §2.3). A key is known by SSRC
// and timestamp, so repeats, the three end packets and lost starts count
// once; the marker bit is not relied on. A press longer than 0xFFFF units
// goes on under a new timestamp and stays one key (§2.5.1.3).
func (k *keyReceiver) receive(l *Leg, p *packet, _ int64) {
	if len(p.payload) < 4 || int(p.payload[0]) >= len(keyNames) {
		return
	}
	event, end := p.payload[0], p.payload[1]&0x80 != 0
	duration := binary.BigEndian.Uint16(p.payload[2:])
	if k.started && p.ssrc == k.ssrc {
		if d := int32(p.ts - k.ts); d == 0 {
			k.duration, k.ended = max(k.duration, duration), k.ended || end
			return
		} else if d < 0 { // a late packet of an earlier key
			return
		}
		if event == k.event && !k.ended && p.ts == k.ts+0xFFFF && k.duration >= 0xFFFF-2*frameSamples {
			k.ts, k.duration, k.ended = p.ts, duration, end
			return
		}
	}
	*k = keyReceiver{started: true, ssrc: p.ssrc, ts: p.ts, event: event, duration: duration, ended: end}
	select {
	case l.digits <- Digit{Key: keyNames[event], At: l.ports.opt.Clock.Now()}:
	default:
		l.pub.dropped.Add(1)
	}
}

// The shape of a key we send, in frames: 100 ms of tone, three end packets
// (RFC 4733 §2.5.1.4), then a pause.
const (
	keyFrames = 5
	keyEnds   = 3
	keyPause  = 3
)

// keySender sends keys. The wheel moves it; others only replace it whole.
type keySender struct {
	keys  []byte // event codes
	index int
	step  int
	ts    uint32 // of the present key
	end   sync.Once
	done  chan struct{}
}

func (k *keySender) finish() {
	if k != nil {
		k.end.Do(func() { close(k.done) })
	}
}

// SendDTMF presses keys towards the peer ('0'-'9', '*', '#', 'A'-'D'; others
// are skipped), 220 ms each; playing and the partner pause meanwhile. The
// channel is closed at the end, also when a later SendDTMF replaced this one
// or the peer takes no key events.
func (l *Leg) SendDTMF(keys string) <-chan struct{} {
	k := &keySender{done: make(chan struct{})}
	for _, r := range strings.ToUpper(keys) {
		if i := strings.IndexRune(keyNames, r); i >= 0 {
			k.keys = append(k.keys, byte(i))
		}
	}
	if len(k.keys) == 0 || l.closed.Load() {
		k.finish()
		return k.done
	}
	l.keys.Swap(k).finish()
	if l.closed.Load() {
		l.keys.Swap(nil).finish()
	}
	return k.done
}

// sendKey sends the next packet of a key, on the wheel; false when there is
// none and the frame belongs to the player.
func (l *Leg) sendKey(frame uint32, now int64) bool {
	k := l.keys.Load()
	a := l.agreed.Load()
	if k == nil || a == nil {
		return false
	}
	if k.index == len(k.keys) || a.eventSend == 0 {
		l.keys.CompareAndSwap(k, nil)
		k.finish()
		return false
	}
	if k.step < keyFrames+keyEnds {
		if k.step == 0 {
			k.ts = frame * frameSamples
		}
		t := &l.tx
		b := t.buf[:rtpHeader+4]
		b[rtpHeader], b[rtpHeader+1] = k.keys[k.index], 10 // volume −10 dBm0
		if k.step >= keyFrames {
			b[rtpHeader+1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[rtpHeader+2:], uint16(min(k.step+1, keyFrames)*frameSamples))
		t.seq++
		l.send(b, a.codec, a.eventSend, true, k.step == 0, source{id: t.id}, t.seq, k.ts, now)
	}
	if k.step++; k.step == keyFrames+keyEnds+keyPause {
		k.index, k.step = k.index+1, 0
	}
	return true
}
