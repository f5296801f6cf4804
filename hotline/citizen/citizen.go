// Package citizen owns callers: who has which number, under what name. Names
// and numbers are stored sealed, a number is found by its keyed hash, lists
// show them masked; Service.Reveal alone gives them in full, after the audit
// row is written. Service is the only writer of person and person_phone;
// workorder registers callers, cdr does so for calls and seals its own spool
// with Vault, httpapi reads. It starts no goroutine and may import hotline and
// hotline/pg.
package citizen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

// Audit keeps who looked at what, and why; hotline/auth answers it.
type Audit interface {
	Audit(ctx context.Context, p hotline.Principal, action, subject string, detail any) error
}

// Options are the parts of a Service; all are required.
type Options struct {
	Pool  *pgxpool.Pool
	Vault *Vault
	Clock hotline.Clock
	Audit Audit
}

// Service keeps callers. It is safe for concurrent use, on several nodes over
// one database and key.
type Service struct {
	pool  *pgxpool.Pool
	vault *Vault
	clock hotline.Clock
	audit Audit
}

// keyCheckTime bounds the one query New makes.
const keyCheckTime = 10 * time.Second

// New makes the service. It asks the database once and fails when that was
// written with another key than the vault's: a lost key file must be put back,
// not replaced.
func New(o Options) (*Service, error) {
	if o.Pool == nil || o.Vault == nil || o.Clock == nil || o.Audit == nil {
		return nil, errors.New("make citizen service: pool, vault, clock and audit are required")
	}
	s := &Service{o.Pool, o.Vault, o.Clock, o.Audit}
	ctx, cancel := context.WithTimeout(context.Background(), keyCheckTime)
	defer cancel()
	if err := s.checkKey(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Person is a caller as lists and cards show one.
type Person struct {
	ID    int64  `json:"person_id,string"`
	Name  string `json:"name_masked"`  // "张*"; "" when unknown
	Phone string `json:"phone_masked"` // "138****5678"; "" when withheld
	Last4 string `json:"last4"`
}

// Register returns the person with the phone, made when new; a name replaces
// the one kept before. Without a phone a named person is made anew each time,
// and without either it returns zero. Safe against itself on other nodes.
func (s *Service) Register(ctx context.Context, phone hotline.Phone, name string) (int64, error) {
	phone, name = hotline.ParsePhone(phone.Reveal()), cleanName(name)
	if phone == "" {
		if name == "" {
			return 0, nil
		}
		return s.insertPerson(ctx, name)
	}
	id, kept, ok, err := s.byPhone(ctx, s.pool, phone)
	if err != nil {
		return 0, err
	}
	if !ok {
		return s.insertWithPhone(ctx, phone, name)
	}
	if name != "" && name != kept {
		if err := s.rename(ctx, id, name); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// Caller returns the person behind a call, made when the number is new; zero
// for a withheld number.
func (s *Service) Caller(ctx context.Context, phone hotline.Phone) (int64, error) {
	return s.Register(ctx, phone, "")
}

// ByPhone finds the person with the phone. False when there is none or the
// number was withheld.
func (s *Service) ByPhone(ctx context.Context, phone hotline.Phone) (int64, bool, error) {
	phone = hotline.ParsePhone(phone.Reveal())
	if phone == "" {
		return 0, false, nil
	}
	id, _, ok, err := s.byPhone(ctx, s.pool, phone)
	return id, ok, err
}

// Person returns the masked caller. Errors: NotFound.
func (s *Service) Person(ctx context.Context, id int64) (Person, error) {
	name, phone, err := s.open(ctx, id)
	if err != nil {
		return Person{}, err
	}
	return Person{ID: id, Name: hotline.MaskName(name), Phone: phone.Mask(), Last4: phone.Last4()}, nil
}

// Reveal returns a caller's full name and number to a person of the office or
// of a unit who gives a reason. The audit row is written first; when that
// fails nothing is shown. Whether the person may see the order behind it is
// for its caller to have asked. Errors: Invalid, Forbidden, NotFound.
func (s *Service) Reveal(ctx context.Context, p hotline.Principal, id int64, reason string) (string, hotline.Phone, error) {
	reason = strings.TrimSpace(reason)
	switch n := utf8.RuneCountInString(reason); {
	case p.ID == 0 || !p.Has(hotline.RoleAgent, hotline.RoleDispatcher, hotline.RoleCallback, hotline.RoleUnit, hotline.RoleAdmin):
		return "", "", hotline.Errorf(hotline.Forbidden, "您没有查看来电人信息的权限")
	case n < 2:
		return "", "", hotline.FieldErrorf("reason", "请填写查看理由")
	case n > 200:
		return "", "", hotline.FieldErrorf("reason", "理由不超过 200 个字")
	}
	name, phone, err := s.open(ctx, id)
	if err != nil {
		return "", "", err
	}
	if err := s.audit.Audit(ctx, p, "citizen.reveal", fmt.Sprintf("person:%d", id), map[string]any{"reason": reason}); err != nil {
		return "", "", fmt.Errorf("audit reveal of person %d: %w", id, err)
	}
	return name, phone, nil
}

// cleanName bounds a name and takes out what cannot be one.
func cleanName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	if r := []rune(name); len(r) > 40 {
		name = string(r[:40])
	}
	return name
}
