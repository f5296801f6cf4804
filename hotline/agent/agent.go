// Package agent keeps the seats of the hotline office (坐席): which account has
// which extension, groups and telephone secret, and the history of what agents
// did when. It is the sole writer of seat and agent_state. sip asks it for the
// secrets of phones, auth for extensions, cmd for the seats of the floor. It
// may import hotline/pg. It starts no goroutine; RecordStates is a loop of its
// caller's.
package agent

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

const (
	// Phones register every few minutes and must go on doing so while
	// PostgreSQL is away, so seats are kept in memory and re-read when older.
	seatsFresh = 10 * time.Second
	// readTimeout bounds a phone's wait for that.
	readTimeout = 2 * time.Second
)

// Options are the parts a Roster needs. Pool and Clock are required.
type Options struct {
	Pool  *pgxpool.Pool
	Clock hotline.Clock
	Log   *slog.Logger // nil: slog.Default
}

// Seat is an agent's place. It holds no secret.
type Seat struct {
	Account   hotline.AccountID
	Extension string
	Groups    []string // skill groups, sorted; empty: takes every call
}

// Secret is what a phone proves that it knows its password with: the digest's
// HA1 in lower-case hex. It prints and logs without its hashes.
type Secret struct {
	Account hotline.AccountID
	Realm   string
	MD5     string // MD5(extension:realm:password), RFC 3261 §22.4
	SHA256  string // SHA-256 of the same, RFC 8760 §2.1
}

// String names the owner only.
func (s Secret) String() string { return fmt.Sprintf("secret of account %d", s.Account) }

// GoString names the owner only.
func (s Secret) GoString() string { return s.String() }

// LogValue names the owner only.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Roster answers who sits where. It is safe for concurrent use.
type Roster struct {
	pool  *pgxpool.Pool
	clock hotline.Clock
	log   *slog.Logger

	mu     sync.Mutex
	known  *plan     // guarded by mu; nil: never read
	until  time.Time // guarded by mu; known is used until then
	number int       // guarded by mu; counts changes, so that a slow read cannot undo one
}

// plan is all seats at one moment; immutable.
type plan struct {
	seats     []Seat // by extension
	secrets   map[string]Secret
	byAccount map[hotline.AccountID]Seat
}

// New makes a Roster. It reads the seats when first asked.
func New(o Options) (*Roster, error) {
	if o.Pool == nil || o.Clock == nil {
		return nil, errors.New("new agent roster: Pool and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Roster{pool: o.Pool, clock: o.Clock, log: o.Log.With("component", "agent")}, nil
}

// EnsureSeat gives the account the extension, with the phone's password for
// the realm and the skill groups. Doing it twice changes nothing. Errors:
// Invalid, Conflict when another account has the extension.
func (r *Roster) EnsureSeat(ctx context.Context, account hotline.AccountID, extension, phonePassword, realm string, groups ...string) error {
	switch {
	case account == 0:
		return hotline.FieldErrorf("account", "坐席须属于一个账号")
	case len(extension) < 2 || len(extension) > 10 || strings.Trim(extension, "0123456789") != "":
		return hotline.FieldErrorf("extension", "分机号为 2 至 10 位数字")
	case phonePassword == "":
		return hotline.FieldErrorf("phone_password", "话机口令必填")
	case realm == "" || strings.ContainsAny(realm, "\":\x00"):
		return hotline.FieldErrorf("realm", "认证域不可为空，不得含引号或冒号")
	}
	groups = slices.Clone(groups)
	slices.Sort(groups)
	md, sha := ha1(extension, realm, phonePassword)
	if err := r.saveSeat(ctx, account, extension, realm, md, sha, slices.Compact(groups)); err != nil {
		return fmt.Errorf("ensure seat %s of account %d: %w", extension, account, err)
	}
	r.mu.Lock()
	r.known = nil
	r.number++
	r.mu.Unlock()
	return nil
}

// ha1 is A1 of RFC 7616 §3.4.2 hashed: unq(username) ":" unq(realm) ":" passwd.
func ha1(extension, realm, password string) (md5hex, sha256hex string) {
	a1 := []byte(extension + ":" + realm + ":" + password)
	m, s := md5.Sum(a1), sha256.Sum256(a1)
	return hex.EncodeToString(m[:]), hex.EncodeToString(s[:])
}

// HA1 returns the secret of the phone with the extension. Errors: NotFound.
func (r *Roster) HA1(ctx context.Context, extension string) (Secret, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return Secret{}, err
	}
	s, ok := p.secrets[extension]
	if !ok {
		return Secret{}, errNoSeat()
	}
	return s, nil
}

// SeatByExtension returns the seat with the extension. Errors: NotFound.
func (r *Roster) SeatByExtension(ctx context.Context, extension string) (Seat, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return Seat{}, err
	}
	s, ok := p.secrets[extension]
	if !ok {
		return Seat{}, errNoSeat()
	}
	return p.byAccount[s.Account], nil
}

// Seat returns the account's seat. Errors: NotFound.
func (r *Roster) Seat(ctx context.Context, account hotline.AccountID) (Seat, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return Seat{}, err
	}
	s, ok := p.byAccount[account]
	if !ok {
		return Seat{}, errNoSeat()
	}
	return s, nil
}

// Extension returns the account's extension, "" when it has no seat.
func (r *Roster) Extension(ctx context.Context, account hotline.AccountID) (string, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return "", err
	}
	return p.byAccount[account].Extension, nil
}

// Seats returns all seats by extension. The caller does not change them.
func (r *Roster) Seats(ctx context.Context) ([]Seat, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	return p.seats, nil
}

// plan returns the seats, ten seconds old at most; older ones while PostgreSQL
// is away, so that phones stay registered.
func (r *Roster) plan(ctx context.Context) (*plan, error) {
	now := r.clock.Now()
	r.mu.Lock()
	p, number := r.known, r.number
	if p != nil && now.Before(r.until) {
		r.mu.Unlock()
		return p, nil
	}
	if p != nil {
		r.until = now.Add(seatsFresh) // one reader refreshes, the others go on with what is known
	}
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	fresh, err := r.readPlan(ctx)
	if err != nil {
		if p == nil {
			return nil, fmt.Errorf("read seats: %w", err)
		}
		r.log.Warn("seats not read again, using known ones", "err", err)
		return p, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.number == number {
		r.known, r.until = fresh, now.Add(seatsFresh)
	}
	return fresh, nil
}

func errNoSeat() error { return hotline.Errorf(hotline.NotFound, "没有这个坐席") }
