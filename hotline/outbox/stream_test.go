package outbox_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/outbox"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	hotlinetest.UsesIndex(t, pool, "stream_pkey", outbox.SinceAll, 0, 5000, 100)
	hotlinetest.UsesIndex(t, pool, "stream_pkey", outbox.SinceTopics, 0, 5000, 100, []string{"unit:JYTYJ"})
}

// TestSinceOverALongGap reads a rare topic across more rows than one statement
// walks over.
func TestSinceOverALongGap(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	const rows = outbox.ScanWindow*2 + 10
	if _, err := pool.Exec(ctx, `insert into stream (pos, at, topics, kind, key, payload)
select n, now(), case when n in (1, 7000, $1) then array['rare'] else array['orders'] end, 'order.submitted', n::text, 'null'
  from generate_series(1, $1) as n`, rows); err != nil {
		t.Fatal(err)
	}
	s := outbox.NewStream(pool, nil)
	for _, tt := range []struct {
		name       string
		pos, limit int
		topics     []string
		want       []int64
		upTo       int64
	}{
		{"the whole gap", 0, 10, []string{"rare"}, []int64{1, 7000, rows}, rows},
		{"cut by the limit", 0, 2, []string{"rare"}, []int64{1, 7000}, 7000},
		{"from behind the cut", 7000, 2, []string{"rare"}, []int64{rows}, rows},
		{"nothing there", 7000, 2, []string{"none"}, nil, rows},
		{"at the head", rows, 2, nil, nil, rows},
		{"beyond the head", rows + 5, 2, nil, nil, rows + 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, upTo, err := s.Since(ctx, int64(tt.pos), tt.topics, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, e := range entries {
				got = append(got, e.Pos)
			}
			if !slices.Equal(got, tt.want) || upTo != tt.upTo {
				t.Errorf("got %v up to %d, want %v up to %d", got, upTo, tt.want, tt.upTo)
			}
		})
	}
}

// TestMessagesPassUnchanged: payload byte for byte, order within a transaction,
// nothing of a transaction that was rolled back, instants in UTC.
func TestMessagesPassUnchanged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := hotlinetest.DB(t)
	payload := json.RawMessage(`{"b": 1,  "a": "西林街道", "a": 2}`)
	lost, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Append(ctx, lost, message(9, "orders")); err != nil {
		t.Fatal(err)
	}
	if err := lost.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return outbox.Append(ctx, tx,
			outbox.Message{Topics: []string{"order:1", "orders"}, Kind: "order.submitted", Key: "1", Payload: payload},
			outbox.Message{Kind: "call.ended", Key: "2"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.NewRelay(pool, nil).Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got, _, err := outbox.NewStream(pool, nil).Since(ctx, 0, nil, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, err %v, want two entries", got, err)
	}
	if e := got[0]; string(e.Payload) != string(payload) || e.Kind != "order.submitted" || !slices.Equal(e.Topics, []string{"order:1", "orders"}) {
		t.Errorf("first entry %+v, payload %s", e, e.Payload)
	}
	if e := got[1]; string(e.Payload) != "null" || len(e.Topics) != 0 {
		t.Errorf("second entry %+v, payload %s", e, e.Payload)
	}
	if loc := got[0].At.Location(); loc != time.UTC {
		t.Errorf("instant in %v, want UTC", loc)
	}
}

// TestWaitIsWoken: the way from commit to wake-up is NOTIFY, not the look once
// a second.
func TestWaitIsWoken(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	took := wakeUps(t, pool, 40)
	t.Logf("p50 %v, p99 %v", took[len(took)/2], took[len(took)*99/100])
	if p50 := took[len(took)/2]; p50 > 400*time.Millisecond {
		t.Errorf("half of the wake-ups took over %v: nobody was woken", p50)
	}
}

// TestStreamRunSurvivesKill: a listener whose connection dies listens again.
func TestStreamRunSurvivesKill(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	s := outbox.NewStream(pool, nil)
	run(t, s.Run)
	hotlinetest.Eventually(t, 10*time.Second, "the listener is killed", func() bool { return kill(t, pool, "select coalesce(max(pos)") > 0 })
	if err := appendOne(t.Context(), pool, message(0, "orders")); err != nil {
		t.Fatal(err)
	}
	if err := outbox.NewRelay(pool, nil).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if head, err := s.Wait(ctx, 0); err != nil || head != 1 {
		t.Errorf("head %d, err %v, want 1", head, err)
	}
}

// wakeUps measures n times how long it takes from before an append to the
// return of Wait, sorted.
func wakeUps(t testing.TB, pool *pgxpool.Pool, n int) []time.Duration {
	t.Helper()
	ctx := t.Context()
	s := outbox.NewStream(pool, nil)
	run(t, outbox.NewRelay(pool, nil).Run)
	run(t, s.Run)
	if err := appendOne(ctx, pool, message(0, "orders")); err != nil {
		t.Fatal(err)
	}
	pos, err := s.Wait(ctx, 0) // both are at work
	if err != nil {
		t.Fatal(err)
	}
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		if err := appendOne(ctx, pool, message(i, "orders")); err != nil {
			t.Fatal(err)
		}
		if pos, err = s.Wait(ctx, pos); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took
}

// BenchmarkWakeUp is the way from an append through the relay to a waiter, one
// at a time, 500 times at least.
func BenchmarkWakeUp(b *testing.B) {
	pool := hotlinetest.DB(b)
	took := wakeUps(b, pool, max(b.N, 500))
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAppendRelay is how many messages a second go from transactions of
// one message each into the stream.
func BenchmarkAppendRelay(b *testing.B) {
	ctx := b.Context()
	pool := hotlinetest.DB(b)
	run(b, outbox.NewRelay(pool, nil).Run)
	s := outbox.NewStream(pool, nil)
	run(b, s.Run)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := appendOne(ctx, pool, message(1, "orders")); err != nil {
				b.Error(err)
			}
		}
	})
	if _, err := s.Wait(ctx, int64(b.N)-1); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkRelay is how fast a backlog moves.
func BenchmarkRelay(b *testing.B) {
	ctx := b.Context()
	pool := hotlinetest.DB(b)
	if _, err := pool.Exec(ctx, `insert into outbox (topics, kind, key, payload)
select array['orders', 'order:' || n], 'order.submitted', n::text, json_build_object('text', repeat('西', 200))
  from generate_series(1, $1) as n`, b.N); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	if err := outbox.NewRelay(pool, nil).Flush(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
