// Package live is the way to Redis, the short memory: the floor's waiting
// calls and agents, phone registrations, leases and wake-ups. Nothing here
// outlives its loss: emptying Redis at any moment may cost seconds, never an
// order. Without a URL an in-process server is started; it knows the same
// commands our scripts use. cmd opens it and hands the client to sip, sip/acd
// and hotlinetest. It starts no goroutine of its own and imports none of our
// packages.
package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options says which Redis to use.
type Options struct {
	URL string       // redis://user:password@host:port/db, rediss:// or unix:///path?db=0; "" starts one in this process
	Log *slog.Logger // nil: slog.Default
}

// Live is a connection to Redis and, when there was no URL, the server. Made
// by Open. Safe for concurrent use.
type Live struct {
	Client *redis.Client
	server *miniredis.Miniredis // nil with a URL
	once   sync.Once
	closed error
}

// oldest is the first version with all commands our scripts use (ZRANGESTORE,
// GETEX and SET … KEEPTTL came with 6.2).
var oldest = [2]int{6, 2}

// Open connects and checks the server, or starts the in-process server and
// connects to it. Errors say in both languages what to do; they never hold the
// password.
func Open(ctx context.Context, o Options) (*Live, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Live{}
	opts := &redis.Options{}
	if o.URL == "" {
		l.server = miniredis.NewMiniRedis()
		l.server.ClockTTL(true) // keys expire as time goes by, not only when told
		// A loopback port, which other users of the machine can reach, so it
		// asks for a password. miniredis' connections without a port (Dial)
		// have no buffer: a long pipeline blocks both ends for ever.
		opts.Password = rand.Text()
		l.server.RequireAuth(opts.Password)
		if err := l.server.Start(); err != nil {
			return nil, fmt.Errorf("start in-process redis: %w", err)
		}
		opts.Addr = l.server.Addr()
	} else {
		var err error
		if opts, err = redis.ParseURL(o.URL); err != nil {
			return nil, fmt.Errorf("redis_url 无法解析，应如 redis://:口令@主机:6379/0 / cannot parse redis_url, want redis://:password@host:6379/0: %w", withoutURL(err))
		}
	}
	// Announcements of planned maintenance are for managed clouds.
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	l.Client = redis.NewClient(opts)
	if err := l.inspect(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	o.Log.Info("redis connected", "component", "live", "in_process", l.server != nil)
	return l, nil
}

// withoutURL takes the address, which may hold a password, out of an error of
// the URL parser.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// inspect refuses a server that cannot serve us.
func (l *Live) inspect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := l.Client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("无法连接 Redis，请检查 redis_url 中的地址、端口与口令 / cannot reach Redis; check address, port and password in redis_url: %w", err)
	}
	if l.server != nil {
		return nil
	}
	info, err := l.Client.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("无法读取 Redis 版本 / cannot ask Redis for its version: %w", err)
	}
	return checkInfo(info)
}

// checkInfo reads the answer of INFO.
func checkInfo(info string) error {
	facts := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	var v [2]int
	if _, err := fmt.Sscanf(facts["redis_version"], "%d.%d", &v[0], &v[1]); err != nil {
		return fmt.Errorf("无法识别的 Redis 版本 %[1]q / unknown Redis version %[1]q", facts["redis_version"])
	}
	if slices.Compare(v[:], oldest[:]) < 0 {
		return fmt.Errorf("版本 %[1]s 的 Redis 过低，需要 %[2]d.%[3]d 或更高 / Redis %[1]s is too old, %[2]d.%[3]d or newer is needed", facts["redis_version"], oldest[0], oldest[1])
	}
	if facts["cluster_enabled"] == "1" {
		return errors.New("不支持 Redis Cluster，请给出单机或哨兵主节点的地址 / Redis Cluster is not supported; give the address of a single server or of a Sentinel master")
	}
	if facts["role"] == "slave" {
		return errors.New("redis_url 指向只读副本，请改为主节点 / redis_url names a read-only replica; give the master")
	}
	return nil
}

// Close ends the connection and the in-process server with all its data. Safe
// twice.
func (l *Live) Close() error {
	l.once.Do(func() {
		l.closed = l.Client.Close()
		if l.server != nil {
			l.server.Close()
		}
	})
	return l.closed
}
