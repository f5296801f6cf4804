package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotline12345/configs"
	"hotline12345/hotline"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/hotlinetest"
)

// town is a whole running system for a test: what production wires, on free
// ports, with a database of its own and a few accounts.
type town struct {
	*App
	t    *testing.T
	logs *logKeeper
	stop func()
}

// logKeeper keeps what was logged, for the test that greps it. Safe for
// concurrent use.
type logKeeper struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *logKeeper) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(p)
}

func (k *logKeeper) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.String()
}

// towns counts the towns started, mediaPorts the RTP ports lent to SIPp.
var towns, mediaPorts atomic.Int32

// testConfig is the default configuration on free ports of 127.0.0.1.
func testConfig(t *testing.T) configs.Config {
	t.Helper()
	cfg, err := configs.Load("")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hotline-city-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg.DataDir = dir
	cfg.DatabaseURL = hotlinetest.DSN(t)
	cfg.HTTP.Addr = "127.0.0.1:0"
	cfg.SIP.UDPAddr = freeSIPAddr(t)
	cfg.SIP.TCPAddr = cfg.SIP.UDPAddr
	// Below the kernel's own range, each town its own.
	cfg.SIP.RTPPortMin = 20000 + int(towns.Add(1)%30)*400
	cfg.SIP.RTPPortMax = cfg.SIP.RTPPortMin + 398
	cfg.SIP.ReadyOnRegister = true
	cfg.Floor.WrapUp = time.Second
	return cfg
}

// freeSIPAddr finds a port that is free for UDP and TCP.
func freeSIPAddr(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// startTown starts the system and stops it with the test.
func startTown(t *testing.T, cfg configs.Config) *town {
	t.Helper()
	c := &town{t: t, logs: &logKeeper{}}
	log := slog.New(slog.NewTextHandler(c.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	ctx, cancel := context.WithCancel(context.Background())
	a, err := New(ctx, cfg, wallClock, log)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	c.App = a
	if err := ensureAccounts(ctx, a, testAccounts(a)); err != nil {
		t.Fatal(joinClose(err, a))
	}
	serving, done := make(chan struct{}), make(chan error, 1)
	a.onServing = func() { close(serving) }
	go func() { done <- a.Run(ctx) }()
	select {
	case <-serving:
	case err := <-done:
		cancel()
		t.Fatalf("it ended before it served: %v", err)
	}
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			for line := range strings.Lines(c.logs.String()) {
				if !strings.Contains(line, "msg=request") {
					t.Log(strings.TrimSpace(line))
				}
			}
		}
	})
	hotlinetest.Eventually(t, 10*time.Second, "ready", func() bool {
		res, err := http.Get("http://" + a.HTTPAddr() + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return c
}

// testAccounts are ten agents and one person of each desk.
func testAccounts(a *App) []auth.Account {
	center, _ := centerUnit(a.archive.Directory())
	accounts := []auth.Account{
		{Login: "dispatcher", Name: "派单员", Unit: center, Roles: []hotline.Role{hotline.RoleDispatcher}},
		{Login: "callback", Name: "回访员", Unit: center, Roles: []hotline.Role{hotline.RoleCallback}},
		{Login: "leader", Name: "值班领导", Unit: center, Roles: []hotline.Role{hotline.RoleLeader}},
		{Login: "cgj", Name: "城管局联络员", Unit: "CGJ", Roles: []hotline.Role{hotline.RoleUnit}},
		{Login: "jytyj", Name: "教体局联络员", Unit: "JYTYJ", Roles: []hotline.Role{hotline.RoleUnit}},
	}
	for n := range 10 {
		accounts = append(accounts, auth.Account{Login: demoExtension(n), Name: "话务员" + demoExtension(n), Unit: center, Roles: []hotline.Role{hotline.RoleAgent}})
	}
	return accounts
}

// visitor is a person with a browser's cookies.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
}

// login opens a session.
func (c *town) login(login string) *visitor {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	v := &visitor{c.t, "http://" + c.HTTPAddr(), &http.Client{Jar: jar, Timeout: 20 * time.Second}}
	v.post("/api/v1/login", map[string]string{"login": login, "password": demoPassword}, http.StatusOK, nil)
	return v
}

// do sends a request and returns status and body.
func (v *visitor) do(method, path string, body any) (int, []byte) {
	v.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			v.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, v.base+path, r)
	if err != nil {
		v.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, b
}

// get reads path into out and wants 200.
func (v *visitor) get(path string, out any) {
	v.t.Helper()
	v.decode("GET", path, nil, http.StatusOK, out)
}

// post sends body and wants the status.
func (v *visitor) post(path string, body any, want int, out any) {
	v.t.Helper()
	v.decode("POST", path, body, want, out)
}

func (v *visitor) decode(method, path string, body any, want int, out any) {
	v.t.Helper()
	status, b := v.do(method, path, body)
	if status != want {
		v.t.Fatalf("%s %s: status %d, want %d: %s", method, path, status, want, b)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(b, out); err != nil {
		v.t.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
}

// callsList is what GET /calls answers, as far as tests look.
type callsList struct {
	Calls []hotlineCall `json:"calls"`
}

// hotlineCall mirrors the JSON of hotline.Call, whose Phone reads back masked.
type hotlineCall struct {
	ID         string     `json:"id"`
	Caller     string     `json:"caller"`
	Original   string     `json:"original_number"`
	ArrivedAt  time.Time  `json:"arrived_at"`
	QueuedAt   *time.Time `json:"queued_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`
	Extension  string     `json:"extension"`
	EndedBy    string     `json:"ended_by"`
	EndReason  string     `json:"end_reason"`
	HasAudio   bool       `json:"has_recording"`
	AudioMS    int64      `json:"recording_ms"`
}

// calls waits until n calls ended and returns them, newest first.
func (v *visitor) calls(n int) []hotlineCall {
	v.t.Helper()
	var list callsList
	hotlinetest.Eventually(v.t, 30*time.Second, fmt.Sprintf("%d ended calls", n), func() bool {
		list = callsList{}
		v.get("/api/v1/calls?limit=200", &list)
		ended := 0
		for _, c := range list.Calls {
			if c.EndedAt != nil && (c.AnsweredAt == nil || c.HasAudio) {
				ended++
			}
		}
		return ended >= n
	})
	return list.Calls
}

// assertNoFullNumber fails when a demo caller's full number stands in a log,
// an event, the stream or a file of the spool (rule: privacy by default).
func (c *town) assertNoFullNumber(number string) {
	c.t.Helper()
	if strings.Contains(c.logs.String(), number) {
		c.t.Errorf("a log line holds the full number %s…", number[:3])
	}
	for _, sql := range []string{
		`select count(*) from order_event where data::text like '%' || $1 || '%'`,
		`select count(*) from stream where payload::text like '%' || $1 || '%'`,
		`select count(*) from outbox where payload::text like '%' || $1 || '%'`,
		`select count(*) from audit_log where detail::text like '%' || $1 || '%'`,
	} {
		var n int
		if err := c.pool.QueryRow(context.Background(), sql, number).Scan(&n); err != nil {
			c.t.Fatal(err)
		}
		if n > 0 {
			c.t.Errorf("%d rows with the full number: %s", n, sql)
		}
	}
	err := filepath.WalkDir(filepath.Join(c.cfg.DataDir, "spool"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(number)) {
			c.t.Errorf("the spool %s holds the full number", d.Name())
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// yesterday in Shanghai.
func yesterday() hotline.Date { return hotline.DateOf(time.Now()).AddDays(-1) }
