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
	"strconv"
	"strings"
)

// row is one benchmark line: its room, its name and its metrics in order.
type row struct {
	room, name string
	metrics    []metric
}

// metric is a value with its unit, "ns/op" or what the benchmark reported.
type metric struct {
	value float64
	unit  string
}

func main() {
	rows, failed, err := read(os.Stdin, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
	print(os.Stdout, machine(), rows)
	if failed || len(rows) == 0 {
		fmt.Fprintln(os.Stderr, "benchtable: a package failed or no benchmark ran")
		os.Exit(1)
	}
}

// read parses the benchmark lines of r and passes every other line that
// matters (failures, and what was left out) to echo.
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
		case strings.HasPrefix(line, "--- SKIP"):
			fmt.Fprintln(echo, line)
		case strings.HasPrefix(line, "Benchmark"):
			f := strings.Fields(line)
			if len(f) < 4 {
				continue // a log line of the benchmark, or its name alone
			}
			name := strings.TrimSuffix(strings.TrimPrefix(f[0], "Benchmark"), fmt.Sprintf("-%d", runtime.GOMAXPROCS(0)))
			b := row{room: room, name: strings.ReplaceAll(name, "_", " ")}
			for i := 2; i+1 < len(f); i += 2 {
				v, err := strconv.ParseFloat(f[i], 64)
				if err != nil {
					return nil, failed, fmt.Errorf("read metric of %s: %w", f[0], err)
				}
				b.metrics = append(b.metrics, metric{v, f[i+1]})
			}
			rows = append(rows, b)
		}
	}
	return rows, failed, s.Err()
}
