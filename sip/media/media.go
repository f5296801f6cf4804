// Package media owns the sound of calls: SDP descriptions, RTP sockets and
// their ports, G.711, keys (RFC 4733), prompts, the bridge between two legs
// and the recording. It knows nothing of SIP, queues or orders.
//
// The call's actor in sip calls it: it makes a Leg per dialog, hands it the
// bodies of INVITE and 200, tells it what to play, bridges it and closes it.
// Each leg has one reader goroutine that owns all that was received; one
// wheel goroutine per Ports sends prompts, keys and RTCP of all legs; each
// recorder has one writer goroutine. They share immutable values behind
// atomic pointers, so that the actor never waits for a packet nor a packet
// for the actor. It imports the standard library and hotline only.
package media

import (
	"errors"
	"time"
)

// The errors a caller reacts to; others are faults of the network or the disk.
var (
	// ErrNoPorts says that every port pair is in use or in quarantine: answer
	// 503 with Retry-After.
	ErrNoPorts = errors.New("media: no free port pair")
	// ErrNoCodec says that the peer speaks neither PCMA nor PCMU over RTP/AVP:
	// answer 488. The leg goes on unchanged.
	ErrNoCodec = errors.New("media: no common codec")
	// ErrBadSDP says that a description cannot be read: answer 400 (an offer)
	// or end the call (an answer). The leg goes on unchanged.
	ErrBadSDP = errors.New("media: malformed session description")
	// ErrClosed says that the leg or the ports were closed before.
	ErrClosed = errors.New("media: closed")
)

// RateHz is the sampling rate of all sound here (RFC 3551 §4.5.14).
const RateHz = 8000

// Frame is the time one packet of ours holds (RFC 3551 §4.2, ptime 20).
const Frame = 20 * time.Millisecond

// frameSamples is a Frame in samples, which in G.711 is also bytes.
const frameSamples = RateHz / 50

// Codec is a G.711 law by its static payload type (RFC 3551 table 4). The
// zero value is PCMU.
type Codec uint8

// The codecs.
const (
	PCMU Codec = 0 // µ-law
	PCMA Codec = 8 // A-law
)

// String returns the SDP name.
func (c Codec) String() string {
	if c == PCMA {
		return "PCMA"
	}
	return "PCMU"
}

// samples converts a duration to samples.
func samples(d time.Duration) int64 { return int64(d) * RateHz / int64(time.Second) }
