package hotlinetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline/pg"
)

// server is where this process's test databases are made.
type server struct {
	dsn      func(db string) string
	template string    // migrated; each test gets a copy
	alive    io.Closer // its end tells the watcher that this process is gone
}

// shared is the process's one server, started by the first test that asks.
var shared = sync.OnceValues(startShared)

// DB returns a pool on a database of the test's own with all migrations. Both
// are gone when the test ends.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// DSN is DB for tests that open the database themselves. The database is
// dropped, whoever is still connected, when the test ends.
func DSN(t testing.TB) string {
	t.Helper()
	if os.Getenv("HOTLINE_TEST_DSN") == "" {
		if _, err := pg.FindBinaries(); err != nil {
			Missing(t, "PostgreSQL")
		}
	}
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := s.admin("create database " + name + " template " + s.template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.admin("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
	})
	return s.dsn(name)
}

// admin runs one statement outside the test databases.
func (s *server) admin(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func startShared() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if dsn := os.Getenv("HOTLINE_TEST_DSN"); dsn != "" {
		return useServer(ctx, dsn)
	}
	return startCluster(ctx)
}

// useServer takes a server that runs already.
func useServer(ctx context.Context, dsn string) (*server, error) {
	s := &server{dsn: func(db string) string { return withDatabase(dsn, db) }, template: "hotline_template_" + pg.SchemaHash()}
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return nil, fmt.Errorf("connect to HOTLINE_TEST_DSN: %w", err)
	}
	defer conn.Close(ctx)
	// Packages are tested side by side: one makes the template, freed with the connection.
	if _, err := conn.Exec(ctx, "select pg_advisory_lock(7012345099)"); err != nil {
		return nil, err
	}
	var have bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", s.template).Scan(&have); err != nil || have {
		return s, err
	}
	fresh := s.template + "_new"
	for _, sql := range []string{
		"drop database if exists " + fresh + " with (force)",
		"create database " + fresh + " encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8' template template0",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	if err := migrate(ctx, s.dsn(fresh)); err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "alter database "+fresh+" rename to "+s.template)
	return s, err
}

// withDatabase names another database in a connection string of either form.
func withDatabase(dsn, db string) string {
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		u.Path = "/" + db
		return u.String()
	}
	return dsn + " dbname=" + db // the last one counts
}

func migrate(ctx context.Context, dsn string) error {
	pool, err := pg.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	return pg.Migrate(ctx, pool)
}

// template is the migrated database in the kept data folder.
const template = "hotline_template"

// startCluster copies an initialised and migrated data folder, kept between
// runs under a name made of the schema, and starts a cluster on the copy: a
// fifth of a second instead of three.
func startCluster(ctx context.Context) (*server, error) {
	root := filepath.Join(os.TempDir(), "hotline-test-"+strconv.Itoa(os.Getuid()))
	if err := errors.Join(os.MkdirAll(root, 0o711), os.Chmod(root, 0o711)); err != nil {
		return nil, err
	}
	guard, err := lock(ctx, filepath.Join(root, "lock"))
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	ready := filepath.Join(root, "schema-"+pg.SchemaHash())
	sweep(root, ready)
	if _, err := os.Stat(ready); err != nil {
		if err := makeTemplate(ctx, ready); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if err := os.Chtimes(ready, now, now); err != nil { // in use: see sweep
		return nil, err
	}
	mine := filepath.Join(root, "run-"+strconv.Itoa(os.Getpid()))
	if out, err := exec.CommandContext(ctx, "cp", "-a", ready, mine).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy template cluster: %w: %s", err, out)
	}
	alive, err := watch(mine)
	if err != nil {
		return nil, err
	}
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: mine, Volatile: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return &server{dsn: c.DSN, template: template, alive: alive}, nil
}

// lock takes a file lock that is freed when the file is closed.
func lock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// watch starts a shell that removes the folder once this process and its
// server have ended, however they end: its standard input ends with us.
func watch(dir string) (io.Closer, error) {
	cmd := exec.Command("sh", "-c", `cat >/dev/null; n=0
while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
rm -rf "$1"`, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not the terminal's Ctrl-C
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return in, cmd.Start()
}

// sweep drops what watchers left behind: folders of processes that are gone,
// and kept data folders of other schemas that nobody used for an hour.
func sweep(root, ready string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if pid, ok := strings.CutPrefix(e.Name(), "run-"); ok {
			n, err := strconv.Atoi(pid)
			if err == nil && (n == os.Getpid() || errors.Is(syscall.Kill(n, 0), syscall.ESRCH)) {
				_ = os.RemoveAll(path)
			}
			continue
		}
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), "schema-") && path != ready && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(path)
		}
	}
}

func makeTemplate(ctx context.Context, ready string) error {
	fresh := ready + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: fresh, Volatile: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = c.EnsureDatabase(ctx, template)
	if err == nil {
		err = migrate(ctx, c.DSN(template))
	}
	if err = errors.Join(err, c.Stop(ctx)); err != nil {
		return err
	}
	return os.Rename(fresh, ready)
}
