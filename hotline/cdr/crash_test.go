package cdr

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// The environment that makes this test program the process to be killed.
const (
	childDSN   = "CDR_TEST_CHILD_DSN"
	childSpool = "CDR_TEST_CHILD_SPOOL"
)

const childFacts = 1000

// childStories are the facts the child reports: the calls interleaved, as on a
// floor.
func childStories() []hotline.CallFact {
	var all []hotline.CallFact
	for i := 0; len(all) < childFacts; i++ {
		group := make([][]hotline.CallFact, 4)
		for j := range group {
			group[j] = story(hotline.CallID(fmt.Sprintf("c%d-%d", i, j)), start.Add(time.Duration(i)*time.Second))
		}
		for n := range group[0] {
			for j := range group {
				all = append(all, group[j][n])
			}
		}
	}
	return all[:childFacts]
}

// TestReportingChild is not a test of its own: it reports facts, and each one
// that was taken on its output, until it is killed.
func TestReportingChild(t *testing.T) {
	dsn := os.Getenv(childDSN)
	if dsn == "" {
		return // nobody asked for the child
	}
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, options(t, pool, os.Getenv(childSpool)))
	run(t, l)
	for _, f := range childStories() {
		l.Report(f)
		fmt.Printf("took %s %d\n", f.CallID, f.Seq)
	}
	time.Sleep(time.Minute) // killed before
}

// TestKilledWhileReporting kills the process with SIGKILL at several moments:
// after a restart each fact it had taken is in the tables once, with one
// message, and each record is the fold of its facts.
func TestKilledWhileReporting(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 300, 700, childFacts} {
		t.Run(fmt.Sprintf("after %d facts", after), func(t *testing.T) {
			t.Parallel()
			pool := hotlinetest.DB(t)
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestReportingChild$")
			cmd.Env = append(os.Environ(), childDSN+"="+pool.Config().ConnString(), childSpool+"="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			taken := map[factKey]bool{}
			for lines := bufio.NewScanner(out); lines.Scan(); {
				var k factKey
				if _, err := fmt.Sscanf(lines.Text(), "took %s %d", &k.call, &k.seq); err != nil {
					continue
				}
				taken[k] = true
				if len(taken) == after {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait()
			if len(taken) < after {
				t.Fatalf("the child took only %d facts", len(taken))
			}

			l := open(t, options(t, pool, dir))
			run(t, l)
			hotlinetest.Eventually(t, 20*time.Second, "spool replayed, lost calls ended", func() bool {
				if l.Pending() > 0 { // first: lost calls are ended after the replay
					return false
				}
				var n int
				err := pool.QueryRow(ctx, `select count(*) from call where ended_at is null`).Scan(&n)
				return err == nil && n == 0
			})
			rows, err := pool.Query(ctx, `select call_id, seq from call_fact where reason <> 'node_lost'`)
			if err != nil {
				t.Fatal(err)
			}
			stored := map[factKey]bool{}
			for rows.Next() {
				var k factKey
				if err := rows.Scan(&k.call, &k.seq); err != nil {
					t.Fatal(err)
				}
				stored[k] = true
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			for k := range taken {
				if !stored[k] {
					t.Errorf("lost: %v", k)
				}
			}
			checkConsistent(t, pool, l)
		})
	}
}

// checkConsistent compares every record with the fold of its facts, and counts
// one message for each fact.
func checkConsistent(t *testing.T, pool *pgxpool.Pool, l *Ledger) {
	t.Helper()
	var facts, messages, distinct, calls int
	if err := pool.QueryRow(t.Context(), `select (select count(*) from call_fact), (select count(*) from outbox),
		(select count(distinct (key, kind, payload::text)) from outbox), (select count(*) from call)`).Scan(&facts, &messages, &distinct, &calls); err != nil {
		t.Fatal(err)
	}
	if facts == 0 || facts != messages || distinct != messages {
		t.Errorf("%d facts, %d messages, %d different ones", facts, messages, distinct)
	}
	page := Page{}
	seen := 0
	for first := true; first || page.Next != ""; first = false {
		var err error
		if page, err = l.List(t.Context(), admin, CallQuery{Limit: 200, Cursor: page.Next}); err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Calls {
			seen++
			var last int
			if err := pool.QueryRow(t.Context(), `select max(seq) from call_fact where call_id = $1 and reason <> 'node_lost'`, c.ID).Scan(&last); err != nil {
				t.Fatal(err)
			}
			if want := last == 9; (c.EndReason == hotline.EndNormal) != want || (c.EndReason == hotline.EndNodeLost) == want || (c.AnsweredAt != nil) != (last >= 7) {
				t.Errorf("%s with %d facts: ended %q, answered %v", c.ID, last, c.EndReason, c.AnsweredAt)
			}
		}
	}
	if seen != calls {
		t.Errorf("listed %d of %d calls", seen, calls)
	}
}

// cable is a network that can be cut.
type cable struct {
	cut   atomic.Bool
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.cut.Load() {
		return nil, errors.New("cable is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *cable) pull() {
	c.cut.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// TestDatabaseAway cuts the connections in the middle of reporting, twice, and
// once from the start: reports go on, and everything arrives once afterwards.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	config := pool.Config()
	net := &cable{}
	config.ConnConfig.DialFunc = net.dial
	net.cut.Store(true)
	frail, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(frail.Close)
	log := &syncBuffer{}
	o := options(t, frail, t.TempDir())
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	l := open(t, o)
	stop := run(t, l)
	facts := childStories()
	var slowest time.Duration
	report := func(n int) {
		for _, f := range facts[:n] {
			begun := time.Now()
			l.Report(f)
			slowest = max(slowest, time.Since(begun))
		}
		facts = facts[n:]
	}
	report(200)
	hotlinetest.Eventually(t, 10*time.Second, "the ledger notices", func() bool { return strings.Contains(log.String(), "call facts not stored") })
	if l.Pending() != 200 {
		t.Errorf("pending %d, want 200", l.Pending())
	}
	net.cut.Store(false)
	drained(t, l)
	report(300)
	net.pull()
	report(300)
	net.cut.Store(false)
	report(100)
	drained(t, l)
	net.pull()
	report(100)
	if l.Pending() == 0 {
		t.Error("nothing waits although the database is away")
	}
	net.cut.Store(false)
	drained(t, l)
	stop()
	if !strings.Contains(log.String(), "stored again") {
		t.Error("no word that the database is back")
	}
	var n int
	if err := pool.QueryRow(t.Context(), `select count(*) from call_fact`).Scan(&n); err != nil || n != childFacts {
		t.Errorf("%d facts stored, %v, want %d", n, err, childFacts)
	}
	rows, err := pool.Query(t.Context(), `select key, kind from outbox order by id`)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]string{}
	for rows.Next() {
		var key, kind string
		if err := rows.Scan(&key, &kind); err != nil {
			t.Fatal(err)
		}
		kinds[key] = append(kinds[key], strings.TrimPrefix(kind, "call."))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, f := range story("x", start) {
		order = append(order, string(f.Kind))
	}
	for key, got := range kinds {
		if !slices.Equal(got, order[:len(got)]) {
			t.Errorf("messages of %s out of order: %v", key, got)
		}
	}
	t.Logf("slowest report while the database came and went: %v", slowest)
}
