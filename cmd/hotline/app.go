package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/configs"
	"hotline12345/dispatch"
	"hotline12345/hotline"
	"hotline12345/hotline/agent"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/cdr"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/city"
	"hotline12345/hotline/console"
	"hotline12345/hotline/live"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
	"hotline12345/hotline/workorder"
	"hotline12345/reports"
	"hotline12345/sip"
	"hotline12345/sip/acd"
)

// App is the running system: every room, joined. New opens, Run serves until
// its context ends and then stops in order.
type App struct {
	cfg   configs.Config
	clock hotline.Clock
	log   *slog.Logger

	live    *live.Live
	pool    *pgxpool.Pool
	cluster *pg.Cluster // the private server; nil with a configured one
	archive *city.Archive
	roster  *agent.Roster
	auth    *auth.Service
	people  *citizen.Service
	engine  *dispatch.Engine
	orders  *workorder.Service
	calls   *cdr.Ledger
	floor   *acd.Floor
	phones  *sip.Server
	reports *reports.Service
	hub     *console.Hub
	relay   *outbox.Relay
	stream  *outbox.Stream

	requestKeys pg.RequestKeys
	server      *http.Server
	listener    net.Listener
	serving     atomic.Bool
	drainTime   time.Duration // how long running calls may go on at the end; zero: not at all
	onServing   func()        // called once when every loop runs; may be nil
	cleanups    []cleanup
}

// cleanup undoes one step of New; Close runs them last in, first out.
type cleanup struct {
	name string
	run  func(ctx context.Context) error
}

func (a *App) onClose(name string, run func(ctx context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{name, run})
}

// New opens every room in the order of the arrows. When a step fails, what was
// opened is closed again.
func New(ctx context.Context, cfg configs.Config, clock hotline.Clock, log *slog.Logger) (a *App, err error) {
	a = &App{cfg: cfg, clock: clock, log: log}
	defer func() {
		if err != nil {
			err = joinClose(err, a)
			a = nil
		}
	}()
	if err := writableDir(cfg.DataDir); err != nil {
		return a, err
	}
	// Take the addresses first: it is the fault that costs least to find.
	if a.listener, err = net.Listen("tcp", cfg.HTTP.Addr); err != nil {
		return a, listenFault("HTTP", cfg.HTTP.Addr, "HTTP_ADDR", err)
	}
	a.onClose("http listener", func(context.Context) error { return closeQuietly(a.listener) })
	if err := probeSIP(cfg.SIP.UDPAddr, cfg.SIP.TCPAddr); err != nil {
		return a, err
	}
	if err := a.openStores(ctx); err != nil {
		return a, err
	}
	changed, err := a.publishCity(ctx)
	if err != nil {
		return a, err
	}
	if err := a.openLedgers(); err != nil {
		return a, err
	}
	if changed {
		// A new calendar moves deadlines that were provisional: at once, so
		// that no lamp is red while that is owed (domain: working-day arithmetic).
		if _, err := a.orders.Recompute(ctx); err != nil {
			return a, err
		}
	}
	if err := a.openTelephone(ctx); err != nil {
		return a, err
	}
	return a, a.openDoors()
}

// openStores connects PostgreSQL and Redis, private ones when none are given.
func (a *App) openStores(ctx context.Context) error {
	pool, cluster, err := openDatabase(ctx, a.cfg, a.log)
	if err != nil {
		return err
	}
	a.onClose("postgresql", func(ctx context.Context) error { return closeDatabase(ctx, pool, cluster) })
	a.pool, a.cluster = pool, cluster
	if err := pg.Migrate(ctx, pool); err != nil {
		return err
	}
	if a.live, err = live.Open(ctx, live.Options{URL: a.cfg.RedisURL, Log: a.log}); err != nil {
		return err
	}
	a.onClose("redis", func(context.Context) error { return a.live.Close() })
	a.relay, a.stream = outbox.NewRelay(pool, a.log), outbox.NewStream(pool, a.log)
	a.requestKeys = pg.RequestKeys{Pool: pool}
	return nil
}

// publishCity loads the city's data strictly and makes it the version in
// force; changed tells whether that is a new one.
func (a *App) publishCity(ctx context.Context) (changed bool, err error) {
	data, err := configs.LoadCity(a.cfg.City)
	if err != nil {
		return false, err
	}
	if a.archive, err = city.New(city.Options{Pool: a.pool, Clock: a.clock, Log: a.log}); err != nil {
		return false, err
	}
	_, changed, err = a.archive.Publish(ctx, data, "configs: "+a.cfg.City)
	return changed, err
}

// openLedgers makes who is who, the orders, the calls and the figures.
func (a *App) openLedgers() (err error) {
	if a.roster, err = agent.New(agent.Options{Pool: a.pool, Clock: a.clock, Log: a.log}); err != nil {
		return err
	}
	if a.auth, err = auth.New(auth.Options{Pool: a.pool, Clock: a.clock, Extensions: a.roster, Log: a.log}); err != nil {
		return err
	}
	vault, err := citizen.OpenVault(filepath.Join(a.cfg.DataDir, "vault.key"))
	if err != nil {
		return err
	}
	if a.people, err = citizen.New(citizen.Options{Pool: a.pool, Vault: vault, Clock: a.clock, Audit: a.auth}); err != nil {
		return err
	}
	rules := dispatch.NewRules(a.archive.Directory)
	if a.orders, err = workorder.New(workorder.Options{
		Pool: a.pool, Clock: a.clock, Deadlines: rules, Directory: a.archive.Directory, People: a.people, Log: a.log,
	}); err != nil {
		return err
	}
	if a.engine, err = dispatch.New(dispatch.Options{Orders: a.orders, Directory: a.archive.Directory, Clock: a.clock, Log: a.log}); err != nil {
		return err
	}
	if a.calls, err = cdr.New(cdr.Options{
		Pool: a.pool, Clock: a.clock, People: a.people, Sealer: vault, Audit: a.auth, Directory: a.archive.Directory,
		Node: a.cfg.Node, SpoolDir: filepath.Join(a.cfg.DataDir, "spool"), RecordingDir: a.recordingDir(), Log: a.log,
	}); err != nil {
		return err
	}
	a.onClose("call spool", func(context.Context) error { return a.calls.Close() })
	a.reports, err = reports.New(reports.Options{Pool: a.pool, Directory: a.archive.Directory, Clock: a.clock, Log: a.log})
	return err
}

func (a *App) recordingDir() string { return filepath.Join(a.cfg.DataDir, "recordings") }

// HTTPAddr is where the consoles are.
func (a *App) HTTPAddr() string { return a.listener.Addr().String() }

// Close undoes New, last in first out, within a bound. Safe twice.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for i := len(a.cleanups) - 1; i >= 0; i-- {
		if err := a.cleanups[i].run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", a.cleanups[i].name, err))
		}
	}
	a.cleanups = nil
	return errors.Join(errs...)
}

func joinClose(err error, a *App) error { return errors.Join(err, a.Close()) }

// closeQuietly closes a listener that its server may have closed already.
func closeQuietly(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// openDatabase connects to the configured PostgreSQL or, without one, to the
// private cluster in the data folder, started unless another process runs it.
func openDatabase(ctx context.Context, cfg configs.Config, log *slog.Logger) (*pgxpool.Pool, *pg.Cluster, error) {
	if cfg.DatabaseURL != "" {
		pool, err := pg.Open(ctx, cfg.DatabaseURL)
		if err != nil {
			return nil, nil, err
		}
		return pool, nil, nil
	}
	cluster, err := pg.StartCluster(ctx, pg.ClusterOptions{DataDir: filepath.Join(cfg.DataDir, "pg"), Log: log})
	if err != nil {
		return nil, nil, err
	}
	if err := cluster.EnsureDatabase(ctx, databaseName); err != nil {
		return nil, nil, errors.Join(err, cluster.Stop(ctx))
	}
	pool, err := pg.Open(ctx, cluster.DSN(databaseName))
	if err != nil {
		return nil, nil, errors.Join(err, cluster.Stop(ctx))
	}
	return pool, cluster, nil
}

// closeDatabase closes the pool and stops the private cluster, if any.
func closeDatabase(ctx context.Context, pool *pgxpool.Pool, cluster *pg.Cluster) error {
	pool.Close()
	if cluster == nil {
		return nil
	}
	return cluster.Stop(ctx)
}

// databaseName is the database of a private cluster.
const databaseName = "hotline"
