package stats

import "strings"

// longDigits is how many digits make a run that may be a person's number: the
// shortest is a local landline's seven; 12345 and house numbers are shorter.
const longDigits = 7

// MaskDigits hides what may be a telephone, identity or bank number in a
// text: of a run of seven digits or more, with spaces and hyphens inside it,
// only the first three remain (rule: no full number in a document). ASCII and
// full-width digits count.
func MaskDigits(s string) string {
	runes := []rune(s)
	var b strings.Builder
	for i := 0; i < len(runes); {
		if !isDigit(runes[i]) {
			b.WriteRune(runes[i])
			i++
			continue
		}
		end, digits := i, 0
		for j := i; j < len(runes) && (isDigit(runes[j]) || isJoint(runes[j])); j++ {
			if isDigit(runes[j]) {
				digits++
				end = j + 1
			}
		}
		if digits < longDigits {
			b.WriteString(string(runes[i:end]))
			i = end
			continue
		}
		for kept := 0; kept < 3; i++ {
			if isDigit(runes[i]) {
				kept++
			}
			b.WriteRune(runes[i])
		}
		b.WriteString("****")
		i = end
		if i < len(runes) && (runes[i] == 'X' || runes[i] == 'x') {
			i++ // check character of an identity number (GB 11643-1999)
		}
	}
	return b.String()
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' || r >= '０' && r <= '９' }

// isJoint tells whether people write r inside a number.
func isJoint(r rune) bool {
	switch r {
	case ' ', '-', '\u2010', '\u2011', '\u2013', '\u2014', '－', '\u3000', '.', '·':
		return true
	}
	return false
}
