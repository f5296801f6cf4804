package main

import (
	"io"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	in := "goos: linux\npkg: hotline12345/sip/media\nBenchmarkRelay/ours-2   \t 100\t 9500 ns/op\t 105263 packets/s\nPASS\nFAIL\thotline12345/x\n"
	rows, failed, err := read(strings.NewReader(in), io.Discard)
	if err != nil || !failed {
		t.Fatalf("read: failed %v, err %v", failed, err)
	}
	if len(rows) != 1 || rows[0].room != "sip/media" || !strings.HasPrefix(rows[0].name, "Relay/ours") || len(rows[0].metrics) != 2 {
		t.Errorf("got %+v", rows)
	}
}
