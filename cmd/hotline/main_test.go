package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

// TestMain lets the test binary be the program itself.
func TestMain(m *testing.M) {
	if os.Getenv("HOTLINE_BE_THE_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the hotline command as a newcomer types it.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "HOTLINE_BE_THE_PROGRAM=1"), env...)
	return cmd
}

// TestWorkdaysCommand: `hotline workdays --from 2026-02-13 --add 3` prints
// 2026-02-25 (the Spring Festival of 2026 with its make-up days).
func TestWorkdaysCommand(t *testing.T) {
	t.Parallel()
	out, err := program(t, nil, "workdays", "--from", "2026-02-13", "--add", "3").Output()
	if err != nil || strings.TrimSpace(string(out)) != "2026-02-25" {
		t.Errorf("got %q, %v", out, err)
	}
	cmd := program(t, nil, "workdays", "--from", "2026-12-31", "--add", "3")
	both, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(both), "暂定") {
		t.Errorf("a year without a notice: %q, %v", both, err)
	}
}

// TestFirstFaults: the errors a newcomer makes have an answer that helps.
func TestFirstFaults(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // the parallel subtests outlive this function
	dir := t.TempDir()
	bad := filepath.Join(dir, "hotline.yaml")
	if err := os.WriteFile(bad, []byte("http:\n  addr: 127.0.0.1:0\n  adress: x\nsip:\n  max_calls: many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{"http port taken", []string{"HTTP_ADDR=" + taken.Addr().String()}, []string{"demo", "--ephemeral", "--no-traffic"}, []string{"已被占用", "HTTP_ADDR"}},
		{"sip port taken", []string{"HTTP_ADDR=127.0.0.1:0", "SIP_ADDR=" + taken.Addr().String()}, []string{"demo", "--ephemeral", "--no-traffic"}, []string{"已被占用", "SIP_ADDR"}},
		{"data folder cannot be made", []string{"HTTP_ADDR=127.0.0.1:0"}, []string{"demo", "--no-traffic", "--data-dir", filepath.Join(plain, "x")}, []string{plain}},
		{"wrong dsn", []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/x", "HTTP_ADDR=127.0.0.1:0", "SIP_ADDR=" + freeSIPAddr(t)}, []string{"demo", "--no-traffic", "--ephemeral"}, []string{"database_url"}},
		{"unparsable dsn", []string{"DATABASE_URL=postgres://[", "HTTP_ADDR=127.0.0.1:0", "SIP_ADDR=" + freeSIPAddr(t)}, []string{"demo", "--no-traffic", "--ephemeral"}, []string{"DATABASE_URL", "postgres://"}},
		{"unknown key and wrong type at once", nil, []string{"check", "-c", bad}, []string{"hotline.yaml:3", "adress", "hotline.yaml:5", "max_calls"}},
		{"serve without a database", nil, []string{"serve"}, []string{"database_url", "hotline demo"}},
		{"no such date", nil, []string{"workdays", "--from", "2026-02-30", "--add", "1"}, []string{"日期"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := program(t, c.env, c.args...)
			done := make(chan struct{})
			defer close(done)
			go func() {
				select {
				case <-ctx.Done():
					_ = cmd.Process.Kill()
				case <-done:
				}
			}()
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("it succeeded: %s", out)
			}
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("the answer lacks %q:\n%s", w, out)
				}
			}
			if strings.Contains(string(out), "goroutine ") || strings.Contains(string(out), "panic:") {
				t.Errorf("a stack was shown:\n%s", out)
			}
		})
	}
}

// demo is a demo under way.
type demo struct {
	t    *testing.T
	cmd  *exec.Cmd
	http string
	took time.Duration // until it announced itself
}

func startDemo(t *testing.T, dir, http, sip string, env ...string) *demo {
	t.Helper()
	if _, err := pg.FindBinaries(); err != nil {
		hotlinetest.Missing(t, "PostgreSQL")
	}
	cmd := program(t, append([]string{"HTTP_ADDR=" + http, "SIP_ADDR=" + sip}, env...), "demo", "--no-traffic", "--data-dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	announced := make(chan string, 1)
	go func() {
		var said strings.Builder
		s := bufio.NewScanner(out)
		for s.Scan() {
			said.WriteString(s.Text() + "\n")
			if strings.Contains(s.Text(), "└──") {
				announced <- ""
			}
		}
		select {
		case announced <- said.String():
		default:
		}
	}()
	select {
	case said := <-announced:
		if said != "" {
			t.Fatalf("the demo ended: %s", said)
		}
	case <-time.After(120 * time.Second):
		t.Fatal("the demo did not start")
	}
	return &demo{t, cmd, http, time.Since(start)}
}

func (d *demo) healthy() {
	d.t.Helper()
	res, err := http.Get("http://" + d.http + "/readyz")
	if err != nil {
		d.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		d.t.Errorf("readyz: %d", res.StatusCode)
	}
}

// freeTCPAddr is a free port for HTTP.
func freeTCPAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestDemoStartsStopsAndSurvivesKill9: a demo beside another, ended in order
// by Ctrl-C; killed with -9 it leaves no server behind and the next start has
// yesterday's data, within five seconds (the race detector gets more).
func TestDemoStartsStopsAndSurvivesKill9(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hotline-demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	first := startDemo(t, filepath.Join(dir, "a"), freeTCPAddr(t), freeSIPAddr(t))
	second := startDemo(t, filepath.Join(dir, "b"), freeTCPAddr(t), freeSIPAddr(t))
	first.healthy()
	second.healthy()
	if err := second.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	if err := first.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	again := startDemo(t, filepath.Join(dir, "a"), freeTCPAddr(t), freeSIPAddr(t))
	again.healthy()
	if again.took > 20*time.Second {
		t.Errorf("the second start took %v", again.took)
	}
	dsn, ok := pg.Running(filepath.Join(dir, "a", "pg"), databaseName)
	if !ok {
		t.Fatal("no running cluster found in the data folder")
	}
	pool, err := pg.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var orders, days int
	if err := pool.QueryRow(t.Context(), "select count(*), count(distinct id / 10000000) from work_order").Scan(&orders, &days); err != nil {
		t.Fatal(err)
	}
	if orders < 20 || days != 1 {
		t.Errorf("%d orders of %d days after kill -9, want yesterday's once", orders, days)
	}
	if out, err := program(t, []string{"HTTP_ADDR=" + first.http}, "report", "daily", "--data-dir", filepath.Join(dir, "a"),
		"--date", yesterday().String(), "--out", filepath.Join(dir, "out")).CombinedOutput(); err != nil {
		t.Errorf("report daily: %v: %s", err, out)
	}
	html, err := os.ReadFile(filepath.Join(dir, "out", fmt.Sprintf("daily-%s.html", yesterday())))
	if err != nil || !strings.Contains(string(html), "每日汇总") {
		t.Errorf("the report: %v", err)
	}
}
