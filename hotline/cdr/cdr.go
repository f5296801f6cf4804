// Package cdr is the ledger of calls (话单): it takes each call's facts from
// the telephone, keeps every one of them, and folds them into one record per
// call. It answers sip's Desk and is the sole writer of call and call_fact;
// httpapi reads through it, reports through the view v_call_figures. It may
// import hotline/pg and hotline/outbox.
//
// A fact goes first into a spool file on the local disk and from there, by the
// goroutine of Run, into PostgreSQL: so a call never waits for the database,
// and neither a crash nor a database that is away loses or doubles a fact.
package cdr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

// People registers callers. hotline/citizen does.
type People interface {
	// Caller returns the person with the number, whom it makes when new.
	Caller(ctx context.Context, phone hotline.Phone) (personID int64, err error)
}

// Sealer encrypts numbers at rest. citizen.Vault is one. Both are safe for
// concurrent use.
type Sealer interface {
	Seal(plain []byte) []byte
	Open(sealed []byte) ([]byte, error)
}

// Auditor writes down who did what before it is done. auth.Service is one.
type Auditor interface {
	Audit(ctx context.Context, p hotline.Principal, action, subject string, detail any) error
}

// Options are the parts a Ledger needs; all but Log are required.
type Options struct {
	Pool         *pgxpool.Pool
	Clock        hotline.Clock
	People       People
	Sealer       Sealer
	Audit        Auditor
	Directory    func() *hotline.Directory // names the dialled lines
	Node         string                    // this program's name among its like; its open calls are ended when it starts again
	SpoolDir     string                    // on a local disk, this process's alone; made when missing
	RecordingDir string                    // where sip keeps recordings
	Log          *slog.Logger              // nil: slog.Default
}

// Ledger is the ledger of calls. It is safe for concurrent use.
type Ledger struct {
	o     Options
	log   *slog.Logger
	spool *spool

	mu   sync.Mutex
	live map[hotline.CallID]bool // guarded by mu; calls reported before the old ones are ended; nil afterwards
}

// New opens the spool, with what an earlier process left in it. Errors:
// Conflict when another process has the folder.
func New(o Options) (*Ledger, error) {
	if o.Pool == nil || o.Clock == nil || o.People == nil || o.Sealer == nil || o.Audit == nil || o.Directory == nil ||
		o.Node == "" || o.SpoolDir == "" || o.RecordingDir == "" {
		return nil, errors.New("new call ledger: Pool, Clock, People, Sealer, Audit, Directory, Node, SpoolDir and RecordingDir are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Ledger{o: o, log: o.Log.With("component", "cdr"), live: map[hotline.CallID]bool{}}
	var err error
	if l.spool, err = openSpool(o.SpoolDir, l.log); err != nil {
		return nil, fmt.Errorf("open call spool: %w", err)
	}
	return l, nil
}

// Close closes the spool, after Run has returned and nobody reports any more.
// Facts that are not in PostgreSQL yet stay in it for the next New.
func (l *Ledger) Close() error { return l.spool.close() }

// Report takes a fact. When it returns, the fact survives the end of the
// process; some milliseconds later, after the next fsync, that of the machine
// too. It never waits for PostgreSQL. While the disk refuses to take more, up
// to 4096 facts are held in memory and further reports block until there is
// room: nothing is dropped. A fact reported twice counts once.
func (l *Ledger) Report(f hotline.CallFact) {
	l.mu.Lock()
	if l.live != nil {
		l.live[f.CallID] = true
	}
	l.mu.Unlock()
	line, err := l.pack(f).encode()
	if err != nil { // plain strings and numbers: cannot fail
		l.log.Error("call fact not encoded", "call_id", f.CallID, "kind", f.Kind, "err", err)
		return
	}
	l.spool.append(line)
}

// Pending is how many facts wait in the spool for PostgreSQL.
func (l *Ledger) Pending() int64 { return l.spool.pending.Load() }

// pack turns a fact into its form on disk: the number sealed, texts such as
// PostgreSQL can store.
func (l *Ledger) pack(f hotline.CallFact) fact {
	s := fact{
		Call: hotline.CallID(clean(string(f.CallID))), Seq: f.Seq, Kind: hotline.CallFactKind(clean(string(f.Kind))), At: f.At.UTC(),
		Agent: f.Agent, Extension: clean(f.Extension), Reason: clean(f.Reason),
		extra: extra{
			Original: clean(f.Original), Trunk: clean(f.Trunk), Queue: clean(f.Queue), EndedBy: clean(f.EndedBy),
			Recording: clean(f.Recording), SHA256: clean(f.SHA256), MS: f.Duration.Milliseconds(),
		},
	}
	if f.Caller != "" {
		s.Sealed = l.o.Sealer.Seal([]byte(f.Caller.Reveal()))
		s.Last4 = f.Caller.Last4()
	}
	return s
}

// clean makes a text from the network storable: valid UTF-8 without NUL, 256
// bytes at most.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�")
	if len(s) > 256 {
		s = strings.ToValidUTF8(s[:256], "")
	}
	return s
}
