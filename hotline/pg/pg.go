// Package pg is the way to PostgreSQL: the connection pool, the one series of
// migrations, the translation of driver errors into hotline codes, the
// embedded private cluster, and two small ledgers every room shares (request
// keys and job runs). Rooms write their own queries in their store.go; DDL
// stands in migrations/ with its owner on the first line. cmd opens it, every
// room with a table asks it for codes. A Cluster's state is written by the one
// goroutine that waits for its server. It may import hotline.
package pg

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"hotline12345/hotline"
)

//go:embed migrations/*.sql
var migrations embed.FS

// What a pool gets when its connection string does not say otherwise.
const (
	maxConns       = 20
	connectTimeout = 5 * time.Second
)

// Open connects and refuses a server this program would silently misbehave
// on: older than 14, not UTF-8, or with LC_CTYPE C, under which Chinese text
// has no letters. Instants scanned through the pool are UTC. Errors say in
// both languages what to do and never hold the password.
func Open(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("database_url 无法解析，应如 postgres://用户:口令@主机:5432/库名 / cannot parse database_url, want postgres://user:password@host:5432/database: %w", err)
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		cfg.MaxConns = max(cfg.MaxConns, maxConns)
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name": "hotline",
		"timezone":         "UTC",
		// A transaction somebody forgot would hold back vacuum and its locks.
		"idle_in_transaction_session_timeout": "60000",
	} {
		if _, ok := cfg.ConnConfig.RuntimeParams[name]; !ok {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		scanUTC(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("连接数据库 / connect to the database: %w", err)
	}
	if err := inspect(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// scanUTC makes timestamptz columns scan as UTC and not as the machine's zone.
func scanUTC(m *pgtype.Map) {
	t := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}}
	m.RegisterType(t)
	m.RegisterType(&pgtype.Type{Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID, Codec: &pgtype.ArrayCodec{ElementType: t}})
}

const serverFacts = `select current_setting('server_version_num')::int, current_setting('server_encoding'), datctype from pg_database where datname = current_database()`

func inspect(ctx context.Context, pool *pgxpool.Pool) error {
	var version int
	var encoding, ctype string
	if err := pool.QueryRow(ctx, serverFacts).Scan(&version, &encoding, &ctype); err != nil {
		return fmt.Errorf("无法连接数据库，请检查 database_url 中的地址、用户与库名 / cannot reach the database; check host, user and database name in database_url: %w", err)
	}
	switch {
	case version < 140000:
		return fmt.Errorf("PostgreSQL 版本 %d 过低，需要 14 或更高 / PostgreSQL %d is too old, 14 or newer is needed", version/10000, version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("数据库编码为 %s，须为 UTF8 / database encoding is %s, must be UTF8: create database hotline encoding 'UTF8' lc_ctype 'C.UTF-8' template template0", encoding, encoding)
	case ctype == "C" || ctype == "POSIX":
		return fmt.Errorf("数据库 LC_CTYPE 为 %s，中文将无法检索，请用 C.UTF-8 重建 / LC_CTYPE is %s, under which Chinese cannot be searched: create database hotline encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8' template template0", ctype, ctype)
	}
	return nil
}

// SchemaHash identifies the migrations this binary carries.
func SchemaHash() string {
	h := sha256.New()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, name := range names {
		b, err := migrations.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Migrate brings the schema up to date, each file in its own transaction;
// several nodes may call it at once, one works and the others wait. A database
// newer than the program is refused.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return migrate(ctx, pool, files)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, files fs.FS) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	// Look each second for five minutes: the node that works may take long.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("make migration lock: %w", err)
	}
	// Rooms number their files ahead of time, so a lower one may come later.
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker), goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return fmt.Errorf("数据库结构版本 %[1]d 比程序（%[2]d）新，请使用新版程序 / the schema (%[1]d) is newer than this program (%[2]d); run the newer program", have, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("升级数据库结构 / migrate: %w", err)
	}
	return nil
}

// Code turns a driver error into a hotline.Error where somebody reacts to the
// kind: no row is NotFound; a unique key, a serialisation failure or a deadlock
// Conflict; a lost connection, a full or stopping server or a failed dial
// Unavailable. nil, hotline errors and all others pass unchanged.
func Code(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*hotline.Error](err); ok {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return &hotline.Error{Code: hotline.NotFound, Message: "没有找到", Err: err}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code == "23505", strings.HasPrefix(e.Code, "40"): // unique_violation; transaction_rollback class
			return &hotline.Error{Code: hotline.Conflict, Message: "数据已被他人更改，请刷新后再试", Err: err}
		case e.Code == "57014": // query_canceled: the caller gave up or a statement ran too long
			return err
		case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57"), strings.HasPrefix(e.Code, "53"):
			// connection_exception, operator_intervention, insufficient_resources
			return unavailable(err)
		}
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return unavailable(err)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return unavailable(err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err) {
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error {
	return &hotline.Error{Code: hotline.Unavailable, Message: "数据库暂不可用，请稍后再试", Err: err}
}
