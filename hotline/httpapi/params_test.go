package httpapi

import (
	"slices"
	"testing"
	"time"

	"hotline12345/hotline"
)

func TestInstants(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		end      bool
		want     string
	}{
		{"day", "2026-11-23", false, "2026-11-22T16:00:00Z"},
		{"last day, whole", "2026-11-23", true, "2026-11-23T16:00:00Z"},
		{"instant", "2026-11-22T16:00:00Z", true, "2026-11-22T16:00:00Z"},
		{"zone", "2026-11-23T08:00:00+08:00", false, "2026-11-23T00:00:00Z"},
		{"fraction", "2026-11-23T08:00:00.5+08:00", false, "2026-11-23T00:00:00.5Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p params
			if got := p.instant("f", tt.in, tt.end).Format(time.RFC3339Nano); got != tt.want || p.err != nil {
				t.Errorf("got %s %v, want %s", got, p.err, tt.want)
			}
		})
	}
	if got := list(",a,, b,"); !slices.Equal(got, []string{"a", " b"}) {
		t.Errorf("got %q", got)
	}
}

// FuzzFilters reads any address of a list: the answer is a query or an Invalid
// error that names the member.
func FuzzFilters(f *testing.F) {
	f.Add("2026-11-23", "1", "closed,signed", "1,2")
	f.Add("2026-02-30", "-1", ",", "9")
	f.Add("2026-11-23T00:00:00Z", "true", "\x00", "99999999999999999999")
	f.Fuzz(func(t *testing.T, at, truth, states, marks string) {
		o := orderFilters{AcceptedFrom: at, OverdueAt: at, Total: truth, Direct: truth, PersonID: truth, State: states, Satisfaction: marks}
		q, err := o.query()
		if err != nil && hotline.ErrorCode(err) != hotline.Invalid {
			t.Fatalf("got %v", err)
		}
		if err == nil && (q.PersonID < 0 || slices.ContainsFunc(q.Satisfaction, func(n int) bool { return n < 0 || n > 5 })) {
			t.Fatalf("got %+v", q)
		}
		c := callFilters{From: at, To: at, Answered: truth, AnsweredWithin: marks}
		if q, err := c.query(); err != nil && hotline.ErrorCode(err) != hotline.Invalid || err == nil && q.AnsweredWithin < 0 {
			t.Fatalf("got %v %v", q, err)
		}
	})
}
