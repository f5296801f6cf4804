// Command hotline is the program of a city's 12345 hotline: it takes calls,
// keeps orders, sends them to units, shows them live and reports on them.
// This package only wires the rooms together: subcommands here, the running
// system in app.go, the demo city in demo.go, every cron line in jobs.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"hotline12345/configs"
	"hotline12345/hotline"
)

// cli is the command line. Kong reads it because its flags are struct tags
// that cannot drift from the code; its rival cobra wants a builder per command.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"启动示范城市，无需任何配置 / start the demo city, nothing to set up"`
	Serve    serveCmd    `cmd:"" help:"按配置文件运行 / run with a configuration file"`
	Migrate  migrateCmd  `cmd:"" help:"升级数据库结构 / bring the database schema up to date"`
	Check    checkCmd    `cmd:"" help:"检查配置文件与城市数据 / check a configuration and the city data"`
	User     userCmd     `cmd:"" help:"账号管理 / accounts"`
	Report   reportCmd   `cmd:"" help:"生成报表 / make a report"`
	Workdays workdaysCmd `cmd:"" help:"工作日推算 / working-day arithmetic"`
	Prompts  promptsCmd  `cmd:"" help:"由文字清单生成语音提示 / make the spoken prompts from their texts"`
	Version  versionCmd  `cmd:"" help:"版本信息 / version"`
}

// wallClock is the only real clock of the program.
var wallClock = hotline.ClockFunc(time.Now)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once: the first restores the default.
	context.AfterFunc(ctx, stop)

	var c cli
	k := kong.Parse(&c,
		kong.Name("hotline"),
		kong.Description("12345 政务服务便民热线 / Hotline 12345"),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.UsageOnError(),
	)
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}

// explain turns an error into what a person at the terminal needs.
func explain(err error) string {
	if e, ok := errors.AsType[*hotline.Error](err); ok && e.Err == nil {
		return "错误 / error: " + e.Message
	}
	return "错误 / error: " + err.Error()
}

// configFlag is the flag of every command that needs the configuration.
type configFlag struct {
	Config string `short:"c" help:"配置文件；缺省用内置值 / configuration file; default: built in" type:"path" placeholder:"hotline.yaml"`
}

func (f configFlag) load() (configs.Config, error) { return configs.Load(f.Config) }

type versionCmd struct{}

// Run prints the version control revision the binary was built from.
func (versionCmd) Run() error {
	fmt.Println("hotline", programVersion(), runtime.Version())
	return nil
}

func newLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
