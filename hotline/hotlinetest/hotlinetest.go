// Package hotlinetest gives tests the real things: a fresh migrated database
// on a private PostgreSQL cluster, Redis in both kinds, a clock that is moved
// by hand. Tests only; it may import hotline, hotline/pg and hotline/live.
// Without PostgreSQL or redis-server a test is skipped on a developer's machine
// and fails where CI=true. HOTLINE_TEST_DSN names a server to use instead of
// the private cluster; its user must be allowed to create databases.
package hotlinetest

import (
	"os"
	"sync"
	"testing"
	"time"
)

// Missing skips the test, or fails it in CI, where everything must be there.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}

// Eventually waits until ok is true, looking often, and fails the test when
// the time is up.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Clock is a hotline.Clock that moves only when told. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{now: t.UTC()} }

// Now returns the instant the clock stands at.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC()
}

// Add moves the clock by d.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
