// Package auth knows who works with the system: accounts and their roles,
// passwords, sessions, and the log of what people did. It is the sole writer
// of account, account_role, session and audit_log. hotline/httpapi puts its
// handlers behind Identify, and every room that shows personal data writes its
// audit row here first. It may import hotline/pg. It starts no goroutine; the
// login throttle is guarded by its own mutex.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

const (
	// CookieName is the name of the session cookie.
	CookieName = "hotline_session"

	// A session outlives a shift of eight hours with its handover, and a
	// break in it; an unattended page does not stay logged in over a night.
	sessionLifetime = 12 * time.Hour
	sessionIdle     = 2 * time.Hour
	touchEvery      = time.Minute // how exact the idle time is: one write a minute at most

	minPassword = 10  // characters
	maxPassword = 128 // bytes: bounds what one request may have us hash
	maxLogin    = 64  // bytes
)

// Extensions tells the telephone extension of an account's seat, "" for none.
// hotline/agent's Roster is one.
type Extensions interface {
	Extension(ctx context.Context, account hotline.AccountID) (string, error)
}

// Options are the parts a Service needs. Pool and Clock are required.
type Options struct {
	Pool         *pgxpool.Pool
	Clock        hotline.Clock
	Extensions   Extensions // nil: nobody has an extension
	SecureCookie bool       // set behind TLS: the cookie is never sent in the clear
	Log          *slog.Logger
}

// Service answers who somebody is. It is safe for concurrent use.
type Service struct {
	pool       *pgxpool.Pool
	clock      hotline.Clock
	extensions Extensions
	sessions   *scs.SessionManager
	throttle   *throttle
	hashing    chan struct{} // a slot per password hash at work
	unknown    string        // hash that no password matches, for unknown names
	log        *slog.Logger
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.Pool == nil || o.Clock == nil {
		return nil, errors.New("new auth service: Pool and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	unknown, err := hashPassword(newSecret())
	if err != nil {
		return nil, fmt.Errorf("new auth service: %w", err)
	}
	s := &Service{
		pool: o.Pool, clock: o.Clock, extensions: o.Extensions,
		throttle: newThrottle(o.Clock),
		hashing:  make(chan struct{}, 2), // 19 MiB each; two cores
		unknown:  unknown,
		log:      o.Log.With("component", "auth"),
	}
	m := scs.New()
	m.Store = sessionStore{o.Pool}
	m.Lifetime = sessionLifetime
	m.HashTokenInStore = true
	m.Cookie = scs.SessionCookie{Name: CookieName, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: o.SecureCookie, Persist: true}
	s.sessions = m
	return s, nil
}

// Account is what EnsureAccount is told.
type Account struct {
	Login         string // lower-cased; letters, digits, . _ -
	Name          string
	Unit          hotline.UnitCode // "" for accounts outside every unit
	Roles         []hotline.Role
	Password      string // needed for a new account
	ResetPassword bool   // an existing account gets Password and loses its sessions; else its password stays
	WeakPassword  bool   // skip the rules for passwords: demonstrations only
}

// EnsureAccount makes the account, or brings name, unit and roles of an
// existing one up to date, and returns the person. Doing it twice changes
// nothing. Errors: Invalid with the field at fault.
func (s *Service) EnsureAccount(ctx context.Context, a Account) (hotline.Principal, error) {
	a.Login = normalLogin(a.Login)
	if err := checkAccount(a); err != nil {
		return hotline.Principal{}, err
	}
	old, err := s.byLogin(ctx, a.Login)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("ensure account %s: %w", a.Login, err)
	}
	hash := ""
	if old.id == 0 || a.ResetPassword {
		if err := checkPassword(a); err != nil {
			return hotline.Principal{}, err
		}
		if err := s.slot(ctx); err != nil {
			return hotline.Principal{}, err
		}
		hash, err = hashPassword(a.Password)
		s.free()
		if err != nil {
			return hotline.Principal{}, fmt.Errorf("ensure account %s: %w", a.Login, err)
		}
	}
	id, err := s.saveAccount(ctx, a, hash)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("ensure account %s: %w", a.Login, err)
	}
	return s.principal(ctx, id)
}

// SetDisabled shuts an account out at once, sessions included, or lets it in
// again. Errors: NotFound.
func (s *Service) SetDisabled(ctx context.Context, login string, disabled bool) error {
	found, err := s.saveDisabled(ctx, normalLogin(login), disabled)
	if err != nil {
		return fmt.Errorf("disable account: %w", err)
	}
	if !found {
		return hotline.Errorf(hotline.NotFound, "没有这个账号")
	}
	return nil
}

func normalLogin(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func checkAccount(a Account) error {
	switch {
	case a.Login == "" || len(a.Login) > maxLogin || strings.Trim(a.Login, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "":
		return hotline.FieldErrorf("login", "账号须为 1 至 %d 位字母、数字或 . _ -", maxLogin)
	case strings.TrimSpace(a.Name) == "" || strings.ContainsRune(a.Name, 0):
		return hotline.FieldErrorf("name", "姓名必填")
	case len(a.Roles) == 0:
		return hotline.FieldErrorf("roles", "至少要有一个角色")
	}
	for _, r := range a.Roles {
		if !slices.Contains(allRoles, r) {
			return hotline.FieldErrorf("roles", "没有角色 %q", r)
		}
	}
	if slices.Contains(a.Roles, hotline.RoleUnit) && a.Unit == "" {
		return hotline.FieldErrorf("unit", "承办单位联络员须注明单位")
	}
	return nil
}

var allRoles = []hotline.Role{hotline.RoleAgent, hotline.RoleDispatcher, hotline.RoleCallback, hotline.RoleUnit, hotline.RoleLeader, hotline.RoleAdmin}

func checkPassword(a Account) error {
	switch {
	case a.Password == "" || len(a.Password) > maxPassword:
		return hotline.FieldErrorf("password", "口令须有 1 至 %d 字节", maxPassword)
	case a.WeakPassword:
		return nil
	case utf8.RuneCountInString(a.Password) < minPassword:
		return hotline.FieldErrorf("password", "口令至少 %d 个字符", minPassword)
	case strings.Contains(strings.ToLower(a.Password), a.Login):
		return hotline.FieldErrorf("password", "口令不得含有账号")
	}
	return nil
}

// slot waits for one of the two places for password hashing, ten seconds at
// most. Errors: Unavailable.
func (s *Service) slot(ctx context.Context) error {
	wait := time.NewTimer(10 * time.Second)
	defer wait.Stop()
	select {
	case s.hashing <- struct{}{}:
		return nil
	case <-wait.C:
	case <-ctx.Done():
	}
	return hotline.Errorf(hotline.Unavailable, "登录人数过多，请稍后再试")
}

func (s *Service) free() { <-s.hashing }
