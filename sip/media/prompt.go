package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Prompt is a piece of sound ready to send: whole frames in both laws, made
// once and shared by all calls. It is immutable and safe for concurrent use.
type Prompt struct {
	alaw, ulaw []byte // the same sound; a multiple of frameSamples
	length     int    // samples before the last frame was filled up
}

// silence is what Silence plays: 200 ms.
var silence = newPrompt(make([]int16, 10*frameSamples))

// maxPromptBytes bounds a file: ten minutes of 16-bit sound.
const maxPromptBytes = 10 * 60 * RateHz * 2

// newPrompt encodes samples and fills up the last frame with silence.
func newPrompt(pcm []int16) *Prompt {
	n := (len(pcm) + frameSamples - 1) / frameSamples * frameSamples
	p := &Prompt{alaw: make([]byte, n), ulaw: make([]byte, n), length: len(pcm)}
	for i := range n {
		p.alaw[i], p.ulaw[i] = silenceA, silenceU
		if i < len(pcm) {
			p.alaw[i], p.ulaw[i] = encodeA(pcm[i]), encodeU(pcm[i])
		}
	}
	return p
}

func (p *Prompt) frames() int { return len(p.alaw) / frameSamples }

func (p *Prompt) frame(c Codec, i int) []byte {
	if c == PCMA {
		return p.alaw[i*frameSamples : (i+1)*frameSamples]
	}
	return p.ulaw[i*frameSamples : (i+1)*frameSamples]
}

// Duration returns how long the sound is.
func (p *Prompt) Duration() time.Duration { return time.Duration(p.length) * time.Second / RateHz }

// Tone makes a sine at a third of full scale, as tests and call progress need.
func Tone(hz float64, d time.Duration) *Prompt {
	pcm := make([]int16, samples(d))
	for i := range pcm {
		pcm[i] = int16(10900 * math.Sin(2*math.Pi*hz*float64(i)/RateHz))
	}
	return newPrompt(pcm)
}

// Pause makes silence.
func Pause(d time.Duration) *Prompt { return newPrompt(make([]int16, samples(d))) }

// Concat joins sounds into one without the filling between them. No sounds
// make an empty prompt.
func Concat(list ...*Prompt) *Prompt {
	var pcm []int16
	for _, p := range list {
		part := make([]int16, p.length)
		PCMA.Decode(part, p.alaw[:p.length])
		pcm = append(pcm, part...)
	}
	return newPrompt(pcm)
}

// LoadWAV reads a prompt file: RIFF WAVE, 8 kHz, one channel, 16-bit PCM,
// A-law or µ-law, at most ten minutes. Any other file is an error that says
// what it is.
func LoadWAV(r io.Reader) (*Prompt, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPromptBytes+4096))
	if err != nil {
		return nil, fmt.Errorf("read wav: %w", err)
	}
	if len(b) > maxPromptBytes {
		return nil, errors.New("read wav: longer than ten minutes")
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("read wav: no RIFF WAVE header")
	}
	var tag, bits uint16
	for rest := b[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		body := rest[8:][:min(size, int64(len(rest)-8))]
		switch id {
		case "fmt ":
			if len(body) < 16 {
				return nil, errors.New("read wav: short fmt chunk")
			}
			tag, bits = binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint16(body[14:])
			if ch, rate := binary.LittleEndian.Uint16(body[2:]), binary.LittleEndian.Uint32(body[4:]); ch != 1 || rate != RateHz {
				return nil, fmt.Errorf("read wav: %d channels at %d Hz, want 1 at %d", ch, rate, RateHz)
			}
		case "data":
			return decodeWAV(tag, bits, body)
		}
		rest = rest[min(int64(len(rest)), 8+size+size&1):]
	}
	return nil, errors.New("read wav: no data chunk")
}

func decodeWAV(tag, bits uint16, body []byte) (*Prompt, error) {
	switch {
	case tag == 1 && bits == 16:
		pcm := make([]int16, len(body)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
		}
		return newPrompt(pcm), nil
	case (tag == wavALaw || tag == wavULaw) && bits == 8:
		pcm, c := make([]int16, len(body)), PCMA
		if tag == wavULaw {
			c = PCMU
		}
		c.Decode(pcm, body)
		return newPrompt(pcm), nil
	}
	return nil, fmt.Errorf("read wav: format %d with %d bits, want 16-bit PCM, A-law or µ-law", tag, bits)
}
