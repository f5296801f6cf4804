package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// TestDatabaseAwayInATalk: PostgreSQL stands still while one call is talking
// and another arrives, is answered and ends. Nobody on the telephone notices;
// when it goes on every fact is there once.
func TestDatabaseAwayInATalk(t *testing.T) {
	t.Parallel()
	if _, err := pg.FindBinaries(); err != nil {
		hotlinetest.Missing(t, "PostgreSQL")
	}
	dir, err := os.MkdirTemp("", "hotline-away-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	cluster, err := pg.StartCluster(t.Context(), pg.ClusterOptions{DataDir: filepath.Join(dir, "pg"), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if stopped {
			_ = signalServer(cluster.PID(), syscall.SIGCONT)
		}
		_ = cluster.Stop(context.Background())
	})
	if err := cluster.EnsureDatabase(t.Context(), databaseName); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.DatabaseURL = cluster.DSN(databaseName)
	c := startTown(t, cfg)
	t.Cleanup(c.stop)
	for _, ext := range []string{"1001", "1002"} {
		c.registered(ext, siptest.Options{OnTalk: func(talk *siptest.Talk) { talk.Loop(media.Tone(900, time.Second)) }})
	}
	long := dial(t, cfg.SIP.UDPAddr, "13905630001")
	if err := signalServer(cluster.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped = true
	begun := time.Now()
	short := dial(t, cfg.SIP.UDPAddr, "13905630002")
	if err := short.Hangup(t.Context()); err != nil {
		t.Error(err)
	}
	hotlinetest.Eventually(t, 20*time.Second, "facts wait in the spool", func() bool { return c.calls.Pending() >= 7 })
	hotlinetest.Eventually(t, 30*time.Second, "twenty seconds without a database", func() bool { return time.Since(begun) > 20*time.Second })
	select {
	case <-long.Ended():
		t.Error("the talk ended with the database")
	default:
	}
	if long.Level(900) < 0.25 {
		t.Error("the caller does not hear the agent any more")
	}
	if err := signalServer(cluster.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	stopped = false
	if err := long.Hangup(t.Context()); err != nil {
		t.Error(err)
	}
	for _, call := range c.login("dispatcher").calls(2) {
		if call.AnsweredAt == nil || call.EndReason != hotline.EndNormal || call.EndedBy != "caller" || !call.HasAudio {
			t.Errorf("record %+v", call)
		}
	}
	var calls, facts, distinct int
	if err := c.pool.QueryRow(t.Context(), "select count(distinct call_id), count(*), count(distinct (call_id, seq)) from call_fact").Scan(&calls, &facts, &distinct); err != nil {
		t.Fatal(err)
	}
	if calls != 2 || facts != 14 || distinct != facts {
		t.Errorf("%d facts, %d distinct, of %d calls; want the seven of each of two calls", facts, distinct, calls)
	}
}

// signalServer signals the server and every process it has started; each has a
// group of its own.
func signalServer(pid int, s syscall.Signal) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	errs := []error{syscall.Kill(pid, s)}
	for f := range strings.FieldsSeq(string(b)) {
		child, err := strconv.Atoi(f)
		if err != nil {
			return err
		}
		errs = append(errs, syscall.Kill(child, s))
	}
	return errors.Join(errs...)
}
