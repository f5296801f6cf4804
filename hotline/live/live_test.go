package live_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/hotline/live"
)

// TestKeysExpire: a key with a time to live goes by itself, in both kinds.
func TestKeysExpire(t *testing.T) {
	t.Parallel()
	hotlinetest.EachRedis(t, func(t *testing.T, c *redis.Client) {
		ctx := t.Context()
		if err := c.Set(ctx, "lease", "node", 150*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Exists(ctx, "lease").Result(); err != nil || n != 1 {
			t.Fatalf("exists %d, err %v, want 1", n, err)
		}
		hotlinetest.Eventually(t, 5*time.Second, "the lease expires", func() bool { return c.Exists(ctx, "lease").Val() == 0 })
	})
}

// TestLargePipeline: more than the sockets' buffers hold, in one go.
func TestLargePipeline(t *testing.T) {
	t.Parallel()
	hotlinetest.EachRedis(t, func(t *testing.T, c *redis.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		value := strings.Repeat("x", 1000)
		cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range 1000 {
				p.Set(ctx, fmt.Sprint("k", i), value, 0)
			}
			return nil
		})
		if err != nil || len(cmds) != 1000 {
			t.Fatalf("%d answers, err %v", len(cmds), err)
		}
	})
}

// TestScriptsPubSubAndStreams: what the rooms use works in both kinds.
func TestScriptsPubSubAndStreams(t *testing.T) {
	t.Parallel()
	hotlinetest.EachRedis(t, func(t *testing.T, c *redis.Client) {
		ctx := t.Context()
		script := redis.NewScript(`local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'version', ARGV[1])
return {tonumber(t[1]), redis.call('HGET', KEYS[1], 'version')}`)
		got, err := script.Run(ctx, c, []string{"agent"}, 7).Slice()
		if err != nil || len(got) != 2 || got[1] != "7" {
			t.Fatalf("script: %v, %v", got, err)
		}
		if d := time.Since(time.Unix(got[0].(int64), 0)); d < -2*time.Second || d > 10*time.Second {
			t.Errorf("the server's clock is %v off", d)
		}
		sub := c.Subscribe(ctx, "floor")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil { // the subscription stands
			t.Fatal(err)
		}
		if err := c.Publish(ctx, "floor", "changed").Err(); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-sub.Channel():
			if m.Payload != "changed" {
				t.Errorf("got %q", m.Payload)
			}
		case <-time.After(5 * time.Second):
			t.Error("no message")
		}
		if err := c.XAdd(ctx, &redis.XAddArgs{Stream: "s", Values: []string{"a", "1"}}).Err(); err != nil {
			t.Error(err)
		}
	})
}

// TestInProcessServersAreApart: each Open has data of its own.
func TestInProcessServersAreApart(t *testing.T) {
	t.Parallel()
	a, b := hotlinetest.Redis(t), hotlinetest.Redis(t)
	if err := a.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := b.Exists(t.Context(), "k").Val(); n != 0 {
		t.Error("the second server sees the first one's key")
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	l, err := live.Open(t.Context(), live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Client.Ping(t.Context()).Err(); err == nil {
		t.Error("a closed connection answers")
	}
}

func TestOpenFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, url, want string }{
		{"not a URL", "127.0.0.1:6379", "cannot parse redis_url"},
		{"wrong scheme", "http://127.0.0.1", "cannot parse redis_url"},
		{"secret in a bad URL", "redis://:s3cret@host:port/0", "cannot parse redis_url"},
		{"nobody listens", "unix:///nonexistent/redis.sock", "cannot reach Redis"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := live.Open(t.Context(), live.Options{URL: tt.url})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// BenchmarkScript is one compare-and-set on the in-process server.
func BenchmarkScript(b *testing.B) {
	c := hotlinetest.Redis(b)
	script := redis.NewScript(`if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then return 0 end
return redis.call('HINCRBY', KEYS[1], 'version', 1)`)
	for b.Loop() {
		if err := script.Run(b.Context(), c, []string{"agent"}, "x").Err(); err != nil {
			b.Fatal(err)
		}
	}
}
