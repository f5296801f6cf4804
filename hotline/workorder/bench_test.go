package workorder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

// BenchmarkSubmit is agents opening orders, each order its own commit. With
// fsync is what a city pays: the order is on the disk before its agent hears
// so. Without is the same work but for the disk, as the tests run it.
func BenchmarkSubmit(b *testing.B) {
	for _, tt := range []struct {
		name string
		w    *world
	}{{"fsync on", durableWorld(b)}, {"fsync off", newWorld(b)}} {
		for _, agents := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s, %d at once", tt.name, agents), func(b *testing.B) { measureSubmit(b, tt.w, agents) })
		}
	}
}

// measureSubmit opens b.N orders by several agents at once.
func measureSubmit(b *testing.B, w *world, agents int) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range agents {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				begun := time.Now()
				if _, err := w.Submit(b.Context(), agent, submission()); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(begun)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// durableWorld is a ledger on a cluster of its own that waits for the disk.
func durableWorld(b testing.TB) *world {
	b.Helper()
	if _, err := pg.FindBinaries(); err != nil {
		hotlinetest.Missing(b, "PostgreSQL")
	}
	dir, err := os.MkdirTemp("", "hotline-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the server's user passes through
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: filepath.Join(dir, "pg"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
	if err := c.EnsureDatabase(ctx, "ledger"); err != nil {
		b.Fatal(err)
	}
	pool, err := pg.Open(ctx, c.DSN("ledger"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if err := pg.Migrate(ctx, pool); err != nil {
		b.Fatal(err)
	}
	return worldOn(b, pool)
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
