// Callsim is the softphone of sip/siptest as a program: citizens who call the
// hotline, for demonstrations and load, and agents who answer. It owns no
// state; it prints a bilingual summary and fails when a call failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"hotline12345/hotline"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

type commands struct {
	Call  callCommand  `cmd:"" default:"withargs" help:"拨打热线 Place calls."`
	Agent agentCommand `cmd:"" help:"模拟话务员话机 Register as an agent's phone and answer."`
}

// common holds the flags of every command.
type common struct {
	Server    string `default:"127.0.0.1:5060" help:"热线地址 SIP server, host:port."`
	Transport string `default:"udp" enum:"udp,tcp" help:"传输协议 udp or tcp."`
	Local     string `default:"127.0.0.1" help:"本机地址 Local IP address."`
	Verbose   bool   `short:"v" help:"输出详细日志 Log what happens."`
}

func (c common) log() *slog.Logger {
	level := slog.LevelError
	if c.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// ports makes one pool of RTP ports for all phones of the program.
func (c common) ports() (*media.Ports, error) {
	ip, err := netip.ParseAddr(c.Local)
	if err != nil {
		return nil, fmt.Errorf("read local address: %w", err)
	}
	return media.NewPorts(media.PortsOptions{IP: ip, Min: 40000, Max: 59999, Quarantine: time.Second,
		Clock: hotline.ClockFunc(time.Now), Log: c.log()})
}

type agentCommand struct {
	common
	Extension string        `required:"" help:"分机号 Extension."`
	Password  string        `required:"" env:"CALLSIM_PASSWORD" help:"话机密码 Password; also CALLSIM_PASSWORD."`
	After     time.Duration `default:"2s" help:"振铃多久后接听 Ring this long before answering."`
	Busy      bool          `help:"一律示忙 Refuse every call with busy."`
}

// Run registers and answers until the program is interrupted.
func (c *agentCommand) Run(ctx context.Context) error {
	ports, err := c.ports()
	if err != nil {
		return err
	}
	defer closeQuietly(ports.Close)
	voice := media.Concat(media.Tone(440, 300*time.Millisecond), media.Pause(700*time.Millisecond))
	p, err := siptest.NewPhone(siptest.Options{Local: c.Local + ":0", Server: c.Server, Transport: c.Transport,
		User: c.Extension, Password: c.Password, Ports: ports, Log: c.log(),
		OnCall: func(in siptest.Incoming) siptest.Reaction {
			fmt.Printf("%s 来电 incoming %s\n", time.Now().Format(time.TimeOnly), in.From)
			if c.Busy {
				return siptest.Reaction{Status: 486}
			}
			return siptest.Reaction{After: c.After}
		},
		OnTalk: func(t *siptest.Talk) {
			start := time.Now()
			t.Loop(voice)
			<-t.Ended()
			fmt.Printf("%s 通话结束 call ended after %s (%s)\n", time.Now().Format(time.TimeOnly), time.Since(start).Round(time.Second), t.Reason())
		}})
	if err != nil {
		return err
	}
	defer closeQuietly(p.Close)
	if err := p.Register(ctx); err != nil {
		return err
	}
	fmt.Printf("分机 %s 已注册，按 Ctrl-C 退出 Extension %s registered, Ctrl-C ends.\n", c.Extension, c.Extension)
	<-ctx.Done()
	bye, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, t := range p.Talks() {
		if err := t.Hangup(bye); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return p.Unregister(bye)
}

func closeQuietly(f func() error) {
	if err := f(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli commands
	k := kong.Parse(&cli, kong.Name("callsim"), kong.Description("模拟来电与话机 Simulated callers and phones."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	err := k.Run()
	if errors.Is(err, errFailed) {
		os.Exit(1)
	}
	k.FatalIfErrorf(err)
}
