package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/outbox"
)

// memory is a stream in memory.
type memory struct {
	mu      sync.Mutex
	entries []outbox.Entry
	moved   chan struct{}
}

func newMemory() *memory { return &memory{moved: make(chan struct{})} }

func (m *memory) add(n int, topics []string, payload string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		m.entries = append(m.entries, outbox.Entry{Pos: int64(len(m.entries) + 1),
			Message: outbox.Message{Topics: topics, Kind: "order.test", Key: "1", Payload: json.RawMessage(payload)}})
	}
	close(m.moved)
	m.moved = make(chan struct{})
}

func (m *memory) Head(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.entries)), nil
}

func (m *memory) Since(_ context.Context, pos int64, topics []string, limit int) ([]outbox.Entry, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []outbox.Entry
	for _, e := range m.entries[min(pos, int64(len(m.entries))):] {
		if topics == nil || slices.ContainsFunc(e.Topics, func(t string) bool { return slices.Contains(topics, t) }) {
			if out = append(out, e); len(out) == limit {
				return out, e.Pos, nil
			}
		}
	}
	return out, int64(len(m.entries)), nil
}

func (m *memory) Wait(ctx context.Context, pos int64) (int64, error) {
	for {
		m.mu.Lock()
		head, moved := int64(len(m.entries)), m.moved
		m.mu.Unlock()
		if head > pos {
			return head, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return head, ctx.Err()
		}
	}
}

var (
	admin    = hotline.Principal{ID: 1, Login: "admin", Roles: []hotline.Role{hotline.RoleAdmin}}
	townUnit = hotline.Principal{ID: 2, Login: "town", Unit: "T1", Roles: []hotline.Role{hotline.RoleUnit}}
	agent    = hotline.Principal{ID: 12, Login: "agent", Extension: "1001", Roles: []hotline.Role{hotline.RoleAgent}}
)

func testDirectory() *hotline.Directory {
	return hotline.NewDirectory(hotline.City{Units: []hotline.Unit{{Code: "T1"}, {Code: "V1", Parent: "T1"}, {Code: "T2"}}}, 1)
}

// visible lets order 7 be seen by everybody and no other order by units.
func visible(_ context.Context, p hotline.Principal, id hotline.OrderID) (bool, error) {
	return p.Center() || id == 7, nil
}

type rig struct {
	hub *Hub
	url string
}

// start runs a hub behind an HTTP server; the header X-As picks the person.
func start(t testing.TB, o Options) rig {
	t.Helper()
	o.Directory, o.Visible = testDirectory, visible
	o.Clock = hotline.ClockFunc(time.Now)
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	people := map[string]hotline.Principal{"": admin, "unit": townUnit, "agent": agent}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, people[r.Header.Get("X-As")])
	}))
	t.Cleanup(func() {
		cancel()
		<-ended
		srv.Close()
	})
	<-h.ready
	return rig{h, "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"}
}

// message is any frame.
type message struct {
	Type   string          `json:"type"`
	Pos    int64           `json:"pos"`
	Kind   string          `json:"kind"`
	Topic  string          `json:"topic"`
	Topics []string        `json:"topics"`
	Data   json.RawMessage `json:"data"`
}

func (r rig) dial(t testing.TB, as string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(r.url, http.Header{"X-As": {as}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func subscribe(t testing.TB, c *websocket.Conn, since int64, topics ...string) {
	t.Helper()
	if err := c.WriteJSON(map[string]any{"type": "subscribe", "topics": topics, "since": since}); err != nil {
		t.Fatal(err)
	}
}

// settle subscribes and returns when the hub has done so: it refuses the topic
// added here in the same step.
func settle(t *testing.T, c *websocket.Conn, since int64, topics ...string) {
	t.Helper()
	subscribe(t, c, since, append(topics, "nothing")...)
	expect(t, c, "denied")
}

// next reads one frame within ten seconds.
func next(t testing.TB, c *websocket.Conn) message {
	t.Helper()
	m, err := read(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(c *websocket.Conn) (m message, err error) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	err = c.ReadJSON(&m)
	return m, err
}

func expect(t *testing.T, c *websocket.Conn, kind string) message {
	t.Helper()
	m := next(t, c)
	if m.Type != kind {
		t.Fatalf("got %+v, want a frame of type %s", m, kind)
	}
	return m
}

// TestResumeHasNoGapAndNoDouble breaks the connection at random while a
// thousand events flow through the real outbox, relay and stream.
func TestResumeHasNoGapAndNoDouble(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := outbox.NewStream(pool, nil)
	relay := outbox.NewRelay(pool, nil)
	var loops sync.WaitGroup
	loops.Go(func() { _ = stream.Run(ctx) })
	loops.Go(func() { _ = relay.Run(ctx) })
	r := start(t, Options{Stream: stream})

	const events = 1000
	loops.Go(func() {
		for sent := 0; sent < events; {
			n := min(1+rand.IntN(8), events-sent)
			msgs := make([]outbox.Message, n)
			for i := range msgs {
				sent++
				msgs[i] = outbox.Message{Topics: []string{"orders", "unit:T1"}, Kind: "order.test", Key: "1", Payload: json.RawMessage(fmt.Sprintf(`{"n":%d}`, sent))}
			}
			if err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return outbox.Append(ctx, tx, msgs...) }); err != nil {
				t.Error(err)
				return
			}
		}
	})

	var got []int
	var last int64
	breaks := 0
	for len(got) < events {
		c := r.dial(t, "unit")
		subscribe(t, c, last, "unit:T1")
		for life := 1 + rand.IntN(120); life > 0 && len(got) < events; life-- {
			m := next(t, c)
			if m.Type != "event" {
				continue
			}
			var body struct{ N int }
			if err := json.Unmarshal(m.Data, &body); err != nil {
				t.Fatal(err)
			}
			if m.Pos <= last {
				t.Fatalf("position %d after %d", m.Pos, last)
			}
			last = m.Pos
			got = append(got, body.N)
		}
		_ = c.NetConn().Close() // no close frame: as a lost network
		breaks++
	}
	for i, n := range got {
		if n != i+1 {
			t.Fatalf("event %d came as number %d", n, i+1)
		}
	}
	t.Logf("%d events over %d connections", len(got), breaks)
	cancel()
	loops.Wait()
}

func TestSubscribingMoreTopicsRepeatsNothing(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.add(1, []string{"unit:T1"}, `1`)
	m.add(1, []string{"order:7"}, `2`)
	m.add(1, []string{"unit:T1", "order:7"}, `3`)
	r := start(t, Options{Stream: m})
	c := r.dial(t, "unit")
	expect(t, c, "hello")
	subscribe(t, c, 0, "unit:T1")
	if a, b := expect(t, c, "event"), expect(t, c, "event"); a.Pos != 1 || b.Pos != 3 {
		t.Fatalf("got %d and %d, want 1 and 3", a.Pos, b.Pos)
	}
	subscribe(t, c, 1, "unit:T1", "order:7")
	if a := expect(t, c, "event"); a.Pos != 2 {
		t.Fatalf("got %d, want only 2, which order:7 alone had", a.Pos)
	}
	m.add(1, []string{"order:7", "unit:T1"}, `4`)
	if a := expect(t, c, "event"); a.Pos != 4 {
		t.Fatalf("got %d, want 4 once", a.Pos)
	}
	settle(t, c, 4, "order:7", "agent:2")
	m.add(1, []string{"unit:T1"}, `5`)
	m.add(1, []string{"agent:2"}, `6`)
	if a := expect(t, c, "event"); a.Pos != 6 {
		t.Fatalf("got %d, want 6: unit:T1 was left", a.Pos)
	}
}

func TestResetWhenTheGapIsTooLarge(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.add(replayLimit+1, []string{"orders"}, `{}`)
	r := start(t, Options{Stream: m})
	for _, since := range []int64{0, replayLimit + 100} { // too far behind; of another database
		c := r.dial(t, "")
		expect(t, c, "hello")
		subscribe(t, c, since, "orders")
		if got := expect(t, c, "reset"); got.Pos != replayLimit+1 {
			t.Errorf("since %d: reset to %d, want %d", since, got.Pos, replayLimit+1)
		}
	}
	c := r.dial(t, "")
	expect(t, c, "hello")
	subscribe(t, c, 1, "orders")
	for want := int64(2); want <= replayLimit+1; want++ {
		if got := expect(t, c, "event"); got.Pos != want {
			t.Fatalf("got %d, want %d", got.Pos, want)
		}
	}
}

// TestBurstKeepsGoodClients gives out thousands of events at once, many
// queues' worth: a page that reads hears them all on one connection.
func TestBurstKeepsGoodClients(t *testing.T) {
	t.Parallel()
	m := newMemory()
	r := start(t, Options{Stream: m})
	c := r.dial(t, "")
	expect(t, c, "hello")
	settle(t, c, 0, "orders")
	const burst = 10 * queueLength
	m.add(burst, []string{"orders"}, `{}`)
	for want := int64(1); want <= burst; want++ {
		if got := expect(t, c, "event"); got.Pos != want {
			t.Fatalf("got %d, want %d", got.Pos, want)
		}
	}
}

// TestSlowClientIsDisconnected checks that a page which does not read costs
// only itself: it is told 4008 and the others hear everything.
func TestSlowClientIsDisconnected(t *testing.T) {
	t.Parallel()
	m := newMemory()
	r := start(t, Options{Stream: m})
	slow, quick := r.dial(t, ""), r.dial(t, "")
	expect(t, quick, "hello")
	subscribe(t, slow, 0, "orders")
	subscribe(t, quick, 0, "orders")
	payload := `"` + strings.Repeat("x", 32<<10) + `"`
	for sent := int64(0); ; {
		m.add(100, []string{"orders"}, payload)
		sent += 100
		for quickSaw := int64(0); quickSaw < sent; {
			quickSaw = expect(t, quick, "event").Pos
		}
		if r.hub.Stats().Dropped > 0 {
			break
		}
		if sent > 20_000 {
			t.Fatal("nobody was disconnected")
		}
	}
	for {
		_, err := read(slow)
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			if closed.Code != CloseTooSlow {
				t.Errorf("closed with %d, want %d", closed.Code, CloseTooSlow)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Stream: newMemory()})
	_, res, err := websocket.DefaultDialer.Dial(r.url, http.Header{"Origin": {"http://elsewhere.example"}})
	if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
		t.Fatalf("got %v %v, want 403", res, err)
	}
}

func TestForeignTopicsAreDenied(t *testing.T) {
	t.Parallel()
	m := newMemory()
	r := start(t, Options{Stream: m})
	c := r.dial(t, "unit")
	expect(t, c, "hello")
	subscribe(t, c, 0, "unit:T2", "unit:V1")
	if got := expect(t, c, "denied"); got.Topic != "unit:T2" {
		t.Fatalf("denied %q, want unit:T2", got.Topic)
	}
	m.add(1, []string{"unit:T2"}, `{}`)
	m.add(1, []string{"unit:V1"}, `{}`)
	if got := expect(t, c, "event"); got.Pos != 2 {
		t.Fatalf("heard position %d of a foreign unit", got.Pos)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	of := func(r hotline.Role) hotline.Principal { return hotline.Principal{ID: 12, Roles: []hotline.Role{r}} }
	tests := []struct {
		name, topic string
		who         hotline.Principal
		want        bool
	}{
		{"own unit", "unit:T1", townUnit, true},
		{"unit below", "unit:V1", townUnit, true},
		{"unit beside", "unit:T2", townUnit, false},
		{"unit's desk", "desk:dispatch", townUnit, false},
		{"unit and floor", "floor", townUnit, false},
		{"unit and calls", "calls", townUnit, false},
		{"unit and all orders", "orders", townUnit, false},
		{"unit and own account", "agent:2", townUnit, true},
		{"unit and other account", "agent:12", townUnit, false},
		{"unit and its order", "order:7", townUnit, true},
		{"unit and foreign order", "order:8", townUnit, false},
		{"agent's own phone", "agent:12", of(hotline.RoleAgent), true},
		{"agent and another", "agent:13", of(hotline.RoleAgent), false},
		{"agent and floor", "floor", of(hotline.RoleAgent), true},
		{"agent and dispatch desk", "desk:dispatch", of(hotline.RoleAgent), false},
		{"dispatcher's desk", "desk:dispatch", of(hotline.RoleDispatcher), true},
		{"dispatcher and callbacks", "desk:callback", of(hotline.RoleDispatcher), false},
		{"callback desk", "desk:callback", of(hotline.RoleCallback), true},
		{"leader and any unit", "unit:T2", of(hotline.RoleLeader), true},
		{"nobody", "floor", hotline.Principal{Roles: []hotline.Role{hotline.RoleAdmin}}, false},
		{"unknown", "everything", admin, false},
		{"empty name", "unit:", admin, false},
		{"no number", "order:x", admin, false},
		{"too long", "unit:" + strings.Repeat("x", maxTopicBytes), admin, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Allow(t.Context(), testDirectory(), tt.who, tt.topic, visible)
			if err != nil || got != tt.want {
				t.Errorf("got %v %v, want %v", got, err, tt.want)
			}
		})
	}
}

func FuzzAllowNeverOpensAForeignTopic(f *testing.F) {
	for _, s := range []string{"unit:T1", "unit:T2", "unit: T1", "floor", "agent:+2", "agent:02", "order:7", "order:-7", "desk:dispatch", ":", "unit:T1,unit:T2"} {
		f.Add(s)
	}
	own := []string{"unit:T1", "unit:V1"}
	f.Fuzz(func(t *testing.T, topic string) {
		ok, err := Allow(t.Context(), testDirectory(), townUnit, topic, func(context.Context, hotline.Principal, hotline.OrderID) (bool, error) { return false, nil })
		if err != nil {
			t.Fatal(err)
		}
		if ok && !slices.Contains(own, topic) && !strings.HasPrefix(topic, "agent:") {
			t.Errorf("%q is open", topic)
		}
	})
}

func TestFloorAndScreenPop(t *testing.T) {
	t.Parallel()
	changes := make(chan hotline.FloorSnapshot)
	r := start(t, Options{Stream: newMemory(), Floor: changes})
	c := r.dial(t, "agent")
	expect(t, c, "hello")
	settle(t, c, 0, "agent:12")
	changes <- hotline.FloorSnapshot{Agents: []hotline.Agent{{ID: 12, State: hotline.Ready}, {ID: 13, State: hotline.Talking}}}
	if m := expect(t, c, "call"); !strings.Contains(string(m.Data), `"state":"ready"`) {
		t.Fatalf("got %s", m.Data)
	}
	changes <- hotline.FloorSnapshot{
		Waiting: []hotline.WaitingCall{{ID: "c1", Caller: "+8613812345678", State: "offered", Agent: 12}},
		Agents:  []hotline.Agent{{ID: 12, State: hotline.Ringing, CallID: "c1"}},
	}
	m := expect(t, c, "call")
	if s := string(m.Data); !strings.Contains(s, `"138****5678"`) || strings.Contains(s, "13812345678") || !strings.Contains(s, `"state":"ringing"`) {
		t.Fatalf("got %s", s)
	}
	subscribe(t, c, 0, "agent:12", "floor")
	if m := expect(t, c, "floor"); !strings.Contains(string(m.Data), `"c1"`) {
		t.Fatalf("the snapshot on subscribing was %s", m.Data)
	}
	changes <- hotline.FloorSnapshot{Agents: []hotline.Agent{{ID: 12, State: hotline.Ringing, CallID: "c1"}}}
	expect(t, c, "floor") // and no second screen pop
	changes <- hotline.FloorSnapshot{}
	expect(t, c, "floor")
}

func TestClientsAreToldToComeBack(t *testing.T) {
	t.Parallel()
	h, err := New(Options{Stream: newMemory(), Directory: testDirectory, Visible: visible, Clock: hotline.ClockFunc(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	<-h.ready
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.Serve(w, r, admin) }))
	defer srv.Close()
	r := rig{h, "ws" + strings.TrimPrefix(srv.URL, "http")}
	c := r.dial(t, "")
	expect(t, c, "hello")
	cancel()
	if _, err := read(c); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("got %v, want close code 1001", err)
	}
	_ = c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, res, err := websocket.DefaultDialer.Dial(r.url, nil); err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stopped hub answered %v %v, want 503", res, err)
	}
}

func TestMalformedRequestsEndTheClient(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Stream: newMemory()})
	for _, text := range []string{"", "{", `{"type":"subscribe","topics":"floor"}`, `[]`} {
		c := r.dial(t, "")
		expect(t, c, "hello")
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := read(c); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
			t.Errorf("%q: got %v, want close code 1008", text, err)
		}
	}
}

// BenchmarkFanOut sends 300-byte events to 2,000 clients in this process; the
// figures count both ends of every socket.
func BenchmarkFanOut(b *testing.B) {
	const clients = 2000
	m := newMemory()
	r := start(b, Options{Stream: m})
	var heard sync.WaitGroup
	var reading sync.WaitGroup
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conns[i] = r.dial(b, "")
		subscribe(b, conns[i], 0, "orders")
	}
	payload := `"` + strings.Repeat("x", 300) + `"`
	m.add(1, []string{"orders"}, payload) // all are subscribed once they hear it
	for _, c := range conns {
		for next(b, c).Type != "event" {
		}
	}
	target := int64(1 + b.N)
	heardBy := make([]atomic.Int64, clients)
	heard.Add(clients)
	for i, c := range conns {
		reading.Go(func() {
			defer heard.Done()
			prefix := fmt.Appendf(nil, `{"type":"event","pos":%d,`, target)
			for {
				_, body, err := c.ReadMessage()
				if err != nil {
					b.Error(err)
					return
				}
				heardBy[i].Add(1)
				if bytes.HasPrefix(body, prefix) {
					return
				}
			}
		})
	}
	b.ResetTimer()
	used := cpu(b)
	for sent := 0; sent < b.N; {
		n := min(b.N-sent, 50)
		m.add(n, []string{"orders"}, payload)
		sent += n
		// At most 300 on the way to each: on a busy machine a faster pace
		// measures how clients are dropped.
		for i := 0; i < clients && !b.Failed(); {
			if heardBy[i].Load() >= int64(sent-300) {
				i++
			} else {
				time.Sleep(200 * time.Microsecond)
			}
		}
	}
	heard.Wait()
	b.StopTimer()
	used = cpu(b) - used
	b.ReportMetric(float64(b.N)*clients/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64(used)/float64(b.N)/clients, "cpu-ns/delivery")
	reading.Wait()
}

// cpu is the processor time this process used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
