package media

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
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

// BenchmarkRelay sends 172-byte packets through a bridge and, for comparison,
// through the barest forwarder possible. cpu-ns/pkt holds the sending and the
// final reading of each packet too, alike in all.
func BenchmarkRelay(b *testing.B) {
	for _, codec := range []string{"bare", "same law", "other law"} {
		b.Run(codec, func(b *testing.B) {
			in, sink := newPeer(b), newPeer(b)
			if codec == "bare" {
				bareForwarder(b, in, sink)
			} else {
				p := testPorts(b, 4, time.Second)
				x, y := newLeg(b, p, LegOptions{}), newLeg(b, p, LegOptions{})
				in.call(x, "8")
				sink.call(y, map[string]string{"same law": "8", "other law": "0"}[codec])
				Bridge(x, y)
			}
			buf := make([]byte, maxDatagram)
			if err := sink.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			start := cpu(b)
			for i := 1; b.Loop(); i++ {
				in.audio(8)
				if i%batch == 0 {
					for range batch {
						if _, err := sink.conn.Read(buf); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/pkt")
		})
	}
}

// batch is how many packets are under way at once; it fits every buffer.
const batch = 32

// bareForwarder reads a socket and writes each packet on, nothing else.
func bareForwarder(b *testing.B, in, sink *peer) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	in.to = c.LocalAddr().(*net.UDPAddr).AddrPort()
	dst := netip.MustParseAddrPort(sink.conn.LocalAddr().String())
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, maxDatagram)
		for {
			k, _, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if _, err := c.WriteToUDPAddrPort(buf[:k], dst); err != nil {
				return
			}
		}
	})
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
		wg.Wait()
	})
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
	b.ReportMetric(float64(cpu(b)-used)/float64(sent), "cpu-ns/pkt")
	b.ReportMetric(float64(sent)/time.Since(start).Seconds()/legs, "pkt/s/leg")
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-late-max")
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
