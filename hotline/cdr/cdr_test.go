package cdr

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

var start = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// number is the caller whom the privacy test looks for.
const number = hotline.Phone("+8613812345678")

// vault seals with a fixed key, so that a child process and its parent agree.
type vault struct{ cipher.AEAD }

func newVault() vault {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return vault{gcm}
}

func (v vault) Seal(plain []byte) []byte {
	nonce := make([]byte, v.NonceSize())
	_, _ = rand.Read(nonce)
	return v.AEAD.Seal(nonce, nonce, plain, nil)
}

func (v vault) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < v.NonceSize() {
		return nil, errors.New("short")
	}
	return v.AEAD.Open(nil, sealed[:v.NonceSize()], sealed[v.NonceSize():], nil)
}

// people knows everybody by the last four digits.
type people struct{}

func (people) Caller(_ context.Context, phone hotline.Phone) (int64, error) {
	var id int64
	_, err := fmt.Sscan(strings.TrimLeft(phone.Last4(), "0"), &id)
	return id, err
}

// book is an audit log in memory.
type book struct {
	mu   sync.Mutex
	rows []string
	fail error
}

func (b *book) Audit(_ context.Context, p hotline.Principal, action, subject string, _ any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, fmt.Sprintf("%d %s %s", p.ID, action, subject))
	return b.fail
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func options(t testing.TB, pool *pgxpool.Pool, dir string) Options {
	t.Helper()
	city := hotline.NewDirectory(hotline.City{Lines: []hotline.Line{{Number: "12345", Name: "12345 热线", Source: "01"}, {Number: "12319", Name: "城管热线", Source: "01"}}}, 1)
	return Options{
		Pool: pool, Clock: hotlinetest.NewClock(start), People: people{}, Sealer: newVault(), Audit: &book{},
		Directory: func() *hotline.Directory { return city }, Node: "n1", SpoolDir: dir, RecordingDir: t.TempDir(),
	}
}

func open(t testing.TB, o Options) *Ledger {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// run starts the ledger's loop; the returned func ends it and waits.
func run(t testing.TB, l *Ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func drained(t testing.TB, l *Ledger) {
	t.Helper()
	hotlinetest.Eventually(t, 20*time.Second, "spool drained", func() bool { return l.Pending() == 0 })
}

// story is the facts of one answered call.
func story(id hotline.CallID, at time.Time) []hotline.CallFact {
	s := func(n int) time.Time { return at.Add(time.Duration(n) * time.Second) }
	return []hotline.CallFact{
		{CallID: id, Seq: 1, Kind: hotline.CallArrived, At: s(0), Caller: number, Original: "12345", Trunk: "ct"},
		{CallID: id, Seq: 2, Kind: hotline.CallGreeted, At: s(1)},
		{CallID: id, Seq: 3, Kind: hotline.CallQueued, At: s(5), Queue: "综合"},
		{CallID: id, Seq: 4, Kind: hotline.CallOffered, At: s(6), Agent: 7, Extension: "1007"},
		{CallID: id, Seq: 5, Kind: hotline.CallRefused, At: s(16), Agent: 7, Extension: "1007", Reason: "no_answer"},
		{CallID: id, Seq: 6, Kind: hotline.CallOffered, At: s(17), Agent: 8, Extension: "1008"},
		{CallID: id, Seq: 7, Kind: hotline.CallAnswered, At: s(19), Agent: 8, Extension: "1008"},
		{CallID: id, Seq: 8, Kind: hotline.CallRecorded, At: s(80), Recording: "2026/11/23/" + string(id) + ".wav", SHA256: strings.Repeat("ab", 32), Duration: 61 * time.Second},
		{CallID: id, Seq: 9, Kind: hotline.CallEnded, At: s(81), EndedBy: "caller", Reason: hotline.EndNormal},
	}
}

var admin = hotline.Principal{ID: 1, Roles: []hotline.Role{hotline.RoleAdmin}}

func TestLedgerFromFactsToRecord(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	l := open(t, options(t, pool, t.TempDir()))
	run(t, l)
	facts := story("c1", start)
	for _, f := range facts {
		l.Report(f)
		l.Report(f) // delivered twice counts once
	}
	drained(t, l)
	got, err := l.Call(t.Context(), admin, "c1")
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int) *time.Time { v := start.Add(time.Duration(n) * time.Second); return &v }
	want := &hotline.Call{ID: "c1", Caller: number, PersonID: 5678, Original: "12345", Line: "12345 热线", Source: "01", Trunk: "ct",
		ArrivedAt: start, QueuedAt: at(5), OfferedAt: at(17), AnsweredAt: at(19), EndedAt: at(81), Agent: 8, Extension: "1008",
		EndedBy: "caller", EndReason: hotline.EndNormal, HasAudio: true, AudioMS: 61000}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}

	type message struct {
		Kind, Key string
		Topics    []string
	}
	rows, err := pool.Query(t.Context(), `select kind, key, topics from outbox order by id`)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[message])
	if err != nil {
		t.Fatal(err)
	}
	var wantMsgs []message
	for i, a := range []string{"", "", "", "agent:7", "agent:7", "agent:8", "agent:8", "agent:8", "agent:8"} {
		m := message{Kind: "call." + string(facts[i].Kind), Key: "c1", Topics: []string{"calls"}}
		if a != "" {
			m.Topics = append(m.Topics, a)
		}
		wantMsgs = append(wantMsgs, m)
	}
	if diff := cmp.Diff(wantMsgs, msgs); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestFactsInAnyOrderAndBatch: whatever order, repetition and batching facts
// are stored in, the record is the fold in the order of Seq.
func TestFactsInAnyOrderAndBatch(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	l := open(t, options(t, pool, t.TempDir()))
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		id := hotline.CallID(fmt.Sprintf("c%d", n))
		all := story(id, start)
		all = all[:rapid.IntRange(1, len(all)).Draw(t, "length")]
		var want record
		for _, f := range all {
			p := l.pack(f)
			if p.Kind == hotline.CallArrived {
				p.Line, p.Source, p.PersonID = "12345 热线", "01", 5678
			}
			want.apply(p)
		}
		deliveries := rapid.Permutation(append(all, all...)).Draw(t, "order")
		m := mover{Ledger: l}
		for len(deliveries) > 0 {
			k := rapid.IntRange(1, len(deliveries)).Draw(t, "batch")
			var batch []fact
			for _, f := range deliveries[:k] {
				batch = append(batch, l.pack(f))
			}
			if refused, err := m.storeBatch(context.Background(), batch); err != nil || len(refused) > 0 {
				t.Fatalf("store: refused %d, %v", len(refused), err)
			}
			deliveries = deliveries[k:]
		}
		got, err := l.Call(context.Background(), admin, id)
		if err != nil {
			t.Fatal(err)
		}
		want.Caller = number
		if diff := cmp.Diff(&want.Call, got); diff != "" {
			t.Fatalf("record (-want +got):\n%s", diff)
		}
		var messages int
		if err := pool.QueryRow(context.Background(), `select count(*) from outbox where key = $1`, id).Scan(&messages); err != nil || messages != len(all) {
			t.Fatalf("%d messages for %d facts, %v", messages, len(all), err)
		}
	})
}

// TestPrivacy: the full number stands in no file, log line, fact or message.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	dir := t.TempDir()
	log := &syncBuffer{}
	o := options(t, pool, dir)
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l := open(t, o)
	for _, f := range story("c1", start) {
		l.Report(f)
	}
	l.Report(hotline.CallFact{CallID: "c2", Seq: 1, Kind: "unknown", At: start, Caller: number}) // the database refuses it
	var spooled []byte
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		spooled = append(spooled, b...)
	}
	stop := run(t, l)
	drained(t, l)
	stop()
	rejected, err := os.ReadFile(filepath.Join(dir, rejectedName))
	if err != nil || !bytes.Contains(rejected, []byte(`"c2"`)) {
		t.Errorf("refused fact not kept: %q, %v", rejected, err)
	}
	var rows string
	if err := pool.QueryRow(t.Context(), `select (select string_agg(f::text, ' ') from call_fact f) || (select string_agg(o::text, ' ') from outbox o) || (select string_agg(c::text, ' ') from call c)`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if len(spooled) == 0 || !strings.Contains(rows, "138****5678") || !strings.Contains(log.String(), "set aside") {
		t.Fatalf("nothing to look through: %d bytes, log %q", len(spooled), log.String())
	}
	for name, text := range map[string]string{"spool": string(spooled), "log": log.String(), "tables": rows, "rejected": string(rejected)} {
		if strings.Contains(text, number.National()) {
			t.Errorf("%s holds the full number", name)
		}
	}
}

func TestLostCallsAreEnded(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	dir := t.TempDir()
	l := open(t, options(t, pool, dir))
	for _, f := range story("old", start)[:7] {
		l.Report(f)
	}
	if err := l.Close(); err != nil { // Run never ran: everything is in the spool
		t.Fatal(err)
	}
	other := options(t, pool, t.TempDir())
	other.Node = "n2"
	o := open(t, other)
	run(t, o)
	o.Report(story("elsewhere", start)[0])
	drained(t, o)

	l = open(t, options(t, pool, dir))
	if l.Pending() != 7 {
		t.Errorf("pending %d, want 7", l.Pending())
	}
	l.Report(story("new", start)[0])
	run(t, l)
	var c *hotline.Call
	hotlinetest.Eventually(t, 10*time.Second, "old call ended", func() bool {
		var err error
		c, err = l.Call(t.Context(), admin, "old")
		return err == nil && c.EndedAt != nil
	})
	if c.EndReason != hotline.EndNodeLost || c.EndedBy != "system" || !c.EndedAt.Equal(start.Add(19*time.Second)) {
		t.Errorf("old call: %s by %s at %v", c.EndReason, c.EndedBy, c.EndedAt)
	}
	drained(t, l)
	for _, id := range []hotline.CallID{"new", "elsewhere"} {
		if c, err := l.Call(t.Context(), admin, id); err != nil || c.EndedAt != nil {
			t.Errorf("%s: ended %v, %v; want open", id, c, err)
		}
	}
}

func TestSpoolHasOneOwner(t *testing.T) {
	t.Parallel()
	pool := &pgxpool.Pool{}
	o := options(t, pool, t.TempDir())
	open(t, o)
	if _, err := New(o); hotline.ErrorCode(err) != hotline.Conflict {
		t.Errorf("second owner: got %v, want Conflict", err)
	}
}

// TestDamagedSpool: a torn tail, zeros and an overlong line neither stop the
// ledger nor vanish.
func TestDamagedSpool(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	dir := t.TempDir()
	l := open(t, options(t, pool, dir))
	good, err := l.pack(story("c1", start)[0]).encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, content := range [][]byte{
		append(bytes.Clone(good), good[:20]...),
		append(append(make([]byte, 100), '\n'), good...),
		append(append(bytes.Repeat([]byte{'x'}, 2*chunkBytes), '\n'), bytes.Replace(good, []byte("c1"), []byte("c2"), 1)...),
	} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("facts-%08d.ndjson", i+1)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, options(t, pool, dir))
	run(t, l)
	for _, id := range []hotline.CallID{"c1", "c2"} {
		hotlinetest.Eventually(t, 10*time.Second, "good facts stored", func() bool {
			_, err := l.Call(t.Context(), admin, id)
			return err == nil
		})
	}
	b, err := os.ReadFile(filepath.Join(dir, rejectedName))
	if err != nil || !bytes.Contains(b, good[:20]) || !bytes.Contains(b, make([]byte, 100)) || bytes.Count(b, []byte{'x'}) < 2*chunkBytes {
		t.Errorf("damaged lines not kept: %d bytes, %v", len(b), err)
	}
}

// TestSpoolHoldsWhatTheDiskRefuses uses /dev/full, which takes nothing.
func TestSpoolHoldsWhatTheDiskRefuses(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		hotlinetest.Missing(t, "/dev/full")
	}
	defer full.Close()
	s, err := openSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	disk := s.active().file
	s.active().file = full
	for i := range heldLines {
		s.append(fmt.Appendf(nil, "%d\n", i))
	}
	blocked := make(chan struct{})
	go func() {
		s.append([]byte("last\n"))
		close(blocked)
	}()
	select {
	case <-blocked:
		t.Error("a report over the bound did not block")
	case <-time.After(50 * time.Millisecond):
	}
	s.mu.Lock()
	s.active().file = disk
	s.mu.Unlock()
	if !s.release() {
		t.Error("nothing released")
	}
	<-blocked
	s.release()
	seg, written, _ := s.oldest()
	lines, _, err := s.read(seg, written, false)
	if err != nil || len(lines) != heldLines+1 || string(lines[heldLines]) != "last" {
		t.Errorf("%d lines on disk, %v", len(lines), err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestReportAroundRun: facts reported before Run starts and after it ended are
// not lost.
func TestReportAroundRun(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	dir := t.TempDir()
	l := open(t, options(t, pool, dir))
	facts := story("c1", start)
	l.Report(facts[0])
	stop := run(t, l)
	drained(t, l)
	stop()
	for _, f := range facts[1:] {
		l.Report(f)
	}
	if l.Pending() != 8 {
		t.Errorf("pending %d, want 8", l.Pending())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, options(t, pool, dir))
	run(t, l)
	drained(t, l)
	if c, err := l.Call(t.Context(), admin, "c1"); err != nil || c.EndReason != hotline.EndNormal {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestSpoolRotates: segments end, are stored, and go; nothing is left behind.
func TestSpoolRotates(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	dir := t.TempDir()
	l := open(t, options(t, pool, dir))
	stop := run(t, l)
	const calls = 6000
	for i := range calls {
		l.Report(story(hotline.CallID(fmt.Sprintf("c%d", i)), start)[0])
	}
	drained(t, l)
	hotlinetest.Eventually(t, 10*time.Second, "one segment left", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, segmentGlob))
		return len(files) == 1 && !strings.HasSuffix(files[0], "00000001.ndjson")
	})
	stop()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, segmentGlob)); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	var n int
	if err := pool.QueryRow(t.Context(), `select count(*) from call_fact`).Scan(&n); err != nil || n != calls {
		t.Errorf("%d facts stored, %v, want %d", n, err, calls)
	}
}

func FuzzDecodeFact(f *testing.F) {
	for _, fact := range story("c1", start) {
		line, err := (&Ledger{o: Options{Sealer: newVault()}}).pack(fact).encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"call_id":"x","seq":1,"kind":"ended","at":"2026-11-23T00:00:00Z","recording_ms":-9}`))
	f.Add([]byte("\x00\x00{"))
	f.Add([]byte(`{"call_id":"0","seq":1,"kind":"0","at":"0000-01-01T00:00:00Z","caller_sealed":""}`))
	f.Add([]byte(`{"call_id":"0","seq":3000000000,"kind":"ended","at":"2026-11-23T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := decodeFact(line)
		if err != nil {
			return
		}
		again, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		b, err := decodeFact(again)
		if err != nil || !cmp.Equal(a, b, cmp.AllowUnexported(fact{})) {
			t.Errorf("%+v became %+v, %v", a, b, err)
		}
		var r record
		r.apply(a)
	})
}

func TestCleanIsStorable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a\x00b": "ab", "\xff1": "�1", strings.Repeat("宣", 100): strings.Repeat("宣", 85)} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWithheldNumber(t *testing.T) {
	t.Parallel()
	f := (&Ledger{o: Options{Sealer: newVault()}}).pack(hotline.CallFact{CallID: "c", Seq: 1, Kind: hotline.CallArrived, At: start})
	b, err := json.Marshal(f)
	if err != nil || bytes.Contains(b, []byte("caller")) {
		t.Errorf("got %s, %v; want no caller", b, err)
	}
}
