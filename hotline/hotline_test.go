package hotline

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestParsePhone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want, mask string }{
		{"mobile", "13812345678", "+8613812345678", "138****5678"},
		{"mobile with country code", "+86 138-1234-5678", "+8613812345678", "138****5678"},
		{"mobile with 0086", "008613812345678", "+8613812345678", "138****5678"},
		{"mobile with 86", "8613812345678", "+8613812345678", "138****5678"},
		{"landline with area code", "0563-3021234", "+8605633021234", "056****1234"},
		{"local landline", "3021234", "+8605633021234", "056****1234"},
		{"short code", "110", "110", "110"},
		{"withheld", "anonymous", "", ""},
		{"injected line", "138\r\nX: 1", "", ""},
		{"foreign", "+442071838750", "+442071838750", "+44****8750"},
		{"absurd length", strings.Repeat("1", 40), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ParsePhone(c.in)
			if got.Reveal() != c.want || got.Mask() != c.mask {
				t.Errorf("ParsePhone(%q) = %q masked %q, want %q masked %q", c.in, got.Reveal(), got.Mask(), c.want, c.mask)
			}
		})
	}
}

// TestPhoneNeverPrintsWhole guards the rule "privacy by default".
func TestPhoneNeverPrintsWhole(t *testing.T) {
	t.Parallel()
	p := ParsePhone("13812345678")
	js, err := json.Marshal(map[string]any{"p": p, "c": Call{Caller: p}})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "phone", p)
	for _, s := range []string{string(js), log.String(), fmt.Sprint(p), fmt.Sprintf("%v %s %q", p, p, p)} {
		if strings.Contains(s, "12345678") {
			t.Errorf("full number in %s", s)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{"13812345678", "+8605633021234", "", "+", "sip:1001", "０１２"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := ParsePhone(s)
		if again := ParsePhone(p.Reveal()); again != p {
			t.Errorf("ParsePhone is not idempotent: %q → %q → %q", s, p.Reveal(), again.Reveal())
		}
	})
}

// TestCheckDigitISO7064 uses the example of ISO/IEC 7064: 0794 → 5 (MOD 11,10).
func TestCheckDigitISO7064(t *testing.T) {
	t.Parallel()
	if got := checkDigit("0794"); got != '5' {
		t.Errorf("checkDigit(0794) = %c, want 5", got)
	}
}

func TestOrderNumberCatchesSlips(t *testing.T) {
	t.Parallel()
	n := NewOrderID(Date{2026, time.November, 23}, 42).Number()
	if id, err := ParseOrderNumber(n); err != nil || id.Number() != n {
		t.Fatalf("ParseOrderNumber(%s) = %v, %v", n, id, err)
	}
	for i := range n {
		for d := byte('0'); d <= '9'; d++ {
			if n[i] == d {
				continue
			}
			wrong := n[:i] + string(d) + n[i+1:]
			if _, err := ParseOrderNumber(wrong); ErrorCode(err) != Invalid {
				t.Errorf("digit %d changed to %c passed: %s", i, d, wrong)
			}
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	d := DateOf(time.Date(2026, 2, 28, 16, 30, 0, 0, time.UTC)) // half past midnight in Shanghai
	if d.String() != "2026-03-01" || d.AddDays(-1).String() != "2026-02-28" {
		t.Errorf("got %v", d)
	}
	if got := d.End().Sub(d.Start()); got != 24*time.Hour {
		t.Errorf("day of %v", got)
	}
}

func TestErrorCode(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("submit: %w", FieldErrorf("order.title", "标题必填"))
	if ErrorCode(err) != Invalid || ErrorCode(nil) != "" || ErrorCode(fmt.Errorf("x")) != Internal {
		t.Error("wrong codes")
	}
}
