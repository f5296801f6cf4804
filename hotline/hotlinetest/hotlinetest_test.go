package hotlinetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

var _ hotline.Clock = (*hotlinetest.Clock)(nil)

// TestDatabasesAreApart: what one test writes no other sees, and the schema is
// there.
func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	a, b := hotlinetest.DB(t), hotlinetest.DB(t)
	const put = `insert into reader_cursor (name, pos) values ('x', 1)`
	if _, err := a.Exec(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec(t.Context(), put); err != nil {
		t.Errorf("the second database is not fresh: %v", err)
	}
}

// TestLeavesNoLitter: a test process that ends takes its cluster's folder with
// it. The child is this binary, made to use a database and be killed.
func TestLeavesNoLitter(t *testing.T) {
	t.Parallel()
	if os.Getenv("HOTLINE_TEST_CHILD") != "" {
		hotlinetest.DB(t)
		_, _ = os.Stdout.WriteString("up\n")
		select {} // until killed
	}
	if os.Getenv("HOTLINE_TEST_DSN") != "" {
		t.Skip("HOTLINE_TEST_DSN names a server that is not ours")
	}
	if _, err := pg.FindBinaries(); err != nil {
		hotlinetest.Missing(t, "PostgreSQL")
	}
	// A folder name as long as on a build machine, reachable for the server's user.
	temp, err := os.MkdirTemp("", "hotline-litter-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o711); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeavesNoLitter$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "HOTLINE_TEST_CHILD=1", "TMPDIR="+temp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 64)
	n, _ := out.Read(said)
	runs := func() []string {
		dirs, _ := filepath.Glob(filepath.Join(temp, "hotline-test-*", "run-*"))
		return dirs
	}
	if !strings.HasPrefix(string(said[:n]), "up") || len(runs()) != 1 {
		t.Errorf("child said %q with folders %v", said[:n], runs())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	hotlinetest.Eventually(t, 20*time.Second, "the folder is gone", func() bool { return len(runs()) == 0 })
}

func TestUsesIndexCanFail(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	plan := hotlinetest.Plan(t, pool, "select name from reader_cursor where name = $1", "x")
	if !strings.Contains(plan, "reader_cursor_pkey") {
		t.Errorf("plan without the index:\n%s", plan)
	}
	plan = hotlinetest.Plan(t, pool, "select name from reader_cursor order by at")
	if !strings.Contains(plan, "Sort") {
		t.Errorf("plan without a sort:\n%s", plan)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 9, 0, 0, 0, hotline.Shanghai)
	c := hotlinetest.NewClock(start)
	c.Add(time.Minute)
	if got := c.Now(); !got.Equal(start.Add(time.Minute)) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
	c.Set(start)
	if got := c.Now(); !got.Equal(start) {
		t.Errorf("got %v, want %v", got, start)
	}
}

// BenchmarkDB is what a test pays for its database.
func BenchmarkDB(b *testing.B) {
	hotlinetest.DB(b) // the cluster
	for b.Loop() {
		hotlinetest.DB(b)
	}
}
