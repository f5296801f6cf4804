package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"hotline12345/hotline"
)

// The keys of a session's data.
const (
	keyAccount = "account"
	keyLogin   = "login_at" // unix milliseconds
	keySeen    = "seen_at"  // unix milliseconds
)

// caller is who makes a request, and from where.
type caller struct {
	principal hotline.Principal
	addr      netip.Addr
	token     string // of the session; "" for none
}

type callerKey struct{}

// Principal returns the person behind the request; false when nobody is
// logged in.
func Principal(ctx context.Context) (hotline.Principal, bool) {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c.principal, c.principal.ID != 0
}

// WithPrincipal returns a context in which the person acts from the address;
// for commands and tests, which have no session. The zero Addr is no network.
func WithPrincipal(ctx context.Context, p hotline.Principal, addr netip.Addr) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{principal: p, addr: addr})
}

// Identify puts the person of the request's session into its context, and the
// network address for the audit log. Without a valid session the request goes
// on as nobody's. deny writes the answer when the database is away. It does
// not wrap the ResponseWriter, so that a websocket can take the connection.
func (s *Service) Identify(next http.Handler, deny func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := caller{addr: remoteAddr(r)}
		if cookie, err := r.Cookie(CookieName); err == nil && cookie.Value != "" && len(cookie.Value) <= 128 {
			p, err := s.resume(r.Context(), cookie.Value, true)
			if err != nil && hotline.ErrorCode(err) != hotline.Unauthenticated {
				deny(w, r, err)
				return
			}
			if err == nil {
				c.principal, c.token = p, cookie.Value
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// Require lets only logged-in people pass; deny answers the others with an
// Unauthenticated error. It stands behind Identify.
func Require(next http.Handler, deny func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := Principal(r.Context()); !ok {
			deny(w, r, errNobody())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Recheck asks whether the session behind the context still holds, for
// connections that live long: logged out, disabled and expired people are told
// Unauthenticated. It does not count as activity.
func (s *Service) Recheck(ctx context.Context) (hotline.Principal, error) {
	c, _ := ctx.Value(callerKey{}).(caller)
	if c.token == "" {
		return hotline.Principal{}, errNobody()
	}
	return s.resume(ctx, c.token, false)
}

// Login checks name and password and begins a session; the caller sends the
// cookie. A session the request already had ends. Unknown name, wrong password
// and disabled account get the same answer after the same work. Errors:
// Unauthenticated, TooMany, Unavailable.
func (s *Service) Login(ctx context.Context, login, password string) (hotline.Principal, *http.Cookie, error) {
	from, _ := ctx.Value(callerKey{}).(caller)
	login = normalLogin(login)
	if len(login) > maxLogin || len(password) > maxPassword {
		return hotline.Principal{}, nil, errWrong()
	}
	if err := s.slot(ctx); err != nil {
		return hotline.Principal{}, nil, err
	}
	p, err := s.check(ctx, login, password, from.addr)
	s.free()
	if err != nil {
		return hotline.Principal{}, nil, err
	}
	cookie, err := s.begin(ctx, p.ID)
	if err != nil {
		return hotline.Principal{}, nil, fmt.Errorf("begin session of account %d: %w", p.ID, err)
	}
	if from.token != "" {
		if err := s.end(ctx, from.token); err != nil {
			s.log.Warn("earlier session not ended", "account_id", int64(p.ID), "err", err)
		}
	}
	if err := s.Audit(ctx, p, "login.ok", fmt.Sprintf("account:%d", p.ID), nil); err != nil {
		return hotline.Principal{}, nil, err
	}
	return p, cookie, nil
}

// check verifies name and password under the throttle.
func (s *Service) check(ctx context.Context, login, password string, addr netip.Addr) (hotline.Principal, error) {
	if !s.throttle.allow(login, addr) {
		return hotline.Principal{}, hotline.Errorf(hotline.TooMany, "登录失败次数过多，请 15 分钟后再试")
	}
	a, err := s.byLogin(ctx, login)
	if err != nil {
		s.throttle.succeed(login, addr) // not the person's failure
		return hotline.Principal{}, fmt.Errorf("read account: %w", err)
	}
	hash := a.hash
	if a.id == 0 {
		hash = s.unknown
	}
	ok, err := verifyPassword(hash, password)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("verify password of account %d: %w", a.id, err)
	}
	if !ok || a.id == 0 || a.disabled {
		if a.id != 0 {
			// Unknown names are not logged: people type passwords there.
			if err := s.audit(ctx, a.id, addr, "login.failed", fmt.Sprintf("account:%d", a.id), nil); err != nil {
				return hotline.Principal{}, err
			}
		}
		return hotline.Principal{}, errWrong()
	}
	s.throttle.succeed(login, addr)
	return s.principal(ctx, a.id)
}

// Logout ends the session behind the context and returns the cookie that
// removes it from the browser. Without a session it only returns the cookie.
func (s *Service) Logout(ctx context.Context) (*http.Cookie, error) {
	c, _ := ctx.Value(callerKey{}).(caller)
	if c.token != "" {
		if err := s.end(ctx, c.token); err != nil {
			return nil, fmt.Errorf("end session: %w", err)
		}
		if err := s.Audit(ctx, c.principal, "logout", fmt.Sprintf("account:%d", c.principal.ID), nil); err != nil {
			return nil, err
		}
	}
	return s.cookie("", -1), nil
}

func (s *Service) begin(ctx context.Context, id hotline.AccountID) (*http.Cookie, error) {
	ctx, err := s.sessions.Load(context.WithoutCancel(ctx), "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	now := s.clock.Now().UnixMilli()
	s.sessions.Put(ctx, keyAccount, int64(id))
	s.sessions.Put(ctx, keyLogin, now)
	s.sessions.Put(ctx, keySeen, now)
	token, _, err := s.sessions.Commit(ctx)
	if err != nil {
		return nil, err
	}
	return s.cookie(token, int(sessionLifetime/time.Second)), nil
}

func (s *Service) end(ctx context.Context, token string) error {
	ctx, err := s.sessions.Load(ctx, token)
	if err != nil {
		return err
	}
	return s.sessions.Destroy(ctx)
}

// resume returns the person of the session with the token. Roles, unit and
// the right to be here are read afresh each time. Errors: Unauthenticated.
func (s *Service) resume(ctx context.Context, token string, touch bool) (hotline.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ctx, err := s.sessions.Load(ctx, token)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("load session: %w", err)
	}
	id := hotline.AccountID(s.sessions.GetInt64(ctx, keyAccount))
	if id == 0 {
		return hotline.Principal{}, errNobody()
	}
	now := s.clock.Now()
	begun := time.UnixMilli(s.sessions.GetInt64(ctx, keyLogin))
	seen := time.UnixMilli(s.sessions.GetInt64(ctx, keySeen))
	a, err := s.byID(ctx, id)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("read account %d: %w", id, err)
	}
	if a.id == 0 || a.disabled || begun.Before(a.sessionsFrom.Truncate(time.Millisecond)) || now.Sub(begun) >= sessionLifetime || now.Sub(seen) >= sessionIdle {
		if err := s.sessions.Destroy(ctx); err != nil {
			s.log.Warn("void session not removed", "account_id", int64(id), "err", err)
		}
		return hotline.Principal{}, errNobody()
	}
	p, err := s.complete(ctx, a)
	if err != nil {
		return hotline.Principal{}, err
	}
	if touch && now.Sub(seen) >= touchEvery {
		s.sessions.Put(ctx, keySeen, now.UnixMilli())
		if _, _, err := s.sessions.Commit(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("session activity not noted", "account_id", int64(id), "err", err)
		}
	}
	return p, nil
}

func (s *Service) cookie(value string, maxAge int) *http.Cookie {
	c := s.sessions.Cookie
	return &http.Cookie{Name: c.Name, Value: value, Path: c.Path, MaxAge: maxAge, HttpOnly: c.HttpOnly, SameSite: c.SameSite, Secure: c.Secure}
}

// remoteAddr is the peer's address. Forwarded headers are not believed: anyone
// can write them.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func errNobody() error { return hotline.Errorf(hotline.Unauthenticated, "请先登录") }

func errWrong() error { return hotline.Errorf(hotline.Unauthenticated, "账号或口令不正确") }
