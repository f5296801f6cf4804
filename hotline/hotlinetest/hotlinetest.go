// Package hotlinetest gives tests the real things: a fresh migrated database
// on a private PostgreSQL cluster, Redis in both kinds, a clock that is moved
// by hand. Tests only. Without PostgreSQL or redis-server a test is skipped on
// a developer's machine and fails where CI=true.
package hotlinetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"hotline12345/hotline/live"
	"hotline12345/hotline/pg"
)

// Missing skips the test, or fails it in CI, where everything must be there.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}

// shared is the process's one cluster, started by the first test that asks.
var shared = sync.OnceValues(startShared)

var databases atomic.Int64

// template is the migrated database that each test gets a copy of.
const template = "hotline_template"

// DB returns a pool on a database of the test's own with all migrations, gone
// when the test ends.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// DSN is DB for tests that open the database themselves.
func DSN(t testing.TB) string {
	t.Helper()
	if _, err := pg.FindBinaries(); err != nil {
		Missing(t, "PostgreSQL")
	}
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	admin := func(sql string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, sql)
		return err
	}
	if err := admin("create database " + name + " template " + template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
	})
	return c.DSN(name)
}

// startShared copies an initialised and migrated data folder, kept between
// runs under a name made of the schema, and starts a cluster on the copy. The
// copy of an ended process is removed by the next one.
func startShared() (*pg.Cluster, error) {
	ctx := context.Background()
	root := filepath.Join(os.TempDir(), "hotline-test")
	if err := os.MkdirAll(root, 0o711); err != nil {
		return nil, err
	}
	if err := os.Chmod(root, 0o711); err != nil {
		return nil, err
	}
	guard, err := os.OpenFile(filepath.Join(root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	removeEnded(root)
	ready := filepath.Join(root, "schema-"+pg.SchemaHash())
	if _, err := os.Stat(ready); err != nil {
		if err := makeTemplate(ctx, ready); err != nil {
			return nil, err
		}
	}
	mine := filepath.Join(root, "run-"+strconv.Itoa(os.Getpid()))
	if out, err := exec.Command("cp", "-a", ready, mine).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy template cluster: %w: %s", err, out)
	}
	return pg.StartCluster(ctx, pg.ClusterOptions{DataDir: mine, Volatile: true})
}

// removeEnded drops the folders of test processes that are gone.
func removeEnded(root string) {
	dirs, _ := filepath.Glob(filepath.Join(root, "run-*"))
	for _, d := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), "run-"))
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(d)
		}
	}
}

func makeTemplate(ctx context.Context, ready string) error {
	fresh := ready + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: fresh, Volatile: true})
	if err != nil {
		return err
	}
	err = func() error {
		conn, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "create database "+template); err != nil {
			return err
		}
		pool, err := pg.Open(ctx, c.DSN(template))
		if err != nil {
			return err
		}
		defer pool.Close()
		return pg.Migrate(ctx, pool)
	}()
	if stopErr := c.Stop(ctx); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	return os.Rename(fresh, ready)
}

// UsesIndex fails the test when the planner, with sequential scans made
// expensive, does not use the index for the query, or sorts where the index
// should give the order.
func UsesIndex(t testing.TB, pool *pgxpool.Pool, index, sql string, args ...any) {
	t.Helper()
	ctx := t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "set local enable_seqscan = off; set local enable_bitmapscan = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(ctx, "explain (costs off) "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	if !strings.Contains(plan, index) {
		t.Errorf("plan does not use index %s:\n%s", index, plan)
	}
	if strings.Contains(sql, "order by") && strings.Contains(plan, "Sort") {
		t.Errorf("plan sorts, which the index %s should make needless:\n%s", index, plan)
	}
}

// Redis returns a client of an empty in-process server.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	l, err := live.Open(t.Context(), live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Client
}

// EachRedis runs the subtest on the in-process server and on a real
// redis-server, so that both pass one suite.
func EachRedis(t *testing.T, f func(t *testing.T, c *redis.Client)) {
	t.Helper()
	t.Run("inprocess", func(t *testing.T) { f(t, Redis(t)) })
	t.Run("server", func(t *testing.T) { f(t, redisServer(t)) })
}

func redisServer(t *testing.T) *redis.Client {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		Missing(t, "redis-server")
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	if len(sock) > 100 {
		short, err := os.MkdirTemp("", "r")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(short) })
		sock = filepath.Join(short, "s")
	}
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly", "no", "--dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	Eventually(t, 10*time.Second, "redis-server listens", func() bool {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	l, err := live.Open(t.Context(), live.Options{URL: "unix://" + sock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Client
}

// Eventually waits until ok is true, looking often, and fails the test when
// the time is up.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Clock is a hotline.Clock that moves only when told. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{now: t.UTC()} }

// Now returns the instant the clock stands at.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC()
}

// Add moves the clock by d.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
