package sip

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// torture returns RFC 4475's messages, which come with the SIP library.
func torture(t testing.TB) map[string][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatal("the library's source is not at hand: ", err)
	}
	out := map[string][]byte{}
	root := filepath.Join(strings.TrimSpace(string(dir)), "sip", "testdata", "torture")
	for _, sub := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join(root, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[sub+"/"+strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))] = b
		}
	}
	if len(out) < 40 {
		t.Fatalf("only %d messages found in %s", len(out), root)
	}
	return out
}

// wanted are the answers of RFC 4475 §3 to the messages that can be parsed.
var wanted = map[string]int{
	"invalid/badvers": 505, "invalid/bext01": 420, "invalid/unkscm": 416, "invalid/zeromf": 483,
	"invalid/insuf": 400, "invalid/mcl01": 400, "invalid/multi01": 400, "invalid/mismatch01": 400, "invalid/baddate": 400, "invalid/quotbal": 400,
	"invalid/scalar02": 400, "invalid/mismatch02": 400,
	"valid/wsinv": 481, // well-formed, white space everywhere, of a dialog we do not know
}

// TestCase37Torture sends RFC 4475's messages over UDP and TCP: the server
// goes on, never answers an ACK and never with anything but an error or what
// OPTIONS and the like deserve.
func TestCase37Torture(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for name, msg := range torture(t) {
		for _, network := range []string{"udp", "tcp"} {
			w := h.wire(network)
			// The answer shall come to us, not to the host that Via names.
			text := strings.Replace(string(msg), "branch=", "rport;branch=", 1)
			w.send(text)
			_ = w.conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
			b := make([]byte, 65535)
			n, err := w.conn.Read(b)
			if err != nil {
				if network == "udp" && wanted[name] != 0 {
					t.Errorf("%s over %s: no answer, want %d", name, network, wanted[name])
				}
				continue
			}
			if strings.HasPrefix(text, "ACK ") {
				t.Errorf("%s over %s: an ACK was answered", name, network)
			}
			line, _, _ := strings.Cut(string(b[:n]), "\r\n")
			if !strings.HasPrefix(line, "SIP/2.0 ") {
				t.Errorf("%s over %s: %q", name, network, line)
			}
			if code := wanted[name]; code != 0 && network == "udp" && !strings.Contains(line, " "+strconv.Itoa(code)+" ") {
				t.Errorf("%s: %q, want %d", name, line, code)
			}
			t.Logf("%s over %s: %s", name, network, line)
		}
	}
	w := h.wire("udp")
	w.send(w.msg("OPTIONS", "1", 1, "", ""))
	w.want(200, "OPTIONS")
}

// TestCase38Mutations damages messages at random; the server lives on.
func TestCase38Mutations(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	r := rand.New(rand.NewPCG(4475, 38))
	seeds := torture(t)
	var texts [][]byte
	for _, b := range seeds {
		texts = append(texts, b)
	}
	for _, m := range []string{"INVITE", "REGISTER", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "ACK"} {
		texts = append(texts, []byte(w.msg(m, m, 1, "", body)))
	}
	n := 3000
	if testing.Short() {
		n = 300
	}
	for i := range n {
		b := mutate(r, append([]byte(nil), texts[r.IntN(len(texts))]...))
		if _, err := w.conn.Write(b); err != nil {
			continue // an empty or oversize datagram, or an ICMP of the one before
		}
		if i%100 == 0 {
			time.Sleep(time.Millisecond) // not to overrun the socket: a lost datagram tests nothing
		}
	}
	p := h.wire("udp")
	p.send(p.msg("OPTIONS", "1", 1, "", ""))
	p.want(200, "OPTIONS")
}

func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(4) {
		if len(b) < 2 {
			return []byte("x")
		}
		i := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b = append(b[:i], b[min(len(b), i+r.IntN(20)):]...)
		case 2:
			b = append(b[:i:i], append([]byte(strings.Repeat(";,<>\"\r\n:", r.IntN(4))), b[i:]...)...)
		case 3:
			j := r.IntN(len(b))
			b[i], b[j] = b[j], b[i]
		}
	}
	return b
}

// FuzzValidate: no message that parses makes the checks before the handlers
// panic.
func FuzzValidate(f *testing.F) {
	for _, b := range torture(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		complain(b, netip.MustParseAddrPort("192.0.2.1:5060"))
		m, err := gosip.NewParser().ParseSIP(b)
		if err != nil {
			return
		}
		prepare(m)
		req, ok := m.(*gosip.Request)
		if !ok {
			return
		}
		r := validate(req)
		if r != nil {
			if r.code < 400 || r.code > 699 {
				t.Errorf("status %d", r.code)
			}
			for _, h := range r.headers {
				if strings.ContainsAny(h.Value(), "\r\n") {
					t.Errorf("header injection: %q", h.Value())
				}
			}
			return
		}
		callerOf(req, "")
		toTag(req)
		if _, bad := sessionTimer(req); bad != nil && bad.code < 400 {
			t.Errorf("status %d", bad.code)
		}
	})
}

// FuzzDigest: the parser of credentials neither panics nor invents members.
func FuzzDigest(f *testing.F) {
	for _, s := range []string{`Digest username="1001", realm="a\"b", nc=00000001, qop=auth`, `Digest a=`, `Digest a="`, `Basic x`, `Digest ,,,`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := parseDigest(s)
		if ok && len(m) == 0 {
			t.Error("no members")
		}
		for k := range m {
			if k == "" || k != strings.ToLower(k) {
				t.Errorf("member %q", k)
			}
		}
	})
}

// TestCase33SilentTCP: a client that connects and says nothing keeps nobody
// from being served.
func TestCase33SilentTCP(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for range 20 {
		c, err := net.Dial("tcp", h.TCPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	w := h.wire("tcp")
	msg := strings.Replace(w.msg("OPTIONS", "1", 1, "", ""), "/UDP", "/TCP", 1)
	for i := range msg { // 32: one byte at a time
		w.send(msg[i : i+1])
	}
	w.want(200, "OPTIONS")
}
