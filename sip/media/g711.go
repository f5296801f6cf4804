package media

import (
	"math"
	"math/bits"
)

// silenceA and silenceU are zero in each law (ITU-T G.711 tables 1a and 2a).
const (
	silenceA = 0xD5
	silenceU = 0xFF
)

// The tables of G.711, made once and read only.
var (
	linearOfA = table(decodeA)
	linearOfU = table(decodeU)
	aToU      = table(func(b byte) byte { return encodeU(decodeA(b)) })
	uToA      = table(func(b byte) byte { return encodeA(decodeU(b)) })
)

func table[T int16 | byte](f func(byte) T) (t [256]T) {
	for i := range t {
		t[i] = f(byte(i))
	}
	return t
}

// decodeA is ITU-T G.711 table 1, scaled to 16 bits.
func decodeA(b byte) int16 {
	b ^= 0x55
	seg, v := int(b>>4&7), int(b&15)<<4+8
	if seg > 0 {
		v = (v + 0x100) << (seg - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

// encodeA is the inverse of decodeA, to the nearest step below.
func encodeA(s int16) byte {
	v, mask := int(s)>>3, byte(0xD5)
	if v < 0 {
		v, mask = -v-1, 0x55
	}
	seg := max(0, bits.Len(uint(v))-5)
	if seg == 0 {
		return byte(v>>1) ^ mask
	}
	return byte(seg<<4|v>>seg&15) ^ mask
}

// decodeU is ITU-T G.711 table 2, scaled to 16 bits.
func decodeU(b byte) int16 {
	b = ^b
	v := (int(b&15)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// encodeU is the inverse of decodeU, to the nearest step below.
func encodeU(s int16) byte {
	v, sign := int(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + 0x84
	seg := bits.Len(uint(v)) - 8
	return ^(sign | byte(seg<<4|v>>(seg+3)&15))
}

// Decode turns G.711 bytes into 16-bit samples in dst, which must be as long
// as payload. It allocates nothing and is safe for concurrent use.
func (c Codec) Decode(dst []int16, payload []byte) {
	t := &linearOfU
	if c == PCMA {
		t = &linearOfA
	}
	for i, b := range payload {
		dst[i] = t[b]
	}
}

// transcode rewrites G.711 bytes of one law as the other, in place.
func transcode(payload []byte, from, to Codec) {
	if from == to {
		return
	}
	t := &aToU
	if from == PCMU {
		t = &uToA
	}
	for i, b := range payload {
		payload[i] = t[b]
	}
}

// ToneLevel measures how loud one frequency is in a piece of sound: the
// amplitude of that sine as a share of full scale, 0 to 1 (Goertzel's
// algorithm). The piece should hold whole periods or be 50 ms and longer.
func ToneLevel(pcm []int16, hz float64) float64 {
	if len(pcm) == 0 {
		return 0
	}
	w := 2 * math.Cos(2*math.Pi*hz/RateHz)
	var s1, s2 float64
	for _, x := range pcm {
		s1, s2 = float64(x)+w*s1-s2, s1
	}
	return 2 * math.Sqrt(max(0, s1*s1+s2*s2-w*s1*s2)) / float64(len(pcm)) / 32768
}
