package sip

import (
	"context"
	"log/slog"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/hotline"
)

// quiet is the SIP library's logger. The library logs raw messages, which hold
// callers' numbers, at a pace strangers choose; quiet keeps only its constant
// text, at most once a second for each.
type quiet struct {
	log   *slog.Logger
	clock hotline.Clock
	state *quietState
}

type quietState struct {
	mu   sync.Mutex
	last map[string]time.Time // bounded by the number of texts in the library
	held map[string]int
}

func newQuiet(log *slog.Logger, clock hotline.Clock) *slog.Logger {
	return slog.New(quiet{log, clock, &quietState{last: map[string]time.Time{}, held: map[string]int{}}})
}

// Enabled keeps the library's errors only.
func (q quiet) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// WithAttrs drops the attributes: they may hold personal data.
func (q quiet) WithAttrs([]slog.Attr) slog.Handler { return q }

// WithGroup drops the group.
func (q quiet) WithGroup(string) slog.Handler { return q }

// Handle logs the text without its attributes.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	now := q.clock.Now()
	q.state.mu.Lock()
	if len(q.state.last) > 256 { // impossible while texts are constants; never grow anyway
		clear(q.state.last)
		clear(q.state.held)
	}
	if t, ok := q.state.last[r.Message]; ok && now.Sub(t) < time.Second {
		q.state.held[r.Message]++
		q.state.mu.Unlock()
		return nil
	}
	held := q.state.held[r.Message]
	q.state.last[r.Message], q.state.held[r.Message] = now, 0
	q.state.mu.Unlock()
	q.log.WarnContext(ctx, "sip library complains", "text", r.Message, "held_back", held)
	return nil
}

var knobs sync.Once

// setKnobs sets the library's process-wide variables, once, before its first
// use: datagrams up to the reading buffer instead of the 1300 bytes of RFC
// 3261 §18.1.1 (inside a LAN fragments arrive), our own quiet logger, and no
// automatic 100 because we always send one at once.
func setKnobs(log *slog.Logger, clock hotline.Clock) {
	knobs.Do(func() {
		gosip.UDPMTUSize = 8192
		gosip.Timer_1xx = time.Hour
		gosip.SetDefaultLogger(newQuiet(log, clock))
	})
}
