package agent

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

var start = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// TestHA1RFC7616 rebuilds the responses of the example in RFC 7616 §3.9.1,
// which RFC 8760 takes over for SIP.
func TestHA1RFC7616(t *testing.T) {
	t.Parallel()
	md, sha := ha1("Mufasa", "http-auth@example.org", "Circle of Life")
	const between = ":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:"
	md5hex := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	sha256hex := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	if got, want := md5hex(md+between+md5hex("GET:/dir/index.html")), "8ca523f5e9506fed4657c9700eebdbec"; got != want {
		t.Errorf("MD5 response: got %s, want %s", got, want)
	}
	if got, want := sha256hex(sha+between+sha256hex("GET:/dir/index.html")), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"; got != want {
		t.Errorf("SHA-256 response: got %s, want %s", got, want)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	s := Secret{Account: 7, Realm: "r", MD5: "aaaa1111", SHA256: "bbbb2222"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s)
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v", s, s, s), log.String()} {
		if bytes.Contains([]byte(out), []byte("1111")) || bytes.Contains([]byte(out), []byte("2222")) {
			t.Errorf("hash shown: %s", out)
		}
	}
}

func TestSeats(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	clock := hotlinetest.NewClock(start)
	pool := hotlinetest.DB(t)
	r, err := New(Options{Pool: pool, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct{ name, ext, password, realm string }{
		{"letters", "10a1", "x", "r"}, {"short", "1", "x", "r"}, {"no password", "1001", "", "r"}, {"colon in realm", "1001", "x", "a:b"},
	} {
		if err := r.EnsureSeat(ctx, 1, bad.ext, bad.password, bad.realm); hotline.ErrorCode(err) != hotline.Invalid {
			t.Errorf("%s: got %v, want Invalid", bad.name, err)
		}
	}
	for range 2 {
		if err := r.EnsureSeat(ctx, 1, "1001", "phone-1", "hotline", "企业", "综合", "企业"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.EnsureSeat(ctx, 2, "1001", "phone-2", "hotline"); hotline.ErrorCode(err) != hotline.Conflict {
		t.Errorf("taken extension: got %v, want Conflict", err)
	}
	want := Seat{Account: 1, Extension: "1001", Groups: []string{"企业", "综合"}}
	for name, get := range map[string]func() (Seat, error){
		"by account":   func() (Seat, error) { return r.Seat(ctx, 1) },
		"by extension": func() (Seat, error) { return r.SeatByExtension(ctx, "1001") },
	} {
		if got, err := get(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if _, err := r.HA1(ctx, "9999"); hotline.ErrorCode(err) != hotline.NotFound {
		t.Errorf("unknown extension: got %v, want NotFound", err)
	}
	if ext, err := r.Extension(ctx, 77); err != nil || ext != "" {
		t.Errorf("account without seat: got %q, %v", ext, err)
	}

	// A new seat shows at once, and phones go on registering without PostgreSQL.
	if err := r.EnsureSeat(ctx, 2, "1002", "phone-2", "hotline"); err != nil {
		t.Fatal(err)
	}
	if seats, err := r.Seats(ctx); err != nil || len(seats) != 2 {
		t.Fatalf("got %v, %v, want two seats", seats, err)
	}
	pool.Close()
	clock.Add(time.Hour)
	md, _ := ha1("1002", "hotline", "phone-2")
	for range 2 {
		if s, err := r.HA1(ctx, "1002"); err != nil || s.MD5 != md || s.Account != 2 || s.Realm != "hotline" {
			t.Errorf("without PostgreSQL: got account %d, %v", s.Account, err)
		}
	}
}

func TestRecordStates(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	at := func(s int) time.Time { return start.Add(time.Duration(s)*time.Second + 789) }
	snap := func(agents ...hotline.Agent) hotline.FloorSnapshot { return hotline.FloorSnapshot{Agents: agents} }
	agent := func(id hotline.AccountID, s hotline.AgentState, since int) hotline.Agent {
		return hotline.Agent{ID: id, State: s, Since: at(since)}
	}
	all := []hotline.FloorSnapshot{
		snap(agent(1, hotline.Ready, 0), agent(2, hotline.SignedOut, 0)),
		snap(agent(1, hotline.Ready, 0), agent(2, hotline.Ready, 5)),
		snap(agent(1, hotline.Talking, 10), agent(2, hotline.Ready, 5)),
		snap(agent(1, hotline.WrapUp, 20), agent(2, hotline.Ready, 5)),
	}
	record := func(snaps ...hotline.FloorSnapshot) {
		r, err := New(Options{Pool: pool, Clock: hotlinetest.NewClock(start)})
		if err != nil {
			t.Error(err)
			return
		}
		ch := make(chan hotline.FloorSnapshot, len(snaps))
		for _, s := range snaps {
			ch <- s
		}
		close(ch)
		if err := r.RecordStates(context.Background(), ch); err != nil {
			t.Error(err)
		}
	}
	record(all...)
	record(all...)         // a second node, or the same one restarted
	record(all[3], all[2]) // out of order: the older snapshot changes nothing
	record(snap(agent(1, hotline.Reserved, 15)))

	type row struct {
		Account  int64
		From, To int
		State    string
	}
	rows, err := pool.Query(t.Context(), `select account_id, extract(epoch from from_at - $1)::int, coalesce(extract(epoch from to_at - $1)::int, -1), state
		from agent_state order by account_id, from_at`, start)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		t.Fatal(err)
	}
	want := []row{{1, 0, 10, "ready"}, {1, 10, 15, "talking"}, {1, 15, 20, "reserved"}, {1, 20, -1, "wrap_up"}, {2, 0, 5, "signed_out"}, {2, 5, -1, "ready"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestRecordStatesWithoutDatabase: changes wait while PostgreSQL is away and
// are written in order afterwards.
func TestRecordStatesWithoutDatabase(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	var cut atomic.Bool
	cut.Store(true)
	config := pool.Config()
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if cut.Load() {
			return nil, errors.New("cut")
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	frail, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(frail.Close)
	r, err := New(Options{Pool: frail, Clock: hotlinetest.NewClock(start), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ch := make(chan hotline.FloorSnapshot)
	done := make(chan error, 1)
	go func() { done <- r.RecordStates(ctx, ch) }()
	states := []hotline.AgentState{hotline.Ready, hotline.Talking, hotline.WrapUp, hotline.NotReady}
	for i, s := range states {
		ch <- hotline.FloorSnapshot{Agents: []hotline.Agent{{ID: 1, State: s, Since: start.Add(time.Duration(i) * time.Second)}}}
	}
	cut.Store(false)
	var got []string
	hotlinetest.Eventually(t, 15*time.Second, "four states stored", func() bool {
		rows, err := pool.Query(t.Context(), `select state from agent_state order by from_at`)
		if err != nil {
			return false
		}
		got, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err == nil && len(got) == len(states)
	})
	for i, s := range states {
		if got[i] != string(s) {
			t.Errorf("state %d is %s, want %s", i, got[i], s)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
