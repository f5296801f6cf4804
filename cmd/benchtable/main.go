// Command benchtable reads the output of `go test -bench` and prints it as one
// table with the machine's facts, so that numbers from two places can be told
// apart. It keeps nothing and compares nothing by itself: a benchmark that has
// a rival runs both in the same call and reports the ratio as a metric.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// row is one benchmark line: its room, its name and its metrics in order.
type row struct {
	room, name string
	metrics    []string // "12345 ns/op"
}

func main() {
	rows, failed, err := read(os.Stdin, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
	print(os.Stdout, rows)
	if failed || len(rows) == 0 {
		fmt.Fprintln(os.Stderr, "benchtable: a package failed or no benchmark ran")
		os.Exit(1)
	}
}

// read parses the benchmark lines of r and passes every other line that
// matters (failures) to echo.
func read(r io.Reader, echo io.Writer) (rows []row, failed bool, err error) {
	room := ""
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 1<<20)
	for s.Scan() {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "pkg: "):
			room = strings.TrimPrefix(line, "pkg: ")
			if _, after, ok := strings.Cut(room, "/"); ok {
				room = after
			}
		case strings.HasPrefix(line, "FAIL"), strings.HasPrefix(line, "--- FAIL"), strings.HasPrefix(line, "panic:"):
			failed = true
			fmt.Fprintln(echo, line)
		case strings.HasPrefix(line, "Benchmark"):
			f := strings.Fields(line)
			if len(f) < 4 {
				continue
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), fmt.Sprintf("-%d", runtime.GOMAXPROCS(0)))
			b := row{room: room, name: name}
			for i := 2; i+1 < len(f); i += 2 {
				b.metrics = append(b.metrics, f[i]+" "+f[i+1])
			}
			rows = append(rows, b)
		}
	}
	return rows, failed, s.Err()
}

func print(w io.Writer, rows []row) {
	fmt.Fprintf(w, "机器 / machine: %s, %d 核 / cores, %s, %s\n\n", cpuModel(), runtime.NumCPU(), kernel(), runtime.Version())
	room := ""
	for _, r := range rows {
		if r.room != room {
			room = r.room
			fmt.Fprintf(w, "%s\n", room)
		}
		fmt.Fprintf(w, "  %-44s %s\n", r.name, strings.Join(r.metrics, " | "))
	}
}

// cpuModel reads the processor's name on Linux; elsewhere the architecture.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return runtime.GOOS + " " + strings.TrimSpace(string(b))
}
