// Package outbox carries what happened from the room where it happened to
// everyone who must know. A room appends messages in the transaction of its
// change; one relay numbers them into the stream; readers follow the stream.
//
// Why two tables: rows of concurrent transactions commit out of order, so a
// reader that follows an identity column loses rows that commit late. The
// outbox therefore promises no order; the relay, one at a time by an advisory
// lock, moves committed rows into stream and numbers them there. stream.pos is
// dense, starts at 1 and grows in commit order: whoever has seen pos n has
// seen everything up to n.
//
// Callers: workorder and cdr append; console and, through cmd, dispatch read.
// PostgreSQL's NOTIFY only wakes; it carries no data. The relay that holds the
// lock is the only writer of stream, each reader of its own cursor. It imports
// pgx and none of our packages.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Message is something that happened, for the topics that may know of it.
type Message struct {
	Topics  []string        `json:"topics"`  // "unit:JYTYJ", "desk:dispatch", "orders"; none: only readers of everything get it
	Kind    string          `json:"kind"`    // "order.dispatched", "call.answered"
	Key     string          `json:"key"`     // id of the thing it happened to
	Payload json.RawMessage `json:"payload"` // valid JSON, kept byte for byte; nil is null
}

// Entry is a message with its place in the stream.
type Entry struct {
	Pos int64     `json:"pos"`
	At  time.Time `json:"at"` // when it was appended
	Message
}

// The channels of NOTIFY.
const (
	outboxChannel = "hotline_outbox"
	streamChannel = "hotline_stream"
)

// Append adds messages to the outbox within the caller's transaction and wakes
// the relay when it commits. It is one round trip. Messages of one transaction
// keep their order. An error leaves the transaction unusable, as every
// PostgreSQL error does.
func Append(ctx context.Context, tx pgx.Tx, msgs ...Message) error {
	if len(msgs) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	Queue(b, msgs...)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("append to outbox: %w", err)
	}
	return nil
}

// Queue is Append for a caller that sends a batch of its own.
func Queue(b *pgx.Batch, msgs ...Message) {
	for _, m := range msgs {
		if m.Topics == nil {
			m.Topics = []string{}
		}
		if m.Payload == nil {
			m.Payload = json.RawMessage("null")
		}
		b.Queue(insertOutbox, m.Topics, m.Kind, m.Key, m.Payload)
	}
	if len(msgs) > 0 {
		b.Queue(notify, outboxChannel, "")
	}
}
