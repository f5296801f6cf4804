package sip

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icholy/digest"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/sip/siptest"
)

// TestLimits: calls over the limits are refused with 503 and Retry-After, and
// a call that waits or talks too long is ended.
func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("calls at once", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.MaxCalls = 1 }})
		h.wire("udp").call()
		w := h.wire("udp")
		w.send(w.msg("INVITE", "1", 1, "", body))
		if res := w.want(503, "INVITE"); headerText(res, "Retry-After") == "" {
			t.Error("Retry-After is missing")
		}
	})
	t.Run("calls a second", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.MaxPerSecond = 1 }})
		h.wire("udp").call()
		w := h.wire("udp")
		w.send(w.msg("INVITE", "1", 1, "", body))
		w.want(503, "INVITE")
	})
	t.Run("port exhaustion, case 43", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.PortMax = o.PortMin + 5 }})
		h.wire("udp").call()
		h.until("the first call has its port", func() bool { return h.last().Kind == hotline.CallQueued })
		h.wire("udp").call()
		h.until("both calls have ports", func() bool { return len(h.desk.calls()) == 2 })
		w := h.wire("udp")
		h.until("one pair is left", func() bool { return h.Server.ports.Free() < 2 })
		w.send(w.msg("INVITE", "1", 1, "", body))
		w.want(503, "INVITE")
	})
	t.Run("longest wait", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.LongestWait = 200 * time.Millisecond }})
		w := h.wire("udp")
		w.call()
		w.reply(w.wantRequest("BYE"), 200, "", "")
		h.ended("system", hotline.EndNoAgent)
	})
	t.Run("full queue", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.MaxWaiting = 1 }})
		h.wire("udp").call()
		h.until("one waits", func() bool { return h.last().Kind == hotline.CallQueued })
		w := h.wire("udp")
		w.call()
		w.reply(w.wantRequest("BYE"), 200, "", "")
	})
	t.Run("longest call", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.MaxCallLength = 300 * time.Millisecond }})
		w := h.wire("udp")
		w.call()
		w.reply(w.wantRequest("BYE"), 200, "", "")
		h.ended("system", hotline.EndMaxLength)
	})
	t.Run("no media", func(t *testing.T) {
		t.Parallel()
		h := open(t, houseOptions{change: func(o *Options) { o.FirstPacket = 500 * time.Millisecond }})
		w := h.wire("udp")
		w.call()
		w.reply(w.wantRequest("BYE"), 200, "", "")
		h.ended("system", hotline.EndMediaLost)
	})
}

// TestCase49RedisEmptied: with the floor's memory gone, a talk goes on, the
// phone is known again and a waiting caller is served.
func TestCase49RedisEmptied(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	h.agent(1001, siptest.Options{})
	if err := h.floor.SetState(t.Context(), 1001, hotline.OnBreak, "午餐", 0); err != nil {
		t.Fatal(err)
	}
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.until("the caller waits", func() bool { return h.last().Kind == hotline.CallQueued })
	h.until("the floor saw the break", func() bool { return h.state(1001) == hotline.OnBreak })
	time.Sleep(300 * time.Millisecond) // a sweep: the node's memory holds the break
	if err := h.o.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	h.until("the agent is known again", func() bool { a := h.seat(1001); return a.State == hotline.OnBreak && a.Phone })
	if err := h.floor.SetState(t.Context(), 1001, hotline.Ready, "", 0); err != nil {
		t.Fatal(err)
	}
	h.until("the caller is served", func() bool { return h.last().Kind == hotline.CallAnswered })
	if err := h.o.Redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	h.until("the talk is known again", func() bool {
		s, err := h.floor.Snapshot(t.Context())
		return err == nil && len(s.Waiting) == 1 && s.Waiting[0].State == "talking" && h.state(1001) == hotline.Talking
	})
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.ended("caller", hotline.EndNormal)
	h.until("the agent is ready", func() bool { return h.state(1001) == hotline.Ready })
}

// TestGuard: nonces grow stale, counts must grow, failures lock out for a time.
func TestGuard(t *testing.T) {
	t.Parallel()
	clock := hotlinetest.NewClock(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	g := newGuard("hotline", true, clock)
	secret, err := phones{"hotline"}.HA1(t.Context(), "1001")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // both algorithms, a nonce for each
		ch, err := digest.ParseChallenge(g.challenges(false)[i])
		if err != nil {
			t.Fatal(err)
		}
		sign := func(password string, count int) string {
			c, err := digest.Digest(ch, digest.Options{Method: "REGISTER", URI: "sip:x", Username: "1001", Password: password, Count: count})
			if err != nil {
				t.Fatal(err)
			}
			return c.String()
		}
		for i, step := range []struct {
			header string
			secret Secret
			want   verdict
		}{
			{sign("p1001", 1), secret, authGood},
			{sign("p1001", 1), secret, authStale}, // replayed
			{sign("p1001", 2), secret, authGood},
			{sign("wrong", 3), secret, authWrong},
			{sign("p1001", 3), Secret{}, authWrong}, // unknown user
			{"Digest", secret, authMissing},
		} {
			if got := g.check(step.header, "REGISTER", step.secret); got != step.want {
				t.Errorf("%s step %d: got %v, want %v", ch.Algorithm, i, got, step.want)
			}
		}
		if got := g.check(sign("p1001", 9), "INVITE", secret); got != authWrong {
			t.Errorf("another method: %v", got)
		}
	}
	stale, err := digest.ParseChallenge(g.challenges(false)[0])
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(nonceLife + time.Second)
	c, err := digest.Digest(stale, digest.Options{Method: "REGISTER", URI: "sip:x", Username: "1001", Password: "p1001", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.check(c.String(), "REGISTER", secret); got != authStale {
		t.Errorf("old nonce: %v", got)
	}
	src := netip.MustParseAddr("192.0.2.1")
	for range freeFails {
		g.count(src, "1001", false)
	}
	if g.locked(src, "1001") {
		t.Error("locked out too soon")
	}
	g.count(src, "1001", false)
	if !g.locked(src, "1001") || g.locked(src, "1002") {
		t.Error("the lock-out does not hold, or holds another")
	}
	clock.Add(3 * time.Second)
	if g.locked(src, "1001") {
		t.Error("locked out for ever")
	}
}

// TestLine: a line is found as it is dialled from near and far.
func TestLine(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for user, want := range map[string]string{"12345": "12345", "056312345": "12345", "+8656312345": "12345", "+86056312345": "12345",
		"008612345": "12345", "12333": "12333", "99": "", "12345;phone-context=x": "12345", "alice": "", "": ""} {
		w := h.wire("udp")
		req := mustParse(t, w.msg("INVITE", "1", 1, "", body))
		req.Recipient.User = user
		if got, _ := h.line(req.Recipient); got != want {
			t.Errorf("line(%q) = %q, want %q", user, got, want)
		}
	}
}

// TestCallerOf: the trunk's asserted identity wins over From; a withheld
// number is empty.
func TestCallerOf(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	for name, c := range map[string]struct {
		headers, from string
		want          hotline.Phone
	}{
		"from":      {"", "13812345678", "+8613812345678"},
		"asserted":  {"P-Asserted-Identity: \"x\" <sip:+8605633021234@ims>\r\n", "13812345678", "+8605633021234"},
		"tel":       {"P-Asserted-Identity: <tel:+8613912345678>\r\n", "13812345678", "+8613912345678"},
		"anonymous": {"", "anonymous", ""},
	} {
		w := h.wire("udp")
		req := mustParse(t, w.msg("INVITE", "1", 1, c.headers, body))
		req.From().Address.User = c.from
		if got := callerOf(req, ""); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got.Reveal(), c.want.Reveal())
		}
	}
}

// TestFactsAreDense: facts of any ending are numbered without gaps.
func TestFactsAreDense(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	w := h.wire("udp")
	w.send(w.msg("INVITE", "7", 1, "", fmt.Sprint(body[:20], "nonsense")))
	w.want(400, "INVITE")
	h.ended("system", hotline.EndRejected)
	if got := kinds(h.desk.calls()[0]); !slices.Equal(got, []hotline.CallFactKind{hotline.CallArrived, hotline.CallEnded}) {
		t.Errorf("facts = %v", got)
	}
}

// TestNoNumbersInLogs: neither the log, at its most talkative, nor Redis shows
// a caller's number.
func TestNoNumbersInLogs(t *testing.T) {
	t.Parallel()
	var out safeBuffer
	h := open(t, houseOptions{change: func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}})
	h.agent(1001, siptest.Options{})
	talk, err := h.phone(siptest.Options{User: "13898765432"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.until("they talk", func() bool { return h.state(1001) == hotline.Talking })
	for _, key := range h.o.Redis.Keys(t.Context(), "*").Val() {
		if dump := h.o.Redis.Do(t.Context(), "HGETALL", key).String(); strings.Contains(dump, "98765") {
			t.Errorf("%s holds %s", key, dump)
		}
	}
	w := h.wire("udp")
	w.send(strings.ReplaceAll(w.msg("INVITE", "1", 1, "Require: x\r\n", body), "13812345678", "13898765432"))
	w.want(420, "INVITE")
	w.send("INVITE sip:13898765432@x SIP/2.0\r\nbroken\r\n\r\n")
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.ended("caller", hotline.EndNormal)
	if s := out.String(); !strings.Contains(s, "call ended") || strings.Contains(s, "98765") {
		t.Errorf("log = %s", s)
	}
}

// safeBuffer is a buffer many goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
