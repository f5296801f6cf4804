package sip

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// wire is a peer that writes SIP by hand.
type wire struct {
	t    testing.TB
	conn net.Conn
	h    *house
	id   string // Call-ID
	tag  string // the server's To tag, once known
}

func (h *house) wire(network string) *wire {
	h.t.Helper()
	to := h.Addr().String()
	if network == "tcp" {
		to = h.TCPAddr().String()
	}
	c, err := net.Dial(network, to)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return &wire{t: h.t, conn: c, h: h, id: gosip.GenerateTagN(12)}
}

const body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"

// msg is a request of the caller; headers are added, body may be "".
func (w *wire) msg(method, branch string, seq int, headers, sdp string) string {
	to := "<sip:12345@127.0.0.1>"
	if w.tag != "" {
		to += ";tag=" + w.tag
	}
	if sdp != "" {
		headers += "Content-Type: application/sdp\r\n"
	}
	if !strings.Contains(headers, "Max-Forwards") {
		headers += "Max-Forwards: 70\r\n"
	}
	return fmt.Sprintf("%s sip:12345@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\r\nFrom: <sip:13812345678@127.0.0.1>;tag=me\r\n"+
		"To: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:me@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, w.conn.LocalAddr(), w.id, branch, to, w.id, seq, method, w.conn.LocalAddr(), headers, len(sdp), sdp)
}

func (w *wire) send(s string) {
	w.t.Helper()
	if _, err := w.conn.Write([]byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

// read returns the next message within d, nil for none.
func (w *wire) read(d time.Duration) gosip.Message {
	w.t.Helper()
	b := make([]byte, 65535)
	_ = w.conn.SetReadDeadline(time.Now().Add(d))
	n, err := w.conn.Read(b)
	if err != nil {
		return nil
	}
	m, err := gosip.NewParser().ParseSIP(b[:n])
	if err != nil {
		w.t.Fatalf("the server wrote %q: %v", b[:n], err)
	}
	return m
}

// want reads until a response with the code to the method comes.
func (w *wire) want(code int, method string) *gosip.Response {
	w.t.Helper()
	var seen []string
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
		switch m := w.read(time.Until(end)).(type) {
		case *gosip.Response:
			if m.StatusCode == code && string(m.CSeq().MethodName) == method {
				if tag, ok := m.To().Params.Get("tag"); ok && method == "INVITE" && w.tag == "" && code < 300 && code > 100 {
					w.tag = tag
				}
				return m
			}
			seen = append(seen, m.StartLine())
		case *gosip.Request:
			seen = append(seen, m.StartLine())
		}
	}
	w.t.Fatalf("no %d to %s; seen %v", code, method, seen)
	return nil
}

// wantRequest reads until a request of the method comes.
func (w *wire) wantRequest(method gosip.RequestMethod) *gosip.Request {
	w.t.Helper()
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
		if m, ok := w.read(time.Until(end)).(*gosip.Request); ok && m.Method == method {
			return m
		}
	}
	w.t.Fatalf("no %s", method)
	return nil
}

// reply answers a request of the server.
func (w *wire) reply(req *gosip.Request, code int, tag, sdp string) {
	w.t.Helper()
	res := gosip.NewResponseFromRequest(req, code, "Test", nil)
	if tag != "" {
		res.To().Params.Remove("tag")
		res.To().Params.Add("tag", tag)
	}
	res.AppendHeader(gosip.NewHeader("Contact", "<sip:phone@"+w.conn.LocalAddr().String()+">"))
	if sdp != "" {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody([]byte(sdp))
	}
	w.send(res.String())
}

// call establishes a call up to the ACK.
func (w *wire) call() {
	w.t.Helper()
	w.send(w.msg("INVITE", "1", 1, "", body))
	w.want(200, "INVITE")
	w.send(w.msg("ACK", "a1", 1, "", ""))
}

// bye ends it.
func (w *wire) bye(seq int) {
	w.t.Helper()
	w.send(w.msg("BYE", fmt.Sprint("bye", seq), seq, "", ""))
	w.want(200, "BYE")
}

func mustParse(t testing.TB, s string) *gosip.Request {
	t.Helper()
	m, err := gosip.NewParser().ParseSIP([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*gosip.Request)
}
