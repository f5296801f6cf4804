package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	followBatch = 200              // entries read at once; their cursor is kept at the end
	retryFirst  = time.Second      // after a failure, doubled each time
	retryMost   = 30 * time.Second // and no longer than this
)

// Follow calls f for every entry with one of the topics (nil: all), in order,
// at least once, until ctx ends. The position is kept in PostgreSQL under name,
// so that a restart goes on where the last one stopped; a new name starts at
// the stream's beginning. One process at a time follows under a name, the
// others look once a second whether it is free. When f fails, the same entry is
// tried again after 1 s, 2 s, … 30 s: f must be idempotent, and must return nil
// for an entry it can never handle. Its result is nil: it ends only with ctx.
func (s *Stream) Follow(ctx context.Context, name string, topics []string, f func(context.Context, Entry) error) error {
	wait := retryFirst
	for ctx.Err() == nil {
		progress, err := s.follow(ctx, name, topics, f)
		if progress {
			wait = retryFirst
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("follower paused", "reader", name, "retry_ms", wait.Milliseconds(), "err", err)
			pause(ctx, wait)
			wait = min(2*wait, retryMost)
		}
	}
	return nil
}

// follow is one session of a follower, holding its lock; progress tells
// whether any entry was handled.
func (s *Stream) follow(ctx context.Context, name string, topics []string, f func(context.Context, Entry) error) (progress bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("acquire connection: %w", err)
	}
	defer closeSession(conn)
	for {
		var mine bool
		if err := conn.QueryRow(ctx, takeReader, name).Scan(&mine); err != nil {
			return false, fmt.Errorf("take reader lock %s: %w", name, err)
		}
		if mine {
			break
		}
		if !pause(ctx, time.Second) {
			return false, nil
		}
	}
	if _, err := conn.Exec(ctx, startCursor, name, 0); err != nil {
		return false, fmt.Errorf("start cursor %s: %w", name, err)
	}
	var kept int64
	if err := conn.QueryRow(ctx, readCursor, name).Scan(&kept); err != nil {
		return false, fmt.Errorf("read cursor %s: %w", name, err)
	}
	for {
		// A lost connection lost the lock: another process may follow by now.
		if err := conn.Ping(ctx); err != nil {
			return progress, fmt.Errorf("check reader lock %s: %w", name, err)
		}
		entries, upTo, err := s.Since(ctx, kept, topics, followBatch)
		if err != nil {
			return progress, err
		}
		pos := kept
		for _, e := range entries {
			if err = f(ctx, e); err != nil {
				err = fmt.Errorf("entry %d %s: %w", e.Pos, e.Kind, err)
				break
			}
			pos, progress = e.Pos, true
		}
		if err == nil {
			pos = upTo
		}
		if pos > kept {
			// Kept although ctx has ended: what was done need not be done again.
			if keepErr := keepCursor(conn, name, pos); keepErr != nil || err != nil {
				return progress, errors.Join(err, keepErr)
			}
			kept = pos
			continue
		}
		if err != nil {
			return progress, err
		}
		if _, err := s.Wait(ctx, kept); err != nil {
			return progress, err // ctx ended
		}
	}
}

func keepCursor(conn *pgxpool.Conn, name string, pos int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, moveCursor, name, pos); err != nil {
		return fmt.Errorf("keep cursor %s: %w", name, err)
	}
	return nil
}
