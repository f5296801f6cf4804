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

func TestCallerPhoneIsANumber(t *testing.T) {
	t.Parallel()
	d := testCity()
	for _, c := range []struct {
		typed string
		good  bool
	}{
		{"", true}, {"  ", true}, {"138 1234 5678", true}, {"+86-13812345678", true}, {"0563-3021234", true}, {"10086", true}, {"+85298765432", true}, {"Anonymous", true},
		{"abc", false}, {"没有", false}, {"12", false}, {strings.Repeat("1", 30), false}, {"13812345678 转 2", false},
	} {
		in := submission()
		in.CallerPhone, in.Content = hotline.Phone(c.typed), "内容内容"
		if got := in.normal(d).check(d) == nil; got != c.good {
			t.Errorf("%q accepted: %v, want %v", c.typed, got, c.good)
		}
	}
}

// TestTextsReadAsTheyAre: UAX #9 §2, embeddings and isolates turn the order of
// what follows; a joined emoji stays whole.
func TestTextsReadAsTheyAre(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"\u202e5678\u202c": "5678", "a\u2067b\u2069": "ab", "👨\u200d👩\u200d👧 𠮷": "👨\u200d👩\u200d👧 𠮷", " \x00a\r\nb\t": "a\nb"} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
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
