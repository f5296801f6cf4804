package media

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	slots      = 4             // legs are spread over them
	slotTime   = Frame / slots // 5 ms
	maxCatchUp = 3             // frames sent at once after a stall; the rest is skipped
)

// wheel is the one goroutine that plays to all legs of a pool, on an absolute
// schedule: round k starts at t0 + k × 5 ms and serves slot k mod 4.
type wheel struct {
	ports *Ports
	late  atomic.Int64
	slot  [slots]atomic.Pointer[[]*Leg]
	wake  chan struct{}
	quit  chan struct{}

	count atomic.Int64 // legs in all slots

	mu   sync.Mutex // guards next and the replacing of slots
	next int
}

// wheelState is what the wheel knows of a leg.
type wheelState struct {
	id       uint64
	seq      uint16
	packets  uint64 // received at the latest look
	silent   time.Duration
	told     bool
	rtcpIn   int // frames until the next report
	expected int64
	received int64
	buf      [rtpHeader + frameSamples]byte
}

func newWheel(p *Ports) *wheel {
	w := &wheel{ports: p, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	for i := range w.slot {
		w.slot[i].Store(new([]*Leg))
	}
	return w
}

func (w *wheel) add(l *Leg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.slot[w.next]
	w.next = (w.next + 1) % slots
	list := append(slices.Clone(*s.Load()), l)
	s.Store(&list)
	w.count.Add(1)
	select {
	case w.wake <- struct{}{}:
	default: // already woken
	}
}

func (w *wheel) remove(l *Leg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.slot {
		s := &w.slot[i]
		if k := slices.Index(*s.Load(), l); k >= 0 {
			list := slices.Delete(slices.Clone(*s.Load()), k, k+1)
			s.Store(&list)
			w.count.Add(-1)
		}
	}
}

func (w *wheel) stop() { close(w.quit) }

// run turns until stop; it sleeps while there is no leg.
func (w *wheel) run() {
	t := time.NewTicker(slotTime)
	defer t.Stop()
	var k int64 // next round; only grows, so that frames never go back
	var t0 time.Time
	for {
		var now time.Time
		select {
		case <-w.quit:
			return
		case now = <-t.C:
		}
		if w.count.Load() == 0 {
			t.Stop()
			select {
			case <-w.quit:
				return
			case <-w.wake:
			}
			t.Reset(slotTime)
			t0 = time.Time{}
			continue
		}
		if t0.IsZero() {
			t0 = now.Add(-time.Duration(k)*slotTime - slotTime/2) // half a slot, so that rounding never wavers
		}
		due := int64(now.Sub(t0) / slotTime)
		w.late.Store(int64(max(0, time.Duration(due-k)*slotTime)))
		k = max(k, due-maxCatchUp*slots+1)
		for ; k <= due; k++ {
			at := w.ports.now()
			for _, l := range *w.slot[k%slots].Load() {
				l.turn(uint32(k/slots), at)
			}
		}
	}
}

// turn serves one leg once per frame.
func (l *Leg) turn(frame uint32, now int64) {
	if l.closed.Load() {
		return
	}
	if !l.sendKey(frame, now) {
		l.playFrame(frame, now)
	}
	l.watch()
	if l.tx.rtcpIn++; l.tx.rtcpIn >= int(rtcpInterval/Frame) {
		l.tx.rtcpIn = 0
		l.report(now)
	}
}

// watch counts the peer's silence.
func (l *Leg) watch() {
	t := &l.tx
	n := l.pub.packets.Load()
	a := l.agreed.Load()
	if n != t.packets || a == nil || a.hold {
		t.packets, t.silent, t.told = n, 0, false
		return
	}
	t.silent += Frame
	limit := l.opt.Silence
	if n == 0 {
		limit = l.opt.FirstPacket
	}
	if t.silent >= limit && !t.told {
		t.told = true
		select {
		case l.lost <- struct{}{}:
		default: // not yet read: it is the same news
		}
	}
}
