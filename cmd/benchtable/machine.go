package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine tells what the numbers were measured on, and how busy it was just
// now: a number from a shared machine is a lower bound. Facts that only Linux
// gives are left out elsewhere.
func machine() string {
	facts := []string{cpuModel(), fmt.Sprintf("%d 核 / cores", runtime.NumCPU())}
	if kb := field("/proc/meminfo", "MemTotal"); kb != "" {
		if n, err := strconv.Atoi(strings.TrimSuffix(kb, " kB")); err == nil {
			facts = append(facts, fmt.Sprintf("%.0f GiB", float64(n)/(1<<20)))
		}
	}
	facts = append(facts, kernel(), runtime.Version())
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			facts = append(facts, "5 分钟负载 / load "+f[1])
		}
	}
	return strings.Join(append(facts, time.Now().Format(time.DateOnly)), ", ")
}

// cpuModel is the processor's name on Linux; elsewhere the architecture.
func cpuModel() string {
	if name := field("/proc/cpuinfo", "model name"); name != "" {
		return name
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

// field reads the first "name: value" of a file; "" when there is none.
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
