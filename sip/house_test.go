package sip

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/sip/acd"
	"hotline12345/sip/ivr"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// TestMain makes the protocol's timers short: T1 is 50 ms, so that 64·T1 is
// 3.2 s. They are process-wide.
func TestMain(m *testing.M) {
	setKnobs(slog.New(slog.DiscardHandler), hotline.ClockFunc(time.Now))
	gosip.SetTimers(50*time.Millisecond, 400*time.Millisecond, 500*time.Millisecond)
	gosip.Timer_D = 3 * time.Second
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).watchCtx.func1"),
		// A datagram that the library still handles while its sockets close may
		// make it open one more, seen once in many runs; it dies with the program.
		goleak.IgnoreAnyFunction("github.com/emiago/sipgo/sip.(*TransportUDP).readUDPConnection"))
}

// desk collects facts.
type desk struct {
	mu    sync.Mutex
	facts []hotline.CallFact
}

func (d *desk) Report(f hotline.CallFact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.facts = append(d.facts, f)
}

// calls returns the kinds of facts of each call, in order of arrival.
func (d *desk) calls() (out [][]hotline.CallFact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := map[hotline.CallID]int{}
	for _, f := range d.facts {
		i, ok := at[f.CallID]
		if !ok {
			i = len(out)
			at[f.CallID] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

func kinds(facts []hotline.CallFact) (out []hotline.CallFactKind) {
	for _, f := range facts {
		out = append(out, f.Kind)
	}
	return out
}

// phones are the extensions 1001 to 1099 with the password "p<extension>".
type phones struct{ realm string }

func (p phones) HA1(_ context.Context, ext string) (Secret, error) {
	var n int
	if _, err := fmt.Sscanf(ext, "10%2d", &n); err != nil || len(ext) != 4 {
		return Secret{}, hotline.Errorf(hotline.NotFound, "没有这个分机")
	}
	plain := []byte(ext + ":" + p.realm + ":p" + ext)
	m, s := md5.Sum(plain), sha256.Sum256(plain)
	return Secret{hotline.AccountID(1000 + n), hex.EncodeToString(m[:]), hex.EncodeToString(s[:])}, nil
}

// house is a running server with its floor.
type house struct {
	*Server
	t     testing.TB
	desk  *desk
	floor *acd.Floor
	ports *media.Ports // of the phones
	dir   string
}

type houseOptions struct {
	ring   time.Duration
	wrap   time.Duration // zero: none
	trunks []Trunk       // nil: 127.0.0.0/8
	change func(*Options)
}

var (
	portMu   sync.Mutex
	nextPort = 21000 + os.Getpid()%50*200
)

func portRange(n int) (lo, hi int) {
	portMu.Lock()
	defer portMu.Unlock()
	lo = nextPort
	nextPort += n
	return lo, lo + n - 1
}

func open(t testing.TB, o houseOptions) *house {
	t.Helper()
	clock := hotline.ClockFunc(time.Now)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SIP_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	redis := hotlinetest.Redis(t)
	if o.wrap == 0 {
		o.wrap = -1
	}
	if o.ring == 0 {
		o.ring = 2 * time.Second
	}
	floor, err := acd.New(acd.Options{Redis: redis, Clock: clock, Node: "n1", Log: log, RingTimeout: o.ring, WrapUp: o.wrap,
		BusyRest: 300 * time.Millisecond, SweepInterval: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if o.trunks == nil {
		o.trunks = []Trunk{{"local", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	}
	lo, hi := portRange(200)
	h := &house{t: t, desk: &desk{}, floor: floor, dir: t.TempDir()}
	opts := Options{UDPAddr: "127.0.0.1:0", PortMin: lo, PortMax: hi, Trunks: o.trunks,
		PhoneNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Realm: "hotline", ReadyOnRegister: true,
		Lines: func(n string) (hotline.Line, bool) { return hotline.Line{Number: n}, n == "12345" || n == "12333" },
		Desk:  h.desk, Phones: phones{"hotline"}, Floor: floor, Redis: redis, RecordDir: h.dir, Node: "n1", Clock: clock, Log: log,
		Prompts: map[string]*media.Prompt{"greeting": media.Tone(700, 60*time.Millisecond), "music": media.Tone(440, time.Second)},
		IVR:     ivr.Plan{Greeting: "greeting", Music: "music", Busy: "busy"}}
	if o.change != nil {
		o.change(&opts)
	}
	if h.Server, err = New(opts); err != nil {
		t.Fatal(err)
	}
	lo, hi = portRange(200)
	if h.ports, err = media.NewPorts(media.PortsOptions{IP: netip.MustParseAddr("127.0.0.1"), Min: lo, Max: hi,
		Quarantine: time.Millisecond, Clock: clock, Log: log}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := floor.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	calls, hang := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Server.Run(calls) }()
	t.Cleanup(func() {
		hang()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not stop")
		}
		stop()
		wg.Wait()
		if err := h.ports.Close(); err != nil {
			t.Error(err)
		}
	})
	h.until("the server is ready", func() bool { return h.Ready() == nil })
	return h
}

func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	hotlinetest.Eventually(h.t, 15*time.Second, what, ok)
}

// phone makes a softphone; it is closed with the test, before the server.
func (h *house) phone(o siptest.Options) *siptest.Phone {
	h.t.Helper()
	if o.Server == "" {
		o.Server = h.Addr().String()
	}
	o.Ports = h.ports
	p, err := siptest.NewPhone(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = p.Close() })
	return p
}

// agent registers extension n (1001…) and waits until its agent is ready.
func (h *house) agent(n int, o siptest.Options) *siptest.Phone {
	h.t.Helper()
	o.User, o.Password = fmt.Sprint(n), fmt.Sprint("p", n)
	if o.Transport == "tcp" {
		o.Server = h.TCPAddr().String()
	}
	p := h.phone(o)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Register(ctx); err != nil {
		h.t.Fatal(err)
	}
	h.until("the agent is ready", func() bool { return h.state(n) == hotline.Ready })
	return p
}

func (h *house) seat(n int) hotline.Agent {
	s, err := h.floor.Snapshot(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	i := slices.IndexFunc(s.Agents, func(a hotline.Agent) bool { return a.Extension == fmt.Sprint(n) })
	if i < 0 {
		return hotline.Agent{}
	}
	return s.Agents[i]
}

func (h *house) state(n int) hotline.AgentState { return h.seat(n).State }

// last returns the last fact of the only call.
func (h *house) last() hotline.CallFact {
	calls := h.desk.calls()
	if len(calls) == 0 {
		return hotline.CallFact{}
	}
	return calls[0][len(calls[0])-1]
}

// ended waits for the only call's end and checks it.
func (h *house) ended(by, why string) {
	h.t.Helper()
	h.until("the call ended", func() bool { return h.last().Kind == hotline.CallEnded && h.Calls() == 0 })
	if f := h.last(); f.EndedBy != by || f.Reason != why {
		h.t.Errorf("ended by %s, %s; want %s, %s", f.EndedBy, f.Reason, by, why)
	}
}
