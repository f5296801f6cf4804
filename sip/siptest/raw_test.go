package siptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// rawUAS is a bare socket that answers as a test wants.
type rawUAS struct {
	t    *testing.T
	conn *net.UDPConn
	from *net.UDPAddr
}

func newRawUAS(t *testing.T) *rawUAS {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rawUAS{t: t, conn: c}
}

// wait reads until a request of the method comes; repeats of others pass by.
func (u *rawUAS) wait(method string) string {
	u.t.Helper()
	b := make([]byte, 65536)
	if err := u.conn.SetReadDeadline(time.Now().Add(6 * time.Second)); err != nil {
		u.t.Fatal(err)
	}
	for {
		n, from, err := u.conn.ReadFromUDP(b)
		if err != nil {
			u.t.Errorf("no %s: %v", method, err)
			return ""
		}
		u.from = from
		if bytes.HasPrefix(b[:n], []byte(method+" ")) {
			return string(b[:n])
		}
	}
}

// reply answers a request's text.
func (u *rawUAS) reply(req, status, sdp string) {
	u.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for line := range strings.SplitSeq(req, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "via", "from", "call-id", "cseq":
			b.WriteString(line + "\r\n")
		case "to":
			if !strings.Contains(line, "tag=") && !strings.HasPrefix(status, "100") {
				line += ";tag=callee"
			}
			b.WriteString(line + "\r\n")
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:x@%s>\r\nContent-Length: %d\r\n", u.conn.LocalAddr(), len(sdp))
	if sdp != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	if _, err := u.conn.WriteToUDP([]byte(b.String()+"\r\n"+sdp), u.from); err != nil {
		u.t.Error(err)
	}
}

const answerSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"

// TestReACK, RFC 3261 §13.2.2.4: each 200 is acknowledged; any number of 180
// may come before.
func TestReACK(t *testing.T) {
	t.Parallel()
	u := newRawUAS(t)
	p := newPhone(t, Options{User: "1", Server: u.conn.LocalAddr().String()})
	done := make(chan struct{})
	go func() {
		defer close(done)
		inv := u.wait("INVITE")
		if len(inv) > 1100 {
			t.Errorf("INVITE of %d bytes leaves no room for credentials below 1300 (RFC 3261 §18.1.1)", len(inv))
		}
		u.reply(inv, "100 Trying", "")
		for range 12 {
			u.reply(inv, "180 Ringing", "")
		}
		for range 3 {
			u.reply(inv, "200 OK", answerSDP)
			u.wait("ACK")
		}
		u.reply(u.wait("BYE"), "200 OK", "")
	}()
	talk, err := p.Call(within(t), "12345")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a repeated 200 acknowledged", func() bool { return len(p.Talks()) == 1 })
	if err := talk.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	<-done
}

// TestCancelCrosses200: the answer that crosses our CANCEL is acknowledged and
// ended, so that no phone stays off the hook.
func TestCancelCrosses200(t *testing.T) {
	t.Parallel()
	u := newRawUAS(t)
	p := newPhone(t, Options{User: "1", Server: u.conn.LocalAddr().String()})
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		inv := u.wait("INVITE")
		u.reply(inv, "180 Ringing", "")
		cancel()
		c := u.wait("CANCEL")
		u.reply(inv, "200 OK", answerSDP)
		u.reply(c, "200 OK", "")
		u.wait("ACK")
		u.reply(u.wait("BYE"), "200 OK", "")
	}()
	if _, err := p.Call(ctx, "12345"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-done
}
