package media

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// readStereo checks the header of a recording and returns its channels.
func readStereo(t *testing.T, path string) (left, right []int16) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if string(b[:4]) != "RIFF" || le.Uint32(b[4:]) != uint32(len(b)-8) || le.Uint16(b[20:]) != wavALaw || le.Uint16(b[22:]) != 2 ||
		le.Uint32(b[54:]) != uint32(len(b)-wavHeaderSize) || le.Uint32(b[46:]) != le.Uint32(b[54:])/2 {
		t.Fatalf("header does not fit %d bytes: % x", len(b), b[:wavHeaderSize])
	}
	for i := wavHeaderSize; i+1 < len(b); i += 2 {
		left, right = append(left, decodeA(b[i])), append(right, decodeA(b[i+1]))
	}
	return left, right
}

// TestRecorderChannels: caller left, prompts and then agent right, the length
// within 20 ms of the call's.
func TestRecorderChannels(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 8, time.Second)
	phone, caller := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
	agentPhone, agent := newLeg(t, p, LegOptions{}), newLeg(t, p, LegOptions{})
	connect(t, phone, caller, PCMU)
	connect(t, agentPhone, agent, PCMA)
	before := time.Now()
	r, err := NewRecorder(RecorderOptions{Path: filepath.Join(t.TempDir(), "c.wav"), Clock: wall, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	caller.Record(r)
	phone.Loop(Tone(600, time.Second))
	<-caller.Play(Tone(1000, time.Second))
	agentPhone.Loop(Tone(1500, time.Second))
	Bridge(caller, agent)
	time.Sleep(time.Second)
	shortest := time.Since(begun)
	s, err := r.Close()
	longest := time.Since(before) // Close itself takes its time
	if err != nil {
		t.Fatal(err)
	}
	if s.Duration < shortest-Frame || s.Duration > longest+Frame {
		t.Errorf("recorded %v, the call lasted %v to %v", s.Duration, shortest, longest)
	}
	left, right := readStereo(t, s.Path)
	if len(left) != int(samples(s.Duration)) {
		t.Errorf("%d samples, sealed as %v", len(left), s.Duration)
	}
	for _, m := range []struct {
		name     string
		pcm      []int16
		from, to int
		hz       float64
	}{{"caller", left, 2000, 14000, 600}, {"prompt", right, 2000, 6500, 1000}, {"agent", right, 10000, 14000, 1500}} {
		if l := ToneLevel(m.pcm[m.from:m.to], m.hz); l < 0.25 {
			t.Errorf("%s: %.2f of %v Hz", m.name, l, m.hz)
		}
	}
	if l := ToneLevel(right[2000:14000], 600); l > 0.01 {
		t.Errorf("caller on the right channel: %.3f", l)
	}
	if s.Dropped != 0 {
		t.Errorf("%d packets dropped", s.Dropped)
	}
}

// TestRecorderPlacement: packets out of order, twice, missing, and a new
// stream are placed by timestamp.
func TestRecorderPlacement(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	r := &Recorder{opt: RecorderOptions{Clock: wall}, start: now, mix: make([]byte, 2*mixSamples)}
	for i := range r.mix {
		r.mix[i] = silenceA
	}
	r.left.recorder = r
	put := func(ssrc, ts uint32, at time.Duration, b byte) {
		payload := make([]byte, frameSamples)
		for i := range payload {
			payload[i] = b
		}
		r.left.put(PCMA, ssrc, ts, int64(at), payload)
	}
	start := uint32(1<<32 - 160) // wraps after the first packet
	put(7, start, 100*time.Millisecond, 1)
	put(7, start+320, 150*time.Millisecond, 3)
	put(7, start+160, 151*time.Millisecond, 2)
	put(7, start+160, 152*time.Millisecond, 2)
	put(7, start+640, 180*time.Millisecond, 5)
	put(8, 99, 300*time.Millisecond, 9)
	r.left.drain(func(s *slot) { r.place(&r.left, s, 0) })
	for ms, want := range map[int]byte{50: silenceA, 101: 1, 121: 2, 141: 3, 161: silenceA, 181: 5, 201: silenceA, 301: 9} {
		if got := r.mix[ms*8*2]; got != want {
			t.Errorf("at %d ms: %#x, want %#x", ms, got, want)
		}
		if got := r.mix[ms*8*2+1]; got != silenceA {
			t.Errorf("right channel at %d ms: %#x", ms, got)
		}
	}
}

// TestRecorderNeverBlocks: a full ring drops and counts.
func TestRecorderNeverBlocks(t *testing.T) {
	t.Parallel()
	var g ring
	for range ringSlots + 5 {
		g.put(PCMA, 1, 1, 1, make([]byte, frameSamples))
	}
	g.put(PCMA, 1, 1, 1, make([]byte, slotSample+1))
	if g.dropped.Load() != 6 {
		t.Errorf("dropped %d, want 6", g.dropped.Load())
	}
}

// TestPublishNeverOverwrites: a recording does not replace another, and a
// crash between link and unlink is finished by Repair.
func TestPublishNeverOverwrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.wav")
	r, err := NewRecorder(RecorderOptions{Path: path, Clock: wall, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRecorder(RecorderOptions{Path: path, Clock: wall, Log: quiet}); err == nil {
		t.Error("two recorders on one path")
	}
	if _, err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, path+PartSuffix); err != nil {
		t.Fatal(err)
	}
	if s, err := Repair(path + PartSuffix); err != nil || s.Path != path {
		t.Errorf("half published: %v", err)
	}
	if err := os.WriteFile(path+PartSuffix, wavHeader(0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Repair(path + PartSuffix); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want that the name is taken", err)
	}
}

func FuzzRepair(f *testing.F) {
	f.Add(append(wavHeader(4), 1, 2, 3, 4, 5))
	f.Add(wavHeader(1 << 31))
	f.Add([]byte("RIFF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.wav")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Repair(path); err == nil {
			readStereo(t, path)
		}
	})
}
