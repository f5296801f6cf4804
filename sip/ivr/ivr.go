// Package ivr decides what a caller hears before an agent answers: a greeting,
// music, the place in the queue. It knows names of prompts, not sounds and not
// SIP. The call's actor in package sip asks it; it holds no state and starts
// no goroutine. It imports the standard library only.
//
// GB/T 33358-2016 advises against a menu of keys on a government hotline, so
// there is none.
package ivr

import (
	"strconv"
	"time"
)

// Plan names the prompts of a hotline. An empty name, or one that no prompt
// carries, is silence. The zero value plays nothing.
type Plan struct {
	Greeting       string        // first, with the notice of recording
	Music          string        // again and again while the caller waits
	Waiting        string        // on entering the queue, and with each position
	Position       bool          // whether the place in the queue is told
	PositionBefore string        // words before the number
	PositionAfter  string        // words after it
	AnnounceEvery  time.Duration // between two announcements; zero: 30 s
	Busy           string        // the queue is full or the wait was too long; then we hang up
	NoAgent        string        // nobody is on duty
	Reconnecting   string        // an agent did not take the call; the next one is tried
}

// Every returns the time between two announcements.
func (p Plan) Every() time.Duration {
	if p.AnnounceEvery <= 0 {
		return 30 * time.Second
	}
	return p.AnnounceEvery
}

// Announcement returns the prompts that tell a caller his place, from 1; zero
// is an unknown place and only the words of waiting are said.
func (p Plan) Announcement(place int) []string {
	var out []string
	if p.Position && place > 0 {
		out = append(out, p.PositionBefore)
		out = append(out, Number(place)...)
		out = append(out, p.PositionAfter)
	}
	return append(out, p.Waiting)
}

// Number spells 1 to 9999 as prompts "digit_0" … "digit_9", "digit_10" (十),
// "digit_100" (百) and "digit_1000" (千), as the number is said in Chinese.
// Other numbers are spelt digit by digit.
func Number(n int) []string {
	if n < 1 || n > 9999 {
		var out []string
		for _, r := range strconv.Itoa(max(n, 0)) {
			out = append(out, "digit_"+string(r))
		}
		return out
	}
	var out []string
	gap := false
	for _, unit := range []int{1000, 100, 10, 1} {
		d := n / unit % 10
		switch {
		case d == 0:
			gap = len(out) > 0
			continue
		case gap:
			out = append(out, "digit_0")
			gap = false
		}
		if unit != 10 || d != 1 || len(out) > 0 { // 十二, not 一十二
			out = append(out, "digit_"+strconv.Itoa(d))
		}
		if unit > 1 {
			out = append(out, "digit_"+strconv.Itoa(unit))
		}
	}
	return out
}
