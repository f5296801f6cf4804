package sip

import (
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// refusal is a final answer with the headers that go with it.
type refusal struct {
	code    int
	reason  string
	headers []gosip.Header
}

func refuse(code int, reason string, kv ...string) *refusal {
	r := &refusal{code: code, reason: reason}
	for i := 0; i+1 < len(kv); i += 2 {
		r.headers = append(r.headers, gosip.NewHeader(kv[i], kv[i+1]))
	}
	return r
}

// response makes the answer to req.
func (r *refusal) response(req *gosip.Request) *gosip.Response {
	res := respond(req, r.code, r.reason)
	for _, h := range r.headers {
		res.AppendHeader(h)
	}
	return res
}

// allow lists the methods we serve.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REGISTER"

// once lists the headers of which a request has exactly one (RFC 3261 §8.1.1)
// or at most one.
var (
	mandatory = []string{"From", "To", "Call-ID", "CSeq"}
	atMostOne = []string{"Max-Forwards", "Content-Length", "Content-Type", "Expires", "Date"}
)

// validate checks what every request must be before a handler sees it; nil
// means that it may pass. The wanted answers are those of RFC 4475 §3.
func validate(req *gosip.Request) *refusal {
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return refuse(505, "Version Not Supported")
	}
	for _, name := range mandatory {
		if len(req.GetHeaders(name)) != 1 {
			return refuse(400, "Bad Request: one "+name+" wanted")
		}
	}
	if req.Via() == nil || req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		return refuse(400, "Bad Request: header missing")
	}
	for _, name := range atMostOne {
		if len(req.GetHeaders(name)) > 1 {
			return refuse(400, "Bad Request: "+name+" repeated")
		}
	}
	cseq := req.CSeq()
	if cseq.SeqNo >= 1<<31 { // RFC 3261 §8.1.1.5
		return refuse(400, "Bad Request: CSeq too large")
	}
	if !strings.EqualFold(string(cseq.MethodName), string(req.Method)) {
		return refuse(400, "Bad Request: CSeq names another method")
	}
	if tag, ok := req.From().Params.Get("tag"); !ok || tag == "" { // RFC 2543 peers are not served
		return refuse(400, "Bad Request: From tag missing")
	}
	if s := strings.ToLower(req.Recipient.Scheme); s != "sip" && s != "sips" && s != "tel" && s != "" {
		return refuse(416, "Unsupported URI Scheme")
	}
	if quotes(req.From().Value()) || quotes(req.To().Value()) {
		return refuse(400, "Bad Request: quote not closed")
	}
	if r := numbers(req); r != nil {
		return r
	}
	if m := req.MaxForwards(); m != nil && m.Val() == 0 && req.Method != gosip.ACK {
		return refuse(483, "Too Many Hops")
	}
	return extensions(req)
}

// extensions refuses what the sender insists on and we do not do, unknown
// methods and bodies (RFC 3261 §8.2).
func extensions(req *gosip.Request) *refusal {
	if req.Method == gosip.ACK {
		return nil
	}
	if !slices.Contains(methods, req.Method) {
		return refuse(405, "Method Not Allowed", "Allow", allow)
	}
	if req.Method == gosip.CANCEL { // RFC 3261 §9.1: a CANCEL carries no Require
		return nil
	}
	var unknown []string
	for _, h := range append(req.GetHeaders("Require"), req.GetHeaders("Proxy-Require")...) {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !strings.EqualFold(tag, "timer") {
				unknown = append(unknown, clean(tag))
			}
		}
	}
	if unknown != nil {
		return refuse(420, "Bad Extension", "Unsupported", strings.Join(unknown, ", "))
	}
	if len(req.Body()) > 0 && (req.Method == gosip.INVITE || req.Method == gosip.UPDATE) && !isSDP(req) {
		return refuse(415, "Unsupported Media Type", "Accept", "application/sdp")
	}
	return nil
}

var methods = []gosip.RequestMethod{gosip.INVITE, gosip.ACK, gosip.CANCEL, gosip.BYE, gosip.OPTIONS,
	gosip.INFO, gosip.UPDATE, gosip.REGISTER, gosip.REFER, gosip.PRACK}

func isSDP(m gosip.Message) bool {
	for _, h := range m.GetHeaders("Content-Type") {
		kind, _, _ := strings.Cut(h.Value(), ";")
		return strings.EqualFold(strings.TrimSpace(kind), "application/sdp")
	}
	return true // RFC 3261 §7.4.1 wants the header; old trunks forget it
}

// numbers checks the scalar headers' ranges.
func numbers(req *gosip.Request) *refusal {
	for name, bits := range map[string]int{"Max-Forwards": 8, "Expires": 32, "Content-Length": 31} {
		for _, h := range req.GetHeaders(name) {
			if _, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, bits); err != nil {
				return refuse(400, "Bad Request: "+name+" out of range")
			}
		}
	}
	for _, h := range req.GetHeaders("Date") { // RFC 3261 §20.17: GMT only
		if t, err := time.Parse(time.RFC1123, h.Value()); err != nil || !strings.HasSuffix(h.Value(), "GMT") || t.IsZero() {
			return refuse(400, "Bad Request: Date unreadable")
		}
	}
	return nil
}

// quotes tells whether a quoted string is left open.
func quotes(v string) bool {
	open := false
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '\\' && open:
			i++
		case v[i] == '"':
			open = !open
		}
	}
	return open
}

// clean makes text from outside safe inside a header: no control characters,
// bounded length.
func clean(v string) string {
	v = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, textproto.TrimString(v))
	return v[:min(len(v), 64)]
}

// prepare runs on the reader's goroutine before the transaction layer sees a
// message. It gives a new INVITE the To tag all its responses will carry, the
// library's own 487 included (RFC 3261 §8.2.6.2), and marks it.
func prepare(msg gosip.Message) {
	req, ok := msg.(*gosip.Request)
	if !ok {
		return
	}
	req.RemoveHeader(newDialogMark)
	if from, to := req.From(), req.To(); from != nil && to != nil {
		trim(from.Params)
		trim(to.Params)
	}
	if req.Method != gosip.INVITE || req.To() == nil {
		return
	}
	if tag, ok := req.To().Params.Get("tag"); !ok || tag == "" {
		req.To().Params.Add("tag", gosip.GenerateTagN(16))
		req.AppendHeader(gosip.NewHeader(newDialogMark, "1"))
	}
}

// trim takes the white space off parameters, which RFC 3261 §25.1 allows around
// ";" and "=" and the library keeps.
func trim(params gosip.HeaderParams) {
	for i := range params {
		params[i].K, params[i].V = strings.TrimSpace(params[i].K), strings.TrimSpace(params[i].V)
	}
}

// newDialogMark is an inner header; it never leaves the process.
const newDialogMark = "X-Hotline-New-Dialog"

// toTag returns the peer's To tag, "" for a request outside a dialog.
func toTag(req *gosip.Request) string {
	if req.GetHeader(newDialogMark) != nil {
		return ""
	}
	tag, _ := req.To().Params.Get("tag")
	return tag
}
