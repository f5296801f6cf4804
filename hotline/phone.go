package hotline

import (
	"log/slog"
	"strings"
)

// Phone is a caller's number in a normal form: "+8613812345678" for a mobile,
// "+8605633021234" for a landline with its area code, the bare digits for a
// short or foreign-looking number, and "" when the number was withheld.
// Phone prints, logs and marshals MASKED; only Reveal gives the full number,
// and who calls Reveal owes an audit row (rule: privacy by default).
type Phone string

// localAreaCode is Xuancheng's telephone area code (区号), without its 0.
const localAreaCode = "563"

// ParsePhone normalises a number as it came from a trunk or a form: separators
// and the prefixes +86, 0086, 86 are removed; eleven digits that start with 1
// are a mobile; seven or eight digits get the local area code 0563; digits
// that start with 0 are a landline. "anonymous" and the like become "".
func ParsePhone(raw string) Phone {
	var b strings.Builder
	plus := strings.HasPrefix(strings.TrimSpace(raw), "+")
	for _, r := range raw {
		if r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if !strings.ContainsRune("+-() .", r) {
			return ""
		}
	}
	d := b.String()
	switch {
	case strings.HasPrefix(d, "0086"):
		d, plus = d[4:], false
	case plus && strings.HasPrefix(d, "86"):
		d, plus = d[2:], false
	case len(d) == 13 && strings.HasPrefix(d, "861"):
		d = d[2:]
	}
	switch {
	case d == "" || len(d) > 18:
		return ""
	case plus:
		return Phone("+" + d)
	case len(d) == 11 && d[0] == '1':
		return Phone("+86" + d)
	case d[0] == '0' && len(d) >= 10 && len(d) <= 12:
		return Phone("+86" + d)
	case (len(d) == 7 || len(d) == 8) && d[0] >= '2':
		return Phone("+860" + localAreaCode + d)
	}
	return Phone(d)
}

// Reveal returns the full number. Callers write an audit row first.
func (p Phone) Reveal() string { return string(p) }

// National returns the number as it is dialled inside China, in full.
func (p Phone) National() string { return strings.TrimPrefix(string(p), "+86") }

// Last4 returns the last four digits, or all of a shorter number.
func (p Phone) Last4() string {
	s := p.National()
	return s[max(0, len(s)-4):]
}

// Mask returns the number as lists show it: "138****5678"; a number of six
// digits or fewer (a public short code) is shown whole, a withheld one as "".
func (p Phone) Mask() string {
	s := p.National()
	switch n := len(s); {
	case n <= 6:
		return s
	case n <= 8:
		return s[:2] + "****" + s[n-2:]
	default:
		return s[:3] + "****" + s[n-4:]
	}
}

// String returns the masked number.
func (p Phone) String() string { return p.Mask() }

// LogValue returns the masked number for slog.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.Mask()) }

// MarshalText returns the masked number, so that no JSON body shows it whole.
func (p Phone) MarshalText() ([]byte, error) { return []byte(p.Mask()), nil }

// MaskName returns a person's name as lists show it: "张*", "欧**".
func MaskName(name string) string {
	r := []rune(strings.TrimSpace(name))
	if len(r) == 0 {
		return ""
	}
	return string(r[0]) + strings.Repeat("*", max(1, min(len(r)-1, 2)))
}
