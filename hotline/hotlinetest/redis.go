package hotlinetest

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"hotline12345/hotline/live"
)

// Redis returns a client of an empty in-process server.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	l, err := live.Open(t.Context(), live.Options{Log: slog.New(slog.DiscardHandler)})
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // Pdeathsig goes by thread
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it keeps nothing
		<-ended
	})
	Eventually(t, 10*time.Second, "redis-server listens", func() bool {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	l, err := live.Open(t.Context(), live.Options{URL: "unix://" + sock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Client
}
