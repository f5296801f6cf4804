package cdr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// fill stores calls of one minute each: call i arrives at minute i; every
// third was abandoned, answered ones waited i mod 30 seconds.
func fill(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
insert into call (id, person_id, caller_last4, original_number, line, source, trunk, node, arrived_at, queued_at, answered_at, ended_at, agent_id, extension,
                  ended_by, end_reason, recording, recording_sha256, recording_ms, updated_seq)
select 'c' || lpad(i::text, 6, '0'), i % 50, '', case when i % 5 = 0 then '12319' else '12345' end, '', case when i % 5 = 0 then '02' else '01' end, '', 'n1',
       $1::timestamptz + i * interval '1 minute', $1::timestamptz + i * interval '1 minute' + interval '2 seconds',
       case when i % 3 <> 0 then $1::timestamptz + i * interval '1 minute' + interval '2 seconds' + i % 30 * interval '1 second' end,
       $1::timestamptz + i * interval '1 minute' + interval '50 seconds', case when i % 3 <> 0 then 1 + i % 10 else 0 end, '',
       'caller', case when i % 3 <> 0 then 'normal' else 'abandoned' end, '', '', 0, 1
  from generate_series(0, $2 - 1) i`, start, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `analyze call`); err != nil {
		t.Fatal(err)
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	l := open(t, options(t, pool, t.TempDir()))
	const n = 300
	fill(t, pool, n)
	yes, no := true, false
	for _, tc := range []struct {
		name string
		q    CallQuery
		want func(i int) bool
	}{
		{"all", CallQuery{}, func(int) bool { return true }},
		{"range", CallQuery{From: start.Add(10 * time.Minute), To: start.Add(20 * time.Minute)}, func(i int) bool { return i >= 10 && i < 20 }},
		{"answered", CallQuery{Answered: &yes}, func(i int) bool { return i%3 != 0 }},
		{"not answered", CallQuery{Answered: &no}, func(i int) bool { return i%3 == 0 }},
		{"within 15 s", CallQuery{Answered: &yes, AnsweredWithin: 15 * time.Second}, func(i int) bool { return i%3 != 0 && i%30 <= 15 }},
		{"end reason", CallQuery{EndReason: hotline.EndAbandoned}, func(i int) bool { return i%3 == 0 }},
		{"agent", CallQuery{Agent: 2}, func(i int) bool { return i%3 != 0 && i%10 == 1 }},
		{"line", CallQuery{Line: "12319"}, func(i int) bool { return i%5 == 0 }},
		{"source and range", CallQuery{Source: "02", From: start.Add(100 * time.Minute)}, func(i int) bool { return i%5 == 0 && i >= 100 }},
		{"person", CallQuery{PersonID: 7}, func(i int) bool { return i%50 == 7 }},
		{"nothing", CallQuery{EndReason: "x\x00"}, func(int) bool { return false }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var want, got []hotline.CallID
			for i := n - 1; i >= 0; i-- {
				if tc.want(i) {
					want = append(want, hotline.CallID(fmt.Sprintf("c%06d", i)))
				}
			}
			q := tc.q
			q.Limit, q.WithTotal = 7, true
			for {
				page, err := l.List(t.Context(), admin, q)
				if err != nil {
					t.Fatal(err)
				}
				if page.Total == nil || *page.Total != len(want) {
					t.Fatalf("total %v, want %d", page.Total, len(want))
				}
				for _, c := range page.Calls {
					got = append(got, c.ID)
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %d calls %v, want %d %v", len(got), got, len(want), want)
			}
		})
	}
	if _, err := l.List(t.Context(), hotline.Principal{ID: 9, Roles: []hotline.Role{hotline.RoleUnit}}, CallQuery{}); hotline.ErrorCode(err) != hotline.Forbidden {
		t.Errorf("a unit lists calls: %v", err)
	}
	for _, bad := range []string{"x", "!!", cursor(start, "")} {
		if _, err := l.List(t.Context(), admin, CallQuery{Cursor: bad}); hotline.ErrorCode(err) != hotline.Invalid {
			t.Errorf("cursor %q: %v, want Invalid", bad, err)
		}
	}
}

// TestPlans: each list finds its page by an index, in the index's order.
func TestPlans(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	fill(t, pool, 5000)
	yes := true
	day := CallQuery{From: start, To: start.Add(24 * time.Hour)}
	with := func(change func(*CallQuery)) CallQuery { q := day; change(&q); return q }
	for _, tc := range []struct {
		name, index string
		q           CallQuery
	}{
		{"all", "call_arrived", CallQuery{}},
		{"day", "call_arrived", day},
		{"answered in 15 s", "call_arrived", with(func(q *CallQuery) { q.Answered, q.AnsweredWithin = &yes, 15*time.Second })},
		{"agent", "call_agent", with(func(q *CallQuery) { q.Agent = 2 })},
		{"end reason", "call_end_reason", CallQuery{EndReason: "node_lost"}},
		{"line", "call_original", CallQuery{Line: "12300"}},
		{"source", "call_source", CallQuery{Source: "09"}},
		{"person", "call_person", CallQuery{PersonID: 7}},
	} {
		where := conditions(tc.q)
		where.add(sqlAfter, start.Add(time.Hour), "c")
		sql, args := where.query(sqlCall, sqlOrder, 50)
		t.Run(tc.name, func(t *testing.T) { hotlinetest.UsesIndex(t, pool, tc.index, sql, args...) })
		sql, args = conditions(tc.q).query(sqlCount, sqlCountEnd, maxTotal)
		t.Run(tc.name+" count", func(t *testing.T) { hotlinetest.UsesIndex(t, pool, "call_", sql, args...) })
	}
	hotlinetest.UsesIndex(t, pool, "call_pkey", sqlOne, "c000001")
	hotlinetest.UsesIndex(t, pool, "call_fact_pkey", sqlFactsOf, []string{"c000001"})
	if _, err := pool.Exec(t.Context(), `update call set ended_at = null where id = 'c000001'; analyze call`); err != nil {
		t.Fatal(err)
	}
	hotlinetest.UsesIndex(t, pool, "call_open", `select id from call c where c.node = $1 and c.ended_at is null and c.id <> all($2)`, "n1", []string{"x"})
}

func TestRecordingIsAuditedAndStaysInside(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	o := options(t, pool, t.TempDir())
	log := &book{}
	o.Audit = log
	if err := os.MkdirAll(filepath.Join(o.RecordingDir, "2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "secret.wav")
	for _, f := range []string{outside, filepath.Join(o.RecordingDir, "2026", "good.wav")} {
		if err := os.WriteFile(f, []byte("RIFF"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(o.RecordingDir, "link.wav")); err != nil {
		t.Fatal(err)
	}
	up, err := filepath.Rel(o.RecordingDir, outside)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, o)
	run(t, l)
	for id, path := range map[hotline.CallID]string{"good": "2026/good.wav", "link": "link.wav", "up": up, "absolute": outside, "gone": "2026/gone.wav"} {
		for _, f := range story(id, start) {
			if f.Kind == hotline.CallRecorded {
				f.Recording = path
			}
			l.Report(f)
		}
	}
	for _, f := range story("silent", start)[:7] {
		l.Report(f)
	}
	drained(t, l)
	own, other := hotline.Principal{ID: 8, Roles: []hotline.Role{hotline.RoleAgent}}, hotline.Principal{ID: 7, Roles: []hotline.Role{hotline.RoleAgent}}
	leader, unit := hotline.Principal{ID: 3, Roles: []hotline.Role{hotline.RoleLeader}}, hotline.Principal{ID: 4, Roles: []hotline.Role{hotline.RoleUnit}}
	for _, tc := range []struct {
		name    string
		p       hotline.Principal
		id      hotline.CallID
		want    hotline.Code
		audited bool
	}{
		{"admin", admin, "good", "", true},
		{"own call", own, "good", "", true},
		{"leader", leader, "good", "", true},
		{"somebody else's call", other, "good", hotline.Forbidden, false},
		{"unit", unit, "good", hotline.NotFound, false},
		{"no recording", admin, "silent", hotline.NotFound, false},
		{"no call", admin, "nothing", hotline.NotFound, false},
		{"link out", admin, "link", hotline.NotFound, true},
		{"dots out", admin, "up", hotline.NotFound, true},
		{"absolute", admin, "absolute", hotline.NotFound, true},
		{"file gone", admin, "gone", hotline.NotFound, true},
	} {
		log.rows = nil
		path, err := l.Recording(t.Context(), tc.p, tc.id)
		if hotline.ErrorCode(err) != tc.want || (err == nil) != (path != "") {
			t.Errorf("%s: got %q, %v, want %q", tc.name, path, err, tc.want)
		}
		if want := fmt.Sprintf("%d call.recording call:%s", tc.p.ID, tc.id); tc.audited != slices.Contains(log.rows, want) {
			t.Errorf("%s: audit %v", tc.name, log.rows)
		}
		if err == nil {
			if b, err := os.ReadFile(path); err != nil || string(b) != "RIFF" {
				t.Errorf("%s: read %q, %v", tc.name, b, err)
			}
		}
	}
	log.fail = errors.New("log is away")
	if path, err := l.Recording(t.Context(), admin, "good"); err == nil || path != "" {
		t.Errorf("without audit: got %q, %v", path, err)
	}
}

func TestFiguresView(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	fill(t, pool, 30)
	var all, answered, in15 int
	err := pool.QueryRow(t.Context(), `select count(*), count(answered_at), count(*) filter (where answered_at <= coalesce(queued_at, arrived_at) + interval '15 seconds')
		from v_call_figures where source in ('01', '02') and original_number <> '' and end_reason <> '' and agent_id >= 0 and ended_at > arrived_at and call_id <> ''`).Scan(&all, &answered, &in15)
	if err != nil || all != 30 || answered != 20 || in15 != 10 {
		t.Errorf("got %d, %d, %d, %v; want 30, 20, 10", all, answered, in15, err)
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add(cursor(start, "20261123-1a2b3c4d5e6f"))
	f.Add("")
	f.Add("LTEgYQ")
	f.Fuzz(func(t *testing.T, s string) {
		at, id, err := parseCursor(s)
		if err != nil {
			return
		}
		if a, i, err := parseCursor(cursor(at, id)); err != nil || !a.Equal(at) || i != id {
			t.Errorf("%q: %v %q became %v %q, %v", s, at, id, a, i, err)
		}
	})
}

func BenchmarkReport(b *testing.B) {
	l := open(b, options(b, &pgxpool.Pool{}, b.TempDir()))
	facts := story("c1", start)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		l.Report(facts[i%len(facts)])
		i++
	}
}

// BenchmarkReportToRecord is the time from a report to the committed record
// and its message, while nothing else happens.
func BenchmarkReportToRecord(b *testing.B) {
	l := open(b, options(b, hotlinetest.DB(b), b.TempDir()))
	run(b, l)
	n := 0
	for b.Loop() {
		n++
		l.Report(story(hotline.CallID(fmt.Sprintf("c%d", n)), start)[0])
		for l.Pending() > 0 {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// BenchmarkStore is facts per second from the spool's line to the committed
// record, with messages.
func BenchmarkStore(b *testing.B) {
	pool := hotlinetest.DB(b)
	l := open(b, options(b, pool, b.TempDir()))
	m := mover{Ledger: l}
	n, stored := 0, 0
	for b.Loop() {
		var batch []fact
		for len(batch)+9 <= batchFacts {
			n++
			for _, f := range story(hotline.CallID(fmt.Sprintf("c%d", n)), start) {
				batch = append(batch, l.pack(f))
			}
		}
		if _, err := m.storeBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		stored += len(batch)
	}
	b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "facts/s")
}

// BenchmarkFold is one answered call.
func BenchmarkFold(b *testing.B) {
	facts := story("c1", start)
	for b.Loop() {
		var c hotline.Call
		for _, f := range facts {
			Fold(&c, f)
		}
	}
}

// BenchmarkList is the first page of a day among 100 000 calls.
func BenchmarkList(b *testing.B) {
	pool := hotlinetest.DB(b)
	l := open(b, options(b, pool, b.TempDir()))
	fill(b, pool, 100_000)
	q := CallQuery{From: start.Add(240 * time.Hour), To: start.Add(264 * time.Hour), WithTotal: true}
	for b.Loop() {
		if page, err := l.List(b.Context(), admin, q); err != nil || len(page.Calls) != defaultLimit {
			b.Fatal(len(page.Calls), err)
		}
	}
}
