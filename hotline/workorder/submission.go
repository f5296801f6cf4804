package workorder

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"hotline12345/hotline"
)

// Submission is what an agent sends to open an order (登记). The JSON names
// are the field paths of its faults.
type Submission struct {
	DraftID         string                  `json:"draft_id,omitempty"` // the draft it came from, deleted with the submission
	CallID          hotline.CallID          `json:"call_id,omitempty"`
	Source          hotline.SourceCode      `json:"source"`
	Type            hotline.DemandType      `json:"demand_type"`
	Category        hotline.CategoryCode    `json:"category_code"`
	Area            hotline.AreaCode        `json:"area_code"`
	Address         string                  `json:"address,omitempty"`
	Title           string                  `json:"title"`
	Content         string                  `json:"content"`
	Urgency         hotline.Urgency         `json:"urgency,omitempty"`         // zero: the category's, else ordinary
	Confidentiality hotline.Confidentiality `json:"confidentiality,omitempty"` // "": hidden for reports, else open (domain.md §2.11)
	CallerName      string                  `json:"caller_name,omitempty"`
	CallerPhone     hotline.Phone           `json:"caller_phone,omitempty"`  // any writing; who submits for a call puts the call's number
	DirectAnswer    string                  `json:"direct_answer,omitempty"` // not "": answered on the spot, no unit needed
	Solved          hotline.Solved          `json:"solved,omitempty"`        // with DirectAnswer; "": explained
}

// The longest texts, in characters (domain.md §3.1).
const (
	maxTitle   = 50
	maxContent = 2000
	maxAddress = 200
	maxName    = 40
	maxNote    = 500
	minReply   = 5
)

// demandTypes are the known types and whether one may be answered on the spot
// without the matter being solved (domain.md §2.3, answer_now).
var demandTypes = map[hotline.DemandType]bool{
	hotline.Consult: true, hotline.Suggest: true, hotline.Praise: true, hotline.Other: true,
	hotline.Help: false, hotline.Complaint: false, hotline.Report: false,
}

func knownSolved(s hotline.Solved) bool {
	switch s {
	case hotline.SolvedYes, hotline.SolvedPartly, hotline.SolvedNo, hotline.SolvedExplained:
		return true
	}
	return false
}

// faults collects what is wrong with an input, so that a person sees all of
// it at once.
type faults []error

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, hotline.FieldErrorf(field, format, args...))
}

// text checks a cleaned text's length in characters.
func (f *faults) text(field, name, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case n == 0 && least > 0:
		f.add(field, "%s必填", name)
	case n < least:
		f.add(field, "%s至少 %d 个字", name, least)
	case n > most:
		f.add(field, "%s不超过 %d 个字，现有 %d 个字", name, most, n)
	}
}

// err is nil when there is no fault; else every fault is in its chain.
func (f faults) err() error { return errors.Join(f...) }

// clean makes a text storable and honest to read: valid UTF-8, no control
// characters but line breaks, none that turn the direction of writing (UAX #9
// §2: a number or name would read backwards), no space around it.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s))
}

// normal returns the submission cleaned and with its defaults set.
func (in Submission) normal(d *hotline.Directory) Submission {
	in.Title, in.Content, in.Address = clean(in.Title), clean(in.Content), clean(in.Address)
	in.CallerName, in.DirectAnswer = clean(in.CallerName), clean(in.DirectAnswer)
	typed := strings.ToLower(strings.TrimSpace(in.CallerPhone.Reveal()))
	if n := hotline.ParsePhone(typed); n != "" || typed == "" || typed == "anonymous" || typed == "unavailable" {
		in.CallerPhone = n // withheld (RFC 3323 §4.1), or a number; anything else stays, for check to refuse
	}
	if in.Urgency == 0 {
		k, _ := d.Category(in.Category)
		in.Urgency = max(k.Urgency, hotline.Ordinary)
	}
	if in.Confidentiality == "" {
		in.Confidentiality = hotline.Open
		if in.Type == hotline.Report {
			in.Confidentiality = hotline.Hidden
		}
	}
	if in.DirectAnswer != "" && in.Solved == "" {
		in.Solved = hotline.SolvedExplained
	}
	return in
}

// check returns every fault of a normal submission, joined; each is Invalid.
func (in Submission) check(d *hotline.Directory) error {
	var f faults
	if in.DraftID != "" && !isUUID(in.DraftID) {
		f.add("draft_id", "草稿标识须为 UUID")
	}
	if len(in.CallID) > 64 {
		f.add("call_id", "通话标识过长")
	}
	if _, ok := d.Source(in.Source); !ok {
		f.add("source", "请选择受理渠道")
	}
	if _, ok := demandTypes[in.Type]; !ok {
		f.add("demand_type", "请选择诉求类型")
	}
	if !d.Leaf(in.Category) {
		f.add("category_code", "请选择内容分类的末级")
	}
	if _, ok := d.Area(in.Area); !ok {
		f.add("area_code", "请选择事发区域")
	}
	f.text("address", "详细地址", in.Address, 0, maxAddress)
	f.text("title", "标题", in.Title, 2, maxTitle)
	f.text("content", "诉求内容", in.Content, 2, maxContent)
	if in.Urgency < hotline.Ordinary || in.Urgency > hotline.Extra {
		f.add("urgency", "紧急程度须为一般、紧急或特急")
	}
	if n := len(in.CallerPhone.National()); in.CallerPhone != hotline.ParsePhone(in.CallerPhone.Reveal()) || n > 0 && n < 3 {
		f.add("caller_phone", "联系电话须为电话号码")
	}
	f.text("caller_name", "来电人姓名", in.CallerName, 0, maxName)
	switch in.Confidentiality {
	case hotline.Open, hotline.Hidden:
	case hotline.Anonymous:
		if in.CallerName != "" {
			f.add("caller_name", "匿名诉求不登记姓名")
		}
	default:
		f.add("confidentiality", "保密要求须为公开、保密或匿名")
	}
	in.checkAnswer(&f)
	in.checkIdentity(&f)
	return f.err()
}

// checkAnswer checks an answer given on the spot: a demand for action is
// closed so only when the matter is solved (domain.md §2.3, answer_now).
func (in Submission) checkAnswer(f *faults) {
	if in.DirectAnswer == "" {
		if in.Solved != "" {
			f.add("solved", "未当场答复时不填是否解决")
		}
		return
	}
	f.text("direct_answer", "当场答复", in.DirectAnswer, 2, maxContent)
	if answerable, ok := demandTypes[in.Type]; ok && !answerable && in.Solved != hotline.SolvedYes {
		f.add("solved", "求助、投诉、举报须已解决方可当场办结，否则请转承办单位")
	} else if !knownSolved(in.Solved) {
		f.add("solved", "请选择是否解决")
	}
}

// checkIdentity keeps the caller's number, and for confidential orders the
// name, out of texts that units read and events keep (domain.md §2.11).
func (in Submission) checkIdentity(f *faults) {
	for _, t := range []struct{ field, text string }{
		{"title", in.Title}, {"content", in.Content}, {"address", in.Address}, {"direct_answer", in.DirectAnswer},
	} {
		if n := in.CallerPhone.National(); len(n) > 6 && strings.Contains(digits(t.text), strings.TrimLeft(n, "+0")) {
			f.add(t.field, "请勿写入来电号码，号码已另行保管")
		}
		if in.Confidentiality != hotline.Open && utf8.RuneCountInString(in.CallerName) > 1 && strings.Contains(t.text, in.CallerName) {
			f.add(t.field, "保密诉求请勿写入来电人姓名")
		}
	}
}

// digits returns s with the separators people put into numbers removed.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u2011' || r == '\u3000' {
			return -1
		}
		if r >= '０' && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, s)
}

// isUUID tells whether s is a UUID in its 36-character form (RFC 9562 §4).
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
		if dash != (r == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
