package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"hotline12345/configs"
	"hotline12345/hotline"
	"hotline12345/hotline/auth"
)

// The demo's accounts are printed, so they protect nothing; see SECURITY.md.
const (
	demoPassword = "hotline-demo" // of every demo account
	demoSeats    = 20             // 1001 … 1020
	robotSeats   = 6              // of them the last ones answer by themselves
)

// demoPhonePassword is the SIP password of a demo seat.
func demoPhonePassword(extension string) string { return "phone-" + extension }

type demoCmd struct {
	configFlag
	NoTraffic bool   `help:"不产生模拟来电 / no simulated callers"`
	Ephemeral bool   `help:"退出后不保留数据 / keep nothing"`
	DataDir   string `help:"数据目录 / data folder" type:"path"`
}

// Run starts the demo city and serves it until Ctrl-C.
func (c *demoCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	cfg.SIP.ReadyOnRegister = true
	cfg.Floor.WrapUp = 10 * time.Second
	cfg.DataDir, err = c.dataDir(cfg)
	if err != nil {
		return err
	}
	if c.Ephemeral {
		defer os.RemoveAll(cfg.DataDir)
	}
	fmt.Println("正在启动示范城市 / starting the demo city …")
	log, closeLog, err := demoLog(cfg)
	if err != nil {
		return err
	}
	defer closeLog()
	a, err := New(ctx, cfg, wallClock, log)
	if err != nil {
		return err
	}
	fresh, err := seedDemo(ctx, a)
	if err != nil {
		return joinClose(err, a)
	}
	var robots []func(context.Context) error
	if fresh {
		robots = append(robots, a.summariseYesterday)
	}
	if !c.NoTraffic {
		r, err := newRobots(ctx, a)
		if err != nil {
			return joinClose(err, a)
		}
		robots = append(robots, r.Run)
	}
	a.onServing = func() { announceDemo(os.Stdout, cfg, a.HTTPAddr(), c.NoTraffic, fresh) }
	context.AfterFunc(ctx, func() { fmt.Println("\n正在停止 / stopping …") })
	if err := a.Run(ctx, robots...); err != nil {
		return err
	}
	fmt.Println("已停止 / stopped")
	return nil
}

// demoLog writes everything to a file in the data folder and only what needs
// looking at to the terminal, which shows the addresses and accounts.
func demoLog(cfg configs.Config) (*slog.Logger, func(), error) {
	if err := writableDir(cfg.DataDir); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(demoLogFile(cfg), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open log file: %w", err)
	}
	log := slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(f, &slog.HandlerOptions{Level: cfg.Log.Level}),
		slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: max(cfg.Log.Level, slog.LevelError)}),
	))
	return log, func() { _ = f.Close() }, nil
}

func demoLogFile(cfg configs.Config) string { return filepath.Join(cfg.DataDir, "hotline.log") }

// dataDir chooses where the demo keeps its data: a folder named by the HTTP
// port, so that instances on other ports stand beside each other.
func (c *demoCmd) dataDir(cfg configs.Config) (string, error) {
	if c.Ephemeral {
		dir, err := os.MkdirTemp("", "hotline-demo-")
		if err != nil {
			return "", fmt.Errorf("make temporary folder: %w", err)
		}
		return dir, os.Chmod(dir, 0o711)
	}
	if c.DataDir != "" {
		return c.DataDir, nil
	}
	return demoDataDir(cfg)
}

// demoDataDir is where a demo on the configured port keeps its data. As root
// it lies under /var/lib, which PostgreSQL's own user can reach.
func demoDataDir(cfg configs.Config) (string, error) {
	_, port, err := net.SplitHostPort(cfg.HTTP.Addr)
	if err != nil {
		return "", fmt.Errorf("http.addr %q: %w", cfg.HTTP.Addr, err)
	}
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib/hotline", "demo-"+port), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find home folder: %w", err)
	}
	return filepath.Join(home, ".local", "share", "hotline", "demo-"+port), nil
}

// seedDemo makes the demo's accounts and, in an empty city, yesterday's work.
// fresh tells whether it was empty.
func seedDemo(ctx context.Context, a *App) (fresh bool, err error) {
	d := a.archive.Directory()
	center, ok := centerUnit(d)
	if !ok {
		return false, fmt.Errorf("the city has no hotline office")
	}
	accounts := []auth.Account{
		{Login: "dispatcher", Name: "派单员", Unit: center, Roles: []hotline.Role{hotline.RoleDispatcher}},
		{Login: "callback", Name: "回访员", Unit: center, Roles: []hotline.Role{hotline.RoleCallback}},
		{Login: "leader", Name: "值班领导", Unit: center, Roles: []hotline.Role{hotline.RoleLeader}},
		{Login: "admin", Name: "管理员", Unit: center, Roles: []hotline.Role{hotline.RoleAdmin, hotline.RoleDispatcher, hotline.RoleCallback}},
	}
	for n := range demoSeats {
		ext := demoExtension(n)
		accounts = append(accounts, auth.Account{Login: ext, Name: "话务员" + ext, Unit: center, Roles: []hotline.Role{hotline.RoleAgent}})
	}
	for _, u := range d.City.Units {
		if u.Kind == hotline.UnitDepartment || u.Kind == hotline.UnitCounty || u.Kind == hotline.UnitEnterprise {
			accounts = append(accounts, auth.Account{Login: loginOf(u.Code), Name: u.Short + "联络员", Unit: u.Code, Roles: []hotline.Role{hotline.RoleUnit}})
		}
	}
	if err := ensureAccounts(ctx, a, accounts); err != nil {
		return false, err
	}
	page, err := a.orders.List(ctx, hotline.Principal{Unit: center, Roles: []hotline.Role{hotline.RoleAdmin}}, anyOrder)
	if err != nil {
		return false, err
	}
	if len(page.Orders) > 0 {
		return false, nil
	}
	return true, seedYesterday(ctx, a)
}

// ensureAccounts makes demo accounts; an agent gets the seat its login names.
func ensureAccounts(ctx context.Context, a *App, accounts []auth.Account) error {
	for _, acc := range accounts {
		acc.Password, acc.WeakPassword = demoPassword, true
		p, err := a.auth.EnsureAccount(ctx, acc)
		if err != nil {
			return fmt.Errorf("make demo account %s: %w", acc.Login, err)
		}
		if !p.Has(hotline.RoleAgent) {
			continue
		}
		if err := a.roster.EnsureSeat(ctx, p.ID, acc.Login, demoPhonePassword(acc.Login), a.cfg.SIP.Realm); err != nil {
			return fmt.Errorf("make demo seat %s: %w", acc.Login, err)
		}
	}
	return nil
}

// demoCast returns the demo's people by login.
func demoCast(ctx context.Context, a *App) (map[string]hotline.Principal, error) {
	people, err := a.auth.People(ctx)
	if err != nil {
		return nil, err
	}
	cast := map[string]hotline.Principal{}
	for _, p := range people {
		cast[p.Login] = p
	}
	return cast, nil
}

// officer returns the official of a unit, or one without an account for the
// many townships and villages that the demo gives none.
func officer(cast map[string]hotline.Principal, unit hotline.UnitCode) hotline.Principal {
	if p, ok := cast[loginOf(unit)]; ok {
		return p
	}
	return hotline.Principal{Name: "联络员", Unit: unit, Roles: []hotline.Role{hotline.RoleUnit}}
}

func demoExtension(n int) string { return fmt.Sprint(1001 + n) }

// centerUnit is the hotline office of the city.
func centerUnit(d *hotline.Directory) (hotline.UnitCode, bool) {
	for _, u := range d.City.Units {
		if u.Kind == hotline.UnitCenter {
			return u.Code, true
		}
	}
	return "", false
}

// announceDemo prints what a newcomer needs, in both languages.
func announceDemo(w io.Writer, cfg configs.Config, httpAddr string, quiet, fresh bool) {
	traffic := "模拟群众正在来电，后六个坐席由程序接听 / simulated callers are calling; six seats answer by themselves"
	if quiet {
		traffic = "没有模拟来电 / no simulated callers"
	}
	data := "沿用上次的数据 / yesterday's data is kept"
	if fresh {
		data = "新建城市 / a new city"
	}
	fmt.Fprintf(w, `
┌─ 宣城市 12345 热线演示 / demo city of Xuancheng ─────────────────────────────
│ 控制台 / consoles   http://%s
│ 电话 / telephone    sip:12345@%s   (UDP, TCP; G.711)
│ 数据 / data         %s   日志 / log: hotline.log
│ %s
│ %s
│
│ 演示账号，口令均为 / demo accounts, all with the password:  %s
│   1001 … %s      话务员 / agents            dispatcher  派单员 / dispatcher
│   callback        回访员 / callback desk     leader      领导 / leader
│   admin           管理员 / administrator     cgj 城管局、jytyj 教体局 … 单位代码小写 / units: their code in lower case
│ 话机 / SIP phone:  sip:1001@%s   口令 / password: %s
│
│ 可以试试 / try:
│   1. 以 1001 登录话务台；另开终端注册话机 / log in as 1001, and in another terminal register its phone:
│        bin/callsim agent --server %s --extension 1001 --password %s
│   2. 打进一个电话 / place a call:  bin/callsim call --server %s --calls 1 --talk 20s
│      或 / or:  sipp -sn uac -s 12345 %s -m 1 -d 20000
│   3. 填单提交，在另一窗口以承办单位登录，看工单到达 / submit the order and watch it arrive at the unit
│   4. 指标 / metrics  http://%s/metrics   接口 / API  http://%s/api/openapi.json
│ 结束：Ctrl-C / stop: Ctrl-C
└──────────────────────────────────────────────────────────────────────────────
`, httpAddr, cfg.SIP.UDPAddr, cfg.DataDir, data, traffic, demoPassword, demoExtension(demoSeats-1),
		cfg.SIP.UDPAddr, demoPhonePassword("1001"), cfg.SIP.UDPAddr, demoPhonePassword("1001"), cfg.SIP.UDPAddr, cfg.SIP.UDPAddr, httpAddr, httpAddr)
}
