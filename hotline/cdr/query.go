package cdr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	maxTotal     = 1_000_000 // counted at most: a year of calls many times over

	sqlCall = `
select id, person_id, caller_sealed, caller_last4, original_number, line, source, trunk, arrived_at, queued_at, offered_at,
       answered_at, ended_at, agent_id, extension, ended_by, end_reason, recording, recording_ms
  from call`
	sqlOne   = sqlCall + ` where id = $1`
	sqlCount = `select count(*) from (select 1 from call`

	sqlFrom           = `arrived_at >= $?`
	sqlTo             = `arrived_at < $?`
	sqlAgent          = `agent_id = $?`
	sqlEndReason      = `end_reason = $?`
	sqlOriginal       = `original_number = $?`
	sqlSource         = `source = $?`
	sqlPerson         = `person_id = $?`
	sqlAnswered       = `answered_at is not null`
	sqlNotAnswered    = `answered_at is null`
	sqlAnsweredWithin = `answered_at <= coalesce(queued_at, arrived_at) + $?::interval`
	sqlAfter          = `(arrived_at, id) < ($?, $?)`
	sqlOrder          = ` order by arrived_at desc, id desc limit $?`
	sqlCountEnd       = ` limit $?) counted`
)

// CallQuery says which calls List returns, newest first. Zero members do not
// restrict.
type CallQuery struct {
	From, To       time.Time          // of the arrival; From included, To not
	Agent          hotline.AccountID  // who answered, or whose phone rang last
	Answered       *bool              // whether an agent answered
	AnsweredWithin time.Duration      // answered within it of entering the queue (15秒接通: GB/T 33358-2016)
	EndReason      string             // an End constant of hotline
	Line           string             // the dialled number
	Source         hotline.SourceCode // of the dialled line
	PersonID       int64
	Cursor         string // Next of the page before; "" for the first
	Limit          int    // 50 when zero, 200 at most
	WithTotal      bool   // count all matches too
}

// Page is a part of a list of calls.
type Page struct {
	Calls []hotline.Call `json:"calls"`
	Next  string         `json:"next"`            // Cursor of the next page; "" for the last
	Total *int           `json:"total,omitempty"` // of all pages, when asked; nil when over a million
}

// List returns the calls that match, newest first, numbers for masked display.
// Everybody at the hotline office may look; others are Forbidden. Errors:
// Invalid with the member at fault, Forbidden, Unavailable.
func (l *Ledger) List(ctx context.Context, p hotline.Principal, q CallQuery) (Page, error) {
	if !p.Center() {
		return Page{}, hotline.Errorf(hotline.Forbidden, "只有热线中心可以查看通话记录")
	}
	where := conditions(q)
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	total := *where
	if q.Cursor != "" {
		at, id, err := parseCursor(q.Cursor)
		if err != nil {
			return Page{}, err
		}
		where.add(sqlAfter, at, id)
	}
	sql, args := where.query(sqlCall, sqlOrder, limit+1)
	rows, err := l.o.Pool.Query(ctx, sql, args...)
	if err != nil {
		return Page{}, fmt.Errorf("list calls: %w", pg.Code(err))
	}
	calls, err := pgx.CollectRows(rows, l.scan)
	if err != nil {
		return Page{}, fmt.Errorf("list calls: %w", pg.Code(err))
	}
	page := Page{Calls: make([]hotline.Call, 0, min(len(calls), limit))}
	for _, r := range calls[:min(len(calls), limit)] {
		page.Calls = append(page.Calls, r.Call)
	}
	if len(calls) > limit {
		last := page.Calls[limit-1]
		page.Next = cursor(last.ArrivedAt, last.ID)
	}
	if q.WithTotal {
		sql, args := total.query(sqlCount, sqlCountEnd, maxTotal+1)
		var n int
		if err := l.o.Pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			return Page{}, fmt.Errorf("count calls: %w", pg.Code(err))
		}
		if n <= maxTotal {
			page.Total = &n
		}
	}
	return page, nil
}

// Call returns one call. Errors: NotFound, also for people outside the hotline
// office.
func (l *Ledger) Call(ctx context.Context, p hotline.Principal, id hotline.CallID) (*hotline.Call, error) {
	r, err := l.record(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return &r.Call, nil
}

// Recording returns the path of the call's recording, for the person to hear.
// Agents hear their own calls; dispatchers, callback staff, leaders and
// administrators all. That they asked is in the audit log before the path is
// given. Errors: NotFound, Forbidden, Unavailable.
func (l *Ledger) Recording(ctx context.Context, p hotline.Principal, id hotline.CallID) (path string, err error) {
	r, err := l.record(ctx, p, id)
	if err != nil {
		return "", err
	}
	all := p.Has(hotline.RoleDispatcher, hotline.RoleCallback, hotline.RoleLeader, hotline.RoleAdmin)
	if own := r.Agent != 0 && r.Agent == p.ID && r.AnsweredAt != nil; !all && !own {
		return "", hotline.Errorf(hotline.Forbidden, "话务员只能调听本人接听的通话录音")
	}
	if r.recording == "" {
		return "", hotline.Errorf(hotline.NotFound, "这次通话没有录音")
	}
	if err := l.o.Audit.Audit(ctx, p, "call.recording", "call:"+string(r.ID), nil); err != nil {
		return "", fmt.Errorf("hear recording of %s: %w", r.ID, err)
	}
	// Opened once within the folder, so that neither ".." nor a link leads out.
	f, err := os.OpenInRoot(l.o.RecordingDir, r.recording)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.log.Error("recording not readable", "call_id", r.ID, "err", err)
		}
		return "", &hotline.Error{Code: hotline.NotFound, Message: "录音文件不存在", Err: err}
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("close recording of %s: %w", r.ID, err)
	}
	return filepath.Join(l.o.RecordingDir, r.recording), nil
}

func (l *Ledger) record(ctx context.Context, p hotline.Principal, id hotline.CallID) (record, error) {
	missing := hotline.Errorf(hotline.NotFound, "没有这次通话")
	if !p.Center() {
		return record{}, missing
	}
	rows, err := l.o.Pool.Query(ctx, sqlOne, clean(string(id)))
	if err != nil {
		return record{}, fmt.Errorf("read call %s: %w", id, pg.Code(err))
	}
	r, err := pgx.CollectExactlyOneRow(rows, l.scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return record{}, missing
	}
	if err != nil {
		return record{}, fmt.Errorf("read call %s: %w", id, pg.Code(err))
	}
	return r, nil
}

// scan reads a row of sqlCall and opens the number.
func (l *Ledger) scan(row pgx.CollectableRow) (record, error) {
	var r record
	err := row.Scan(&r.ID, &r.PersonID, &r.sealed, &r.last4, &r.Original, &r.Line, &r.Source, &r.Trunk, &r.ArrivedAt, &r.QueuedAt, &r.OfferedAt,
		&r.AnsweredAt, &r.EndedAt, &r.Agent, &r.Extension, &r.EndedBy, &r.EndReason, &r.recording, &r.AudioMS)
	if err != nil {
		return record{}, err
	}
	r.ArrivedAt = r.ArrivedAt.UTC()
	for _, t := range []*time.Time{r.QueuedAt, r.OfferedAt, r.AnsweredAt, r.EndedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	r.HasAudio = r.recording != ""
	r.Caller = l.unseal(r.ID, r.sealed, r.last4)
	return r, nil
}

// clauses is a where clause in the making, from the constants above; $? is the
// next argument.
type clauses struct {
	parts []string
	args  []any
}

func (c *clauses) add(part string, args ...any) {
	c.parts = append(c.parts[:len(c.parts):len(c.parts)], part)
	c.args = append(c.args[:len(c.args):len(c.args)], args...)
}

// query returns head, the clauses and the tail as SQL with numbered arguments.
func (c *clauses) query(head, tail string, args ...any) (string, []any) {
	sql := head
	if len(c.parts) > 0 {
		sql += " where " + strings.Join(c.parts, " and ")
	}
	sql += tail
	all := append(c.args[:len(c.args):len(c.args)], args...)
	for i := range all {
		sql = strings.Replace(sql, "$?", "$"+strconv.Itoa(i+1), 1)
	}
	return sql, all
}

func conditions(q CallQuery) *clauses {
	c := &clauses{}
	if !q.From.IsZero() {
		c.add(sqlFrom, q.From)
	}
	if !q.To.IsZero() {
		c.add(sqlTo, q.To)
	}
	if q.Agent != 0 {
		c.add(sqlAgent, q.Agent)
	}
	if q.EndReason != "" {
		c.add(sqlEndReason, clean(q.EndReason))
	}
	if q.Line != "" {
		c.add(sqlOriginal, clean(q.Line))
	}
	if q.Source != "" {
		c.add(sqlSource, clean(string(q.Source)))
	}
	if q.PersonID != 0 {
		c.add(sqlPerson, q.PersonID)
	}
	if q.Answered != nil && *q.Answered {
		c.add(sqlAnswered)
	} else if q.Answered != nil {
		c.add(sqlNotAnswered)
	}
	if q.AnsweredWithin > 0 {
		c.add(sqlAnsweredWithin, q.AnsweredWithin)
	}
	return c
}

// cursor is the place after a call: its arrival in microseconds and its id.
func cursor(at time.Time, id hotline.CallID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMicro(), 36) + " " + string(id)))
}

func parseCursor(s string) (time.Time, hotline.CallID, error) {
	bad := hotline.FieldErrorf("cursor", "翻页标记无效，请从第一页重新查询")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return time.Time{}, "", bad
	}
	micros, id, ok := strings.Cut(string(b), " ")
	at, err := strconv.ParseInt(micros, 36, 64)
	if !ok || err != nil || id == "" || id != clean(id) || at < 0 || at > time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() {
		return time.Time{}, "", bad
	}
	return time.UnixMicro(at).UTC(), hotline.CallID(id), nil
}
