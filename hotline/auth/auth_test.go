package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// The store tells expiry by the database's clock, so tests begin at the real
// time and move on from there.
func service(t testing.TB) (*Service, *hotlinetest.Clock) {
	t.Helper()
	clock := hotlinetest.NewClock(time.Now())
	s, err := New(Options{Pool: hotlinetest.DB(t), Clock: clock, Extensions: extensions{}})
	if err != nil {
		t.Fatal(err)
	}
	return s, clock
}

type extensions struct{}

func (extensions) Extension(_ context.Context, id hotline.AccountID) (string, error) {
	return fmt.Sprintf("10%02d", id), nil
}

const password = "correct horse"

func zhang(t testing.TB, s *Service) hotline.Principal {
	t.Helper()
	p, err := s.EnsureAccount(t.Context(), Account{Login: " Zhang ", Name: "张三", Unit: "RXZX", Roles: []hotline.Role{hotline.RoleAgent, hotline.RoleCallback}, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// site answers /login, /logout and /me behind Identify.
func site(s *Service) http.Handler {
	deny := func(w http.ResponseWriter, _ *http.Request, err error) {
		status := map[hotline.Code]int{hotline.Unauthenticated: 401, hotline.TooMany: 429, hotline.Unavailable: 503}[hotline.ErrorCode(err)]
		if status == 0 {
			status = 500
		}
		http.Error(w, err.Error(), status)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		_, cookie, err := s.Login(r.Context(), r.FormValue("login"), r.FormValue("password"))
		if err != nil {
			deny(w, r, err)
			return
		}
		http.SetCookie(w, cookie)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := s.Logout(r.Context())
		if err != nil {
			deny(w, r, err)
			return
		}
		http.SetCookie(w, cookie)
	})
	mux.Handle("GET /me", Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := Principal(r.Context())
		_ = json.NewEncoder(w).Encode(p)
	}), deny))
	mux.Handle("GET /recheck", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.Recheck(r.Context()); err != nil {
			deny(w, r, err)
		}
	}))
	return s.Identify(mux, deny)
}

// browser sends requests with the cookies it was given.
type browser struct {
	h      http.Handler
	addr   string
	cookie *http.Cookie
}

func (b *browser) do(t *testing.T, method, target string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.RemoteAddr = b.addr
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if b.cookie = c; c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return res
}

func (b *browser) login(t *testing.T, login, password string) int {
	t.Helper()
	return b.do(t, "POST", "/login?login="+login+"&password="+strings.ReplaceAll(password, " ", "%20")).StatusCode
}

func (b *browser) me(t *testing.T) int {
	t.Helper()
	return b.do(t, "GET", "/me").StatusCode
}

func TestSessionFromLoginToLogout(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	p := zhang(t, s)
	if p.Login != "zhang" || p.Extension != fmt.Sprintf("10%02d", p.ID) {
		t.Errorf("principal %+v", p)
	}
	b := &browser{h: site(s), addr: "127.0.0.1:4000"}
	if got := b.me(t); got != 401 {
		t.Errorf("before login: %d, want 401", got)
	}
	if got := b.login(t, "ZHANG", password); got != 200 {
		t.Fatalf("login: %d", got)
	}
	c := b.cookie
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || len(c.Value) < 40 {
		t.Errorf("cookie %+v", c)
	}
	var in string
	if err := s.pool.QueryRow(t.Context(), `select token_hash from session`).Scan(&in); err != nil || in == c.Value {
		t.Errorf("the table holds the cookie's value, or nothing: %v", err)
	}
	if got := b.me(t); got != 200 {
		t.Errorf("after login: %d, want 200", got)
	}
	if got := b.login(t, "zhang", password); got != 200 || b.cookie.Value == c.Value {
		t.Errorf("second login: %d, same token %t", got, b.cookie.Value == c.Value)
	}
	old := &browser{h: b.h, addr: b.addr, cookie: c}
	if got := old.me(t); got != 401 {
		t.Errorf("session before the second login: %d, want 401", got)
	}
	last := *b.cookie
	b.do(t, "POST", "/logout")
	if b.cookie != nil {
		t.Error("logout leaves the cookie")
	}
	stolen := &browser{h: b.h, addr: b.addr, cookie: &last}
	if got := stolen.me(t); got != 401 {
		t.Errorf("after logout: %d, want 401", got)
	}
	var log string
	if err := s.pool.QueryRow(t.Context(), `select string_agg(action || ' ' || ip || ' ' || actor, ', ' order by id) from audit_log`).Scan(&log); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("login.ok 127.0.0.1 %[1]d, login.ok 127.0.0.1 %[1]d, logout 127.0.0.1 %[1]d", p.ID); log != want {
		t.Errorf("audit %q, want %q", log, want)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		act  func(t *testing.T, s *Service, clock *hotlinetest.Clock, b *browser)
		want int
	}{
		{"idle under two hours", func(t *testing.T, _ *Service, clock *hotlinetest.Clock, b *browser) {
			for range 5 {
				clock.Add(sessionIdle - time.Minute)
				b.me(t)
			}
		}, 200},
		{"idle two hours", func(_ *testing.T, _ *Service, clock *hotlinetest.Clock, _ *browser) { clock.Add(sessionIdle) }, 401},
		{"recheck is no activity", func(t *testing.T, _ *Service, clock *hotlinetest.Clock, b *browser) {
			clock.Add(sessionIdle - time.Minute)
			if got := b.do(t, "GET", "/recheck").StatusCode; got != 200 {
				t.Errorf("recheck: %d", got)
			}
		}, 200},
		{"twelve hours", func(t *testing.T, _ *Service, clock *hotlinetest.Clock, b *browser) {
			for range 12 {
				clock.Add(time.Hour)
				b.me(t)
			}
		}, 401},
		{"disabled", func(t *testing.T, s *Service, _ *hotlinetest.Clock, _ *browser) {
			if err := s.SetDisabled(t.Context(), "zhang", true); err != nil {
				t.Error(err)
			}
		}, 401},
		{"password changed", func(t *testing.T, s *Service, clock *hotlinetest.Clock, _ *browser) {
			clock.Add(time.Second)
			if _, err := s.EnsureAccount(t.Context(), Account{Login: "zhang", Name: "张三", Roles: []hotline.Role{hotline.RoleAgent}, Password: "another secret", ResetPassword: true}); err != nil {
				t.Error(err)
			}
		}, 401},
		{"ensured again", func(t *testing.T, s *Service, clock *hotlinetest.Clock, _ *browser) {
			clock.Add(time.Second)
			zhang(t, s)
		}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, clock := service(t)
			zhang(t, s)
			b := &browser{h: site(s), addr: "127.0.0.1:4000"}
			if got := b.login(t, "zhang", password); got != 200 {
				t.Fatalf("login: %d", got)
			}
			tc.act(t, s, clock, b)
			if got := b.me(t); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestUnknownWrongAndDisabledLookAlike(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	zhang(t, s)
	if _, err := s.EnsureAccount(t.Context(), Account{Login: "li", Name: "李四", Roles: []hotline.Role{hotline.RoleLeader}, Password: password}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDisabled(t.Context(), "li", true); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string][2]string{"unknown": {"nobody", password}, "wrong": {"zhang", "wrong"}, "disabled": {"li", password}, "too long": {"zhang", strings.Repeat("x", 1000)}} {
		_, cookie, err := s.Login(t.Context(), try[0], try[1])
		if err == nil || cookie != nil || err.Error() != errWrong().Error() {
			t.Errorf("%s: got %v, want %v", name, err, errWrong())
		}
	}
	if err := s.SetDisabled(t.Context(), "li", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Login(t.Context(), "li", password); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	if err := s.SetDisabled(t.Context(), "nobody", true); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("disable nobody: %v", err)
	}
}

func TestLoginThrottle(t *testing.T) {
	t.Parallel()
	s, clock := service(t)
	zhang(t, s)
	h := site(s)
	here, there := &browser{h: h, addr: "127.0.0.1:1"}, &browser{h: h, addr: "127.0.0.2:1"}
	for _, name := range []string{"zhang", "nobody"} {
		for i := range throttlePerName {
			if got := here.login(t, name, "wrong"); got != 401 {
				t.Errorf("%s, failure %d: %d, want 401", name, i+1, got)
			}
		}
		if got := here.login(t, name, password); got != 429 {
			t.Errorf("%s after five failures: %d, want 429", name, got)
		}
	}
	if got := there.login(t, "zhang", password); got != 200 {
		t.Errorf("from elsewhere: %d, want 200", got)
	}
	clock.Add(throttleWindow)
	if got := here.login(t, "zhang", password); got != 200 {
		t.Errorf("after the window: %d, want 200", got)
	}
}

func TestThrottleBounds(t *testing.T) {
	t.Parallel()
	clock := hotlinetest.NewClock(time.Now())
	th := newThrottle(clock)
	a := netip.MustParseAddr("127.0.0.1")
	for i := range throttlePerAddr {
		if !th.allow(fmt.Sprint("n", i), a) {
			t.Fatalf("attempt %d refused", i)
		}
	}
	if th.allow("fresh", a) {
		t.Error("an address may try any number of names")
	}
	if th.succeed("n0", a); !th.allow("fresh", a) {
		t.Error("a success does not free its place")
	}
	for i := 0; len(th.items)+2 <= throttleMaxItems; i++ {
		th.allow("x", netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	if th.allow("x", netip.MustParseAddr("10.2.0.1")) {
		t.Error("a full throttle is open")
	}
	clock.Add(throttleWindow)
	if !th.allow("x", netip.MustParseAddr("10.2.0.1")) || len(th.items) > 2 {
		t.Errorf("after the window: %d items", len(th.items))
	}
}

// TestNetworkRFC6177: a subscriber's whole /64 counts as one address.
func TestNetworkRFC6177(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.1": "10.0.0.1/32", "2001:db8::1%eth0": "2001:db8::/64"} {
		if got := network(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("network(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestAccountRules(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	agent := []hotline.Role{hotline.RoleAgent}
	for _, tc := range []struct {
		name, field string
		a           Account
	}{
		{"no login", "login", Account{Name: "张", Roles: agent, Password: password}},
		{"strange login", "login", Account{Login: "张三", Name: "张", Roles: agent, Password: password}},
		{"no name", "name", Account{Login: "z", Roles: agent, Password: password}},
		{"no role", "roles", Account{Login: "z", Name: "张", Password: password}},
		{"unknown role", "roles", Account{Login: "z", Name: "张", Roles: []hotline.Role{"king"}, Password: password}},
		{"unit without unit", "unit", Account{Login: "z", Name: "张", Roles: []hotline.Role{hotline.RoleUnit}, Password: password}},
		{"short password", "password", Account{Login: "z", Name: "张", Roles: agent, Password: "123456789"}},
		{"login in password", "password", Account{Login: "zhangsan", Name: "张", Roles: agent, Password: "xxZhangSan1"}},
		{"no password", "password", Account{Login: "z", Name: "张", Roles: agent, WeakPassword: true}},
	} {
		_, err := s.EnsureAccount(t.Context(), tc.a)
		if hotline.ErrorCode(err) != hotline.Invalid || !strings.Contains(err.Error(), " "+tc.field+":") {
			t.Errorf("%s: got %v, want Invalid %s", tc.name, err, tc.field)
		}
	}
	if _, err := s.EnsureAccount(t.Context(), Account{Login: "z", Name: "张", Roles: agent, Password: "z", WeakPassword: true}); err != nil {
		t.Errorf("demonstration: %v", err)
	}
}

func TestEnsureAccountTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { zhang(t, s) })
	}
	wg.Wait()
	p, err := s.EnsureAccount(t.Context(), Account{Login: "zhang", Name: "张三丰", Unit: "CGJ", Roles: []hotline.Role{hotline.RoleUnit}})
	if err != nil || p.Name != "张三丰" || p.Unit != "CGJ" || len(p.Roles) != 1 || p.Roles[0] != hotline.RoleUnit {
		t.Errorf("updated: %+v, %v", p, err)
	}
	if _, _, err := s.Login(t.Context(), "zhang", password); err != nil {
		t.Errorf("the password did not stay: %v", err)
	}
	names, err := s.Names(t.Context(), []hotline.AccountID{p.ID, 999})
	if err != nil || len(names) != 1 || names[p.ID] != "张三丰" {
		t.Errorf("names %v, %v", names, err)
	}
	if all, err := s.People(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("people %v, %v", all, err)
	}
}

func TestAuditIsAppendOnly(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	ctx := WithPrincipal(t.Context(), hotline.Principal{ID: 7}, netip.MustParseAddr("127.0.0.9"))
	if err := s.Audit(ctx, hotline.Principal{ID: 7}, "person.reveal", "person:1", map[string]string{"reason": "回访"}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`update audit_log set actor = 0`, `delete from audit_log`, `truncate audit_log`} {
		if _, err := s.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
	var ip, reason string
	if err := s.pool.QueryRow(t.Context(), `select ip, detail->>'reason' from audit_log where actor = 7`).Scan(&ip, &reason); err != nil || ip != "127.0.0.9" || reason != "回访" {
		t.Errorf("got %q, %q, %v", ip, reason, err)
	}
}

func TestIdentifyWithoutDatabase(t *testing.T) {
	t.Parallel()
	s, _ := service(t)
	s.pool.Close()
	b := &browser{h: site(s), addr: "127.0.0.1:1", cookie: &http.Cookie{Name: CookieName, Value: "x"}}
	if got := b.me(t); got != 500 && got != 503 {
		t.Errorf("got %d, want a refusal, not 401", got)
	}
}

// TestPHCParametersOWASP pins what new hashes cost.
func TestPHCParametersOWASP(t *testing.T) {
	t.Parallel()
	hash, err := hashPassword(password)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("got %s, %v", hash, err)
	}
	for try, want := range map[string]bool{password: true, password + " ": false, "": false} {
		if ok, err := verifyPassword(hash, try); ok != want || err != nil {
			t.Errorf("verify %q: %t, %v; want %t", try, ok, err, want)
		}
	}
	// A vector made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
	if ok, err := verifyPassword("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"); !ok || err != nil {
		t.Errorf("reference vector: %t, %v", ok, err)
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2i$v=19$m=8,t=1,p=1$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.String() != s || h.memoryKiB > 64*1024 || h.passes > 10 {
			t.Errorf("%q parsed to %q", s, h.String())
		}
	})
}

func BenchmarkVerifyPassword(b *testing.B) {
	hash, err := hashPassword(password)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := verifyPassword(hash, password); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkIdentify is what each request of a logged-in person pays.
func BenchmarkIdentify(b *testing.B) {
	s, _ := service(b)
	zhang(b, s)
	_, cookie, err := s.Login(b.Context(), "zhang", password)
	if err != nil {
		b.Fatal(err)
	}
	h := site(s)
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), "GET", "/me", nil)
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

// TestDatabaseAway: whoever asks is told to come back, not that something
// broke, and nobody is logged out by it.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=2") // port 1: refused
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := New(Options{Pool: pool, Clock: hotlinetest.NewClock(time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Login(t.Context(), "agent", "secret"); hotline.ErrorCode(err) != hotline.Unavailable {
		t.Errorf("Login = %v, want unavailable", err)
	}
	if err := s.Audit(t.Context(), hotline.Principal{ID: 1}, "a", "b", nil); hotline.ErrorCode(err) != hotline.Unavailable {
		t.Errorf("Audit = %v, want unavailable", err)
	}
	var denied error
	h := s.Identify(http.NotFoundHandler(), func(_ http.ResponseWriter, _ *http.Request, err error) { denied = err })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: CookieName, Value: "x"})
	h.ServeHTTP(httptest.NewRecorder(), r)
	if hotline.ErrorCode(denied) != hotline.Unavailable {
		t.Errorf("Identify denied with %v, want unavailable", denied)
	}
}
