package hotlinetest

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Plan returns the plan of a query as PostgreSQL prints it, with the planner
// steered away from reading whole tables, as it would be with full ones.
func Plan(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) string {
	t.Helper()
	ctx := t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "set local enable_seqscan = off; set local enable_bitmapscan = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(ctx, "explain (costs off) "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// UsesIndex fails the test when the plan of the query does not use the index,
// or sorts where the index should give the order.
func UsesIndex(t testing.TB, pool *pgxpool.Pool, index, sql string, args ...any) {
	t.Helper()
	plan := Plan(t, pool, sql, args...)
	if !strings.Contains(plan, index) {
		t.Errorf("plan does not use index %s:\n%s", index, plan)
	}
	if strings.Contains(strings.ToLower(sql), "order by") && strings.Contains(plan, "Sort") {
		t.Errorf("plan sorts, which the index %s should make needless:\n%s", index, plan)
	}
}
