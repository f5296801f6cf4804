package console

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// corkAtMost is how many bytes are held back before they go out anyway.
const corkAtMost = 64 << 10

// corked is a connection that can hold its writes back and send them as one:
// frames queued together leave in one system call and mostly one segment,
// which halves the cost of a broadcast, while each stays a frame of its own.
type corked struct {
	net.Conn

	mu   sync.Mutex // guards held and on; pongs are written by the reader
	on   bool
	held []byte
}

// Write sends p, or keeps it while the cork is in.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	if len(c.held) >= corkAtMost {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush sends what is held. mu is held: this is the connection's own write
// lock, nothing else waits for it.
func (c *corked) flush() error {
	if len(c.held) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.held)
	c.held = c.held[:0]
	if cap(c.held) > corkAtMost {
		c.held = nil
	}
	return err
}

// hold starts keeping writes back.
func (c *corked) hold() {
	c.mu.Lock()
	c.on = true
	c.mu.Unlock()
}

// release sends all that was kept back.
func (c *corked) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	err := c.flush()
	if cap(c.held) > 16<<10 {
		c.held = nil // idle clients keep no large buffer
	}
	return err
}

// corkingHijacker gives gorilla/websocket a corked connection. It asks through
// http.ResponseController, so middleware may have wrapped the writer.
type corkingHijacker struct {
	http.ResponseWriter
	conn *corked
}

// Hijack takes the connection over.
func (h *corkingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &corked{Conn: conn}
	return h.conn, rw, nil
}
