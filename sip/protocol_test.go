package sip

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"hotline12345/hotline"
)

// The numbers are those of the protocol test list.

func TestCase02RetransmittedInvite(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	for range 3 {
		w.send(w.msg("INVITE", "1", 1, "", body))
	}
	w.want(200, "INVITE")
	w.send(w.msg("ACK", "a1", 1, "", ""))
	w.bye(2)
	h.ended("caller", hotline.EndNotOffered)
	if n := len(h.desk.calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestCase03Lost200IsRepeated(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "", body))
	var at []time.Time
	for range 4 {
		w.want(200, "INVITE")
		at = append(at, time.Now())
	}
	for i, want := range []time.Duration{gosip.T1, 2 * gosip.T1, 4 * gosip.T1} {
		if got := at[i+1].Sub(at[i]); got < want*7/10 || got > 3*want {
			t.Errorf("gap %d was %v, want about %v", i, got, want)
		}
	}
	w.send(w.msg("ACK", "a1", 1, "", ""))
	w.bye(2)
	h.ended("caller", hotline.EndAbandoned)
}

func TestCase04AckNeverComes(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "", body))
	w.want(200, "INVITE")
	bye := w.wantRequest(gosip.BYE)
	w.reply(bye, 200, "", "")
	h.ended("system", hotline.EndNoACK)
}

func TestCase07ByeTwiceAndAfter(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.call()
	w.send(w.msg("BYE", "b", 2, "", ""))
	w.want(200, "BYE")
	w.send(w.msg("BYE", "b", 2, "", ""))
	w.want(200, "BYE") // the same response again
	h.until("the call is gone", func() bool { return h.Calls() == 0 })
	w.send(w.msg("BYE", "c", 3, "", ""))
	w.want(481, "BYE")
}

func TestCase07ByeGlare(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.call()
	h.until("the ACK arrived", func() bool { return len(h.desk.calls()) == 1 && len(h.desk.calls()[0]) >= 2 })
	id := h.desk.calls()[0][0].CallID
	if err := h.Hangup(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	bye := w.wantRequest(gosip.BYE)
	w.send(w.msg("BYE", "b", 2, "", ""))
	w.want(200, "BYE")
	w.reply(bye, 200, "", "")
	h.ended("system", hotline.EndNormal)
	if n := len(h.desk.calls()); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestCase08MergedAndLooped(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "", body))
	w.send(w.msg("INVITE", "2", 1, "", body))
	w.want(482, "INVITE")
	w.send(w.msg("OPTIONS", "3", 7, "Max-Forwards: 0\r\n", ""))
	w.want(483, "OPTIONS")
}

func TestCase09Options(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for _, network := range []string{"udp", "tcp"} {
		w := h.wire(network)
		w.send(strings.Replace(w.msg("OPTIONS", "1", 1, "", ""), "/UDP", "/"+strings.ToUpper(network), 1))
		if res := w.want(200, "OPTIONS"); res.GetHeader("Allow") == nil || res.GetHeader("Accept") == nil {
			t.Error("Allow or Accept is missing")
		}
	}
}

// TestCase10CancelAtOnce: a CANCEL that comes with the INVITE either ends it
// with 487, its To tag that of the 180, or loses to our 200 (case 11).
func TestCase10CancelAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for i := range 20 {
		w := h.wire("udp")
		invite := w.msg("INVITE", "1", 1, "", body)
		w.send(invite)
		w.send(w.msg("CANCEL", "1", 1, "", ""))
		tags, final := map[string]bool{}, 0
		for final == 0 {
			res, ok := w.read(6 * time.Second).(*gosip.Response)
			if !ok {
				t.Fatal("no final response")
			}
			if res.CSeq().MethodName != gosip.INVITE {
				continue
			}
			if tag, ok := res.To().Params.Get("tag"); ok {
				tags[tag] = true
				w.tag = tag
			}
			if res.StatusCode >= 200 {
				final = res.StatusCode
			}
		}
		if len(tags) != 1 {
			t.Errorf("round %d: To tags %v", i, tags)
		}
		w.send(w.msg("ACK", "1", 1, "", ""))
		switch final {
		case 487:
		case 200:
			w.bye(2)
		default:
			t.Errorf("final status %d", final)
		}
	}
	h.until("no call is left", func() bool { return h.Calls() == 0 })
}

func TestCase11CancelAfter200(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "", body))
	w.want(200, "INVITE")
	tag := w.tag
	w.tag = ""
	w.send(w.msg("CANCEL", "1", 1, "", ""))
	w.want(200, "CANCEL")
	w.tag = tag
	w.send(w.msg("ACK", "a", 1, "", ""))
	w.bye(2)
	h.until("the call ended", func() bool { return h.last().Kind == hotline.CallEnded })
}

func TestCase16And25Refusals(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "Require: 100rel\r\n", body))
	if res := w.want(420, "INVITE"); headerText(res, "Unsupported") != "100rel" {
		t.Errorf("Unsupported = %q", headerText(res, "Unsupported"))
	}
	w.send(w.msg("MESSAGE", "2", 2, "", ""))
	if res := w.want(405, "MESSAGE"); headerText(res, "Allow") != allow {
		t.Errorf("Allow = %q", headerText(res, "Allow"))
	}
	w.send(w.msg("UPDATE", "3", 3, "", ""))
	w.want(481, "UPDATE")
	w.send(strings.Replace(w.msg("OPTIONS", "4", 4, "", ""), "OPTIONS sip:12345@127.0.0.1", "OPTIONS http:x", 1))
	w.want(416, "OPTIONS")
}

func TestCase20LateOffer(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "", ""))
	if res := w.want(200, "INVITE"); !strings.Contains(string(res.Body()), "m=audio") {
		t.Errorf("our offer = %q", res.Body())
	}
	w.send(w.msg("ACK", "a1", 1, "", body))
	h.until("the caller waits", func() bool { return h.last().Kind == hotline.CallQueued })
	w.send(w.msg("INVITE", "2", 2, "", "")) // and again within the dialog
	w.want(200, "INVITE")
	w.send(w.msg("ACK", "a2", 2, "", body))
	w.bye(3)
	h.ended("caller", hotline.EndAbandoned)
}

func TestCase21To26InDialog(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.call()
	w.send(w.msg("INVITE", "2", 2, "", body))
	w.want(200, "INVITE")
	w.send(w.msg("INVITE", "3", 3, "", body)) // before the ACK of the other
	w.want(491, "INVITE")
	w.send(w.msg("ACK", "3", 3, "", ""))
	w.send(w.msg("ACK", "a2", 2, "", ""))
	for i, direction := range []string{"sendonly", "inactive", "sendrecv"} { // 19: hold in its forms
		w.send(w.msg("INVITE", fmt.Sprint("h", i), 4+i, "", body+"a="+direction+"\r\n"))
		res := w.want(200, "INVITE")
		want := map[string]string{"sendonly": "recvonly", "inactive": "inactive", "sendrecv": "sendrecv"}[direction]
		if !strings.Contains(string(res.Body()), "a="+want) {
			t.Errorf("%s was answered %q", direction, res.Body())
		}
		w.send(w.msg("ACK", fmt.Sprint("ha", i), 4+i, "", ""))
	}
	w.send(w.msg("INVITE", "7", 7, "", strings.Replace(body, "8 0 101", "18", 1))) // 22
	w.want(488, "INVITE")
	w.send(w.msg("ACK", "7", 7, "", ""))
	w.send(w.msg("UPDATE", "8", 8, "", body)) // 25
	w.want(200, "UPDATE")
	info := strings.Replace(w.msg("INFO", "9", 9, "", "Signal=5\r\nDuration=100\r\n"), "application/sdp", "application/dtmf-relay", 1)
	w.send(info)
	w.want(200, "INFO")
	w.send(w.msg("REFER", "10", 10, "Refer-To: <sip:1002@127.0.0.1>\r\n", ""))
	w.want(603, "REFER")
	w.send(w.msg("OPTIONS", "5", 5, "", "")) // 26: lower CSeq
	w.want(500, "OPTIONS")
	w.send(w.msg("OPTIONS", "20", 20, "", "")) // a gap is accepted
	w.want(200, "OPTIONS")
	w.bye(21)
	h.until("the call ended", func() bool { return h.last().Kind == hotline.CallEnded })
}

func TestCase24SessionTimer(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "Supported: timer\r\nSession-Expires: 30\r\n", body))
	if res := w.want(422, "INVITE"); headerText(res, "Min-SE") != "90" {
		t.Error("Min-SE is missing")
	}
	w = h.wire("udp")
	w.send(w.msg("INVITE", "1", 1, "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n", body))
	if res := w.want(200, "INVITE"); headerText(res, "Session-Expires") != "1800;refresher=uac" {
		t.Errorf("Session-Expires = %q", headerText(res, "Session-Expires"))
	}
	w.send(w.msg("ACK", "a", 1, "", ""))
	w.bye(2)
}

func TestCase29RouteSet(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	me := w.conn.LocalAddr().String()
	w.send(w.msg("INVITE", "1", 1, "Record-Route: <sip:"+me+";lr>\r\nRecord-Route: <sip:second.example;lr>\r\n", body))
	w.want(200, "INVITE")
	w.send(w.msg("ACK", "a", 1, "", ""))
	h.until("the call stands", func() bool { return len(h.desk.calls()) == 1 && len(h.desk.calls()[0]) > 1 })
	if err := h.Hangup(t.Context(), h.last().CallID); err != nil {
		t.Fatal(err)
	}
	bye := w.wantRequest(gosip.BYE)
	var hops []string
	for _, r := range bye.GetHeaders("Route") {
		hops = append(hops, r.Value())
	}
	if len(hops) != 2 || !strings.Contains(hops[0], me) || !strings.Contains(hops[1], "second.example") || bye.Recipient.User != "me" {
		t.Errorf("BYE %s with routes %v", bye.Recipient.String(), hops)
	}
	w.reply(bye, 200, "", "")
}

// TestCase30Strangers: no bytes for sources we do not know, and an INVITE from
// a phone network without registration gets none either.
func TestCase30Strangers(t *testing.T) {
	t.Parallel()
	for name, nets := range map[string][]netip.Prefix{"no network": {netip.MustParsePrefix("192.0.2.0/24")}, "phone network": {netip.MustParsePrefix("127.0.0.0/8")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, houseOptions{trunks: []Trunk{}, change: func(o *Options) { o.PhoneNets = nets }})
			w := h.wire("udp")
			w.send(w.msg("INVITE", "1", 1, "", body))
			w.send("garbage")
			if m := w.read(400 * time.Millisecond); m != nil {
				t.Errorf("the server said %s", m)
			}
			if h.dropped.Load() != 2 || h.tp.Pool("udp").Size() > 1 {
				t.Errorf("dropped %d, pool %d", h.dropped.Load(), h.tp.Pool("udp").Size())
			}
		})
	}
}

// TestCase12To14AgentSide drives the agent's phone by hand: many provisionals
// (13), a second fork's 2xx (14), a repeated 2xx (5).
func TestCase12To14AgentSide(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{ring: 5 * time.Second})
	phone := h.registered(1001)
	w := h.wire("udp")
	w.call()
	invite := phone.wantRequest(gosip.INVITE)
	for range 12 {
		phone.reply(invite, 180, "one", "")
	}
	phone.reply(invite, 200, "one", body)
	phone.wantRequest(gosip.ACK)
	h.until("the agent talks", func() bool { return h.state(1001) == hotline.Talking })
	phone.reply(invite, 200, "one", body)
	phone.wantRequest(gosip.ACK)
	phone.reply(invite, 200, "two", body)
	ack := phone.wantRequest(gosip.ACK)
	if tag, _ := ack.To().Params.Get("tag"); tag != "two" {
		t.Errorf("ACK to tag %q", tag)
	}
	bye := phone.wantRequest(gosip.BYE)
	if tag, _ := bye.To().Params.Get("tag"); tag != "two" {
		t.Errorf("BYE to tag %q", tag)
	}
	phone.reply(bye, 200, "", "")
	if h.state(1001) != hotline.Talking {
		t.Error("the kept fork was ended")
	}
	w.send(w.msg("BYE", "b", 2, "", ""))
	phone.reply(phone.wantRequest(gosip.BYE), 200, "", "")
	h.ended("caller", hotline.EndNormal)
}

// TestCase12CancelCrosses200: the caller leaves, our CANCEL meets the phone's
// 200: it is acknowledged and ended.
func TestCase12CancelCrosses200(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{ring: 5 * time.Second})
	phone := h.registered(1001)
	w := h.wire("udp")
	w.call()
	invite := phone.wantRequest(gosip.INVITE)
	phone.reply(invite, 180, "one", "")
	h.until("the agent's phone rings", func() bool { return h.state(1001) == hotline.Ringing })
	w.bye(2)
	phone.reply(phone.wantRequest(gosip.CANCEL), 200, "", "")
	phone.reply(invite, 200, "one", body)
	phone.wantRequest(gosip.ACK)
	phone.reply(phone.wantRequest(gosip.BYE), 200, "", "")
	h.ended("caller", hotline.EndAbandoned)
	h.until("the agent is ready", func() bool { return h.state(1001) == hotline.Ready })
}

// registered registers an extension by hand and returns its wire.
func (h *house) registered(n int) *wire {
	w := h.wire("udp")
	res := w.register(n, "p", 1, "", "Expires: 300\r\n", nil)
	if res.StatusCode != 200 {
		h.t.Fatalf("REGISTER was answered %d", res.StatusCode)
	}
	h.until("the agent is ready", func() bool { return h.state(n) == hotline.Ready })
	return w
}

// register sends a REGISTER, twice when it is challenged. change may spoil
// the credentials.
func (w *wire) register(n int, prefix string, seq int, contact, headers string, change func(*digest.Credentials)) *gosip.Response {
	w.t.Helper()
	if contact == "" {
		contact = "<sip:phone@" + w.conn.LocalAddr().String() + ">"
	}
	build := func(seq int, more string) string {
		return fmt.Sprintf("REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%sr%d;rport\r\nFrom: <sip:%d@x>;tag=me\r\n"+
			"To: <sip:%d@x>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\nMax-Forwards: 70\r\nContact: %s\r\n%sContent-Length: 0\r\n\r\n",
			w.conn.LocalAddr(), w.id, seq, n, n, w.id, seq, contact, headers+more)
	}
	w.send(build(seq, ""))
	res, ok := w.read(5 * time.Second).(*gosip.Response)
	if !ok || res.StatusCode != 401 {
		w.t.Fatalf("first REGISTER: %v", res)
	}
	list := res.GetHeaders("WWW-Authenticate")
	ch, err := digest.ParseChallenge(list[len(list)-1].Value())
	if err != nil {
		w.t.Fatal(err)
	}
	cred, err := digest.Digest(ch, digest.Options{Method: "REGISTER", URI: "sip:127.0.0.1", Username: fmt.Sprint(n), Password: fmt.Sprint(prefix, n)})
	if err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(cred)
	}
	w.send(build(seq+1, "Authorization: "+cred.String()+"\r\n"))
	res, ok = w.read(5 * time.Second).(*gosip.Response)
	if !ok {
		return nil
	}
	return res
}

func TestCase35Registrar(t *testing.T) {
	t.Parallel()
	for _, sha := range []bool{false, true} {
		t.Run(fmt.Sprint("SHA-256 ", sha), func(t *testing.T) {
			t.Parallel()
			h := open(t, houseOptions{change: func(o *Options) { o.OfferSHA256 = sha }})
			w := h.wire("udp")
			code := func(res *gosip.Response) int {
				if res == nil {
					return 0
				}
				return res.StatusCode
			}
			var nonce string
			spy := func(c *digest.Credentials) { nonce = c.Nonce }
			if got := code(w.register(1001, "p", 1, "", "Expires: 300\r\n", spy)); got != 200 {
				t.Fatalf("right password: %d", got)
			}
			res := w.register(1001, "p", 3, "", "Expires: 300\r\n", func(c *digest.Credentials) { c.Nonce = nonce }) // response does not fit
			if code(res) != 401 {
				t.Errorf("foreign nonce: %d", code(res))
			}
			if got := code(w.register(1001, "p", 5, "", "Expires: 5\r\n", nil)); got != 423 {
				t.Errorf("too brief: %d", got)
			}
			if got := code(w.register(1001, "p", 7, "*", "Expires: 10\r\n", nil)); got != 400 {
				t.Errorf("* with Expires 10: %d", got)
			}
			for i := range 11 {
				w.register(1002, "p", 20+2*i, fmt.Sprintf("<sip:phone%d@127.0.0.1:9>", i), "Expires: 300\r\n", nil)
			}
			if res = w.register(1002, "p", 60, "<sip:last@127.0.0.1:9>", "Expires: 300\r\n", nil); len(res.GetHeaders("Contact")) != maxContacts {
				t.Errorf("%d contacts", len(res.GetHeaders("Contact")))
			}
			if res = w.register(1001, "p", 70, "*", "Expires: 0\r\n", nil); code(res) != 200 || len(res.GetHeaders("Contact")) != 0 {
				t.Errorf("* with Expires 0: %v", res)
			}
			h.until("the phone is gone from the floor", func() bool { return !h.seat(1001).Phone })
			if got := code(w.register(7777, "p", 80, "", "Expires: 300\r\n", nil)); got != 401 {
				t.Errorf("unknown user: %d", got)
			}
			for i := range freeFails + 1 {
				w.register(1003, "wrong", 90+2*i, "", "Expires: 300\r\n", nil)
			}
			w.send(strings.Replace(w.msg("REGISTER", "z", 200, "Expires: 300\r\n", ""), "To: <sip:12345@", "To: <sip:1003@", 1))
			if m := w.read(300 * time.Millisecond); m != nil {
				t.Errorf("locked out, but answered %s", m)
			}
		})
	}
}
