package media

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
)

// ourEvent is the payload type we offer for keys; peers may answer another.
const ourEvent = 101

// learnWindow is how long after each offer or answer a source other than the
// described one may be learned (telephony rules: never "first packet wins").
const learnWindow = 5e9

// agreed is what offer and answer settled. It is immutable: a re-INVITE
// stores a new one.
type agreed struct {
	codec     Codec // we send
	acceptA   bool  // we receive
	acceptU   bool
	eventSend uint8 // zero: no keys
	eventRecv uint8
	remote    netip.AddrPort // as described
	rtcp      netip.AddrPort
	dir       direction // ours
	hold      bool      // either side is not to send: no media timeout
}

// Offer returns our description to put into an INVITE, or into the 200 to an
// INVITE without body: PCMA first, PCMU, telephone-event 101, 20 ms, sendrecv.
// On a leg that has talked before it returns the present description with an
// unchanged o= line (a session refresh). Call Accept with the answer.
func (l *Leg) Offer() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.local != nil {
		l.offered = l.local
	} else {
		l.offered = &localSDP{id: l.sessionID, version: l.sessionID, addr: l.LocalAddr(),
			codecs: []Codec{PCMA, PCMU}, event: ourEvent, dir: direction{true, true}}
	}
	return l.offered.bytes()
}

// Answer takes a peer's offer, in the first INVITE or in a re-INVITE, and
// returns the answer to send; from then on the leg talks by it. The peer's
// first codec of ours wins. An offer that holds us (sendonly, inactive, or
// the old 0.0.0.0) is answered recvonly or inactive and stops our sending and
// the media timeout. The o= line keeps its session id, and its version grows
// by one only when the description changed (RFC 3264 §8).
//
// Errors: ErrNoCodec (answer 488), ErrBadSDP (400), ErrClosed. After an error
// the leg goes on as before.
func (l *Leg) Answer(offer []byte) ([]byte, error) {
	r, err := parseSDP(offer)
	if err != nil {
		return nil, err
	}
	if len(r.codecs) == 0 {
		return nil, ErrNoCodec
	}
	if r.addr.Addr().Is4() != l.LocalAddr().Addr().Is4() {
		return nil, fmt.Errorf("%w: address family", ErrNoCodec)
	}
	if l.closed.Load() {
		return nil, ErrClosed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &localSDP{id: l.sessionID, version: l.sessionID, addr: l.LocalAddr(), codecs: r.codecs[:1], event: r.event,
		dir: answerDirection(r), media: r.media, audio: r.audio}
	if l.local != nil {
		s.version = l.local.version
		if !bytes.Equal(s.bytes(), l.local.bytes()) {
			s.version++
		}
	}
	l.local, l.offered = s, nil
	l.agree(r, s, r.codecs)
	return s.bytes(), nil
}

// Accept takes the peer's answer to our Offer. A provisional answer (183)
// may be followed by another (200): the last one counts. Errors: ErrNoCodec,
// ErrBadSDP, ErrClosed.
func (l *Leg) Accept(answer []byte) error {
	r, err := parseSDP(answer)
	if err != nil {
		return err
	}
	if len(r.codecs) == 0 || r.addr.Addr().Is4() != l.LocalAddr().Addr().Is4() {
		return ErrNoCodec
	}
	if l.closed.Load() {
		return ErrClosed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offered != nil {
		l.local = l.offered
	}
	if l.local == nil {
		return fmt.Errorf("%w: answer without an offer", ErrBadSDP)
	}
	s := *l.local
	s.dir = answerDirection(r)
	l.agree(r, &s, s.codecs)
	return nil
}

// agree publishes the outcome to the reader and the wheel, under mu. accepted
// are the codecs the peer may send: those it saw in our description, and
// those it offered itself.
func (l *Leg) agree(r *remoteSDP, s *localSDP, accepted []Codec) {
	a := &agreed{
		codec: r.codecs[0], acceptA: slices.Contains(accepted, PCMA), acceptU: slices.Contains(accepted, PCMU),
		remote: r.addr, dir: s.dir, hold: !s.dir.send || !s.dir.recv,
	}
	if r.event != 0 && s.event != 0 {
		a.eventSend, a.eventRecv = r.event, s.event
	}
	rtcp := r.rtcp
	if rtcp == 0 {
		rtcp = r.addr.Port() + 1
	}
	a.rtcp = netip.AddrPortFrom(r.addr.Addr(), rtcp)
	old := l.agreed.Load()
	if !r.addr.Addr().IsUnspecified() && (old == nil || old.remote != r.addr) {
		l.dest.Store(&a.remote)
	}
	l.agreed.Store(a)
	l.window.Store(l.ports.now() + learnWindow)
	l.negotiations.Add(1)
}

// answerDirection mirrors the peer's direction (RFC 3264 §6.1); 0.0.0.0 is
// the hold of RFC 2543, the same as sendonly.
func answerDirection(r *remoteSDP) direction {
	d := direction{send: r.dir.recv, recv: r.dir.send}
	if r.addr.Addr().IsUnspecified() {
		d.send = false
	}
	return d
}
