package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/outbox"
)

// kill ends the server's side of every connection whose last statement starts
// like this, as a crash of its client or the network would, and counts them.
func kill(t testing.TB, pool *pgxpool.Pool, like string) (n int) {
	t.Helper()
	err := pool.QueryRow(context.Background(), `
select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and query like $1`, like+"%").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// everyEntry checks that the stream holds the keys 0…want-1 once each at dense
// positions.
func everyEntry(t testing.TB, s *outbox.Stream, want int) {
	t.Helper()
	hotlinetest.Eventually(t, 20*time.Second, fmt.Sprintf("%d entries in the stream", want), func() bool {
		head, err := s.Head(t.Context())
		return err == nil && head >= int64(want)
	})
	entries, upTo, err := s.Since(t.Context(), 0, nil, want+1)
	if err != nil || len(entries) != want || upTo != int64(want) {
		t.Fatalf("%d entries up to %d, err %v; want %d", len(entries), upTo, err, want)
	}
	seen := map[string]bool{}
	for i, e := range entries {
		if e.Pos != int64(i+1) || seen[e.Key] {
			t.Fatalf("entry %d: position %d, key %s, seen before: %v", i, e.Pos, e.Key, seen[e.Key])
		}
		seen[e.Key] = true
	}
}

// TestMoveDiesBeforeItsCommit: a relay killed after it moved and before that
// counted has moved nothing.
func TestMoveDiesBeforeItsCommit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	s := outbox.NewStream(pool, nil)
	for i := range 3 {
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRow(ctx, outbox.MoveOutbox, 500, outbox.StreamChannel).Scan(&n, nil); err != nil || n != 3 {
		t.Fatalf("moved %d, err %v", n, err)
	}
	if got := kill(t, pool, "with taken"); got != 1 {
		t.Fatalf("killed %d connections, want 1", got)
	}
	_ = tx.Rollback(ctx) // the connection is dead
	if head, err := s.Head(ctx); err != nil || head != 0 {
		t.Fatalf("head %d after the kill, err %v, want 0", head, err)
	}
	if err := outbox.NewRelay(pool, nil).Flush(ctx); err != nil {
		t.Fatal(err)
	}
	everyEntry(t, s, 3)
}

// TestRelayKilledUnderLoad kills whichever relay holds the stream while rows
// come in; the other takes over and nothing is lost, doubled or left out.
func TestRelayKilledUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	s := outbox.NewStream(pool, nil)
	run(t, s.Run)
	run(t, outbox.NewRelay(pool, nil).Run)
	run(t, outbox.NewRelay(pool, nil).Run)
	const writers, each = 4, 60
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := appendOne(ctx, pool, message(w*each+i, "orders")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	killed := 0
	for want := int64(1); killed < 3; want++ {
		if _, err := s.Wait(ctx, want); err != nil { // somebody relays
			t.Fatal(err)
		}
		killed += kill(t, pool, "with taken")
		if want < writers*each/2 {
			continue
		}
		break
	}
	wg.Wait()
	if killed == 0 {
		t.Error("no relay was killed: the test proves nothing")
	}
	everyEntry(t, s, writers*each)
}

// TestOneRelayHolds: the second relay moves nothing while the first lives.
func TestOneRelayHolds(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	holders := func() (n int) {
		if err := pool.QueryRow(ctx, `select count(*) from pg_locks l join pg_database d on d.oid = l.database
 where l.locktype = 'advisory' and l.granted and d.datname = current_database()`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	run(t, outbox.NewRelay(pool, nil).Run)
	run(t, outbox.NewRelay(pool, nil).Run)
	hotlinetest.Eventually(t, 10*time.Second, "a relay holds the stream", func() bool { return holders() == 1 })
	hotlinetest.Eventually(t, 10*time.Second, "the holder is killed", func() bool { return kill(t, pool, "with taken") == 1 })
	if err := appendOne(ctx, pool, message(0, "orders")); err != nil {
		t.Fatal(err)
	}
	everyEntry(t, outbox.NewStream(pool, nil), 1)
	if n := holders(); n != 1 {
		t.Errorf("%d relays hold the stream, want 1", n)
	}
}

// TestFollowKilledBeforeItsCursor: what was handled and not noted comes again,
// in order, and nothing is left out.
func TestFollowKilledBeforeItsCursor(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	for i := range 5 {
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
	}
	if err := outbox.NewRelay(pool, nil).Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	s := outbox.NewStream(pool, nil)
	run(t, func(ctx context.Context) error {
		return s.Follow(ctx, "dispatch", nil, func(_ context.Context, e outbox.Entry) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, e.Key)
			if len(got) == 3 && kill(t, pool, "-- ping") == 0 {
				t.Error("the follower's connection was not found")
			}
			return nil
		})
	})
	want := []string{"0", "1", "2", "3", "4", "0", "1", "2", "3", "4"}
	hotlinetest.Eventually(t, 20*time.Second, "all entries, handled again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= len(want)
	})
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestFollowStopsAtAFailure: entries behind a failing one wait, those before
// it do not come again after a restart.
func TestFollowStopsAtAFailure(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	for i := range 4 {
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
	}
	if err := outbox.NewRelay(pool, nil).Flush(ctx); err != nil {
		t.Fatal(err)
	}
	handled := func(fail string, until string) (keys []string) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		s := outbox.NewStream(pool, nil)
		err := s.Follow(ctx, "reports", nil, func(_ context.Context, e outbox.Entry) error {
			if e.Key == fail {
				cancel()
				return errors.New("no")
			}
			keys = append(keys, e.Key)
			if e.Key == until {
				cancel()
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return keys
	}
	if got, want := handled("2", ""), []string{"0", "1"}; !slices.Equal(got, want) {
		t.Errorf("first life: %v, want %v", got, want)
	}
	if got, want := handled("", "3"), []string{"2", "3"}; !slices.Equal(got, want) {
		t.Errorf("second life: %v, want %v", got, want)
	}
}

// TestOneFollowerPerName: two processes share a name, each entry is handled once.
func TestOneFollowerPerName(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	run(t, outbox.NewRelay(pool, nil).Run)
	var mu sync.Mutex
	seen := map[string]int{}
	for range 2 {
		s := outbox.NewStream(pool, nil)
		run(t, s.Run)
		run(t, func(ctx context.Context) error {
			return s.Follow(ctx, "dispatch", nil, func(_ context.Context, e outbox.Entry) error {
				mu.Lock()
				defer mu.Unlock()
				seen[e.Key]++
				return nil
			})
		})
	}
	for i := range 20 {
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
	}
	hotlinetest.Eventually(t, 20*time.Second, "all entries", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == 20 })
	mu.Lock()
	defer mu.Unlock()
	for key, n := range seen {
		if n != 1 {
			t.Errorf("entry %s was handled %d times", key, n)
		}
	}
}
