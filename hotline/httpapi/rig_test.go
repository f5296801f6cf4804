package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/dispatch"
	"hotline12345/hotline"
	"hotline12345/hotline/agent"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/cdr"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/console"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
	"hotline12345/hotline/workorder"
	"hotline12345/reports"
)

const (
	callerPhone = "13812345678"
	callerName  = "欧阳小明"
	password    = "demo"
)

func testCity() hotline.City {
	return hotline.City{
		Name: "宣城市",
		Units: []hotline.Unit{
			{Code: "CENTER", Kind: hotline.UnitCenter, Name: "热线中心", Short: "中心"},
			{Code: "341802", Parent: "CENTER", Kind: hotline.UnitCounty, Name: "宣州区", Short: "宣州区", Area: "341802"},
			{Code: "341802001", Parent: "341802", Kind: hotline.UnitTownship, Name: "西林街道", Short: "西林街道", Area: "341802001"},
			{Code: "JYTYJ", Parent: "CENTER", Kind: hotline.UnitDepartment, Name: "教育体育局", Short: "教体局"},
			{Code: "CGJ", Parent: "CENTER", Kind: hotline.UnitDepartment, Name: "城市管理局", Short: "城管局"},
		},
		Areas: []hotline.Area{
			{Code: "341802", Name: "宣州区"}, {Code: "341802001", Parent: "341802", Name: "西林街道"},
			{Code: "341822", Name: "广德市"}, {Code: "341822001", Parent: "341822", Name: "桃州镇"},
		},
		Categories: []hotline.Category{
			{Code: "01", Name: "城市管理"}, {Code: "0102", Parent: "01", Name: "噪声"}, {Code: "010203", Parent: "0102", Name: "施工噪声"},
			{Code: "010204", Parent: "0102", Name: "油烟"}, {Code: "05", Name: "教育"}, {Code: "0501", Parent: "05", Name: "入学"},
		},
		Sources: []hotline.Source{{Code: "01", Name: "电话"}, {Code: "02", Name: "网站"}},
		Lines:   []hotline.Line{{Number: "12345", Name: "政务服务便民热线", Source: "01"}},
		Catalogue: []hotline.CatalogueRule{
			{ID: "noise", Category: "0102", Lead: "CGJ", Basis: "城市管理职责"},
			{ID: "school", Category: "05", Lead: "JYTYJ", CoUnits: []hotline.UnitCode{"341802"}, Basis: "教育职责"},
		},
		Limits: []hotline.Limit{
			{Policy: "dispatch", Clock: hotline.ClockDispatch, Amount: 30, Unit: hotline.Minutes},
			{Policy: "sign", Clock: hotline.ClockSign, Amount: 8, Unit: hotline.Hours},
			{Policy: "resolve", Clock: hotline.ClockResolve, Amount: 30, Unit: hotline.Hours},
			{Policy: "callback", Clock: hotline.ClockCallback, Amount: 48, Unit: hotline.Hours},
		},
	}
}

// floorFake holds a snapshot and remembers what was asked of it.
type floorFake struct {
	mu       sync.Mutex
	snapshot hotline.FloorSnapshot
	asked    []string
}

func (f *floorFake) note(s string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, s)
	return nil
}

func (f *floorFake) Snapshot(context.Context) (hotline.FloorSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot, nil
}
func (f *floorFake) SignIn(_ context.Context, p hotline.Principal) error {
	return f.note("in " + p.Extension)
}
func (f *floorFake) SignOut(context.Context, hotline.AccountID) error { return f.note("out") }
func (f *floorFake) SetState(_ context.Context, _ hotline.AccountID, s hotline.AgentState, reason string, _ int64) error {
	return f.note(string(s) + " " + reason)
}
func (f *floorFake) Hangup(_ context.Context, id hotline.CallID) error {
	return f.note("hangup " + string(id))
}

// logBook keeps what the program logs, for tests that grep it.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is the API over real rooms and a database of its own.
type rig struct {
	api        *API
	url        string
	pool       *pgxpool.Pool
	clock      *hotlinetest.Clock
	orders     *workorder.Service
	calls      *cdr.Ledger
	auth       *auth.Service
	people     map[string]hotline.Principal
	floor      *floorFake
	log        *logBook
	recordings string
}

func ok[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{pool: hotlinetest.DB(t), clock: hotlinetest.NewClock(time.Date(2026, 11, 10, 1, 0, 0, 0, time.UTC)),
		people: map[string]hotline.Principal{}, floor: &floorFake{}, log: &logBook{}, recordings: t.TempDir()}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	d := hotline.NewDirectory(testCity(), 3)
	directory := func() *hotline.Directory { return d }
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loop := func(run func(context.Context) error) { loops.Go(func() { _ = run(ctx) }) }

	roster := ok[*agent.Roster](t)(agent.New(agent.Options{Pool: r.pool, Clock: r.clock, Log: log}))
	r.auth = ok[*auth.Service](t)(auth.New(auth.Options{Pool: r.pool, Clock: r.clock, Extensions: roster, Log: log}))
	vault := ok[*citizen.Vault](t)(citizen.OpenVault(filepath.Join(t.TempDir(), "key")))
	people := ok[*citizen.Service](t)(citizen.New(citizen.Options{Pool: r.pool, Vault: vault, Clock: r.clock, Audit: r.auth}))
	rules := dispatch.NewRules(directory)
	r.orders = ok[*workorder.Service](t)(workorder.New(workorder.Options{Pool: r.pool, Clock: r.clock, Deadlines: rules, Directory: directory, People: people, Log: log}))
	r.calls = ok[*cdr.Ledger](t)(cdr.New(cdr.Options{Pool: r.pool, Clock: r.clock, People: people, Sealer: vault, Audit: r.auth, Directory: directory,
		Node: "n1", SpoolDir: t.TempDir(), RecordingDir: r.recordings, Log: log}))
	stream := outbox.NewStream(r.pool, log)
	hub := ok[*console.Hub](t)(console.New(console.Options{Stream: stream, Directory: directory, Clock: r.clock, Log: log,
		Recheck: r.auth.Recheck,
		Visible: func(ctx context.Context, p hotline.Principal, id hotline.OrderID) (bool, error) {
			_, err := r.orders.Order(ctx, p, id)
			if hotline.ErrorCode(err) == hotline.NotFound {
				return false, nil
			}
			return err == nil, err
		}}))
	daily := ok[*reports.Service](t)(reports.New(reports.Options{Pool: r.pool, Directory: directory, Clock: r.clock, Log: log}))
	r.api = ok[*API](t)(New(Options{Auth: r.auth, Orders: r.orders, People: people, Calls: r.calls, Roster: roster, Hub: hub, Keys: pg.RequestKeys{Pool: r.pool},
		Directory: directory, Dispatcher: rules, Phone: r.floor, Floor: r.floor, Reports: daily,
		Pages:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
		Checks: map[string]func(context.Context) error{"postgresql": r.pool.Ping}, Clock: r.clock, Log: log}))

	for _, a := range []auth.Account{
		{Login: "agent", Name: "话务员甲", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleAgent}},
		{Login: "dispatcher", Name: "派单员", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleDispatcher}},
		{Login: "callback", Name: "回访员", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleCallback}},
		{Login: "leader", Name: "领导", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleLeader}},
		{Login: "cgj", Name: "城管联络员", Unit: "CGJ", Roles: []hotline.Role{hotline.RoleUnit}},
		{Login: "jytyj", Name: "教体联络员", Unit: "JYTYJ", Roles: []hotline.Role{hotline.RoleUnit}},
	} {
		a.Password, a.WeakPassword = password, true
		r.people[a.Login] = ok[hotline.Principal](t)(r.auth.EnsureAccount(t.Context(), a))
	}
	if err := roster.EnsureSeat(t.Context(), r.people["agent"].ID, "1001", "secret", "12345"); err != nil {
		t.Fatal(err)
	}
	loop(stream.Run)
	loop(outbox.NewRelay(r.pool, log).Run)
	loop(r.calls.Run)
	loop(hub.Run)
	srv := httptest.NewServer(r.api.Handler())
	r.url = srv.URL
	t.Cleanup(func() {
		cancel()
		srv.Close()
		loops.Wait()
		if err := r.calls.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// client is a browser with a session.
type client struct {
	t      *testing.T
	url    string
	cookie *http.Cookie
	header http.Header
}

// answer is a response read to its end.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s is no problem document: %s", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
	return p
}

func (r *rig) nobody(t *testing.T) *client { return &client{t: t, url: r.url, header: http.Header{}} }

func (r *rig) as(t *testing.T, login string) *client {
	t.Helper()
	c := r.nobody(t)
	res := c.do("POST", "/api/v1/login", map[string]string{"login": login, "password": password})
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		t.Fatalf("login of %s: %d %s", login, res.StatusCode, res.body)
	}
	c.cookie = res.Cookies()[0]
	return c
}

func (c *client) do(method, path string, body any) answer {
	c.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		in = bytes.NewReader(ok[[]byte](c.t)(json.Marshal(b)))
	}
	req := ok[*http.Request](c.t)(http.NewRequestWithContext(c.t.Context(), method, c.url+path, in))
	for k, v := range c.header {
		req.Header[k] = v
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cookie != nil {
		req.AddCookie(c.cookie)
	}
	res := ok[*http.Response](c.t)(http.DefaultClient.Do(req))
	defer res.Body.Close()
	return answer{res, ok[[]byte](c.t)(io.ReadAll(res.Body))}
}

// get decodes an answer that must be a success.
func get[T any](c *client, method, path string, body any) (v T) {
	c.t.Helper()
	res := c.do(method, path, body)
	if res.StatusCode/100 != 2 {
		c.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, res.body)
	}
	if len(res.body) > 0 {
		if err := json.Unmarshal(res.body, &v); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, res.body)
		}
	}
	return v
}

func submission() map[string]any {
	return map[string]any{"source": "01", "demand_type": "complaint", "category_code": "010203", "area_code": "341802001", "address": "某工地",
		"title": "夜间施工噪声扰民", "content": "市民反映工地夜间施工，影响休息。", "urgency": 1, "confidentiality": "open",
		"caller_name": callerName, "caller_phone": callerPhone, "draft_id": "", "extra_member_of_a_newer_page": true}
}

// noiseOrder is an order dispatched to the city management bureau.
func (r *rig) noiseOrder(t *testing.T, agent, dispatcher *client) hotline.WorkOrder {
	t.Helper()
	o := get[hotline.WorkOrder](agent, "POST", "/api/v1/orders", submission())
	return get[hotline.WorkOrder](dispatcher, "POST", "/api/v1/orders/"+id(o)+"/dispatch", map[string]any{"version": o.Version, "lead": "CGJ", "co_units": []string{}, "reason": "属城管职责"})
}

func id(o hotline.WorkOrder) string {
	b, _ := o.ID.MarshalText()
	return string(b)
}

// report sends a call's facts and waits until the ledger has them.
func (r *rig) report(t *testing.T, facts ...hotline.CallFact) {
	t.Helper()
	for i, f := range facts {
		f.Seq = i + 1
		r.calls.Report(f)
	}
	hotlinetest.Eventually(t, 10*time.Second, "call facts stored", func() bool { return r.calls.Pending() == 0 })
}

func (r *rig) writeRecording(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.recordings, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
