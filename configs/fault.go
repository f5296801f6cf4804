package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a file of the operator's.
type Fault struct {
	File    string // as the operator named it; the variable's name for the environment
	Line    int    // from 1; zero: the whole file
	Column  int    // from 1; zero: the whole line
	Field   string // path of the key or name of the column; "" for the whole row
	Message string // one Chinese clause
}

// String writes "file:line:col field: 说明".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
		if f.Column > 0 {
			fmt.Fprintf(&b, ":%d", f.Column)
		}
	}
	if f.Field != "" {
		b.WriteString(" " + f.Field)
	}
	return b.String() + ": " + f.Message
}

// Faults is every fault found, by file and line. It is never empty.
type Faults []Fault

// Error writes one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// asError returns the faults in order, or nil when there are none.
func asError(f []Fault) error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return Faults(f)
}
