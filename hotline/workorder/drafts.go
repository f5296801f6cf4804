package workorder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

// Draft is a form an agent is filling in (草稿), kept so that a closed page or
// a moved seat loses nothing. Only its account reads it.
type Draft struct {
	ID        string          `json:"id"` // UUID chosen by the page
	CallID    hotline.CallID  `json:"call_id,omitempty"`
	Form      json.RawMessage `json:"form"`       // an object; the page's own business
	UpdatedAt time.Time       `json:"updated_at"` // set by SaveDraft
}

// The bounds of drafts per account.
const (
	maxDraftBytes = 64 << 10
	maxDrafts     = 50
)

// SaveDraft stores the draft, replacing an older one with the same id: the
// last write wins. Errors: Unauthenticated, Invalid, TooMany past 50 drafts.
func (s *Service) SaveDraft(ctx context.Context, p hotline.Principal, d Draft) (*Draft, error) {
	if p.ID == 0 {
		return nil, errNobody
	}
	var f faults
	if !isUUID(d.ID) {
		f.add("id", "草稿标识须为 UUID")
	}
	if len(d.CallID) > 64 {
		f.add("call_id", "通话标识过长")
	}
	if len(d.Form) > maxDraftBytes {
		f.add("form", "草稿过大")
	} else if form, ok := storable(d.Form); ok {
		d.Form = form
	} else {
		f.add("form", "草稿须为 JSON 对象")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	n := 0
	if err := s.pool.QueryRow(ctx, sqlDraftCount, p.ID, d.ID).Scan(&n); err != nil {
		return nil, fmt.Errorf("count drafts of account %d: %w", p.ID, pg.Code(err))
	}
	if n >= maxDrafts {
		return nil, hotline.Errorf(hotline.TooMany, "草稿已达 %d 份，请先提交或删除", maxDrafts)
	}
	d.UpdatedAt = s.now()
	if _, err := s.pool.Exec(ctx, sqlPutDraft, p.ID, d.ID, d.CallID, d.Form, d.UpdatedAt); err != nil {
		return nil, fmt.Errorf("save draft of account %d: %w", p.ID, pg.Code(err))
	}
	return &d, nil
}

// storable returns a form as PostgreSQL can keep it: what was typed or pasted
// may hold the character U+0000 or half of a surrogate pair, where a length
// limit cut an emoji in two (jsonb takes neither, PostgreSQL §8.14.1). Such a
// form must be kept none the less. False: it is no object.
func storable(form json.RawMessage) (json.RawMessage, bool) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(form))
	d.UseNumber()
	if d.Decode(&object) != nil || object == nil || d.More() {
		return nil, false
	}
	// Decoding has put U+FFFD for halves.
	b, err := json.Marshal(withoutNUL(object))
	return b, err == nil
}

func withoutNUL(v any) any {
	drop := func(s string) string { return strings.ReplaceAll(s, "\x00", "") }
	switch v := v.(type) {
	case string:
		return drop(v)
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	case map[string]any:
		for _, k := range slices.Collect(maps.Keys(v)) {
			x := withoutNUL(v[k])
			delete(v, k)
			v[drop(k)] = x
		}
	}
	return v
}

// Drafts returns the person's drafts, newest first.
func (s *Service) Drafts(ctx context.Context, p hotline.Principal) ([]Draft, error) {
	rows, err := s.pool.Query(ctx, sqlDrafts, p.ID)
	if err != nil {
		return nil, fmt.Errorf("list drafts of account %d: %w", p.ID, pg.Code(err))
	}
	drafts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Draft, error) {
		var d Draft
		err := row.Scan(&d.ID, &d.CallID, &d.Form, &d.UpdatedAt)
		d.UpdatedAt = d.UpdatedAt.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list drafts of account %d: %w", p.ID, pg.Code(err))
	}
	return drafts, nil
}

// DeleteDraft removes the person's draft; one that is not there is gone
// already. Errors: Invalid for an id that is no UUID.
func (s *Service) DeleteDraft(ctx context.Context, p hotline.Principal, id string) error {
	if !isUUID(id) {
		return hotline.FieldErrorf("id", "草稿标识须为 UUID")
	}
	if _, err := s.pool.Exec(ctx, sqlDeleteDraft, p.ID, id); err != nil {
		return fmt.Errorf("delete draft of account %d: %w", p.ID, pg.Code(err))
	}
	return nil
}

var errNobody = &hotline.Error{Code: hotline.Unauthenticated, Message: "请先登录"}
