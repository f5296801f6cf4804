package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Relay moves committed outbox rows into the stream. Every node runs one; the
// holder of an advisory lock works, the others look once a second whether it is
// free. The lock lives on the connection that moves the rows, so a relay that
// lost it cannot commit another move.
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
	defer closeSession(conn)
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
		n, err := r.move(ctx, conn.Conn())
		if err != nil {
			return err
		}
		if n == relayBatch {
			continue
		}
		// Rows without a NOTIFY are found by looking once a second.
		wait, cancel := context.WithTimeout(ctx, time.Second)
		_, err = conn.Conn().WaitForNotification(wait)
		timedOut := wait.Err() != nil
		cancel()
		if err != nil && !timedOut {
			return fmt.Errorf("wait for outbox: %w", err)
		}
		forgetNotifications(conn.Conn())
	}
	return nil
}

// forgetNotifications drops the wake-ups that have arrived already: the next
// move serves them all.
func forgetNotifications(conn *pgx.Conn) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		if _, err := conn.WaitForNotification(done); err != nil {
			return
		}
	}
}

// move relays one batch on a connection that holds the lock, wakes those who
// wait for the stream and says how many rows it moved.
func (r *Relay) move(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	if err := conn.QueryRow(ctx, moveOutbox, relayBatch, streamChannel).Scan(&n, nil); err != nil {
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
	defer closeSession(conn)
	var mine bool
	if err := conn.QueryRow(ctx, tryLock).Scan(&mine); err != nil {
		return fmt.Errorf("take relay lock: %w", err)
	}
	if !mine {
		return nil
	}
	for {
		n, err := r.move(ctx, conn.Conn())
		if err != nil || n < relayBatch {
			return err
		}
	}
}

// closeSession ends a connection that holds a lock or listens: it must not go
// back to the pool with it.
func closeSession(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Hijack().Close(ctx) // the server frees lock and channel however it ends
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
