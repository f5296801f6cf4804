package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"hotline12345/configs"
	"hotline12345/hotline"
	"hotline12345/hotline/city"
	"hotline12345/hotline/pg"
	"hotline12345/reports"

	"github.com/jackc/pgx/v5/pgxpool"
)

type serveCmd struct{ configFlag }

// Run serves with the configuration until it is told to stop.
func (c *serveCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if cfg.DatabaseURL == "" {
		return errors.New("正式运行需要 database_url；试用请运行 hotline demo / serve needs database_url; to try it out run hotline demo")
	}
	log := newLogger(cfg.Log.Level)
	a, err := New(ctx, cfg, wallClock, log)
	if err != nil {
		return err
	}
	a.drainTime = drainTime
	a.onServing = func() {
		fmt.Printf("控制台 / consoles http://%s  电话 / telephone sip:12345@%s\n", a.HTTPAddr(), cfg.SIP.UDPAddr)
	}
	return a.Run(ctx)
}

// probeSIP tells early, and plainly, that a SIP address cannot be had.
func probeSIP(udp, tcp string) error {
	if conn, err := net.ListenPacket("udp", udp); err != nil {
		return listenFault("SIP UDP", udp, "SIP_ADDR", err)
	} else if err := conn.Close(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", tcp)
	if err != nil {
		return listenFault("SIP TCP", tcp, "SIP_ADDR", err)
	}
	return l.Close()
}

// makeDaily makes one day's summary outside the running system: on the
// configured database, or on the demo's, running or not.
func makeDaily(ctx context.Context, cfg configs.Config, day hotline.Date) (reports.Issue, error) {
	pool, cluster, err := attachDatabase(ctx, cfg)
	if err != nil {
		return reports.Issue{}, err
	}
	defer func() { _ = closeDatabase(context.WithoutCancel(ctx), pool, cluster) }()
	if err := pg.Migrate(ctx, pool); err != nil {
		return reports.Issue{}, err
	}
	archive, err := city.New(city.Options{Pool: pool, Clock: wallClock})
	if err != nil {
		return reports.Issue{}, err
	}
	if _, err := archive.Current(ctx); err != nil {
		return reports.Issue{}, err
	}
	service, err := reports.New(reports.Options{Pool: pool, Directory: archive.Directory, Clock: wallClock})
	if err != nil {
		return reports.Issue{}, err
	}
	return service.MakeDaily(ctx, day)
}

// attachDatabase is openDatabase for a command beside a running system: it
// joins the private cluster that system runs.
func attachDatabase(ctx context.Context, cfg configs.Config) (*pgxpool.Pool, *pg.Cluster, error) {
	if cfg.DatabaseURL == "" {
		if dsn, ok := pg.Running(filepath.Join(cfg.DataDir, "pg"), databaseName); ok {
			cfg.DatabaseURL = dsn
		}
	}
	return openDatabase(ctx, cfg, newLogger(cfg.Log.Level))
}
