package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Stream reads the numbered stream and wakes those who wait for more. One per
// process: Run keeps the single listening connection and fans out in memory.
type Stream struct {
	pool *pgxpool.Pool
	log  *slog.Logger

	mu    sync.Mutex
	head  int64         // newest position known
	moved chan struct{} // closed and replaced when head grows
}

// NewStream makes a stream; log may be nil.
func NewStream(pool *pgxpool.Pool, log *slog.Logger) *Stream {
	if log == nil {
		log = slog.Default()
	}
	return &Stream{pool: pool, log: log.With("component", "outbox"), moved: make(chan struct{})}
}

// Run listens until ctx ends; without it Wait returns only once a second.
func (s *Stream) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.listen(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("stream listener ended", "err", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

func (s *Stream) listen(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+streamChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// What came before the LISTEN took effect is read once.
	if _, err := s.Head(ctx); err != nil {
		return err
	}
	for {
		n, err := conn.Conn().WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for stream: %w", err)
		}
		if pos, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			s.advance(pos)
		}
	}
}

func (s *Stream) advance(pos int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos > s.head {
		s.head = pos
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// Head asks the database for the newest position; 0 when the stream is empty.
func (s *Stream) Head(ctx context.Context) (int64, error) {
	var pos int64
	if err := s.pool.QueryRow(ctx, streamHead).Scan(&pos); err != nil {
		return 0, fmt.Errorf("read stream head: %w", err)
	}
	s.advance(pos)
	return pos, nil
}

// Wait returns the newest known position as soon as it is beyond pos. Once a
// second it asks the database, in case a wake-up was lost. Its only error is
// that of ctx.
func (s *Stream) Wait(ctx context.Context, pos int64) (int64, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		head, moved := s.head, s.moved
		s.mu.Unlock()
		if head > pos {
			return head, nil
		}
		select {
		case <-ctx.Done():
			return head, ctx.Err()
		case <-moved:
		case <-tick.C:
			if _, err := s.Head(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("read stream head", "err", err)
			}
		}
	}
}

// Since returns up to limit entries after pos, in order, that carry one of the
// topics (nil: all), and the position up to which the answer is complete: a
// follower asks again from there.
func (s *Stream) Since(ctx context.Context, pos int64, topics []string, limit int) ([]Entry, int64, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return nil, pos, err
	}
	if head <= pos {
		return nil, pos, nil
	}
	var rows pgx.Rows
	if topics == nil {
		rows, err = s.pool.Query(ctx, sinceAll, pos, limit)
	} else {
		rows, err = s.pool.Query(ctx, sinceTopics, pos, head, topics, limit)
	}
	if err != nil {
		return nil, pos, fmt.Errorf("read stream since %d: %w", pos, err)
	}
	entries, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Entry, error) {
		var e Entry
		err := r.Scan(&e.Pos, &e.At, &e.Topics, &e.Kind, &e.Key, &e.Payload)
		e.At = e.At.UTC()
		return e, err
	})
	if err != nil {
		return nil, pos, fmt.Errorf("read stream since %d: %w", pos, err)
	}
	if len(entries) == limit {
		head = entries[limit-1].Pos
	}
	return entries, head, nil
}

// Follow calls f for every entry with one of the topics (nil: all), in order,
// at least once, until ctx ends. The position is kept under name, so that a
// restart goes on where the last one stopped; a new name starts at the
// stream's beginning. One process at a time follows under a name. When f
// fails, the same entry is tried again after a pause: f must be idempotent,
// and must return nil for an entry it can never handle.
func (s *Stream) Follow(ctx context.Context, name string, topics []string, f func(context.Context, Entry) error) error {
	for ctx.Err() == nil {
		if err := s.follow(ctx, name, topics, f); err != nil && ctx.Err() == nil {
			s.log.Warn("follower paused", "reader", name, "err", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

func (s *Stream) follow(ctx context.Context, name string, topics []string, f func(context.Context, Entry) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	for {
		var mine bool
		if err := conn.QueryRow(ctx, takeReader, name).Scan(&mine); err != nil {
			return fmt.Errorf("take reader lock %s: %w", name, err)
		}
		if mine {
			break
		}
		if !pause(ctx, time.Second) {
			return nil
		}
	}
	if _, err := conn.Exec(ctx, startCursor, name, 0); err != nil {
		return fmt.Errorf("start cursor %s: %w", name, err)
	}
	var pos int64
	if err := conn.QueryRow(ctx, readCursor, name).Scan(&pos); err != nil {
		return fmt.Errorf("read cursor %s: %w", name, err)
	}
	for {
		entries, upTo, err := s.Since(ctx, pos, topics, 200)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := f(ctx, e); err != nil {
				return errors.Join(fmt.Errorf("entry %d %s: %w", e.Pos, e.Kind, err), s.keep(ctx, conn, name, e.Pos-1))
			}
		}
		if upTo > pos {
			if err := s.keep(ctx, conn, name, upTo); err != nil {
				return err
			}
			pos = upTo
			continue
		}
		if _, err := s.Wait(ctx, pos); err != nil {
			return nil // ctx ended
		}
	}
}

func (s *Stream) keep(ctx context.Context, conn *pgxpool.Conn, name string, pos int64) error {
	if _, err := conn.Exec(ctx, moveCursor, name, pos); err != nil {
		return fmt.Errorf("move cursor %s: %w", name, err)
	}
	return nil
}
