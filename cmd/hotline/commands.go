package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hotline12345/configs"
	"hotline12345/dispatch/workcal"
	"hotline12345/hotline"
	"hotline12345/hotline/agent"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/pg"
	"hotline12345/reports/compose"
)

type migrateCmd struct{ configFlag }

// Run brings the schema up to date and ends.
func (c *migrateCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if cfg.DatabaseURL == "" {
		return errors.New("请在配置中给出 database_url / database_url is needed")
	}
	pool, err := pg.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.Migrate(ctx, pool); err != nil {
		return err
	}
	fmt.Println("数据库结构已是最新 / the schema is up to date")
	return nil
}

type checkCmd struct{ configFlag }

// Run reads everything an operator may set and reports all faults at once.
func (c *checkCmd) Run() error {
	cfg, cfgErr := c.load()
	if cfgErr != nil {
		return cfgErr
	}
	data, err := configs.LoadCity(cfg.City)
	if err != nil {
		return err
	}
	if _, _, err := loadPrompts(cfg); err != nil {
		return err
	}
	fmt.Printf("配置无误 / no faults: %s，单位 %d，区域 %d，分类 %d，目录 %d 条，时限 %d 条，日历 %d 年\n",
		data.Name, len(data.Units), len(data.Areas), len(data.Categories), len(data.Catalogue), len(data.Limits), len(data.Calendar))
	return nil
}

type userCmd struct {
	Add userAddCmd `cmd:"" help:"新增或更新账号，口令从标准输入读取 / add or update an account; the password is read from standard input"`
}

type userAddCmd struct {
	configFlag
	Login     string   `required:"" help:"登录名 / login name"`
	Name      string   `required:"" help:"姓名 / name"`
	Unit      string   `required:"" help:"单位代码 / unit code"`
	Role      []string `required:"" help:"角色 / roles: agent, dispatcher, callback, unit, leader, admin"`
	Extension string   `help:"话机分机号；话机口令取标准输入的第二行 / extension; its phone password is the second line of standard input"`
}

// Run keeps the account in the database of the configuration.
func (c *userAddCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if cfg.DatabaseURL == "" {
		return errors.New("请在配置中给出 database_url / database_url is needed")
	}
	lines, err := readLines(os.Stdin, 2)
	if err != nil {
		return err
	}
	data, err := configs.LoadCity(cfg.City)
	if err != nil {
		return err
	}
	unit := hotline.UnitCode(c.Unit)
	if _, ok := hotline.NewDirectory(data, 0).Unit(unit); !ok {
		return fmt.Errorf("没有代码为 %s 的单位 / there is no unit %s", unit, unit)
	}
	pool, err := pg.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	accounts, err := auth.New(auth.Options{Pool: pool, Clock: wallClock})
	if err != nil {
		return err
	}
	var roles []hotline.Role
	for _, r := range c.Role {
		roles = append(roles, hotline.Role(r))
	}
	p, err := accounts.EnsureAccount(ctx, auth.Account{Login: c.Login, Name: c.Name, Unit: unit, Roles: roles, Password: lines[0], ResetPassword: lines[0] != ""})
	if err != nil {
		return err
	}
	if c.Extension != "" {
		roster, err := agent.New(agent.Options{Pool: pool, Clock: wallClock})
		if err != nil {
			return err
		}
		if err := roster.EnsureSeat(ctx, p.ID, c.Extension, lines[1], cfg.SIP.Realm); err != nil {
			return err
		}
	}
	fmt.Printf("账号 %s 已保存 / account %s saved\n", p.Login, p.Login)
	return nil
}

// readLines reads n lines; missing ones are empty.
func readLines(r io.Reader, n int) ([]string, error) {
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines, nil
}

type reportCmd struct {
	Daily reportDailyCmd `cmd:"" help:"每日汇总 / the daily summary"`
}

type reportDailyCmd struct {
	configFlag
	Date    string `required:"" help:"日期，如 2026-11-22 / day, as 2026-11-22"`
	Out     string `required:"" help:"输出目录 / folder to write to" type:"path"`
	BaseURL string `help:"控制台网址，文件中的数字链接到它的清单；不填则为纯文本 / address of the consoles the file's figures link to; empty: plain text"`
	DataDir string `help:"示范城市的数据目录（未配置 database_url 时）/ data folder of a demo city, when no database_url is set" type:"path"`
}

// Run makes the summary of a day, stores it and writes its page to a folder.
func (c *reportDailyCmd) Run(ctx context.Context) error {
	day, err := hotline.ParseDate(c.Date)
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	switch {
	case c.DataDir != "":
		cfg.DataDir = c.DataDir
	case c.Config == "":
		// Nothing named: the demo city of this machine.
		if cfg.DataDir, err = demoDataDir(cfg); err != nil {
			return err
		}
	}
	issue, err := makeDaily(ctx, cfg, day)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make folder %s: %w", c.Out, err)
	}
	path := filepath.Join(c.Out, "daily-"+day.String()+".html")
	if err := os.WriteFile(path, []byte(compose.Standalone(issue.HTML, c.BaseURL)), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Println(path)
	return nil
}

type workdaysCmd struct {
	From string `required:"" help:"起始日 / first day, as 2026-02-13"`
	Add  int    `required:"" help:"工作日数 / working days to add"`
	City string `help:"城市数据目录 / folder of city data" default:"xuancheng"`
}

// Run prints the day that lies Add working days after From.
func (c *workdaysCmd) Run() error {
	from, err := hotline.ParseDate(c.From)
	if err != nil {
		return err
	}
	if c.Add < 0 {
		return errors.New("工作日数不可为负 / the number of working days cannot be negative")
	}
	data, err := configs.LoadCity(c.City)
	if err != nil {
		return err
	}
	day, provisional := workcal.New(data.Calendar).AddWorkdays(from, c.Add)
	fmt.Println(day)
	if provisional {
		fmt.Fprintln(os.Stderr, "暂定：其间有年份尚未公布放假安排 / provisional: a year in it has no published calendar")
	}
	return nil
}
