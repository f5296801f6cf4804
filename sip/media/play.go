package media

import "sync"

// player is what a leg is being played. The wheel alone moves it; others only
// replace it whole.
type player struct {
	clips []*Prompt
	loop  bool
	clip  int
	pos   int // frames of the clip already sent
	begun bool
	end   sync.Once
	done  chan struct{}
}

func (p *player) finish() {
	if p != nil {
		p.end.Do(func() { close(p.done) })
	}
}

// Play plays the clips one after the other, instead of what was played
// before. The channel is closed when the last frame is through, or when
// something else was played, StopPlay was called or the leg closed. On a
// bridged leg the partner is not heard meanwhile. The playing waits until
// offer and answer are settled. No clips: the channel is closed at once.
func (l *Leg) Play(clips ...*Prompt) <-chan struct{} { return l.start(&player{clips: clips}) }

// Loop plays the clips over and over until something else is played, StopPlay
// or Bridge is called, or the leg closes; then the channel is closed.
func (l *Leg) Loop(clips ...*Prompt) <-chan struct{} {
	return l.start(&player{clips: clips, loop: true})
}

// Silence sends silence until something else is played: it keeps the peer's
// media timeout and address translators quiet.
func (l *Leg) Silence() { l.Loop(silence) }

// StopPlay ends what is played; it does nothing when nothing is.
func (l *Leg) StopPlay() { l.player.Swap(nil).finish() }

func (l *Leg) start(p *player) <-chan struct{} {
	p.done = make(chan struct{})
	frames := 0
	for _, c := range p.clips {
		frames += c.frames()
	}
	if frames == 0 || l.closed.Load() {
		l.StopPlay()
		p.finish()
		return p.done
	}
	l.player.Swap(p).finish()
	if l.closed.Load() {
		l.StopPlay()
	}
	return p.done
}

// playFrame sends the player's next frame, on the wheel.
func (l *Leg) playFrame(frame uint32, now int64) {
	p := l.player.Load()
	a := l.agreed.Load()
	if p == nil || a == nil {
		return
	}
	for p.clip < len(p.clips) && p.pos >= p.clips[p.clip].frames() {
		if p.clip, p.pos = p.clip+1, 0; p.clip == len(p.clips) && p.loop {
			p.clip = 0
		}
	}
	if p.clip == len(p.clips) {
		l.player.CompareAndSwap(p, nil)
		p.finish()
		return
	}
	t := &l.tx
	copy(t.buf[rtpHeader:], p.clips[p.clip].frame(a.codec, p.pos))
	p.pos++
	t.seq++
	l.send(t.buf[:], a.codec, uint8(a.codec), false, !p.begun, source{id: t.id}, t.seq, frame*frameSamples, now)
	p.begun = true
}
