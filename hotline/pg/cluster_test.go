package pg_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

// TestMain lets the test binary be the parent that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOTLINE_TEST_CLUSTER"); dir != "" {
		beKilled(dir)
	}
	os.Exit(m.Run())
}

// beKilled starts a cluster, commits rows and says the count after each, for ever.
func beKilled(dir string) {
	ctx := context.Background()
	c, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	if _, err := conn.Exec(ctx, "create table if not exists kept (n int)"); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("pid", c.PID())
	for n := 1; ; n++ {
		if _, err := conn.Exec(ctx, "insert into kept values ($1)", n); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("kept", n)
	}
}

// clusterDir is a folder the database user can reach.
func clusterDir(t *testing.T) string {
	t.Helper()
	if _, err := pg.FindBinaries(); err != nil {
		hotlinetest.Missing(t, "PostgreSQL")
	}
	dir, err := os.MkdirTemp("", "hotline-pg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "pg")
}

func TestClusterKeepsCommittedRowsAfterKill9(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOTLINE_TEST_CLUSTER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kept, server := 0, 0
	for s := bufio.NewScanner(out); s.Scan() && kept < 50; {
		word, rest, _ := strings.Cut(s.Text(), " ")
		switch word {
		case "pid":
			server, _ = strconv.Atoi(rest)
		case "kept":
			kept, _ = strconv.Atoi(rest)
		default:
			t.Fatal(s.Text())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	c, err := pg.StartCluster(t.Context(), pg.ClusterOptions{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	if c.PID() == server {
		t.Error("the old server answered")
	}
	conn, err := pgx.Connect(t.Context(), c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), "select count(*) from kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n < kept {
		t.Errorf("%d rows after kill -9, %d were committed", n, kept)
	}
	for _, s := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var v string
		if err := conn.QueryRow(t.Context(), "select current_setting($1)", s).Scan(&v); err != nil || v != "on" {
			t.Errorf("%s is %q, err %v", s, v, err)
		}
	}
	// A second server on the same folder is told who has it.
	if _, err := pg.StartCluster(t.Context(), pg.ClusterOptions{DataDir: dir}); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second start: %v, want the holder %d named", err, os.Getpid())
	}
}

func TestClusterStaleLockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c, err := pg.StartCluster(t.Context(), pg.ClusterOptions{DataDir: dir, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock := fmt.Sprintf("%d\n%s\n", os.Getpid(), dir)
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(lock), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if c, err = pg.StartCluster(t.Context(), pg.ClusterOptions{DataDir: dir, Volatile: true}); err != nil {
		t.Fatal(err)
	}
	defer c.Stop(context.Background())
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("warm start took %v, want under 5 s", took)
	}
	// Ctrl-C at the terminal goes to our group only, not to the server's.
	if pgid, err := syscall.Getpgid(c.PID()); err != nil || pgid != c.PID() {
		t.Errorf("server's process group %d, err %v, want its own", pgid, err)
	}
}

func TestOpenRefusesLocaleC(t *testing.T) {
	t.Parallel()
	dsn := hotlinetest.DSN(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	name := "locale_c_" + conn.Config().Database
	if _, err := conn.Exec(t.Context(), "create database "+name+" lc_ctype 'C' lc_collate 'C' template template0"); err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(dsn, "dbname="+conn.Config().Database, "dbname="+name, 1)
	if _, err := pg.Open(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "C.UTF-8") {
		t.Errorf("got %v, want advice about C.UTF-8", err)
	}
	if _, err := conn.Exec(t.Context(), "drop database "+name+" with (force)"); err != nil {
		t.Error(err)
	}
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	if err := pg.Migrate(t.Context(), pool); err != nil {
		t.Error(err)
	}
	if _, err := pool.Exec(t.Context(), "insert into goose_db_version (version_id, is_applied) values (99999, true)"); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "99999") {
		t.Errorf("newer schema: %v, want a refusal", err)
	}
}

func TestRequestKeys(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	k := pg.RequestKeys{Pool: hotlinetest.DB(t)}
	if _, first, err := k.Begin(ctx, "orders", "k1", []byte("a")); err != nil || !first {
		t.Fatalf("first: %v, %v", first, err)
	}
	if _, first, err := k.Begin(ctx, "orders", "k1", []byte("a")); first || hotline.ErrorCode(err) != hotline.Conflict {
		t.Errorf("while under way: %v, %v", first, err)
	}
	if err := k.Finish(ctx, "orders", "k1", pg.Answer{Status: 201, Body: []byte("made")}); err != nil {
		t.Fatal(err)
	}
	a, first, err := k.Begin(ctx, "orders", "k1", []byte("a"))
	if err != nil || first || a.Status != 201 || string(a.Body) != "made" {
		t.Errorf("again: %+v, %v, %v", a, first, err)
	}
	if _, _, err := k.Begin(ctx, "orders", "k1", []byte("b")); hotline.ErrorCode(err) != hotline.Conflict {
		t.Errorf("other request: %v", err)
	}
}

func TestJobRunsOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := pg.JobRuns{Pool: hotlinetest.DB(t)}
	due := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	claim := func(want bool) {
		t.Helper()
		if got, err := r.Claim(ctx, "daily", due, "n"); err != nil || got != want {
			t.Errorf("claim: %v, %v, want %v", got, err, want)
		}
	}
	claim(true)
	claim(false)
	if err := r.Finish(ctx, "daily", due, context.DeadlineExceeded); err != nil {
		t.Fatal(err)
	}
	if u, err := r.Unfinished(ctx, "daily"); err != nil || len(u) != 1 {
		t.Errorf("unfinished %v, %v", u, err)
	}
	claim(true) // it failed
	if err := r.Finish(ctx, "daily", due, nil); err != nil {
		t.Fatal(err)
	}
	claim(false)
	if last, ok, err := r.Last(ctx, "daily"); err != nil || !ok || !last.Equal(due) {
		t.Errorf("last %v %v %v", last, ok, err)
	}
}
