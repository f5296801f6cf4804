package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

const (
	sqlAccount = `
select a.id, a.login, a.name, a.unit_code, a.password_hash, a.sessions_from, a.disabled_at is not null,
       coalesce((select array_agg(r.role order by r.role) from account_role r where r.account_id = a.id), '{}')
  from account a`
	sqlByLogin = sqlAccount + ` where a.login = $1`
	sqlByID    = sqlAccount + ` where a.id = $1`
	sqlAll     = sqlAccount + ` order by a.login`

	sqlNames = `select id, name from account where id = any($1)`

	sqlUpsert = `
insert into account as a (login, name, unit_code, password_hash, created_at, sessions_from)
values ($1, $2, $3, $4, $5, $5)
on conflict (login) do update set name = excluded.name, unit_code = excluded.unit_code
returning a.id`

	sqlPassword = `update account set password_hash = $2, sessions_from = $3 where id = $1 and password_hash <> $2`

	sqlRolesOff = `delete from account_role where account_id = $1 and role <> all($2)`

	sqlRolesOn = `insert into account_role (account_id, role) select $1, unnest($2::text[]) on conflict do nothing`

	sqlDisable = `
update account set disabled_at = case when $2 then coalesce(disabled_at, $3::timestamptz) end, sessions_from = case when $2 then $3 else sessions_from end
 where login = $1`

	sqlAudit = `insert into audit_log (at, actor, ip, action, subject, detail) values ($1, $2, $3, $4, $5, $6)`

	sqlSessionFind = `select data from session where token_hash = $1 and expiry > current_timestamp`

	sqlSessionCommit = `
insert into session (token_hash, data, expiry) values ($1, $2, $3)
on conflict (token_hash) do update set data = excluded.data, expiry = excluded.expiry`

	sqlSessionDelete = `delete from session where token_hash = $1 or expiry < current_timestamp`
)

// account is a row of account with its roles; id zero: there is none.
type account struct {
	id                hotline.AccountID
	login, name, hash string
	unit              hotline.UnitCode
	sessionsFrom      time.Time
	disabled          bool
	roles             []hotline.Role
}

func scanAccount(row pgx.CollectableRow) (account, error) {
	var a account
	err := row.Scan(&a.id, &a.login, &a.name, &a.unit, &a.hash, &a.sessionsFrom, &a.disabled, &a.roles)
	return a, err
}

func (s *Service) one(ctx context.Context, sql string, arg any) (account, error) {
	rows, err := s.pool.Query(ctx, sql, arg)
	if err != nil {
		return account{}, pg.Code(err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return account{}, nil
	}
	return a, pg.Code(err)
}

func (s *Service) byLogin(ctx context.Context, login string) (account, error) {
	return s.one(ctx, sqlByLogin, login)
}

func (s *Service) byID(ctx context.Context, id hotline.AccountID) (account, error) {
	return s.one(ctx, sqlByID, id)
}

func (s *Service) principal(ctx context.Context, id hotline.AccountID) (hotline.Principal, error) {
	a, err := s.byID(ctx, id)
	if err != nil {
		return hotline.Principal{}, fmt.Errorf("read account %d: %w", id, err)
	}
	return s.complete(ctx, a)
}

// complete makes a principal of an account.
func (s *Service) complete(ctx context.Context, a account) (hotline.Principal, error) {
	p := hotline.Principal{ID: a.id, Login: a.login, Name: a.name, Unit: a.unit, Roles: a.roles}
	if s.extensions != nil && p.Has(hotline.RoleAgent) {
		ext, err := s.extensions.Extension(ctx, a.id)
		if err != nil {
			return hotline.Principal{}, fmt.Errorf("read extension of account %d: %w", a.id, err)
		}
		p.Extension = ext
	}
	return p, nil
}

// Names returns the names of the accounts that exist, for timelines and lists.
func (s *Service) Names(ctx context.Context, ids []hotline.AccountID) (map[hotline.AccountID]string, error) {
	rows, err := s.pool.Query(ctx, sqlNames, ids)
	if err != nil {
		return nil, fmt.Errorf("read account names: %w", pg.Code(err))
	}
	names := make(map[hotline.AccountID]string, len(ids))
	var id hotline.AccountID
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { names[id] = name; return nil }); err != nil {
		return nil, fmt.Errorf("read account names: %w", pg.Code(err))
	}
	return names, nil
}

// People returns everybody who may log in, by login, without extensions.
func (s *Service) People(ctx context.Context) ([]hotline.Principal, error) {
	rows, err := s.pool.Query(ctx, sqlAll)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", pg.Code(err))
	}
	all, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", pg.Code(err))
	}
	people := make([]hotline.Principal, 0, len(all))
	for _, a := range all {
		if !a.disabled {
			people = append(people, hotline.Principal{ID: a.id, Login: a.login, Name: a.name, Unit: a.unit, Roles: a.roles})
		}
	}
	return people, nil
}

// saveAccount stores the account; hash "" keeps the password.
func (s *Service) saveAccount(ctx context.Context, a Account, hash string) (id hotline.AccountID, err error) {
	now := s.clock.Now()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, sqlUpsert, a.Login, a.Name, a.Unit, hash, now).Scan(&id); err != nil {
			return err
		}
		if hash != "" && a.ResetPassword {
			if _, err := tx.Exec(ctx, sqlPassword, id, hash, now); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sqlRolesOff, id, a.Roles); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlRolesOn, id, a.Roles)
		return err
	})
	return id, pg.Code(err)
}

func (s *Service) saveDisabled(ctx context.Context, login string, disabled bool) (bool, error) {
	tag, err := s.pool.Exec(ctx, sqlDisable, login, disabled, s.clock.Now())
	return tag.RowsAffected() == 1, pg.Code(err)
}

// Audit writes down that the person did the action to the subject
// ("call:20261123-…"). The network address is the one Identify found. Detail
// is encoded as JSON, nil as {}; it holds no secret and no full number. Who
// shows personal data calls Audit first and shows nothing when it fails.
func (s *Service) Audit(ctx context.Context, p hotline.Principal, action, subject string, detail any) error {
	c, _ := ctx.Value(callerKey{}).(caller)
	return s.audit(ctx, p.ID, c.addr, action, subject, detail)
}

func (s *Service) audit(ctx context.Context, actor hotline.AccountID, addr netip.Addr, action, subject string, detail any) error {
	body := json.RawMessage("{}")
	if detail != nil {
		b, err := json.Marshal(detail)
		if err != nil {
			return fmt.Errorf("encode audit detail of %s: %w", action, err)
		}
		body = b
	}
	ip := ""
	if addr.IsValid() {
		ip = addr.String()
	}
	if _, err := s.pool.Exec(ctx, sqlAudit, s.clock.Now(), actor, ip, action, subject, body); err != nil {
		return fmt.Errorf("write audit of %s: %w", action, pg.Code(err))
	}
	return nil
}

// sessionStore keeps sessions in PostgreSQL for scs. Its own, not scs's
// pgxstore, because that one ignores contexts and starts a goroutine nobody
// can wait for. Expired rows go with the next log-out or void session.
type sessionStore struct{ pool *pgxpool.Pool }

var errNoContext = errors.New("session store needs a context")

// Find, Commit and Delete are asked for by scs.Store, which prefers the
// methods with a context and never calls these.
func (st sessionStore) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit: see Find.
func (st sessionStore) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete: see Find.
func (st sessionStore) Delete(string) error { return errNoContext }

// FindCtx returns a session that has not expired.
func (st sessionStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = st.pool.QueryRow(ctx, sqlSessionFind, token).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, pg.Code(err)
}

// CommitCtx stores a session.
func (st sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := st.pool.Exec(ctx, sqlSessionCommit, token, data, expiry)
	return pg.Code(err)
}

// DeleteCtx removes a session, and those that expired.
func (st sessionStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := st.pool.Exec(ctx, sqlSessionDelete, token)
	return pg.Code(err)
}
