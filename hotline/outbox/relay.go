package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Relay moves committed outbox rows into the stream. Every node runs one; the
// holder of an advisory lock works, the others wait to take over.
type Relay struct {
	pool *pgxpool.Pool
	log  *slog.Logger
}

// relayBatch bounds one move, so that a long backlog is moved in steps.
const relayBatch = 500

// NewRelay makes a relay; log may be nil.
func NewRelay(pool *pgxpool.Pool, log *slog.Logger) *Relay {
	if log == nil {
		log = slog.Default()
	}
	return &Relay{pool: pool, log: log.With("component", "outbox")}
}

// Run relays until ctx ends. A lost connection is taken up again; rows wait.
func (r *Relay) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.session(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("relay session ended", "err", err)
			pause(ctx, time.Second)
		}
	}
	return nil
}

// session holds one connection: the advisory lock lives and dies with it.
func (r *Relay) session(ctx context.Context) error {
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	// The lock must not go back to the pool with the connection.
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+outboxChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		var mine bool
		if err := conn.QueryRow(ctx, tryLock).Scan(&mine); err != nil {
			return fmt.Errorf("take relay lock: %w", err)
		}
		if mine {
			break
		}
		if !pause(ctx, time.Second) {
			return nil
		}
	}
	r.log.Debug("relay holds the stream")
	for ctx.Err() == nil {
		n, err := r.Move(ctx, conn.Conn())
		if err != nil {
			return err
		}
		if n == relayBatch {
			continue
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		_, err = conn.Conn().WaitForNotification(wait)
		timedOut := wait.Err() != nil
		cancel()
		if err != nil && !timedOut {
			return fmt.Errorf("wait for outbox: %w", err)
		}
	}
	return nil
}

// Move relays one batch on a connection that holds the lock and says how many
// rows it moved. Delete and insert are one statement: a kill loses nothing.
func (r *Relay) Move(ctx context.Context, conn *pgx.Conn) (int, error) {
	var n int
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var head int64
		if err := tx.QueryRow(ctx, moveOutbox, relayBatch).Scan(&n, &head); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, notify, streamChannel, strconv.FormatInt(head, 10))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("move outbox to stream: %w", err)
	}
	return n, nil
}

// Flush moves everything that is committed now, for the end of the program.
// It does nothing when another node holds the stream.
func (r *Relay) Flush(ctx context.Context) error {
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	var mine bool
	if err := conn.QueryRow(ctx, tryLock).Scan(&mine); err != nil || !mine {
		return err
	}
	for {
		n, err := r.Move(ctx, conn.Conn())
		if err != nil || n < relayBatch {
			return err
		}
	}
}

// pause waits d and tells whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
