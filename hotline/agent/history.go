package agent

import (
	"context"
	"time"

	"hotline12345/hotline"
)

const (
	maxPending   = 20_000 // changes kept while PostgreSQL is away: hours of a floor of sixty
	saveAtMost   = 500    // changes in one transaction
	saveTimeout  = 10 * time.Second
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// RecordStates writes the history of agents' states from snapshots of the
// floor until ctx ends or the channel closes; it then saves what it still
// holds, five seconds at most. While PostgreSQL is away changes wait in memory
// and are written in order afterwards; over 20 000 of them the oldest go, with
// a warning. A snapshot seen twice, by this node or another, counts once.
func (r *Roster) RecordStates(ctx context.Context, snapshots <-chan hotline.FloorSnapshot) error {
	last := map[hotline.AccountID]change{}
	var pending []change
	backoff := firstBackoff
	var retry <-chan time.Time
	open := true
	for open {
		select {
		case <-ctx.Done():
			open = false
		case snap, ok := <-snapshots:
			open = ok
			pending = append(pending, differences(last, snap)...)
			if n := len(pending) - maxPending; n > 0 {
				r.log.Warn("agent states lost, too many wait for the database", "count", n)
				pending = pending[n:]
			}
		case <-retry:
			retry = nil
		}
		for open && retry == nil && len(pending) > 0 {
			n := min(len(pending), saveAtMost)
			if err := r.save(ctx, saveTimeout, pending[:n]); err != nil {
				if ctx.Err() == nil {
					r.log.Warn("agent states not saved, trying again", "waiting", len(pending), "err", err)
				}
				retry = time.After(backoff)
				backoff = min(backoff*2, lastBackoff)
				break
			}
			pending, backoff = pending[n:], firstBackoff
		}
	}
	for len(pending) > 0 {
		n := min(len(pending), saveAtMost)
		if err := r.save(context.WithoutCancel(ctx), 5*time.Second, pending[:n]); err != nil {
			return err
		}
		pending = pending[n:]
	}
	return nil
}

func (r *Roster) save(ctx context.Context, limit time.Duration, changes []change) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return r.saveStates(ctx, changes)
}

// differences returns the agents whose state is another than the last one
// known, and notes it. PostgreSQL keeps microseconds, so does the comparison.
func differences(last map[hotline.AccountID]change, snap hotline.FloorSnapshot) []change {
	var out []change
	for _, a := range snap.Agents {
		now := change{account: a.ID, from: a.Since.Truncate(time.Microsecond), state: a.State, reason: a.Reason}
		was, known := last[a.ID]
		if a.ID == 0 || a.Since.IsZero() || known && (was.from.Equal(now.from) || now.from.Before(was.from)) {
			continue
		}
		last[a.ID] = now
		out = append(out, now)
	}
	return out
}
