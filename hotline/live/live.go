// Package live is the way to Redis, the short memory: the floor's waiting
// calls and agents, phone registrations, leases and wake-ups. Nothing here
// outlives its loss: emptying Redis at any moment may cost seconds, never an
// order. Without a URL an in-process server is started; it knows the same
// commands our scripts use.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options says which Redis to use.
type Options struct {
	URL string // redis://host:port/db, rediss:// or unix://; "" starts one in this process
	Log *slog.Logger
}

// Live is a connection to Redis and, when there was no URL, the server.
type Live struct {
	Client *redis.Client
	server *miniredis.Miniredis
	stop   chan struct{}
	ended  sync.WaitGroup
	once   sync.Once
}

// Open connects, or starts the in-process server and connects to it.
func Open(ctx context.Context, o Options) (*Live, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Live{stop: make(chan struct{})}
	opts := &redis.Options{}
	if o.URL == "" {
		l.server = miniredis.NewMiniRedis()
		if err := l.server.Start(); err != nil {
			return nil, fmt.Errorf("start in-process redis: %w", err)
		}
		opts.Addr = l.server.Addr()
		l.ended.Add(1)
		go l.passTime()
	} else {
		var err error
		if opts, err = redis.ParseURL(o.URL); err != nil {
			return nil, fmt.Errorf("redis_url 无法解析 / cannot parse redis_url: %w", err)
		}
	}
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	l.Client = redis.NewClient(opts)
	ping, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := l.Client.Ping(ping).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("无法连接 Redis，请检查 redis_url / cannot reach Redis; check redis_url: %w", err), l.Close())
	}
	o.Log.Info("redis connected", "in_process", l.server != nil)
	return l, nil
}

// passTime moves the in-process server's clock: miniredis expires keys only
// when told how much time went by.
func (l *Live) passTime() {
	defer l.ended.Done()
	const step = 100 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.server.FastForward(step)
		}
	}
}

// Close ends the connection and the in-process server. Safe twice.
func (l *Live) Close() error {
	var err error
	l.once.Do(func() {
		close(l.stop)
		l.ended.Wait()
		if l.Client != nil {
			err = l.Client.Close()
		}
		if l.server != nil {
			l.server.Close()
		}
	})
	return err
}
