package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var output = strings.ReplaceAll(`goos: linux
pkg: hotline12345/sip/media
BenchmarkRelay/same_law-N   	 100	 0 B/op	 6443 cpu-ns/packet	 155266.4 packets/s/core	 1.128 x-bare
    bench_test.go:12: a log line
PASS
pkg: hotline12345/elsewhere
BenchmarkPlan-N   	 300902	 3851 ns/op
BenchmarkSubmit/fsync-on-N   	 300902	 1381 orders/s	 0.682 p50-ms	 13.2 p99-ms
FAIL	hotline12345/x
`, "-N ", suffix())

// suffix is what the testing package appends to a benchmark's name.
func suffix() string {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		return fmt.Sprintf("-%d ", n)
	}
	return " "
}

func TestRead(t *testing.T) {
	t.Parallel()
	var echo strings.Builder
	rows, failed, err := read(strings.NewReader(output), &echo)
	if err != nil || !failed || echo.String() != "FAIL\thotline12345/x\n" {
		t.Fatalf("read: failed %v, err %v, echo %q", failed, err, echo.String())
	}
	want := []row{
		{"sip/media", "Relay/same law", []metric{{0, "B/op"}, {6443, "cpu-ns/packet"}, {155266.4, "packets/s/core"}, {1.128, "x-bare"}}},
		{"elsewhere", "Plan", []metric{{3851, "ns/op"}}},
		{"elsewhere", "Submit/fsync-on", []metric{{1381, "orders/s"}, {0.682, "p50-ms"}, {13.2, "p99-ms"}}},
	}
	if d := cmp.Diff(want, rows, cmp.AllowUnexported(row{}, metric{})); d != "" {
		t.Error(d)
	}
	if _, failed, _ := read(strings.NewReader(strings.ReplaceAll(output, "FAIL", "ok")), io.Discard); failed {
		t.Error("no package failed")
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	rows, _, err := read(strings.NewReader(output), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	print(&out, "here", rows)
	want := `机器 / machine: here

  项目 / benchmark  吞吐 / rate             用时 / time               其他 / besides

语音转发 / audio (sip/media)
  Relay/same law    155,266 packets/s/core  6.44 µs cpu/packet        1.13 x-bare, 0 B/op

elsewhere
  Plan                                      3.85 µs
  Submit/fsync-on   1,381 orders/s          p50 0.68 ms, p99 13.2 ms
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 1.1284: "1.13", 13.24: "13.2", 50: "50", 155.4: "155", 1234567: "1,234,567"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}
