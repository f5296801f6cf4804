package pg_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

// TestTwoClustersSideBySide: one with a folder name too long for a socket.
func TestTwoClustersSideBySide(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := clusterDir(t)
	var conns []*pgx.Conn
	for _, d := range []string{dir, filepath.Join(filepath.Dir(dir), strings.Repeat("long", 25), "it's")} {
		c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: d, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			if _, ok := pg.Running(d, "x"); ok {
				t.Error("a stopped cluster is said to run")
			}
		})
		if err := c.EnsureDatabase(ctx, "hotline"); err != nil {
			t.Fatal(err)
		}
		if err := c.EnsureDatabase(ctx, "hotline"); err != nil {
			t.Errorf("a second time: %v", err)
		}
		dsn, ok := pg.Running(d, "hotline")
		if !ok || dsn != c.DSN("hotline") {
			t.Errorf("running: %q, %v, want %q", dsn, ok, c.DSN("hotline"))
		}
		pool, err := pg.Open(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		pool.Close()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		conns = append(conns, conn)
	}
	if _, err := conns[0].Exec(ctx, "create table only_here (n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := conns[1].Exec(ctx, "select n from only_here"); err == nil {
		t.Error("the clusters are one")
	}
	var addresses string
	if err := conns[0].QueryRow(ctx, "select current_setting('listen_addresses')").Scan(&addresses); err != nil || addresses != "" {
		t.Errorf("listens on %q, err %v", addresses, err)
	}
}

// TestClusterServerKilled: the server itself is killed; the next start recovers.
func TestClusterServerKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := clusterDir(t)
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "create table kept (n int); insert into kept values (1)"); err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(c.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Exited():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody is told that the server ended")
	}
	if err := c.Stop(ctx); err != nil {
		t.Errorf("stop after its end: %v", err)
	}
	if c, err = pg.StartCluster(ctx, pg.ClusterOptions{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	defer c.Stop(context.Background())
	if conn, err = pgx.Connect(ctx, c.DSN("postgres")); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, "select n from kept").Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d, err %v, want the committed row", n, err)
	}
}

// TestClusterLogHoldsNoData: a failing statement's values stay out of the log.
func TestClusterLogHoldsNoData(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := clusterDir(t)
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: dir, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop(context.Background())
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create table p (phone text primary key); insert into p values ('13800138000')"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "insert into p values ('13800138000')"); err == nil {
		t.Fatal("the key did not clash")
	}
	var log string
	hotlinetest.Eventually(t, 10*time.Second, "the failure is logged", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
		log = string(b)
		return err == nil && strings.Contains(log, "duplicate key")
	})
	if strings.Contains(log, "13800138000") {
		t.Errorf("the log holds the number:\n%s", log)
	}
}

func TestStartClusterFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(clusterDir(t))
	put := func(name, file, text string) string {
		t.Helper()
		d := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(d, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return d
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		o    pg.ClusterOptions
		want string
	}{
		{"no folder", pg.ClusterOptions{}, "DataDir is required"},
		{"somebody's folder", pg.ClusterOptions{DataDir: put("photos", "cat.jpg", "")}, "cat.jpg"},
		{"a link", pg.ClusterOptions{DataDir: link}, "not a folder of ours"},
		{"older version's cluster", pg.ClusterOptions{DataDir: put("old", "data/PG_VERSION", "13\n")}, "made by PostgreSQL 13"},
		{"no binaries there", pg.ClusterOptions{DataDir: filepath.Join(dir, "x"), BinDir: dir}, "ask version"},
	}
	if os.Geteuid() == 0 {
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, struct {
			name string
			o    pg.ClusterOptions
			want string
		}{"unreachable for the server's user", pg.ClusterOptions{DataDir: filepath.Join(closed, "pg")}, "cannot enter " + closed})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := pg.StartCluster(t.Context(), tt.o)
			if err == nil {
				_ = c.Stop(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFindBinaries(t *testing.T) { // not parallel: it changes the environment
	t.Run("a wrong HOTLINE_PG_BIN is not passed over", func(t *testing.T) {
		t.Setenv("HOTLINE_PG_BIN", t.TempDir())
		if d, err := pg.FindBinaries(); err == nil || !strings.Contains(err.Error(), "HOTLINE_PG_BIN") {
			t.Errorf("got %s, %v", d, err)
		}
	})
	t.Run("a right one is used", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"initdb", "postgres"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("HOTLINE_PG_BIN", dir)
		if d, err := pg.FindBinaries(); err != nil || d != dir {
			t.Errorf("got %s, %v, want %s", d, err, dir)
		}
	})
}
