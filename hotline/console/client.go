package console

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hotline12345/hotline"
)

// client is one open page. Its reader is the goroutine of the HTTP handler;
// a second goroutine writes.
type client struct {
	hub       *Hub
	conn      *websocket.Conn
	wire      *corked
	principal hotline.Principal // of the reader

	queue chan item     // filled under hub.mu, emptied by the writer
	done  chan struct{} // closed by end
	once  sync.Once
	code  int // of the close frame; set by end before done closes
	text  string

	topics map[string]bool // guarded by hub.mu
	mark   int64           // position queued last; guarded by hub.mu
}

// item is one thing for the writer: a frame or a replay.
type item struct {
	msg    *websocket.PreparedMessage
	replay *replay
}

// replay is the part of the stream a new subscription missed.
type replay struct {
	after, upTo int64
	topics      []string
	had         map[string]bool // topics subscribed before: their entries were queued already
}

func newClient(h *Hub, conn *websocket.Conn, wire *corked, p hotline.Principal) *client {
	return &client{hub: h, conn: conn, wire: wire, principal: p,
		queue: make(chan item, queueLength), done: make(chan struct{}), topics: map[string]bool{}}
}

// end asks the writer to close the socket with the code; the first call
// counts. It reports whether this was the first.
func (c *client) end(code int, text string) (first bool) {
	c.once.Do(func() {
		c.code, c.text, first = code, text, true
		close(c.done)
	})
	return first
}

// serve returns when the socket is closed and the writer has ended.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		c.write(ctx)
		_ = c.conn.Close() // wakes the reader; nothing to do about a failed close
	})
	c.read(ctx)
	c.end(websocket.CloseNormalClosure, "")
	cancel()
	writer.Wait()
}

// read takes the client's messages until the socket fails or falls silent.
func (c *client) read(ctx context.Context) {
	idle := time.AfterFunc(idleLimit, func() { _ = c.conn.Close() })
	defer idle.Stop()
	c.conn.SetReadLimit(readLimitBytes)
	c.conn.SetPongHandler(func(string) error { idle.Reset(idleLimit); return nil })
	for {
		kind, body, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		idle.Reset(idleLimit)
		var req request
		if kind != websocket.TextMessage || json.Unmarshal(body, &req) != nil || len(req.Topics) > maxTopics {
			c.end(websocket.ClosePolicyViolation, "bad request")
			return
		}
		if req.Type != "subscribe" {
			continue // a newer client may know more
		}
		if err := c.subscribe(ctx, req); err != nil {
			if ctx.Err() == nil {
				c.hub.log.Warn("subscription failed", "account_id", int64(c.principal.ID), "err", err)
			}
			c.end(websocket.CloseTryAgainLater, "try again")
			return
		}
	}
}

// subscribe makes the request's topics the client's whole set.
func (c *client) subscribe(ctx context.Context, req request) error {
	h := c.hub
	var allowed, refused []string
	for _, t := range req.Topics {
		ok, err := Allow(ctx, h.o.Directory(), c.principal, t, h.o.Visible)
		if err != nil {
			return err
		}
		if ok {
			allowed = append(allowed, t)
		} else {
			refused = append(refused, t)
		}
	}
	if req.Since != nil {
		h.await(ctx, *req.Since)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.clients[c] {
		return nil // ended meanwhile
	}
	for _, t := range refused {
		h.put(c, item{msg: deniedFrame(t[:min(len(t), maxTopicBytes)])})
	}
	had := map[string]bool{}
	for t := range c.topics {
		if slices.Contains(allowed, t) {
			had[t] = true
		} else {
			h.leave(c, t)
		}
	}
	var added []string
	for _, t := range allowed {
		if !c.topics[t] {
			c.topics[t] = true
			if h.topics[t] == nil {
				h.topics[t] = map[*client]bool{}
			}
			h.topics[t][c] = true
			added = append(added, t)
		}
	}
	if len(added) == 0 {
		return nil
	}
	if req.Since != nil && *req.Since != h.pos {
		if behind := h.pos - *req.Since; behind < 0 || behind > replayLimit {
			h.put(c, item{msg: resetFrame(h.pos)})
		} else {
			h.put(c, item{replay: &replay{after: *req.Since, upTo: h.pos, topics: added, had: had}})
		}
	}
	if slices.Contains(added, topicFloor) && h.floor != nil {
		h.put(c, item{msg: h.floor})
	}
	return nil
}

// await lets this node catch up with a position another node gave out.
func (h *Hub) await(ctx context.Context, pos int64) {
	if h.Pos() >= pos {
		return
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(catchUpLimit)
	defer limit.Stop()
	for h.Pos() < pos {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// write sends what is queued, joining what is there into one system call,
// pings and looks whether the session still lives.
func (c *client) write(ctx context.Context) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	check := time.NewTicker(recheckEvery)
	defer check.Stop()
	// A timer and not a write deadline: deadlines are wall-clock instants,
	// and rooms do not read the wall clock.
	guard := time.AfterFunc(writeLimit, func() { _ = c.wire.Conn.Close() })
	guard.Stop()
	defer guard.Stop()
	for {
		var err error
		select {
		case <-c.done:
			guard.Reset(writeLimit)
			// The socket may be gone already; the code is a courtesy.
			_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(c.code, c.text), time.Time{})
			return
		case it := <-c.queue:
			guard.Reset(writeLimit)
			err = c.send(ctx, it, guard)
		case <-ping.C:
			guard.Reset(writeLimit)
			err = c.conn.WriteControl(websocket.PingMessage, nil, time.Time{})
		case <-check.C:
			c.recheck(ctx)
			continue
		}
		guard.Stop()
		if err != nil {
			return
		}
	}
}

// send writes the item and all that is queued behind it.
func (c *client) send(ctx context.Context, it item, guard *time.Timer) error {
	c.wire.hold()
	for {
		if err := c.one(ctx, it, guard); err != nil {
			_ = c.wire.release() // the first error counts
			return err
		}
		select {
		case <-c.done: // the close frame is next
			return c.wire.release()
		default:
		}
		select {
		case it = <-c.queue:
		default:
			return c.wire.release()
		}
	}
}

func (c *client) one(ctx context.Context, it item, guard *time.Timer) error {
	if it.msg != nil {
		return c.conn.WritePreparedMessage(it.msg)
	}
	r := it.replay
	for pos := r.after; pos < r.upTo; {
		guard.Reset(writeLimit)
		entries, upTo, err := c.hub.o.Stream.Since(ctx, pos, r.topics, replayPage)
		if err != nil {
			if ctx.Err() == nil {
				c.hub.log.Warn("replay failed", "account_id", int64(c.principal.ID), "err", err)
			}
			c.end(websocket.CloseTryAgainLater, "try again")
			return nil
		}
		for _, e := range entries {
			if e.Pos > r.upTo {
				return nil
			}
			if slices.ContainsFunc(e.Topics, func(t string) bool { return r.had[t] }) {
				continue
			}
			msg, err := eventFrame(e)
			if err != nil {
				c.hub.log.Error("event not encoded", "pos", e.Pos, "kind", e.Kind, "err", err)
				continue
			}
			if err := c.conn.WritePreparedMessage(msg); err != nil {
				return err
			}
		}
		if upTo <= pos {
			return nil // a stream that went backwards is not ours to mend
		}
		pos = upTo
	}
	return nil
}

// recheck ends the client when its person may no longer be here.
func (c *client) recheck(ctx context.Context) {
	if c.hub.o.Recheck == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	p, err := c.hub.o.Recheck(ctx)
	switch e, ok := errors.AsType[*hotline.Error](err); {
	case ok && e.Code == hotline.Unauthenticated:
		c.end(CloseExpired, "session ended")
	case err != nil:
		if ctx.Err() == nil {
			c.hub.log.Warn("session not checked", "account_id", int64(c.principal.ID), "err", err)
		}
	case p.Unit != c.principal.Unit || !slices.Equal(slices.Sorted(slices.Values(p.Roles)), slices.Sorted(slices.Values(c.principal.Roles))):
		c.end(websocket.CloseServiceRestart, "rights changed") // comes back with the new rights
	}
}
