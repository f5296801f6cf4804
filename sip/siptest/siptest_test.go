package siptest

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"hotline12345/sip/media"
)

func TestMain(m *testing.M) {
	// A datagram that the library still handles while its sockets close may
	// make it open one more, seen once in many runs; it dies with the program.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/emiago/sipgo/sip.(*TransportUDP).readUDPConnection"))
}

func newPhone(t *testing.T, o Options) *Phone {
	t.Helper()
	if o.Server == "" {
		o.Server = "127.0.0.1:9"
	}
	p, err := NewPhone(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Log(err)
		}
	})
	return p
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// TestTalk: two phones talk over each transport, hold, press keys, hang up.
func TestTalk(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			answered := make(chan *Talk, 1)
			callee := newPhone(t, Options{User: "1001", Transport: transport, OnTalk: func(t *Talk) { answered <- t },
				OnCall: func(in Incoming) Reaction {
					if in.From != "13800000001" {
						return Reaction{Status: 603}
					}
					return Reaction{After: 50 * time.Millisecond}
				}})
			caller := newPhone(t, Options{User: "13800000001", Transport: transport, Server: callee.Addr()})
			a, err := caller.Call(ctx, "1001")
			if err != nil {
				t.Fatal(err)
			}
			b := <-answered
			a.Loop(media.Tone(500, time.Second))
			b.Loop(media.Tone(900, time.Second))
			eventually(t, "tones both ways", func() bool { return a.Level(900) > 0.25 && b.Level(500) > 0.25 && a.Loudness() > 0.1 })
			<-a.SendDTMF("12345#")
			for _, want := range []byte("12345#") {
				if d := <-b.DTMF(); d.Key != want {
					t.Errorf("key %c, want %c", d.Key, want)
				}
			}
			if err := a.Hold(ctx); err != nil {
				t.Fatal(err)
			}
			n := a.Stats().Received
			if err := a.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			eventually(t, "sound after the hold", func() bool { return a.Stats().Received > n+10 && a.Level(900) > 0.25 })
			if err := b.Hangup(ctx); err != nil {
				t.Fatal(err)
			}
			select {
			case <-a.Ended():
			case <-ctx.Done():
				t.Fatal("caller not told")
			}
			if a.Reason() != EndedThere || b.Reason() != EndedHere || len(caller.Talks())+len(callee.Talks()) != 0 {
				t.Errorf("ended as %q and %q", a.Reason(), b.Reason())
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, code := range []int{486, 603} {
		callee := newPhone(t, Options{User: "1001", OnCall: func(Incoming) Reaction { return Reaction{Status: code} }})
		caller := newPhone(t, Options{User: "2", Server: callee.Addr()})
		_, err := caller.Call(within(t), "1001")
		var se *StatusError
		if !errors.As(err, &se) || se.Code != code {
			t.Errorf("got %v, want status %d", err, code)
		}
	}
}

// TestCancel: the caller gives up while it rings; RFC 3261 §9.
func TestCancel(t *testing.T) {
	t.Parallel()
	rings := make(chan struct{}, 1)
	callee := newPhone(t, Options{User: "1001", OnCall: func(Incoming) Reaction {
		rings <- struct{}{}
		return Reaction{Never: true}
	}})
	caller := newPhone(t, Options{User: "2", Server: callee.Addr()})
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		<-rings
		cancel()
	}()
	if _, err := caller.Call(ctx, "1001"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(callee.Talks()) != 0 {
		t.Error("a cancelled call was answered")
	}
}

// TestRegisterDigest answers a challenge and uses the nonce again.
func TestRegisterDigest(t *testing.T) {
	t.Parallel()
	ua, err := sipgo.NewUA()
	if err != nil {
		t.Fatal(err)
	}
	registrar, err := sipgo.NewServer(ua)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 8)
	registrar.OnRegister(func(req *gosip.Request, tx gosip.ServerTransaction) {
		auth := headerValue(req, "Authorization")
		seen <- auth
		if auth == "" {
			res := gosip.NewResponseFromRequest(req, 401, "Unauthorized", nil)
			res.AppendHeader(gosip.NewHeader("WWW-Authenticate", `Digest realm="hotline", nonce="n1", algorithm=MD5, qop="auth"`))
			if err := tx.Respond(res); err != nil {
				t.Error(err)
			}
			return
		}
		if err := tx.Respond(gosip.NewResponseFromRequest(req, 200, "OK", nil)); err != nil {
			t.Error(err)
		}
	})
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := registrar.ServeUDP(socket); err != nil {
			t.Log(err)
		}
	}()
	t.Cleanup(func() {
		if err := errors.Join(ua.Close(), socket.Close()); err != nil {
			t.Log(err)
		}
		<-served
	})
	server := socket.LocalAddr().String()
	p := newPhone(t, Options{User: "1001", Password: "secret", Server: server})
	ctx := within(t)
	if err := p.Register(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Unregister(ctx); err != nil {
		t.Fatal(err)
	}
	if first := <-seen; first != "" {
		t.Errorf("credentials without a challenge: %s", first)
	}
	for _, nc := range []string{"nc=00000001", "nc=00000002"} {
		if h := <-seen; !strings.Contains(h, nc) || !strings.Contains(h, `username="1001"`) || strings.Contains(h, "secret") {
			t.Errorf("credentials %q, want %s", h, nc)
		}
	}
	wrong := newPhone(t, Options{User: "1002", Server: server})
	var se *StatusError
	if err := wrong.Register(ctx); !errors.As(err, &se) || se.Code != 401 {
		t.Errorf("got %v, want 401", err)
	}
}

func headerValue(m interface{ GetHeader(string) gosip.Header }, name string) string {
	if h := m.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}
