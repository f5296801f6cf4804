package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// errFailed says that the summary was printed and holds failures.
var errFailed = errors.New("some calls failed")

type callCommand struct {
	common
	Calls   int           `default:"1" help:"呼叫数 Number of calls."`
	Rate    float64       `default:"1" help:"每秒呼叫数 Calls per second."`
	Talk    time.Duration `default:"10s" help:"通话时长 Length of each call."`
	Dial    string        `default:"12345" help:"拨打号码 Number to dial."`
	From    string        `help:"主叫号码 Caller's number; empty: a made-up one per call."`
	Timeout time.Duration `default:"60s" help:"等待接听 Give up when not answered in this time."`
	GiveUp  time.Duration `help:"振铃中挂断 Hang up this long after dialling, answered or not (the caller gives up)."`
	Keys    string        `help:"接通后按键 Keys to press once answered."`
}

// result is what became of one call.
type result struct {
	err      error
	setup    time.Duration // until answered
	talk     time.Duration
	stats    media.Stats
	ended    string
	heard    bool
	answered bool
}

// Run places the calls and prints the summary.
func (c *callCommand) Run(ctx context.Context) error {
	if c.Calls < 1 || c.Rate <= 0 {
		return errors.New("--calls and --rate must be positive")
	}
	ports, err := c.ports()
	if err != nil {
		return err
	}
	defer closeQuietly(ports.Close)
	results := make([]result, c.Calls)
	gap := time.NewTicker(time.Duration(float64(time.Second) / c.Rate))
	defer gap.Stop()
	var wg sync.WaitGroup
	placed := 0
	for ctx.Err() == nil && placed < c.Calls {
		r := &results[placed]
		placed++
		wg.Go(func() { *r = c.one(ctx, ports) })
		if placed < c.Calls {
			select {
			case <-gap.C:
			case <-ctx.Done():
			}
		}
	}
	wg.Wait()
	if summarize(os.Stdout, results[:placed]) > 0 {
		return errFailed
	}
	return nil
}

// one is one citizen's call.
func (c *callCommand) one(ctx context.Context, ports *media.Ports) (r result) {
	user := c.From
	if user == "" {
		user = fmt.Sprintf("139%08d", rand.IntN(1e8))
	}
	p, err := siptest.NewPhone(siptest.Options{Local: c.Local + ":0", Server: c.Server, Transport: c.Transport,
		User: user, Ports: ports, Log: c.log()})
	if err != nil {
		return result{err: err}
	}
	defer closeQuietly(p.Close)
	limit := c.Timeout
	if c.GiveUp > 0 {
		limit = c.GiveUp
	}
	start := time.Now()
	dial, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t, err := p.Call(dial, c.Dial)
	if err != nil {
		if c.GiveUp > 0 && errors.Is(err, context.DeadlineExceeded) {
			return result{ended: "gave up"} // as told
		}
		return result{err: err}
	}
	r.setup, r.answered = time.Since(start), true
	talk := c.Talk
	if c.GiveUp > 0 {
		talk = max(0, c.GiveUp-r.setup)
	}
	if c.Keys != "" {
		<-t.SendDTMF(c.Keys)
	}
	t.Loop(voice(user))
	end := time.NewTimer(talk)
	defer end.Stop()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for on := true; on; {
		select {
		case <-look.C:
			r.heard = r.heard || t.Loudness() > 0.005
		case <-end.C:
			on = false
		case <-t.Ended():
			on = false
		case <-ctx.Done():
			on = false
		}
	}
	r.talk, r.stats = time.Since(start)-r.setup, t.Stats()
	bye, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	r.err = t.Hangup(bye)
	r.ended = t.Reason()
	if r.err == nil && r.stats.Received == 0 && c.GiveUp == 0 {
		r.err = errors.New("no audio received")
	}
	return r
}

// voice makes a caller's sound: syllables of a pitch of their own.
func voice(user string) *media.Prompt {
	pitch := 160.0
	for _, d := range user {
		pitch += float64(d-'0') * 3
	}
	var parts []*media.Prompt
	for i := range 8 {
		parts = append(parts, media.Tone(pitch*(1+0.12*float64(i%3)), 140*time.Millisecond), media.Pause(60*time.Millisecond))
	}
	return media.Concat(append(parts, media.Pause(500*time.Millisecond))...)
}

// summarize prints the table and returns how many calls failed.
func summarize(w io.Writer, results []result) int {
	var setups []time.Duration
	var received, sent uint64
	var lost int64
	var jitter time.Duration
	answered, heard, failed := 0, 0, 0
	reasons := map[string]int{}
	for _, r := range results {
		if r.err != nil {
			failed++
			reasons[r.err.Error()]++
		}
		if !r.answered {
			continue
		}
		answered++
		setups = append(setups, r.setup)
		received, sent, lost, jitter = received+r.stats.Received, sent+r.stats.Sent, lost+r.stats.Lost, max(jitter, r.stats.Jitter)
		if r.heard {
			heard++
		}
	}
	slices.Sort(setups)
	at := func(share float64) time.Duration {
		if len(setups) == 0 {
			return 0
		}
		return setups[min(len(setups)-1, int(share*float64(len(setups))))].Round(time.Millisecond)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name  string
		value any
	}{
		{"呼叫 calls", len(results)}, {"接通 answered", answered}, {"听到声音 heard audio", heard}, {"失败 failed", failed},
		{"接通时延中位 setup p50", at(0.5)}, {"接通时延95% setup p95", at(0.95)},
		{"收到RTP包 packets received", received}, {"发出RTP包 packets sent", sent}, {"丢包 lost", lost},
		{"最大抖动 max jitter", jitter.Round(100 * time.Microsecond)},
	} {
		fmt.Fprintf(t, "%s\t%v\n", row.name, row.value)
	}
	for reason, n := range reasons {
		fmt.Fprintf(t, "原因 reason\t%d × %s\n", n, reason)
	}
	if err := t.Flush(); err != nil {
		return max(failed, 1)
	}
	return failed
}
