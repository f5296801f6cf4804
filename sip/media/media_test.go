package media

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hotline12345/hotline"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("MEDIA_TEST_RECORD"); path != "" {
		recordForever(path)
	}
	if to := os.Getenv("MEDIA_TEST_LOAD"); to != "" {
		loadRelay(to)
	}
	goleak.VerifyTestMain(m)
}

var wall = hotline.ClockFunc(time.Now)

var loopback = netip.MustParseAddr("127.0.0.1")

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// testPorts makes a pool of n pairs somewhere in the high ports.
func testPorts(t testing.TB, n int, quarantine time.Duration) *Ports {
	t.Helper()
	base := 21000 + 2*rand.IntN(5000)
	p, err := NewPorts(PortsOptions{IP: loopback, Min: base, Max: base + 2*n - 1, Quarantine: quarantine, Clock: wall, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ear collects what a leg hears.
type ear struct {
	mu    sync.Mutex
	pcm   []int16
	codec Codec
	seen  int
}

func (e *ear) hear(c Codec, payload []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pcm := make([]int16, len(payload))
	c.Decode(pcm, payload)
	e.pcm, e.codec = append(e.pcm, pcm...), c
	e.seen++
}

// level is the loudness of hz in the last 100 ms.
func (e *ear) level(hz float64) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return ToneLevel(e.pcm[max(0, len(e.pcm)-800):], hz)
}

func newLeg(t testing.TB, p *Ports, o LegOptions) *Leg {
	t.Helper()
	l, err := p.NewLeg(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// connect lets phone call our leg, the phone speaking only codec.
func connect(t testing.TB, phone, ours *Leg, codec Codec) {
	t.Helper()
	offer := string(phone.Offer())
	if codec == PCMU {
		offer = strings.Replace(offer, "RTP/AVP 8 0 101", "RTP/AVP 0 101", 1)
	}
	answer, err := ours.Answer([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Accept(answer); err != nil {
		t.Fatal(err)
	}
	if c, ok := ours.Codec(); !ok || c != codec {
		t.Fatalf("agreed on %v, want %v", c, codec)
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// TestBridgeTone sends a tone each way through two legs and measures it at the
// far end, in equal and in different codecs.
func TestBridgeTone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b Codec
	}{{"A-law", PCMA, PCMA}, {"A-law to µ-law", PCMA, PCMU}, {"µ-law", PCMU, PCMU}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := testPorts(t, 8, time.Second)
			var ea, eb ear
			pa, pb := newLeg(t, p, LegOptions{Hear: ea.hear}), newLeg(t, p, LegOptions{Hear: eb.hear})
			a, b := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
			connect(t, pa, a, tt.a)
			connect(t, pb, b, tt.b)
			Bridge(a, b)
			pa.Loop(Tone(500, time.Second))
			pb.Loop(Tone(1200, time.Second))
			eventually(t, "both tones heard", func() bool { return eb.level(500) > 0.3 && ea.level(1200) > 0.3 })
			if x, y := eb.level(1200), ea.level(500); x > 0.01 || y > 0.01 {
				t.Errorf("echo of %.3f and %.3f", x, y)
			}
			ea.mu.Lock()
			eb.mu.Lock()
			if ea.codec != tt.a || eb.codec != tt.b {
				t.Errorf("heard in %v and %v, want %v and %v", ea.codec, eb.codec, tt.a, tt.b)
			}
			eb.mu.Unlock()
			ea.mu.Unlock()
			a.Unbridge()
			n := a.Stats().Sent
			eventually(t, "packets still received", func() bool { return a.Stats().Received > n+10 })
			if d := a.Stats().Sent - n; d > 2 {
				t.Errorf("%d packets relayed after Unbridge", d)
			}
		})
	}
}

// TestPortsExhaustion: telephony test case 43.
func TestPortsExhaustion(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 3, 200*time.Millisecond)
	var legs []*Leg
	for range 3 {
		l, err := p.NewLeg(LegOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if l.LocalAddr().Port()%2 != 0 {
			t.Errorf("RTP on odd port %d (RFC 3550 §11)", l.LocalAddr().Port())
		}
		legs = append(legs, l)
	}
	if _, err := p.NewLeg(LegOptions{}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("fourth leg: %v, want ErrNoPorts", err)
	}
	start := time.Now()
	legs[1].Close()
	legs[1].Close()
	if _, err := p.NewLeg(LegOptions{}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("leg in quarantine: %v, want ErrNoPorts", err)
	}
	eventually(t, "pair free again", func() bool { return p.Free() == 1 })
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("freed after %v", d)
	}
	l, err := p.NewLeg(LegOptions{})
	if err != nil || l.LocalAddr() != legs[1].LocalAddr() {
		t.Errorf("got %v, want the pair that was released", err)
	}
}

// TestPortsQuarantineWaitsForQuiet: telephony test case 42.
func TestPortsQuarantineWaitsForQuiet(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 4, 150*time.Millisecond)
	phone, ours := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
	connect(t, phone, ours, PCMA)
	phone.Silence()
	eventually(t, "packets", func() bool { return ours.Stats().Received > 3 })
	ours.Close()
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if p.Free() != 2 {
			t.Fatal("a pair was freed while packets still came")
		}
	}
	phone.StopPlay()
	eventually(t, "freed when quiet", func() bool { return p.Free() == 3 })
}

// recordForever is the process that TestRepairAfterKill kills.
func recordForever(path string) {
	r, err := NewRecorder(RecorderOptions{Path: path, Clock: wall, Log: quiet})
	if err != nil {
		panic(err)
	}
	tone := Tone(700, time.Second)
	for i := 0; ; i++ {
		r.left.put(PCMA, 1, uint32(i*frameSamples), int64(time.Since(r.start)), tone.frame(PCMA, i%50))
		time.Sleep(Frame)
	}
}

func TestRepairAfterKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "call.wav")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), "MEDIA_TEST_RECORD="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a second on disk", func() bool {
		i, err := os.Stat(path + PartSuffix)
		return err == nil && i.Size() > wavHeaderSize+2*RateHz
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("not killed")
	}
	s, err := Repair(path + PartSuffix)
	if err != nil {
		t.Fatal(err)
	}
	left, _ := readStereo(t, s.Path)
	if got := time.Duration(len(left)) * time.Second / RateHz; got != s.Duration || got < time.Second {
		t.Errorf("duration %v, %v of sound", s.Duration, got)
	}
	if l := ToneLevel(left[len(left)-4000:], 700); l < 0.25 {
		t.Errorf("tone of %.2f in the repaired file", l)
	}
	if again, err := Repair(s.Path); err != nil || again.SHA256 != s.SHA256 || len(s.SHA256) != 64 {
		t.Errorf("second repair: %v, %v", again, err)
	}
}
