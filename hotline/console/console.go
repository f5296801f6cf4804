// Package console keeps the live consoles: one websocket per open page, topics
// a page may hear, a bounded queue for each client, and resumption by stream
// position with neither gap nor double. hotline/httpapi hands it upgraded
// requests of known people; cmd runs it and feeds it floor snapshots. The
// subscriptions are guarded by the hub's mutex; each socket is written by its
// own goroutine only. It may import hotline and hotline/outbox.
//
// How resumption works: one loop reads the numbered stream and broadcasts, and
// remembers the last position it gave out. Subscribing takes that position P
// and enters the topics in one step, and puts "replay what lies after since
// up to P" into the client's queue. All later entries queue behind it, so the
// client's writer, which does the replay when it reaches it, sends everything
// once and in order.
package console

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
)

// Close codes of our own (RFC 6455 §7.4.2: 4000-4999 are for private use).
const (
	CloseTooSlow = 4008 // the client's queue was full; it may resume
	CloseExpired = 4001 // the session ended; it must log in
)

const (
	queueLength    = 512              // frames waiting for one client; full: disconnect with CloseTooSlow
	replayLimit    = 5000             // stream rows a client may be behind; more: reset
	replayPage     = 500              // rows read at once
	maxTopics      = 256              // of one client
	maxTopicBytes  = 64               // a longer one is refused
	readLimitBytes = 32 << 10         // of one message from a client
	pingEvery      = 20 * time.Second // contract of /ws
	idleLimit      = 65 * time.Second // three pings without an answer
	writeLimit     = 10 * time.Second // for one batch of frames
	recheckEvery   = time.Minute
	catchUpLimit   = 2 * time.Second // how long a client of a node that is ahead is waited for
)

// Stream is the numbered stream; outbox.Stream is one.
type Stream interface {
	Head(ctx context.Context) (int64, error)
	Since(ctx context.Context, pos int64, topics []string, limit int) ([]outbox.Entry, int64, error)
	Wait(ctx context.Context, pos int64) (int64, error)
}

// Options are the parts of a Hub. Stream, Clock, Directory and Visible are
// required.
type Options struct {
	Stream    Stream
	Directory func() *hotline.Directory
	// Visible tells whether the person may see the order; it may ask the
	// database.
	Visible func(ctx context.Context, p hotline.Principal, id hotline.OrderID) (bool, error)
	// Recheck returns the person behind the request's context, or an error
	// with code Unauthenticated when the session ended meanwhile. Nil: never.
	Recheck func(ctx context.Context) (hotline.Principal, error)
	Floor   <-chan hotline.FloorSnapshot // each change of the floor; nil: none
	Clock   hotline.Clock
	Log     *slog.Logger // nil: slog.Default
}

// Stats are the hub's figures at one instant.
type Stats struct {
	Clients int
	Topics  int
	Pos     int64            // last stream position given out
	Sent    int64            // frames queued since the start
	Dropped int64            // clients disconnected as too slow
	Kinds   map[string]int64 // stream entries given out since the start, by kind
}

// Hub is the exchange between the stream and the consoles. Safe for
// concurrent use.
type Hub struct {
	o   Options
	log *slog.Logger

	ready chan struct{} // closed when pos is known
	stop  chan struct{} // closed when Run ends

	mu      sync.Mutex // guards all below; never held over I/O
	pos     int64
	clients map[*client]bool
	topics  map[string]map[*client]bool
	floor   *websocket.PreparedMessage
	agents  map[hotline.AccountID]phoneStep
	closed  bool
	sent    int64
	dropped int64
	kinds   map[string]int64
	serving sync.WaitGroup
}

// New makes a Hub that takes clients once Run is at work.
func New(o Options) (*Hub, error) {
	if o.Stream == nil || o.Clock == nil || o.Directory == nil || o.Visible == nil {
		return nil, errors.New("new console hub: Stream, Clock, Directory and Visible are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Hub{
		o: o, log: o.Log.With("component", "console"),
		ready: make(chan struct{}), stop: make(chan struct{}),
		clients: map[*client]bool{}, topics: map[string]map[*client]bool{}, agents: map[hotline.AccountID]phoneStep{}, kinds: map[string]int64{},
	}, nil
}

// Run feeds the consoles until ctx ends, then tells every client to come back
// (close code 1001) and returns when all are gone. Call it once.
func (h *Hub) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { h.feed(ctx) })
	loops.Go(func() { h.watchFloor(ctx) })
	loops.Wait()
	h.mu.Lock()
	h.closed = true
	for c := range h.clients {
		c.end(websocket.CloseGoingAway, "server restarts")
	}
	h.mu.Unlock()
	close(h.stop)
	h.serving.Wait()
	return nil
}

// Pos returns the last stream position given out; a page that reads data
// after asking misses nothing when it subscribes from there.
func (h *Hub) Pos() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos
}

// Stats returns the hub's figures.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Clients: len(h.clients), Topics: len(h.topics), Pos: h.pos, Sent: h.sent, Dropped: h.dropped, Kinds: maps.Clone(h.kinds)}
}

// feed moves the stream to the clients.
func (h *Hub) feed(ctx context.Context) {
	pos := h.start(ctx)
	for ctx.Err() == nil {
		head, err := h.o.Stream.Wait(ctx, pos)
		for err == nil && pos < head {
			var entries []outbox.Entry
			var upTo int64
			if entries, upTo, err = h.o.Stream.Since(ctx, pos, nil, replayPage); err != nil {
				break
			}
			h.broadcast(entries)
			pos = max(upTo, pos)
			h.moveTo(pos)
			if len(entries) == replayPage {
				h.breathe(ctx)
			}
		}
		if err != nil {
			h.pause(ctx, "stream not readable", err)
		}
	}
}

// breathe lets the writers catch up between the pages of a backlog, so that a
// burst does not disconnect clients that read well. A client that does not
// read holds the others up once: the next page fills its queue.
func (h *Hub) breathe(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(catchUpLimit)
	defer limit.Stop()
	for h.busy() {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// busy tells whether some client has frames waiting.
func (h *Hub) busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if len(c.queue) > 0 {
			return true
		}
	}
	return false
}

// start finds the head of the stream.
func (h *Hub) start(ctx context.Context) int64 {
	for ctx.Err() == nil {
		head, err := h.o.Stream.Head(ctx)
		if err == nil {
			h.moveTo(head)
			close(h.ready)
			return head
		}
		h.pause(ctx, "stream head not readable", err)
	}
	return 0
}

func (h *Hub) moveTo(pos int64) {
	h.mu.Lock()
	h.pos = pos
	h.mu.Unlock()
}

// pause logs and waits a second, unless ctx ended.
func (h *Hub) pause(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	h.log.Warn(what, "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// broadcast gives entries to all who hear one of their topics.
func (h *Hub) broadcast(entries []outbox.Entry) {
	for _, e := range entries {
		msg, err := eventFrame(e)
		if err != nil {
			h.log.Error("event not encoded", "pos", e.Pos, "kind", e.Kind, "err", err)
		}
		h.mu.Lock()
		h.pos = e.Pos
		h.kinds[e.Kind]++
		if msg != nil {
			for _, topic := range e.Topics {
				for c := range h.topics[topic] {
					if c.mark != e.Pos { // once, however many topics match
						c.mark = e.Pos
						h.put(c, item{msg: msg})
					}
				}
			}
		}
		h.mu.Unlock()
	}
}

// put queues a frame, or ends a client that reads too slowly. mu is held.
func (h *Hub) put(c *client, it item) {
	select {
	case c.queue <- it:
		h.sent++
	default:
		if c.end(CloseTooSlow, "too slow") {
			h.dropped++
		}
		h.forget(c)
	}
}

// forget removes a client from every topic. mu is held.
func (h *Hub) forget(c *client) {
	delete(h.clients, c)
	for t := range c.topics {
		h.leave(c, t)
	}
}

// leave takes a client off a topic. mu is held.
func (h *Hub) leave(c *client, topic string) {
	delete(c.topics, topic)
	delete(h.topics[topic], c)
	if len(h.topics[topic]) == 0 {
		delete(h.topics, topic)
	}
}

var upgrader = websocket.Upgrader{
	HandshakeTimeout: writeLimit,
	ReadBufferSize:   1024,
	WriteBufferSize:  4096,
	WriteBufferPool:  &sync.Pool{},
	// CheckOrigin nil: same origin only, by the Host header.
	Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) {
		http.Error(w, "只接受本站页面的 WebSocket 连接", status)
	},
}

// Serve upgrades the request of a known person and serves it until the socket
// ends. A page of another origin is refused with 403; before Run knows the
// stream's head and after it ended the answer is 503.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, p hotline.Principal) {
	select {
	case <-h.ready:
	default:
		http.Error(w, "实时服务尚未就绪，请稍后再试", http.StatusServiceUnavailable)
		return
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		http.Error(w, "服务正在重启，请稍后再试", http.StatusServiceUnavailable)
		return
	}
	h.serving.Add(1) // under mu, so that Run's Wait cannot miss it
	h.mu.Unlock()
	defer h.serving.Done()

	taker := &corkingHijacker{ResponseWriter: w}
	conn, err := upgrader.Upgrade(taker, r, nil)
	if err != nil {
		h.log.Info("websocket refused", "account_id", int64(p.ID), "err", err)
		return
	}
	c := newClient(h, conn, taker.conn, p)
	h.mu.Lock()
	if h.closed {
		c.end(websocket.CloseGoingAway, "server restarts")
	}
	h.clients[c] = true
	h.put(c, item{msg: helloFrame(h.pos, h.o.Clock.Now())})
	h.mu.Unlock()
	c.serve(r.Context())
	h.mu.Lock()
	h.forget(c)
	h.mu.Unlock()
}
