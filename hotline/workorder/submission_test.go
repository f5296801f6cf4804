package workorder

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hotline12345/hotline"
)

// FuzzSubmission: whatever is typed, a submission that passes is storable,
// stays as it is when normalised again, and shows no caller's number.
func FuzzSubmission(f *testing.F) {
	f.Add("夜间施工", "反映 138-1234-5678", "某路", callerPhone, callerName, "", "open")
	f.Add("标题\x00", "内容\r\n第二行", "", "", "", "已答复", "hidden")
	f.Add("１３８１２３４５６７８", "\xff\xfe", "x", "+8613812345678", "张三", "", "anonymous")
	d := testCity()
	f.Fuzz(func(t *testing.T, title, content, address, phone, name, answer, degree string) {
		in := submission()
		in.Title, in.Content, in.Address, in.CallerPhone, in.CallerName = title, content, address, hotline.Phone(phone), name
		in.DirectAnswer, in.Confidentiality, in.Type = answer, hotline.Confidentiality(degree), hotline.Consult
		in = in.normal(d)
		if again := in.normal(d); again != in {
			t.Errorf("normal is not idempotent: %+v → %+v", in, again)
		}
		if in.check(d) != nil {
			return
		}
		for _, s := range []string{in.Title, in.Content, in.Address, in.DirectAnswer} {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				t.Errorf("PostgreSQL cannot store %q", s)
			}
			if n := in.CallerPhone.National(); len(n) > 6 && strings.Contains(s, n) {
				t.Errorf("the number stands in %q", s)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "MQ", "MS4y", "LTEuMg", "!", "MjAyNjExMjMwMDAwMDAx"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, cursor string, byDue bool) {
		st := &statement{byDue: byDue, limit: 1}
		due, id, ok := st.parseCursor(cursor)
		if !ok {
			return
		}
		if byDue && (due.After(noDue) || due.Before(time.Unix(0, 0))) {
			t.Errorf("due %v is no instant PostgreSQL takes", due)
		}
		r := &record{WorkOrder: hotline.WorkOrder{ID: hotline.OrderID(id), State: hotline.Dispatched, Deadlines: []hotline.Deadline{{DueAt: due}}}}
		if !byDue {
			r.Deadlines = nil
		}
		if d2, id2, ok := st.parseCursor(st.cursor(r)); !ok || id2 != id || !d2.Equal(due) {
			t.Errorf("cursor %q reads as %v %d, again as %v %d", cursor, due, id, d2, id2)
		}
	})
}
