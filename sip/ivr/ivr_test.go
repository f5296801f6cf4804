package ivr

import (
	"slices"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1: "1", 10: "10", 12: "10 2", 20: "2 10", 34: "3 10 4", 100: "1 100", 105: "1 100 0 5", 110: "1 100 1 10",
		318: "3 100 1 10 8", 1000: "1 1000", 1002: "1 1000 0 2", 1020: "1 1000 0 2 10", 12345: "1 2 3 4 5",
	} {
		got := strings.ReplaceAll(strings.Join(Number(n), " "), "digit_", "")
		if got != want {
			t.Errorf("Number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestAnnouncement(t *testing.T) {
	t.Parallel()
	p := Plan{Position: true, PositionBefore: "before", PositionAfter: "after", Waiting: "waiting"}
	if got, want := p.Announcement(2), []string{"before", "digit_2", "after", "waiting"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := p.Announcement(0); !slices.Equal(got, []string{"waiting"}) {
		t.Errorf("unknown place: %v", got)
	}
	if got := (Plan{}).Every(); got.Seconds() != 30 {
		t.Errorf("Every = %v", got)
	}
}
