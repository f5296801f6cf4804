package media

import (
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time this process used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReceive is the relay's own work without the kernel: parse, check,
// count, transcode and stamp; the send is refused by a held partner.
func BenchmarkReceive(b *testing.B) {
	p := testPorts(b, 4, time.Second)
	x, y := newLeg(b, p, LegOptions{}), newLeg(b, p, LegOptions{})
	in, out := newPeer(b), newPeer(b)
	in.call(x, "8")
	out.call(y, "0\na=sendonly")
	Bridge(x, y)
	from := netip.MustParseAddrPort(in.conn.LocalAddr().String())
	pkt := make([]byte, rtpHeader+frameSamples)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		putRTP(pkt, 8, false, uint16(i), uint32(i)*frameSamples, 1)
		x.receive(pkt, from, int64(i)*int64(Frame))
	}
}

// BenchmarkWheel plays to 300 legs for a second per operation.
func BenchmarkWheel(b *testing.B) {
	const legs = 300
	p := testPorts(b, legs, time.Second)
	sink := newPeer(b)
	tone := Tone(440, time.Second)
	var all []*Leg
	for range legs {
		l := newLeg(b, p, LegOptions{})
		sink.call(l, "8")
		l.Loop(tone)
		all = append(all, l)
	}
	total := func() (n uint64) {
		for _, l := range all {
			n += l.Stats().Sent
		}
		return n
	}
	start, used, n := time.Now(), cpu(b), total()
	var worst time.Duration
	for b.Loop() {
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			worst = max(worst, p.Lateness())
		}
	}
	sent := total() - n
	b.ReportMetric(float64(cpu(b)-used)/float64(sent), "cpu-ns/packet")
	b.ReportMetric(float64(sent)/time.Since(start).Seconds()/legs, "packets/s/leg")
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-late-max")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRecorder is a call's packet each way: into the rings, placed, and
// every 12th pair flushed to the file, as the writer does each 250 ms.
func BenchmarkRecorder(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "r.wav"))
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	r := &Recorder{opt: RecorderOptions{Clock: wall}, log: quiet, start: now, file: f, mix: make([]byte, 2*mixSamples)}
	r.left.recorder, r.right.recorder = r, r
	frame := Tone(440, Frame).frame(PCMU, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := int64(i) * int64(Frame)
		r.left.put(PCMU, 1, uint32(i*frameSamples), at, frame)
		r.right.put(PCMA, 1, uint32(i*frameSamples), at, frame)
		if i%12 == 11 {
			r.drain()
			r.flush(samples(time.Duration(at) - reorderWindow))
		}
	}
	if r.err != nil || r.left.dropped.Load() != 0 {
		b.Fatal(r.err, r.left.dropped.Load())
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
