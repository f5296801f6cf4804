package pg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ClusterOptions says where a private PostgreSQL cluster lives.
type ClusterOptions struct {
	BinDir   string // folder with initdb and postgres; "" searches the machine
	DataDir  string // made when missing; owned by the unprivileged user when root
	Volatile bool   // fsync off: for tests only
	Log      *slog.Logger
}

// Cluster is a private PostgreSQL server run from the machine's own binaries:
// unix socket only, ended with this process even on kill -9.
type Cluster struct {
	dir, socket string
	cmd         *exec.Cmd
	done        chan struct{}
	exit        error
}

// FindBinaries returns the folder with PostgreSQL's initdb and postgres. The
// error names, in both languages, what to install.
func FindBinaries() (string, error) {
	var try []string
	if d := os.Getenv("HOTLINE_PG_BIN"); d != "" {
		try = append(try, d)
	}
	for v := 18; v >= 14; v-- {
		try = append(try, fmt.Sprintf("/usr/lib/postgresql/%d/bin", v))
	}
	for _, name := range []string{"postgres", "initdb"} {
		if p, err := exec.LookPath(name); err == nil {
			if real, err := filepath.EvalSymlinks(p); err == nil {
				try = append(try, filepath.Dir(real))
			}
		}
	}
	for _, d := range try {
		if executable(filepath.Join(d, "initdb")) && executable(filepath.Join(d, "postgres")) {
			return d, nil
		}
	}
	return "", errors.New("没有找到 PostgreSQL 服务器程序（14 或更高版本），请安装：apt-get install --no-install-recommends postgresql；或用 HOTLINE_PG_BIN 指明目录，或在配置中给出 database_url" +
		" / no PostgreSQL server (14 or newer) found: install it with apt-get install --no-install-recommends postgresql, name its folder in HOTLINE_PG_BIN, or set database_url")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// unprivileged returns the user the server runs as: nil for ourselves, and
// "postgres" or "nobody" when we are root, as PostgreSQL refuses root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("以 root 启动需要用户 postgres 或 nobody / started as root: there is neither a user postgres nor nobody to run PostgreSQL as")
}

// StartCluster makes the cluster when the folder is empty, starts it and
// returns when it takes connections. A second start on the same folder is
// refused while the first lives; leftovers of a killed one are cleaned up and
// recovered from.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.BinDir == "" {
		dir, err := FindBinaries()
		if err != nil {
			return nil, err
		}
		o.BinDir = dir
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder %s: %w", o.DataDir, err)
	}
	cred, err := unprivileged()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, socket: socketDir(dir)}
	for _, d := range []string{dir, c.socket} {
		if err := ownDir(d, cred); err != nil {
			return nil, err
		}
	}
	if err := reachable(dir, cred); err != nil {
		return nil, err
	}
	if err := initialise(ctx, o, dir, cred); err != nil {
		return nil, err
	}
	// After kill -9 the old server may still be shutting down, or its lock
	// file may name a process that is gone.
	for attempt := 0; ; attempt++ {
		if err := c.clearStale(o.BinDir); err != nil {
			if attempt >= 50 {
				return nil, err
			}
		} else if err = c.start(ctx, o, cred); err == nil {
			o.Log.Info("postgresql started", "data_dir", dir, "pid", c.cmd.Process.Pid)
			return c, nil
		} else if attempt >= 50 || !strings.Contains(err.Error(), "lock file") && !strings.Contains(err.Error(), "shared memory") {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// socketDir keeps the unix socket in the data folder unless its path would be
// too long for a socket address (107 bytes on Linux).
func socketDir(dir string) string {
	if len(dir) < 85 {
		return filepath.Join(dir, "socket")
	}
	h := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), "hotline-"+hex.EncodeToString(h[:6]))
}

func ownDir(dir string, cred *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return fmt.Errorf("give folder %s to the database user: %w", dir, err)
		}
	}
	return os.Chmod(dir, 0o700)
}

// reachable checks that the unprivileged user can walk to the data folder.
func reachable(dir string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	for d := filepath.Dir(dir); d != "/"; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("look at folder %s: %w", d, err)
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("数据库用户无法进入目录 %s，请把数据目录放到别处（如 /var/lib/hotline）/ the database user cannot enter %s; put the data folder elsewhere, for example /var/lib/hotline", d, d)
		}
	}
	return nil
}

func command(cred *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/nonexistent", "TZ=UTC"}
	cmd.Dir = "/"
	return cmd
}

func initialise(ctx context.Context, o ClusterOptions, dir string, cred *syscall.Credential) error {
	data := filepath.Join(dir, "data")
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
	args := []string{"-D", fresh, "-U", "hotline", "-A", "trust", "-E", "UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C", "--no-instructions"}
	if o.Volatile {
		args = append(args, "--no-sync")
	}
	cmd := command(cred, filepath.Join(o.BinDir, "initdb"), args...)
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", fresh, err, bytes.TrimSpace(out))
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("publish new cluster: %w", err)
	}
	return nil
}

// clearStale looks at the lock file of an earlier server. A live server of
// this folder is an error; a lock that names anything else is removed.
func (c *Cluster) clearStale(binDir string) error {
	for _, lock := range []string{filepath.Join(c.dir, "data", "postmaster.pid"), filepath.Join(c.socket, ".s.PGSQL.5432.lock")} {
		b, err := os.ReadFile(lock)
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(b), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(first))
		if err == nil && ourServer(pid, filepath.Join(c.dir, "data")) {
			return fmt.Errorf("该数据目录的数据库已在运行（进程 %d），请先停止另一实例或换一个 --data-dir / the database of this folder is already running (pid %d); stop the other instance or choose another --data-dir", pid, pid)
		}
		if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove stale lock %s: %w", lock, err)
		}
	}
	return nil
}

// ourServer tells whether the process is a postgres with this data folder.
func ourServer(pid int, data string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && runtime.GOOS == "linux" {
			return false
		}
		return syscall.Kill(pid, 0) == nil
	}
	args := strings.Split(string(b), "\x00")
	for i := range args {
		if args[i] == "-D" && i+1 < len(args) && args[i+1] == data {
			return true
		}
	}
	return false
}

func (c *Cluster) start(ctx context.Context, o ClusterOptions, cred *syscall.Credential) error {
	durable := "on"
	if o.Volatile {
		durable = "off"
	}
	args := []string{"-D", filepath.Join(c.dir, "data"), "-k", c.socket, "-p", "5432"}
	for _, s := range []string{
		"listen_addresses=", "fsync=" + durable, "synchronous_commit=" + durable, "full_page_writes=" + durable,
		"max_connections=100", "shared_buffers=128MB", "timezone=UTC", "log_timezone=UTC", "jit=off",
		"wal_compression=on", "max_wal_size=1GB", "log_min_messages=warning", "random_page_cost=1.1",
	} {
		args = append(args, "-c", s)
	}
	c.cmd = command(cred, filepath.Join(o.BinDir, "postgres"), args...)
	// SIGINT is PostgreSQL's fast shutdown: committed work is kept and the
	// next start needs no recovery.
	c.cmd.SysProcAttr.Pdeathsig = syscall.SIGINT
	// The server's words go to a file: a pipe would end it when we are killed.
	said, err := os.OpenFile(filepath.Join(c.dir, "postgres.log"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open postgres.log: %w", err)
	}
	defer said.Close()
	c.cmd.Stdout, c.cmd.Stderr = said, said
	c.done = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the THREAD that made the child
		// ends, so this thread lives as long as the child.
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
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			words, _ := os.ReadFile(said.Name())
			return fmt.Errorf("postgres ended: %v: %s", c.exit, bytes.TrimSpace(words))
		case <-ctx.Done():
			_ = c.Stop(context.WithoutCancel(ctx))
			return ctx.Err()
		case <-deadline.C:
			_ = c.Stop(ctx)
			return errors.New("postgres was not ready after 60 s")
		case <-tick.C:
			if c.ready() {
				return nil
			}
		}
	}
}

// ready reads the eighth line of the lock file, where the server says so.
func (c *Cluster) ready() bool {
	b, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" || lines[0] != strconv.Itoa(c.cmd.Process.Pid) {
		return false
	}
	conn, err := net.Dial("unix", filepath.Join(c.socket, ".s.PGSQL.5432"))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// DSN returns the connection string of a database of the cluster.
func (c *Cluster) DSN(db string) string {
	return fmt.Sprintf("host=%s port=5432 user=hotline dbname=%s", c.socket, db)
}

// PID returns the server's process.
func (c *Cluster) PID() int { return c.cmd.Process.Pid }

// Stop ends the server in order (fast shutdown) and waits for it, by force
// after 20 s or when ctx ends. Safe twice.
func (c *Cluster) Stop(ctx context.Context) error {
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
	}
	_ = c.cmd.Process.Signal(syscall.SIGQUIT)
	<-c.done
	return errors.New("postgres did not stop in time and was ended by force")
}
