package configs

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// record is one row of a table with its place in the file.
type record struct {
	file  string
	line  int
	cells map[string]string
}

func (r record) get(column string) string { return r.cells[column] }

// list splits a cell at semicolons; empty members are dropped.
func (r record) list(column string) []string {
	var all []string
	for _, s := range strings.FieldsFunc(r.cells[column], func(c rune) bool { return c == ';' || c == '；' }) {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (r record) fault(column, format string, args ...any) Fault {
	return Fault{File: r.file, Line: r.line, Field: column, Message: fmt.Sprintf(format, args...)}
}

// withoutMark drops the byte order mark that spreadsheets and editors write.
func withoutMark(src []byte) []byte { return bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) }

// notUTF8 finds the first line that is not UTF-8: what a spreadsheet on a
// Chinese system saves as plain CSV is GBK.
func notUTF8(file string, src []byte) (Fault, bool) {
	line := 0
	for l := range bytes.Lines(src) {
		line++
		if !utf8.Valid(l) {
			return Fault{File: file, Line: line, Message: "不是 UTF-8 编码，请另存为 UTF-8（表格软件中选“CSV UTF-8”）"}, true
		}
	}
	return Fault{}, false
}

// readTable reads a CSV file whose first row must be exactly the header.
func readTable(file string, src []byte, header []string) ([]record, []Fault) {
	src = withoutMark(src)
	if f, ok := notUTF8(file, src); ok {
		return nil, []Fault{f}
	}
	r := csv.NewReader(bytes.NewReader(src))
	r.FieldsPerRecord = -1
	var rows []record
	var faults []Fault
	for first := true; ; first = false {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			if first {
				faults = append(faults, Fault{File: file, Message: "文件为空，首行须为 " + strings.Join(header, ",")})
			}
			return rows, faults
		}
		if err != nil {
			f := Fault{File: file, Message: "不是合法的 CSV"}
			if p, ok := errors.AsType[*csv.ParseError](err); ok {
				f.Line, f.Column = p.Line, p.Column
			}
			return rows, append(faults, f)
		}
		line, _ := r.FieldPos(0)
		if first {
			if !slices.Equal(cells, header) {
				return nil, append(faults, Fault{File: file, Line: line, Message: "首行须为 " + strings.Join(header, ",")})
			}
			continue
		}
		if len(cells) != len(header) {
			faults = append(faults, Fault{File: file, Line: line, Message: fmt.Sprintf("应有 %d 列，实有 %d 列", len(header), len(cells))})
			continue
		}
		one := record{file: file, line: line, cells: make(map[string]string, len(cells))}
		for i, c := range cells {
			one.cells[header[i]] = strings.TrimSpace(c)
		}
		rows = append(rows, one)
	}
}
