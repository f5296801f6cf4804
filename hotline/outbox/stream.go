package outbox

import (
	"context"
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

	mu        sync.Mutex
	head      int64         // newest position known
	moved     chan struct{} // closed and replaced when head grows
	listening bool          // Run has its connection and looks after head
}

// NewStream makes a stream; log may be nil.
func NewStream(pool *pgxpool.Pool, log *slog.Logger) *Stream {
	if log == nil {
		log = slog.Default()
	}
	return &Stream{pool: pool, log: log.With("component", "outbox"), moved: make(chan struct{})}
}

// Run keeps the one listening connection of the process until ctx ends, and
// once a second asks for the head, in case a wake-up was lost. Without it every
// Wait asks for itself. A lost connection is taken up again.
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
	defer closeSession(conn)
	if _, err := conn.Exec(ctx, "listen "+streamChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer s.setListening(false)
	for {
		// Also what came before the LISTEN took effect.
		var pos int64
		if err := conn.QueryRow(ctx, streamHead).Scan(&pos); err != nil {
			return fmt.Errorf("read stream head: %w", err)
		}
		s.advance(pos)
		s.setListening(true)
		if err := s.hear(ctx, conn.Conn()); err != nil {
			return err
		}
	}
}

// hear takes wake-ups for a second.
func (s *Stream) hear(ctx context.Context, conn *pgx.Conn) error {
	look, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(look)
		if err != nil && look.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("wait for stream: %w", err)
		}
		if pos, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			s.advance(pos)
		}
	}
}

func (s *Stream) setListening(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listening = on
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

// Wait returns the newest known position as soon as it is beyond pos. Its only
// error is that of ctx; while the database is away it waits.
func (s *Stream) Wait(ctx context.Context, pos int64) (int64, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		head, moved, listening := s.head, s.moved, s.listening
		s.mu.Unlock()
		if head > pos {
			return head, nil
		}
		select {
		case <-ctx.Done():
			return head, ctx.Err()
		case <-moved:
		case <-tick.C:
			if listening {
				continue
			}
			if _, err := s.Head(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("read stream head", "err", err)
			}
		}
	}
}

// scanWindow bounds how many rows one statement of Since walks over.
const scanWindow = 5000

// Since returns up to limit entries after pos, in order, that carry one of the
// topics (nil: all entries), and the position up to which the answer is
// complete: nothing between pos and upTo is missing, and a follower asks again
// from there. upTo is the head of the stream when the limit did not cut the
// answer short. Its cost is the gap between pos and the head, which callers
// that serve clients bound first. limit is at least 1.
func (s *Stream) Since(ctx context.Context, pos int64, topics []string, limit int) (entries []Entry, upTo int64, err error) {
	head, err := s.Head(ctx)
	if err != nil {
		return nil, pos, err
	}
	upTo = pos
	for upTo < head && len(entries) < limit {
		end := min(upTo+scanWindow, head)
		more, err := s.between(ctx, upTo, end, topics, limit-len(entries))
		if err != nil {
			return nil, pos, fmt.Errorf("read stream since %d: %w", upTo, err)
		}
		entries = append(entries, more...)
		upTo = end
	}
	if len(entries) == limit {
		upTo = entries[limit-1].Pos
	}
	return entries, upTo, nil
}

// between reads entries after pos up to end.
func (s *Stream) between(ctx context.Context, pos, end int64, topics []string, limit int) ([]Entry, error) {
	var rows pgx.Rows
	var err error
	if topics == nil {
		rows, err = s.pool.Query(ctx, sinceAll, pos, end, limit)
	} else {
		rows, err = s.pool.Query(ctx, sinceTopics, pos, end, limit, topics)
	}
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (e Entry, err error) {
		err = r.Scan(&e.Pos, &e.At, &e.Topics, &e.Kind, &e.Key, &e.Payload)
		return e, err
	})
}
