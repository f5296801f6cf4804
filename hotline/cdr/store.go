package cdr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
)

const (
	// The row stands before its facts, so that it can be locked: whoever
	// folds a call sees all its facts.
	sqlBegin = `
insert into call (id, person_id, caller_last4, original_number, line, source, trunk, node, arrived_at, agent_id, extension,
                  ended_by, end_reason, recording, recording_sha256, recording_ms, updated_seq)
select n.id, 0, '', '', '', '', '', $3, n.at, 0, '', '', '', '', '', 0, 0
  from unnest($1::text[], $2::timestamptz[]) n (id, at)
 order by n.id
on conflict (id) do nothing`

	sqlLock = `select id from call where id = any($1) order by id for update`

	sqlFacts = `
insert into call_fact (call_id, seq, kind, at, node, agent_id, extension, reason, caller_sealed, data)
select n.call_id, n.seq, n.kind, n.at, $1, n.agent_id, n.extension, n.reason, n.sealed, n.data::jsonb
  from unnest($2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[], $8::text[], $9::bytea[], $10::text[])
       n (call_id, seq, kind, at, agent_id, extension, reason, sealed, data)
on conflict (call_id, seq) do nothing
returning call_id, seq`

	sqlFactsOf = `
select call_id, seq, kind, at, agent_id, extension, reason, caller_sealed, data
  from call_fact where call_id = any($1) order by call_id, seq`

	sqlUpdate = `
update call set person_id = $2, caller_sealed = $3, caller_last4 = $4, original_number = $5, line = $6, source = $7, trunk = $8,
       arrived_at = $9, queued_at = $10, offered_at = $11, answered_at = $12, ended_at = $13, agent_id = $14, extension = $15,
       ended_by = $16, end_reason = $17, recording = $18, recording_sha256 = $19, recording_ms = $20, updated_seq = $21
 where id = $1`

	sqlOpen = `
select c.id, c.updated_seq + 1, (select max(f.at) from call_fact f where f.call_id = c.id)
  from call c
 where c.node = $1 and c.ended_at is null and c.id <> all($2)
 order by c.id`
)

// factKey is what makes a fact itself.
type factKey struct {
	call hotline.CallID
	seq  int
}

// store writes facts, the records folded from them and the messages about
// them, in one transaction. Facts that were stored before change nothing.
func (l *Ledger) store(ctx context.Context, batch []fact) error {
	err := pgx.BeginFunc(ctx, l.o.Pool, func(tx pgx.Tx) error {
		fresh, err := l.insert(ctx, tx, batch)
		if err != nil || len(fresh) == 0 {
			return err
		}
		calls := make([]hotline.CallID, 0, len(fresh))
		for k := range fresh {
			calls = append(calls, k.call)
		}
		slices.Sort(calls)
		records, states, err := refold(ctx, tx, slices.Compact(calls), fresh)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		for _, r := range records {
			b.Queue(sqlUpdate, r.ID, r.PersonID, r.sealed, r.last4, r.Original, r.Line, r.Source, r.Trunk,
				r.ArrivedAt, r.QueuedAt, r.OfferedAt, r.AnsweredAt, r.EndedAt, r.Agent, r.Extension,
				r.EndedBy, r.EndReason, r.recording, r.sha256, r.AudioMS, r.seq)
		}
		var msgs []outbox.Message
		for _, f := range batch {
			r, ok := states[factKey{f.Call, f.Seq}]
			if !ok {
				continue
			}
			delete(states, factKey{f.Call, f.Seq}) // the batch may hold a fact twice
			m, err := l.message(r, f)
			if err != nil {
				return err
			}
			msgs = append(msgs, m)
		}
		outbox.Queue(b, msgs...)
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return fmt.Errorf("store %d call facts: %w", len(batch), pg.Code(err))
	}
	return nil
}

// insert stores the facts and returns the keys of those that are new.
func (l *Ledger) insert(ctx context.Context, tx pgx.Tx, batch []fact) (map[factKey]bool, error) {
	n := len(batch)
	first := map[hotline.CallID]time.Time{}
	calls, seqs, kinds, ats := make([]string, n), make([]int, n), make([]string, n), make([]time.Time, n)
	agents, extensions, reasons, sealed, data := make([]int64, n), make([]string, n), make([]string, n), make([][]byte, n), make([]string, n)
	for i, f := range batch {
		b, err := json.Marshal(f.extra)
		if err != nil {
			return nil, err
		}
		calls[i], seqs[i], kinds[i], ats[i] = string(f.Call), f.Seq, string(f.Kind), f.At
		agents[i], extensions[i], reasons[i], sealed[i], data[i] = int64(f.Agent), f.Extension, f.Reason, f.Sealed, string(b)
		if at, ok := first[f.Call]; !ok || f.At.Before(at) {
			first[f.Call] = f.At
		}
	}
	ids, arrived := make([]string, 0, len(first)), make([]time.Time, 0, len(first))
	for id, at := range first {
		ids, arrived = append(ids, string(id)), append(arrived, at)
	}
	fresh := map[factKey]bool{}
	b := &pgx.Batch{}
	b.Queue(sqlBegin, ids, arrived, l.o.Node)
	b.Queue(sqlLock, ids)
	b.Queue(sqlFacts, l.o.Node, calls, seqs, kinds, ats, agents, extensions, reasons, sealed, data).Query(func(rows pgx.Rows) error {
		var k factKey
		_, err := pgx.ForEachRow(rows, []any{&k.call, &k.seq}, func() error { fresh[k] = true; return nil })
		return err
	})
	return fresh, tx.SendBatch(ctx, b).Close()
}

// refold makes the records of the calls from all their facts. states holds the
// record as it stood after each fresh fact.
func refold(ctx context.Context, tx pgx.Tx, calls []hotline.CallID, fresh map[factKey]bool) (records []*record, states map[factKey]record, err error) {
	rows, err := tx.Query(ctx, sqlFactsOf, calls)
	if err != nil {
		return nil, nil, err
	}
	states = make(map[factKey]record, len(fresh))
	var r *record
	var f fact
	_, err = pgx.ForEachRow(rows, []any{&f.Call, &f.Seq, &f.Kind, &f.At, &f.Agent, &f.Extension, &f.Reason, &f.Sealed, &f.extra}, func() error {
		if r == nil || r.ID != f.Call {
			r = &record{}
			records = append(records, r)
		}
		f.At = f.At.UTC()
		r.apply(f)
		if k := (factKey{f.Call, f.Seq}); fresh[k] {
			states[k] = *r
		}
		f = fact{}
		return nil
	})
	return records, states, err
}

// message tells the consoles of a fact: the call as it stood then, its number
// masked.
func (l *Ledger) message(r record, f fact) (outbox.Message, error) {
	c := r.Call
	c.Caller = l.unseal(r.ID, r.sealed, r.last4)
	body, err := json.Marshal(map[string]hotline.Call{"call": c})
	if err != nil {
		return outbox.Message{}, err
	}
	topics := []string{"calls"}
	if a := r.concerns(f); a != 0 {
		topics = append(topics, fmt.Sprintf("agent:%d", a))
	}
	return outbox.Message{Topics: topics, Kind: "call." + string(f.Kind), Key: string(r.ID), Payload: body}, nil
}

// unseal opens a stored number. When it cannot be opened the last four digits
// stand for it.
func (l *Ledger) unseal(id hotline.CallID, sealed []byte, last4 string) hotline.Phone {
	if len(sealed) == 0 {
		return ""
	}
	number, err := l.o.Sealer.Open(sealed)
	if err != nil {
		l.log.Warn("caller's number not opened", "call_id", id, "err", err)
		return hotline.Phone(last4)
	}
	return hotline.Phone(number)
}

// open returns the facts that end this node's open calls, but for the living.
func (l *Ledger) open(ctx context.Context, living []hotline.CallID) ([]fact, error) {
	rows, err := l.o.Pool.Query(ctx, sqlOpen, l.o.Node, living)
	if err != nil {
		return nil, pg.Code(err)
	}
	facts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (fact, error) {
		f := fact{Kind: hotline.CallEnded, Reason: hotline.EndNodeLost, extra: extra{EndedBy: "system"}}
		err := row.Scan(&f.Call, &f.Seq, &f.At)
		return f, err
	})
	return facts, pg.Code(err)
}

// refusedData tells whether the database refused what the facts say, which
// trying again cannot change.
func refusedData(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code[:2] == "22" || e.Code[:2] == "23") // data exception, integrity constraint violation
}
