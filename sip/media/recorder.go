package media

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hotline12345/hotline"
)

// RecorderOptions says where a recording goes.
type RecorderOptions struct {
	// Path is the final file, "…/20261123-1a2b.wav". While the call lasts the
	// sound stands in Path + PartSuffix. Required; the folder must exist.
	Path string
	// Clock must be the clock of the leg's Ports. Required.
	Clock hotline.Clock
	// Log is nil for slog.Default.
	Log *slog.Logger
}

// PartSuffix ends the name of a recording that is not sealed. A file with it
// at the program's start was left by a crash: hand it to Repair.
const PartSuffix = ".part"

// Sealed is a finished recording.
type Sealed struct {
	Path     string
	SHA256   string // of the file, hex
	Duration time.Duration
	Dropped  uint64 // packets missing because the disk was too slow
	Late     uint64 // packets that came after their place was written
}

const (
	drainEvery    = 250 * time.Millisecond
	patchEvery    = 8                      // drains: the header is at most 2 s old
	reorderWindow = 200 * time.Millisecond // packets may come this late
	mixSamples    = 1 << 15                // 4 s
	farDrift      = RateHz                 // a jump of a second is a new stream
	nearDrift     = RateHz / 5             // 200 ms, when it lasts for driftPackets
	driftPackets  = 10
)

// Recorder writes one call's sound as a stereo A-law WAV file: left what the
// leg heard (the caller), right what it was sent (prompts and agent). Sound
// is placed by its RTP timestamp; where none came there is silence. The media
// goroutines only copy packets into bounded rings; a full ring loses the
// packet and counts it. One writer goroutine owns the file.
//
// Attach it with Leg.Record, to one leg at a time. Its methods are safe for
// concurrent use.
type Recorder struct {
	opt         RecorderOptions
	log         *slog.Logger
	start       time.Time
	left, right ring

	quit chan struct{}
	done chan struct{}
	once sync.Once

	// Owned by the writer goroutine until done is closed.
	file     *os.File
	mix      []byte // circular, interleaved
	flushed  int64  // samples in the file
	err      error
	sealed   Sealed
	sealFail error
}

// NewRecorder creates the file and starts the writer; the recording begins
// now. Close it in any case.
func NewRecorder(o RecorderOptions) (*Recorder, error) {
	if o.Path == "" || o.Clock == nil {
		return nil, errors.New("media: RecorderOptions.Path and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f, err := os.OpenFile(o.Path+PartSuffix, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	if _, err := f.Write(wavHeader(0)); err != nil {
		return nil, errors.Join(fmt.Errorf("begin recording: %w", err), f.Close())
	}
	r := &Recorder{opt: o, log: o.Log.With("component", "recorder"), start: o.Clock.Now(), file: f,
		quit: make(chan struct{}), done: make(chan struct{}), mix: make([]byte, 2*mixSamples)}
	for i := range r.mix {
		r.mix[i] = silenceA
	}
	r.left.recorder, r.right.recorder = r, r
	go r.run()
	return r, nil
}

// Close ends the recording, seals the file under its final name and returns
// what it is. It waits for the disk and reads the file once for the digest.
// A second Close returns the same.
func (r *Recorder) Close() (Sealed, error) {
	r.once.Do(func() { close(r.quit) })
	<-r.done
	return r.sealed, r.sealFail
}

func (r *Recorder) run() {
	defer close(r.done)
	t := time.NewTicker(drainEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-t.C:
			r.drain()
			r.flush(r.position() - samples(reorderWindow))
			if n%patchEvery == 0 {
				r.patch()
			}
		case <-r.quit:
			end := r.position()
			r.drain()
			r.flush(end)
			r.sealed, r.sealFail = r.seal()
			return
		}
	}
}

// position is now, in samples since the start.
func (r *Recorder) position() int64 { return samples(r.opt.Clock.Now().Sub(r.start)) }

func (r *Recorder) drain() {
	r.left.drain(func(s *slot) { r.place(&r.left, s, 0) })
	r.right.drain(func(s *slot) { r.place(&r.right, s, 1) })
}

// place puts one packet into the mix by its timestamp. The timestamp is tied
// to the arrival of the stream's first packet, and tied anew when the stream
// changes or drifts away from the clock.
func (r *Recorder) place(t *ring, s *slot, channel int64) {
	arrival := samples(time.Duration(s.at) - t.skew())
	pos := t.pos0 + int64(int32(s.ts-t.ts0))
	drift := pos - arrival
	if drift < 0 {
		drift = -drift
	}
	if drift > nearDrift {
		t.drifting++
	} else {
		t.drifting = 0
	}
	if !t.anchored || s.ssrc != t.ssrc || drift > farDrift || t.drifting > driftPackets {
		t.anchored, t.ssrc, t.drifting = true, s.ssrc, 0
		pos = arrival
	}
	t.ts0, t.pos0 = s.ts, pos // walk along, so that the timestamp may wrap
	if pos < r.flushed {
		t.late++
	}
	for i, b := range s.data[:s.n] {
		p := pos + int64(i)
		if p < r.flushed || p >= r.flushed+mixSamples {
			continue
		}
		if s.codec == PCMU {
			b = uToA[b]
		}
		r.mix[p%mixSamples*2+channel] = b
	}
}

// flush writes everything before the position and leaves silence behind.
func (r *Recorder) flush(to int64) {
	for r.flushed < to {
		from := r.flushed % mixSamples
		n := min(to-r.flushed, mixSamples-from)
		part := r.mix[2*from : 2*(from+n)]
		if r.err == nil {
			if _, err := r.file.WriteAt(part, wavHeaderSize+2*r.flushed); err != nil {
				r.err = fmt.Errorf("write recording: %w", err)
				r.log.Error("recording stopped", "err", err)
			}
		}
		for i := range part {
			part[i] = silenceA
		}
		r.flushed += n
	}
}

// patch makes the header right for what the file holds now.
func (r *Recorder) patch() {
	if r.err != nil {
		return
	}
	if _, err := r.file.WriteAt(wavHeader(2*r.flushed), 0); err != nil {
		r.err = fmt.Errorf("write recording header: %w", err)
	}
}

func (r *Recorder) seal() (Sealed, error) {
	r.patch()
	s := Sealed{Path: r.opt.Path, Duration: time.Duration(r.flushed) * time.Second / RateHz,
		Dropped: r.left.dropped.Load() + r.right.dropped.Load(), Late: r.left.late + r.right.late}
	if r.err != nil {
		return s, errors.Join(r.err, r.file.Close())
	}
	var err error
	s.SHA256, err = publish(r.file, r.opt.Path)
	return s, err
}

// ring hands packets from one media goroutine at a time to the writer without
// a lock: head is moved by the producer only, tail by the writer only.
type ring struct {
	head, tail atomic.Uint32
	dropped    atomic.Uint64
	recorder   *Recorder
	epoch      atomic.Pointer[time.Time] // what the arrival times count from
	slots      [ringSlots]slot

	// Owned by the writer: where the stream stands in the file.
	anchored bool
	ssrc     uint32
	ts0      uint32
	pos0     int64
	drifting int
	late     uint64
}

const (
	ringSlots  = 128 // 2.5 s of 20 ms packets
	slotSample = 480 // 60 ms, the longest packet we keep whole
)

type slot struct {
	at    int64
	ts    uint32
	ssrc  uint32
	n     int
	codec Codec
	data  [slotSample]byte
}

// skew is the recording's start on the leg's time scale.
func (g *ring) skew() time.Duration {
	if e := g.epoch.Load(); e != nil {
		return g.recorder.start.Sub(*e)
	}
	return 0
}

// put copies one packet in; it never waits.
func (g *ring) put(c Codec, ssrc, ts uint32, at int64, payload []byte) {
	h := g.head.Load()
	if h-g.tail.Load() == ringSlots || len(payload) > slotSample {
		g.dropped.Add(1)
		return
	}
	s := &g.slots[h%ringSlots]
	s.at, s.ts, s.ssrc, s.codec = at, ts, ssrc, c
	s.n = copy(s.data[:], payload)
	g.head.Store(h + 1)
}

func (g *ring) drain(f func(*slot)) {
	for t := g.tail.Load(); t != g.head.Load(); t++ {
		f(&g.slots[t%ringSlots])
		g.tail.Store(t + 1)
	}
}
