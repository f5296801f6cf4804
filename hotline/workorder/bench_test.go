package workorder

import (
	"context"
	"testing"

	"hotline12345/hotline"
)

// BenchmarkSubmit is one agent opening orders, each its own commit.
func BenchmarkSubmit(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		if _, err := w.Submit(b.Context(), agent, submission()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// BenchmarkSubmitParallel is a busy room.
func BenchmarkSubmitParallel(b *testing.B) {
	w := newWorld(b)
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(next *testing.PB) {
		for next.Next() {
			if _, err := w.Submit(context.Background(), agent, submission()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// BenchmarkSubmitDispatchParallel opens orders and sends each to two units.
func BenchmarkSubmitDispatchParallel(b *testing.B) {
	w := newWorld(b)
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(next *testing.PB) {
		for next.Next() {
			o, err := w.Submit(context.Background(), agent, submission())
			if err == nil {
				_, err = w.Dispatch(context.Background(), hotline.System, o.ID, o.Version, plan("341802001", "JYTYJ"))
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// BenchmarkUnitDesk reads the first page of a unit's desk in a ledger of
// 40,000 orders.
func BenchmarkUnitDesk(b *testing.B) {
	w := newWorld(b)
	if _, err := w.pool.Exec(b.Context(), sqlSeed, 40_000, w.clock.Now()); err != nil {
		b.Fatal(err)
	}
	if _, err := w.pool.Exec(b.Context(), `analyze`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		page, err := w.List(b.Context(), township, Query{Desk: DeskUnit})
		if err != nil || len(page.Orders) != 50 {
			b.Fatal(len(page.Orders), err)
		}
	}
}
