package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/pg"
)

func TestCode(t *testing.T) {
	t.Parallel()
	state := func(s string) error { return fmt.Errorf("insert: %w", &pgconn.PgError{Code: s}) }
	for _, tt := range []struct {
		name string
		err  error
		want hotline.Code
	}{
		{"nil", nil, ""},
		{"no rows", fmt.Errorf("read: %w", pgx.ErrNoRows), hotline.NotFound},
		{"unique_violation", state("23505"), hotline.Conflict},
		{"serialization_failure", state("40001"), hotline.Conflict},
		{"deadlock_detected", state("40P01"), hotline.Conflict},
		{"check_violation", state("23514"), hotline.Internal},
		{"syntax_error", state("42601"), hotline.Internal},
		{"admin_shutdown", state("57P01"), hotline.Unavailable},
		{"too_many_connections", state("53300"), hotline.Unavailable},
		{"connection_failure", state("08006"), hotline.Unavailable},
		{"query_canceled", state("57014"), hotline.Internal},
		{"empty state", state(""), hotline.Internal},
		{"cannot dial", &pgconn.ConnectError{}, hotline.Unavailable},
		{"reset by peer", &net.OpError{Op: "read", Err: errors.New("reset")}, hotline.Unavailable},
		{"cut off", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), hotline.Unavailable},
		{"caller gave up", context.Canceled, hotline.Internal},
		{"coded already", hotline.Errorf(hotline.Forbidden, "不可以"), hotline.Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := pg.Code(tt.err)
			if hotline.ErrorCode(got) != tt.want {
				t.Errorf("got %v, want code %q", got, tt.want)
			}
			if tt.err != nil && !errors.Is(got, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}

// TestCodeOfARealLoss: the server ends the connection in the middle.
func TestCodeOfARealLoss(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	_, err := pool.Exec(t.Context(), "select pg_terminate_backend(pg_backend_pid())")
	if hotline.ErrorCode(pg.Code(err)) != hotline.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOpenFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, dsn, want string }{
		{"not a connection string", "postgres://user:s3cret@host:port/db", "cannot parse database_url"},
		{"nobody listens", "host=/nonexistent user=u password=s3cret dbname=d", "cannot reach the database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := pg.Open(t.Context(), tt.dsn)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	t.Run("no such database", func(t *testing.T) {
		t.Parallel()
		_, err := pg.Open(t.Context(), hotlinetest.DSN(t)+" dbname=missing")
		if err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("got %v, want the database named", err)
		}
	})
}

func TestOpenScansUTC(t *testing.T) {
	t.Parallel()
	pool := hotlinetest.DB(t)
	var at time.Time
	var many []time.Time
	if err := pool.QueryRow(t.Context(), "select now(), array[now(), now()]").Scan(&at, &many); err != nil {
		t.Fatal(err)
	}
	if at.Location() != time.UTC || len(many) != 2 || many[0].Location() != time.UTC {
		t.Errorf("scanned %v, %v", at, many)
	}
}

// emptyDB is a database without a schema.
func emptyDB(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := hotlinetest.DB(t)
	if _, err := pool.Exec(t.Context(), "drop schema public cascade; create schema public"); err != nil {
		t.Fatal(err)
	}
	return pool
}

// TestMigrateOnManyNodes: nodes that start together make the schema once.
func TestMigrateOnManyNodes(t *testing.T) {
	t.Parallel()
	pool := emptyDB(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := pg.Migrate(t.Context(), pool); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var twice int
	if err := pool.QueryRow(t.Context(), "select count(*) from (select version_id from goose_db_version group by version_id having count(*) > 1) v").Scan(&twice); err != nil || twice != 0 {
		t.Errorf("%d files were applied twice, err %v", twice, err)
	}
	if _, err := pool.Exec(t.Context(), "insert into reader_cursor (name, pos) values ('x', 1)"); err != nil {
		t.Error(err)
	}
}

// TestMigrateLowerNumberLater: rooms number their files ahead of time.
func TestMigrateLowerNumberLater(t *testing.T) {
	t.Parallel()
	pool := emptyDB(t)
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)} }
	files := fstest.MapFS{"00001_a.sql": file("create table a (n int);"), "00003_c.sql": file("create table c (n int);")}
	if err := pg.MigrateFiles(t.Context(), pool, files); err != nil {
		t.Fatal(err)
	}
	files["00002_b.sql"] = file("create table b (n int);")
	if err := pg.MigrateFiles(t.Context(), pool, files); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "insert into b values (1)"); err != nil {
		t.Error(err)
	}
	// A file that fails half-way leaves nothing behind.
	files["00004_d.sql"] = file("create table d (n int); select 1/0;")
	if err := pg.MigrateFiles(t.Context(), pool, files); err == nil {
		t.Error("a failing file passed")
	}
	if _, err := pool.Exec(t.Context(), "insert into d values (1)"); err == nil {
		t.Error("the failing file left its table")
	}
}
