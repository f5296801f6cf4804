package pg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

// RequestKeys remembers the answers to POST requests that carried an
// Idempotency-Key, so that a retry gets the first answer and does nothing. A
// key belongs to a scope, such as an account and a path, and to one request,
// told by its hash.
//
// A program that dies between the change and Finish leaves its key unanswered;
// after a minute a retry runs again. Changes that must not happen twice even
// then need a key of their own in their table. Safe for concurrent use.
type RequestKeys struct{ Pool *pgxpool.Pool }

// Answer is what a request was answered with. A zero Status means that the
// first request is still under way or died before it answered.
type Answer struct {
	Status int
	Body   []byte
}

const (
	claimKey = `insert into idempotency_key (scope, key, request_hash) values ($1, $2, $3)
on conflict (scope, key) do update set at = clock_timestamp()
where idempotency_key.status is null and idempotency_key.request_hash = excluded.request_hash and idempotency_key.at < clock_timestamp() - interval '1 minute'`
	readKey   = `select request_hash, coalesce(status, 0), coalesce(response, '') from idempotency_key where scope = $1 and key = $2`
	answerKey = `update idempotency_key set status = $3, response = $4 where scope = $1 and key = $2`
	dropKey   = `delete from idempotency_key where scope = $1 and key = $2 and status is null`
	forgetOld = `delete from idempotency_key where at < $1`
)

// Begin claims a key for a request. first is true when the caller must do the
// work and then Finish or Abandon. Otherwise a is the earlier answer. Errors:
// Conflict when the key was used for another request or the first is still
// under way; Unavailable.
func (k RequestKeys) Begin(ctx context.Context, scope, key string, hash []byte) (a Answer, first bool, err error) {
	tag, err := k.Pool.Exec(ctx, claimKey, scope, key, hash)
	if err != nil {
		return Answer{}, false, Code(fmt.Errorf("claim request key: %w", err))
	}
	if tag.RowsAffected() == 1 {
		return Answer{}, true, nil
	}
	var had []byte
	err = k.Pool.QueryRow(ctx, readKey, scope, key).Scan(&had, &a.Status, &a.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Answer{}, false, hotline.Errorf(hotline.Conflict, "相同的请求刚刚被取消，请重试")
	case err != nil:
		return Answer{}, false, Code(fmt.Errorf("read request key: %w", err))
	case !bytes.Equal(had, hash):
		return Answer{}, false, hotline.Errorf(hotline.Conflict, "Idempotency-Key 已用于另一个请求")
	case a.Status == 0:
		return Answer{}, false, hotline.Errorf(hotline.Conflict, "相同的请求正在处理，请稍候")
	}
	return a, false, nil
}

// Finish stores the answer of a claimed key. It belongs after the change, on a
// context that outlives the client.
func (k RequestKeys) Finish(ctx context.Context, scope, key string, a Answer) error {
	if _, err := k.Pool.Exec(ctx, answerKey, scope, key, a.Status, a.Body); err != nil {
		return Code(fmt.Errorf("store request answer: %w", err))
	}
	return nil
}

// Abandon frees a claimed key whose request changed nothing.
func (k RequestKeys) Abandon(ctx context.Context, scope, key string) error {
	if _, err := k.Pool.Exec(ctx, dropKey, scope, key); err != nil {
		return Code(fmt.Errorf("free request key: %w", err))
	}
	return nil
}

// Forget drops keys last used before t.
func (k RequestKeys) Forget(ctx context.Context, t time.Time) error {
	if _, err := k.Pool.Exec(ctx, forgetOld, t); err != nil {
		return fmt.Errorf("forget request keys: %w", err)
	}
	return nil
}
