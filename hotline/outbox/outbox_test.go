package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/outbox"
)

// run starts f and ends it with the test.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func message(n int, topics ...string) outbox.Message {
	return outbox.Message{Topics: topics, Kind: "order.submitted", Key: fmt.Sprint(n), Payload: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func appendOne(ctx context.Context, pool *pgxpool.Pool, m outbox.Message) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return outbox.Append(ctx, tx, m) })
}

// TestLateCommitIsNotLost is the trap of casework: a row with a smaller id
// commits after a reader has passed it.
func TestLateCommitIsNotLost(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	run(t, outbox.NewRelay(pool, nil).Run)
	s := outbox.NewStream(pool, nil)
	run(t, s.Run)

	late, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Rollback(ctx)
	if err := outbox.Append(ctx, late, message(1, "orders")); err != nil {
		t.Fatal(err)
	}
	if err := appendOne(ctx, pool, message(2, "orders")); err != nil {
		t.Fatal(err)
	}
	head, err := s.Wait(ctx, 0)
	if err != nil || head != 1 {
		t.Fatalf("head %d, err %v, want 1", head, err)
	}
	if err := late.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if head, err = s.Wait(ctx, 1); err != nil || head != 2 {
		t.Fatalf("head %d, err %v, want 2: the late row was lost", head, err)
	}
	entries, upTo, err := s.Since(ctx, 0, nil, 10)
	if err != nil || upTo != 2 || len(entries) != 2 || entries[0].Key != "2" || entries[1].Key != "1" {
		t.Errorf("got %v up to %d, err %v", entries, upTo, err)
	}
}

// TestPositionsAreDense appends from many sides while relays come and go.
func TestPositionsAreDense(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	s := outbox.NewStream(pool, nil)
	const writers, each = 8, 40
	stop := run(t, outbox.NewRelay(pool, nil).Run)
	run(t, outbox.NewRelay(pool, nil).Run)
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
	stop() // the first relay dies; the second takes over
	wg.Wait()
	hotlinetest.Eventually(t, 10*time.Second, "all rows in the stream", func() bool {
		head, err := s.Head(ctx)
		return err == nil && head == writers*each
	})
	entries, _, err := s.Since(ctx, 0, nil, writers*each+1)
	if err != nil || len(entries) != writers*each {
		t.Fatalf("%d entries, err %v", len(entries), err)
	}
	seen := map[string]bool{}
	for i, e := range entries {
		if e.Pos != int64(i+1) {
			t.Fatalf("entry %d has position %d", i, e.Pos)
		}
		seen[e.Key] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d distinct messages, want %d", len(seen), writers*each)
	}
}

func TestSinceByTopic(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	relay, s := outbox.NewRelay(pool, nil), outbox.NewStream(pool, nil)
	for i := range 10 {
		if err := appendOne(ctx, pool, message(i, []string{"a", "b"}[i%2], "all")); err != nil {
			t.Fatal(err)
		}
	}
	if err := relay.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got, upTo, err := s.Since(ctx, 0, []string{"b"}, 3)
	if err != nil || len(got) != 3 || upTo != got[2].Pos {
		t.Fatalf("got %v up to %d, err %v", got, upTo, err)
	}
	got, upTo, err = s.Since(ctx, upTo, []string{"b"}, 3)
	if err != nil || len(got) != 2 || upTo != 10 {
		t.Errorf("got %v up to %d, err %v", got, upTo, err)
	}
}

// TestFollowSurvivesRestart: at least once, in order, from where it stopped.
func TestFollowSurvivesRestart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	run(t, outbox.NewRelay(pool, nil).Run)
	var mu sync.Mutex
	var got []string
	failed := false
	follow := func(ctx context.Context) error {
		s := outbox.NewStream(pool, nil)
		return s.Follow(ctx, "dispatch", []string{"orders"}, func(_ context.Context, e outbox.Entry) error {
			mu.Lock()
			defer mu.Unlock()
			if e.Key == "3" && !failed {
				failed = true
				return errors.New("once")
			}
			got = append(got, e.Key)
			return nil
		})
	}
	stop := run(t, follow)
	for i := range 5 {
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
	}
	seen := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= n }
	}
	hotlinetest.Eventually(t, 10*time.Second, "five entries, one after a retry", seen(5))
	stop()
	if err := appendOne(ctx, pool, message(5, "orders")); err != nil {
		t.Fatal(err)
	}
	run(t, follow)
	hotlinetest.Eventually(t, 10*time.Second, "the entry written meanwhile", seen(6))
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
