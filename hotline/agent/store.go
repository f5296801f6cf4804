package agent

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

const (
	sqlSeats = `select account_id, extension, realm, ha1_md5, ha1_sha256, groups from seat order by extension`

	sqlSaveSeat = `
insert into seat as s (account_id, extension, realm, ha1_md5, ha1_sha256, groups) values ($1, $2, $3, $4, $5, $6)
on conflict (account_id) do update
   set extension = excluded.extension, realm = excluded.realm, ha1_md5 = excluded.ha1_md5, ha1_sha256 = excluded.ha1_sha256, groups = excluded.groups
 where (s.extension, s.realm, s.ha1_md5, s.ha1_sha256, s.groups) is distinct from
       (excluded.extension, excluded.realm, excluded.ha1_md5, excluded.ha1_sha256, excluded.groups)`

	// Nodes that record the same floor go one after the other.
	sqlLockSeats = `select account_id from seat where account_id = any($1) order by account_id for update`

	// A state that was written before stays; one that came late ends where the
	// next one began.
	sqlState = `
insert into agent_state (account_id, from_at, to_at, state, reason)
values ($1, $2, (select min(n.from_at) from agent_state n where n.account_id = $1 and n.from_at > $2), $3, $4)
on conflict (account_id, from_at) do nothing`

	sqlCloseBefore = `update agent_state set to_at = $2 where account_id = $1 and from_at < $2 and (to_at is null or to_at > $2)`
)

func (r *Roster) saveSeat(ctx context.Context, account hotline.AccountID, extension, realm, md5hex, sha256hex string, groups []string) error {
	if groups == nil {
		groups = []string{}
	}
	_, err := r.pool.Exec(ctx, sqlSaveSeat, account, extension, realm, md5hex, sha256hex, groups)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23505" { // unique_violation
		return &hotline.Error{Code: hotline.Conflict, Field: "extension", Message: "分机号已被占用", Err: err}
	}
	return pg.Code(err)
}

func (r *Roster) readPlan(ctx context.Context) (*plan, error) {
	rows, err := r.pool.Query(ctx, sqlSeats)
	if err != nil {
		return nil, pg.Code(err)
	}
	p := &plan{secrets: map[string]Secret{}, byAccount: map[hotline.AccountID]Seat{}}
	var seat Seat
	var secret Secret
	_, err = pgx.ForEachRow(rows, []any{&seat.Account, &seat.Extension, &secret.Realm, &secret.MD5, &secret.SHA256, &seat.Groups}, func() error {
		secret.Account = seat.Account
		p.seats = append(p.seats, seat)
		p.secrets[seat.Extension] = secret
		p.byAccount[seat.Account] = seat
		seat.Groups = nil
		return nil
	})
	return p, pg.Code(err)
}

// change is a state an agent entered.
type change struct {
	account hotline.AccountID
	from    time.Time
	state   hotline.AgentState
	reason  string
}

// saveStates appends the changes to the history, in one transaction.
func (r *Roster) saveStates(ctx context.Context, changes []change) error {
	accounts := make([]hotline.AccountID, len(changes))
	batch := &pgx.Batch{}
	for i, c := range changes {
		accounts[i] = c.account
		batch.Queue(sqlState, c.account, c.from, c.state, c.reason)
		batch.Queue(sqlCloseBefore, c.account, c.from)
	}
	return pg.Code(pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLockSeats, accounts); err != nil {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	}))
}
