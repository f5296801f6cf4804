package pg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ClusterOptions says where a private PostgreSQL cluster lives. DataDir is
// required.
type ClusterOptions struct {
	BinDir   string // folder of initdb and postgres; "": the machine is searched, see FindBinaries
	DataDir  string // made when missing; must hold nothing else; given to the server's user when we are root
	Volatile bool   // no fsync: for tests, whose data may be lost with the machine
	Log      *slog.Logger
}

// Cluster is a private PostgreSQL server run from the machine's own binaries.
// It listens on a unix socket only, in a folder only its user may enter, and
// it ends with this process, even when that is killed. Made by StartCluster.
// Safe for concurrent use.
type Cluster struct {
	at    layout
	claim *os.File // held until Stop
	cmd   *exec.Cmd
	done  chan struct{} // closed when the server has ended
	exit  error         // of the server; read after done
}

const (
	settleFor  = 15 * time.Second       // how long a killed server may take to leave its folder
	retryEvery = 100 * time.Millisecond // between looks at it
	readyFor   = 60 * time.Second       // how long recovery may take
	stopFor    = 20 * time.Second       // how long an ordered stop may take
)

// StartCluster makes the cluster when the folder is empty, starts it and
// returns when it takes connections. While another process serves the folder
// it fails at once with the other's pid; what a killed one left behind is
// waited for (15 s at most), cleaned up and recovered from. ctx bounds the
// start only.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.DataDir == "" {
		return nil, errors.New("start postgresql: DataDir is required")
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder %s: %w", o.DataDir, err)
	}
	c := &Cluster{at: layoutOf(dir)}
	if o.BinDir, err = chooseBinaries(ctx, o.BinDir, c.at.data); err != nil {
		return nil, err
	}
	cred, err := unprivileged(c.at.data)
	if err != nil {
		return nil, err
	}
	if err := c.at.prepare(cred); err != nil {
		return nil, err
	}
	if c.claim, err = c.at.claim(); err != nil {
		return nil, err
	}
	if err := c.run(ctx, o, cred); err != nil {
		_ = c.claim.Close()
		return nil, err
	}
	o.Log.Info("postgresql started", "component", "pg", "data_dir", dir, "pid", c.PID())
	return c, nil
}

// run initialises the folder if need be and starts the server, again and
// again while an older one is still on its way out.
func (c *Cluster) run(ctx context.Context, o ClusterOptions, cred *syscall.Credential) error {
	if err := initialise(ctx, o, c.at.data, cred); err != nil {
		return err
	}
	settle, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	for {
		err := c.at.clearStale()
		if err == nil {
			err = c.start(ctx, o, cred)
			if err == nil {
				return nil
			}
			if !strings.Contains(err.Error(), "lock file") && !strings.Contains(err.Error(), "shared memory") {
				return err
			}
		}
		select {
		case <-settle.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(retryEvery):
		}
	}
}

// command makes a command of the server's user in its own process group, so
// that the terminal's Ctrl-C does not reach it before us, with an environment
// that is the same on every machine.
func command(ctx context.Context, cred *syscall.Credential, dies syscall.Signal, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true, Pdeathsig: dies}
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/nonexistent", "TZ=UTC"}
	cmd.Dir = "/"
	return cmd
}

func initialise(ctx context.Context, o ClusterOptions, data string, cred *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at cluster %s: %w", data, err)
	}
	// A killed initdb leaves a half-made folder: make it beside, then rename.
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear %s: %w", fresh, err)
	}
	// Under LC_CTYPE C Chinese text has no letters; LC_COLLATE C keeps keys in
	// byte order. Anybody who can enter the socket's folder (0700) is trusted.
	args := []string{"-D", fresh, "-U", superuser, "-A", "trust", "-E", "UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C", "--no-instructions"}
	if o.Volatile {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	runtime.LockOSThread() // Pdeathsig goes by thread
	defer runtime.UnlockOSThread()
	if out, err := command(ctx, cred, syscall.SIGKILL, filepath.Join(o.BinDir, "initdb"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", fresh, err, bytes.TrimSpace(out))
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("publish new cluster: %w", err)
	}
	return nil
}

// superuser is the one role of a private cluster.
const superuser = "hotline"

// settings returns the server's settings. They stand on the command line, so
// that an edited postgresql.conf cannot make the cluster reachable or forget.
func settings(o ClusterOptions) []string {
	s := []string{
		"listen_addresses=", "unix_socket_permissions=0700",
		"max_connections=100", "shared_buffers=128MB", "max_wal_size=1GB", "wal_compression=on",
		"timezone=UTC", "log_timezone=UTC", "jit=off", "random_page_cost=1.1",
		// Statements and DETAIL lines hold people's data: keep them out of the log.
		"log_min_messages=warning", "log_min_error_statement=panic", "log_error_verbosity=terse", "log_line_prefix=%m [%p] ",
	}
	if o.Volatile {
		return append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=32MB")
	}
	return append(s, "fsync=on", "synchronous_commit=on", "full_page_writes=on")
}

// maxLog is the size in bytes from which a start puts the log aside.
const maxLog = 4 << 20

func (c *Cluster) start(ctx context.Context, o ClusterOptions, cred *syscall.Credential) error {
	args := []string{"-D", c.at.data, "-k", c.at.socket, "-p", "5432"}
	for _, s := range settings(o) {
		args = append(args, "-c", s)
	}
	// SIGINT is PostgreSQL's fast shutdown: committed work is kept and the
	// next start needs no recovery. ctx ends the wait below, not the server.
	c.cmd = command(context.WithoutCancel(ctx), cred, syscall.SIGINT, filepath.Join(o.BinDir, "postgres"), args...)
	if info, err := os.Stat(c.at.log); err == nil && info.Size() > maxLog {
		if err := os.Rename(c.at.log, c.at.log+".old"); err != nil {
			return fmt.Errorf("put postgres.log aside: %w", err)
		}
	}
	// The server's words go to a file: a pipe would end it when we are killed.
	said, err := os.OpenFile(c.at.log, os.O_CREATE|os.O_APPEND|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open postgres.log: %w", err)
	}
	defer said.Close()
	before, err := said.Stat()
	if err != nil {
		return fmt.Errorf("look at postgres.log: %w", err)
	}
	c.cmd.Stdout, c.cmd.Stderr = said, said
	c.done = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the THREAD that made the child
		// ends, so this thread lives as long as the child (prctl(2)).
		runtime.LockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.exit = c.cmd.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	deadline := time.NewTimer(readyFor)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			words := make([]byte, 4096)
			n, _ := said.ReadAt(words, before.Size())
			return fmt.Errorf("postgres ended: %v: %s", c.exit, bytes.TrimSpace(words[:n]))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), c.end(context.WithoutCancel(ctx)))
		case <-deadline.C:
			return errors.Join(fmt.Errorf("postgres was not ready after %v, see %s", readyFor, c.at.log), c.end(ctx))
		case <-tick.C:
			if c.ready() {
				return nil
			}
		}
	}
}

// ready reads the eighth line of the lock file, where the server says so
// (PostgreSQL, miscadmin.h: LOCK_FILE_LINE_PM_STATUS).
func (c *Cluster) ready() bool {
	b, err := os.ReadFile(filepath.Join(c.at.data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" || lines[0] != strconv.Itoa(c.PID()) {
		return false
	}
	conn, err := net.Dial("unix", filepath.Join(c.at.socket, ".s.PGSQL.5432"))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// DSN returns the connection string of a database of the cluster. A new
// cluster has only the database "postgres"; see EnsureDatabase.
func (c *Cluster) DSN(db string) string {
	return fmt.Sprintf("host=%s port=5432 user=%s dbname=%s", quote(c.at.socket), superuser, quote(db))
}

// plain values need no quotes in a keyword/value connection string.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// EnsureDatabase makes a database in UTF-8 with Chinese letters; one that
// exists is left as it is.
func (c *Cluster) EnsureDatabase(ctx context.Context, db string) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: %w", db, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var have bool
	if err := conn.QueryRow(ctx, hasDatabase, db).Scan(&have); err != nil {
		return fmt.Errorf("look for database %s: %w", db, err)
	}
	if have {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{db}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", db, err)
	}
	return nil
}

const hasDatabase = `select exists (select from pg_database where datname = $1)`

// Running returns the connection string of a database of the cluster that
// another process runs in a data folder; false when nobody runs one there.
func Running(dataDir, db string) (dsn string, ok bool) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", false
	}
	c := &Cluster{at: layoutOf(dir)}
	b, err := os.ReadFile(filepath.Join(c.at.data, "postmaster.pid"))
	if err != nil {
		return "", false
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 0 || !serves(pid, c.at.data) {
		return "", false
	}
	return c.DSN(db), true
}

// PID returns the server's process.
func (c *Cluster) PID() int { return c.cmd.Process.Pid }

// Exited is closed when the server has ended, by Stop or by itself. A program
// that did not call Stop should then end too.
func (c *Cluster) Exited() <-chan struct{} { return c.done }

// Stop ends the server in order (fast shutdown: open transactions are rolled
// back) and waits for it; when ctx ends or 20 s pass, by force, which costs a
// recovery at the next start but no committed work. Safe twice.
func (c *Cluster) Stop(ctx context.Context) error {
	err := c.end(ctx)
	if filepath.Dir(c.at.socket) != c.at.dir {
		_ = os.Remove(c.at.socket) // in the folder for temporary things; the next start makes it again
	}
	_ = c.claim.Close()
	return err
}

func (c *Cluster) end(ctx context.Context) error {
	force := time.NewTimer(stopFor)
	defer force.Stop()
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	case <-force.C:
	}
	_ = c.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return errors.New("postgres did not stop in time and was ended by force")
}
