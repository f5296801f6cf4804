package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"hotline12345/hotline"
	"hotline12345/sip/ivr"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// answers is a Desk that tells each caller when an agent took his call.
type answers struct {
	mu      sync.Mutex
	waiting map[hotline.Phone]chan<- struct{} // by the caller's number; one call each at a time
	caller  map[hotline.CallID]hotline.Phone
	odd     int // offers refused, calls that ended for another reason than a hang-up
}

func (a *answers) Report(f hotline.CallFact) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch f.Kind {
	case hotline.CallArrived:
		a.caller[f.CallID] = f.Caller
	case hotline.CallAnswered:
		a.waiting[a.caller[f.CallID]] <- struct{}{} // room for one, and one call has one answer
	case hotline.CallRefused:
		a.odd++
	case hotline.CallEnded:
		delete(a.caller, f.CallID)
		if f.Reason != hotline.EndNormal {
			a.odd++
		}
	}
}

// BenchmarkCallsThroughQueue is 32 citizens who call again as soon as they
// hung up, and 32 agents whose phones answer at once: INVITE, queue, offer,
// the agent's INVITE, bridge and recording, BYE both ways. There is no
// greeting and nobody talks. Server, floor, Redis and all 64 phones share this
// process and its cores; the protocol's timers are the real ones. Set-up is
// counted from the caller's INVITE to the bridge, at this full load.
func BenchmarkCallsThroughQueue(b *testing.B) {
	const callers, patience = 32, 20 * time.Second
	t1, t2, t4, d := gosip.T1, gosip.T2, gosip.T4, gosip.Timer_D
	gosip.SetTimers(500*time.Millisecond, 4*time.Second, 5*time.Second) // RFC 3261 table 4
	b.Cleanup(func() {
		gosip.SetTimers(t1, t2, t4)
		gosip.Timer_D = d
	})
	desk := &answers{waiting: map[hotline.Phone]chan<- struct{}{}, caller: map[hotline.CallID]hotline.Phone{}}
	h := open(b, houseOptions{ring: 10 * time.Second, change: func(o *Options) {
		o.Desk, o.MaxPerSecond, o.MaxCalls = desk, 10000, 1000
		o.PortMin, o.PortMax = 42000, 57999 // pairs rest 10 s after each call
		o.IVR = ivr.Plan{Music: "music"}
	}})
	if err := h.ports.Close(); err != nil {
		b.Fatal(err)
	}
	var err error
	h.ports, err = media.NewPorts(media.PortsOptions{IP: netip.MustParseAddr("127.0.0.1"), Min: 58000, Max: 61999,
		Quarantine: time.Millisecond, Clock: hotline.ClockFunc(time.Now), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for i := range callers {
		h.agent(1001+i, siptest.Options{})
	}

	var (
		dial   = make(chan struct{})
		wg     sync.WaitGroup
		failed atomic.Int64
		mu     sync.Mutex
		took   []time.Duration
	)
	for i := range callers {
		number := fmt.Sprintf("1381234%04d", i)
		answered := make(chan struct{}, 1)
		desk.mu.Lock()
		desk.waiting[hotline.Phone("+86"+number)] = answered
		desk.mu.Unlock()
		p := h.phone(siptest.Options{User: number})
		wg.Go(func() {
			for range dial {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				begun := time.Now()
				talk, err := p.Call(ctx, "12345")
				if err != nil {
					b.Log(err)
					failed.Add(1)
					cancel()
					continue
				}
				select {
				case <-answered:
					mu.Lock()
					took = append(took, time.Since(begun))
					mu.Unlock()
				case <-ctx.Done():
					failed.Add(1)
				}
				if err := talk.Hangup(ctx); err != nil {
					b.Log(err)
					failed.Add(1)
				}
				cancel()
			}
		})
	}
	for b.Loop() {
		dial <- struct{}{}
	}
	close(dial)
	wg.Wait()
	spent := b.Elapsed()
	h.until("all calls ended", func() bool { return h.Calls() == 0 })
	desk.mu.Lock()
	failures := failed.Load() + int64(desk.odd)
	desk.mu.Unlock()
	if failures > 0 || len(took) == 0 {
		b.Fatalf("%d of %d calls failed", failures, b.N)
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(float64(len(took))/spent.Seconds(), "calls/s")
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(float64(failures), "failures")
	b.ReportMetric(0, "ns/op")
}
