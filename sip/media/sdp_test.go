package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

const okSDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 0 8 97\r\na=rtpmap:97 telephone-event/8000\r\na=sendrecv\r\n"

func TestAnswer(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 2, time.Second)
	for _, tt := range []struct {
		name, offer string
		want        []string
		err         error
	}{
		{"the peer's order", okSDP, []string{" RTP/AVP 0 97\r\n", "a=sendrecv", "a=rtpmap:97 telephone-event/8000"}, nil},
		{"no event", strings.Replace(okSDP, " 97\r", "\r", 1), []string{" RTP/AVP 0\r\n"}, nil},
		{"hold, RFC 3264 §8.4", strings.Replace(okSDP, "sendrecv", "sendonly", 1), []string{"a=recvonly"}, nil},
		{"inactive", strings.Replace(okSDP, "sendrecv", "inactive", 1), []string{"a=inactive"}, nil},
		{"recvonly", strings.Replace(okSDP, "sendrecv", "recvonly", 1), []string{"a=sendonly"}, nil},
		{"hold, RFC 2543", strings.ReplaceAll(okSDP, "10.0.0.1", "0.0.0.0"), []string{"a=recvonly"}, nil},
		{"LF and no last line end", strings.TrimSpace(strings.ReplaceAll(strings.Replace(okSDP, "sendrecv", "sendonly", 1), "\r", "")), []string{"a=recvonly"}, nil},
		{"video is refused, RFC 3264 §6", okSDP + "m=video 5000 RTP/AVP 31\r\na=inactive\r\n", []string{"m=video 0 RTP/AVP 31\r\n", "a=sendrecv"}, nil},
		{"no codec", strings.Replace(okSDP, "18 0 8 97", "18 97", 1), nil, ErrNoCodec},
		{"only encrypted", strings.Replace(okSDP, "RTP/AVP", "RTP/SAVP", 1), nil, ErrNoCodec},
		{"no c= line", strings.Replace(okSDP, "c=IN IP4 10.0.0.1\r\n", "", 1), nil, ErrBadSDP},
		{"port", strings.Replace(okSDP, "4000", "70000", 1), nil, ErrBadSDP},
		{"empty", "", nil, ErrBadSDP},
		{"words", "hello\r\n", nil, ErrBadSDP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLeg(t, p, LegOptions{})
			defer func() {
				l.Close()
				l.closeSockets()
				eventually(t, "freed", func() bool { return p.Free() == 2 })
			}()
			got, err := l.Answer([]byte(tt.offer))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			for _, w := range tt.want {
				if !strings.Contains(string(got), w) {
					t.Errorf("no %q in\n%s", w, got)
				}
			}
		})
	}
}

// TestVersionRFC3264Section8: the o= line keeps its id; its version grows by
// one only when the description changed.
func TestVersionRFC3264Section8(t *testing.T) {
	t.Parallel()
	p := testPorts(t, 2, time.Second)
	l := newLeg(t, p, LegOptions{})
	origin := func(b []byte, err error) (id, version string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(b[bytes.Index(b, []byte("o=")):]))
		return f[1], f[2]
	}
	id, v1 := origin(l.Answer([]byte(okSDP)))
	_, v2 := origin(l.Answer([]byte(okSDP)))
	id3, v3 := origin(l.Answer([]byte(strings.Replace(okSDP, "sendrecv", "sendonly", 1))))
	if v1 != v2 || v3 == v2 || id3 != id || !l.Held() {
		t.Errorf("versions %s %s %s, held %v", v1, v2, v3, l.Held())
	}
	if _, err := l.Answer([]byte(strings.Replace(okSDP, "0 8", "3", 1))); !errors.Is(err, ErrNoCodec) {
		t.Errorf("got %v", err)
	}
	if _, v := origin(l.Offer(), nil); v != v3 {
		t.Errorf("our refresh has version %s, want the unchanged %s", v, v3)
	}
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte(okSDP))
	f.Add([]byte("v=0\nc=IN IP6 ::1/3\nm=audio 1/2 RTP/AVP 8\na=rtcp:5 IN IP4 1.2.3.4\na=inactive"))
	f.Add([]byte("m=\nc=\na="))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseSDP(b)
		if err != nil {
			if !errors.Is(err, ErrBadSDP) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if len(r.codecs) == 0 {
			return
		}
		s := localSDP{id: 1, version: 1, addr: r.addr, codecs: r.codecs[:1], event: r.event, dir: answerDirection(r), media: r.media, audio: r.audio}
		if _, err := parseSDP(s.bytes()); err != nil {
			t.Errorf("our answer cannot be read: %v\n%s", err, s.bytes())
		}
	})
}

// TestG711 checks known values of ITU-T G.711 and that coding is stable.
func TestG711(t *testing.T) {
	t.Parallel()
	if encodeA(0) != 0xD5 || encodeU(0) != 0xFF || decodeA(0xD5) != 8 || decodeU(0xFF) != 0 || decodeU(0x80) != 32124 || decodeA(0xAA) != 32256 {
		t.Error("known values differ")
	}
	for i := range 256 {
		b := byte(i)
		if encodeA(decodeA(b)) != b {
			t.Errorf("A-law %#x → %d → %#x", b, decodeA(b), encodeA(decodeA(b)))
		}
		if got := encodeU(decodeU(b)); got != b && b != 0x7F { // negative zero
			t.Errorf("µ-law %#x → %d → %#x", b, decodeU(b), got)
		}
	}
	for s := -32768; s < 32768; s += 7 {
		x := int16(s)
		for _, y := range []int16{decodeA(encodeA(x)), decodeU(encodeU(x))} {
			if d := int(x) - int(y); d > 1100 || d < -1100 || (s > -400 && s < 400 && (d > 16 || d < -16)) {
				t.Fatalf("%d came back as %d", x, y)
			}
		}
	}
}

func TestLoadWAV(t *testing.T) {
	t.Parallel()
	wav := func(tag, channels, bits uint16, rate uint32, data []byte) []byte {
		le := binary.LittleEndian
		b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), 16, 0, 0, 0)
		b = le.AppendUint16(le.AppendUint16(b, tag), channels)
		b = le.AppendUint32(le.AppendUint32(b, rate), rate)
		b = le.AppendUint16(le.AppendUint16(b, 1), bits)
		b = append(b, "LIST\x03\x00\x00\x00abc\x00data"...)
		return append(le.AppendUint32(b, uint32(len(data))), data...)
	}
	tone := Tone(700, 250*time.Millisecond)
	pcm := make([]byte, 0, 4000)
	for _, b := range tone.alaw[:tone.length] {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(decodeA(b)))
	}
	for _, tt := range []struct {
		name string
		file []byte
		ok   bool
	}{
		{"pcm", wav(1, 1, 16, 8000, pcm), true}, {"a-law", wav(6, 1, 8, 8000, tone.alaw[:tone.length]), true},
		{"µ-law", wav(7, 1, 8, 8000, tone.ulaw[:tone.length]), true}, {"stereo", wav(1, 2, 16, 8000, pcm), false},
		{"44.1 kHz", wav(1, 1, 16, 44100, pcm), false}, {"no data", wav(1, 1, 16, 8000, nil)[:20], false}, {"text", []byte("hello"), false},
	} {
		p, err := LoadWAV(bytes.NewReader(tt.file))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		} else if tt.ok && p.Duration() != 250*time.Millisecond {
			t.Errorf("%s: %v long", tt.name, p.Duration())
		}
	}
	if d := Concat(tone, Pause(30*time.Millisecond), tone).Duration(); d != 530*time.Millisecond {
		t.Errorf("joined to %v", d)
	}
}
