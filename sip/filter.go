package sip

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// filter runs before parsing and decides whose bytes are looked at: trunks',
// and phones'. From a phone network that has not registered only REGISTER,
// OPTIONS, answers and keep-alives pass. Strangers get nothing back. It never
// returns an error: that would stop the library's listener.
func (s *Server) filter(info gosip.TransportReadProps, data []byte) ([]byte, error) {
	if s.closing.Load() {
		return nil, nil
	}
	src := addrPort(info.RemoteAddr)
	if _, ok := s.trunk(src.Addr()); ok {
		return s.pass(info, data, src), nil
	}
	if s.phoneNet(src.Addr()) {
		if info.Transport != "UDP" { // pieces of a stream cannot be judged; handle does
			return data, nil
		}
		for _, start := range openings {
			if bytes.HasPrefix(data, start) {
				return s.pass(info, data, src), nil
			}
		}
		if s.reg.extension(src) != "" {
			return s.pass(info, data, src), nil
		}
	}
	s.dropped.Add(1)
	return nil, nil
}

// pass holds back datagrams nobody could read.
func (s *Server) pass(info gosip.TransportReadProps, data []byte, src netip.AddrPort) []byte {
	if info.Transport == "UDP" && len(bytes.Trim(data, "\r\n\x00")) > 0 && !s.readable(data, src) {
		return nil
	}
	return data
}

func udpAddrOf(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }

var openings = [][]byte{[]byte("REGISTER "), []byte("OPTIONS "), []byte("SIP/2.0 "), []byte("\r\n")}

// trunk returns the trunk an address belongs to.
func (s *Server) trunk(a netip.Addr) (string, bool) {
	for _, t := range s.o.Trunks {
		for _, p := range t.Sources {
			if p.Contains(a) {
				return t.Name, true
			}
		}
	}
	return "", false
}

func (s *Server) phoneNet(a netip.Addr) bool {
	for _, p := range s.o.PhoneNets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return plain(a.AddrPort())
	case *net.TCPAddr:
		return plain(a.AddrPort())
	}
	return netip.AddrPort{}
}

// dialer connects to peers only. The library would call back any host that the
// Via of a request names whose connection is gone (RFC 3261 §18.2.2), and wait
// a minute for it.
func (s *Server) dialer(local net.Addr) net.Dialer {
	return net.Dialer{LocalAddr: local, Timeout: 3 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if _, ok := s.trunk(plain(to).Addr()); !ok && !s.phoneNet(plain(to).Addr()) {
			return errStranger
		}
		return nil
	}}
}

var (
	errStranger = errors.New("not a peer of ours")
	errNames    = errors.New("names are not looked up")
)

// noNames keeps the library from asking the DNS about names that peers send.
func noNames(context.Context, string, string) (net.Conn, error) { return nil, errNames }

// gate is the TCP listener that turns strangers away and bounds how many
// connections stand open.
type gate struct {
	net.Listener
	s    *Server
	mu   sync.Mutex
	open int
	by   map[netip.Addr]int // open connections by peer
}

// The most TCP connections, of all and of one address, so that one peer that
// opens them and says nothing cannot keep the others out. More are closed at
// once.
const (
	maxConns     = 4096
	maxPeerConns = 512
)

// Accept returns the next connection of a known network.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addrPort(c.RemoteAddr()).Addr()
		_, trunk := g.s.trunk(from)
		g.mu.Lock()
		full := g.open >= maxConns || g.by[from] >= maxPeerConns
		if (trunk || g.s.phoneNet(from)) && !full {
			g.open++
			g.by[from]++
			g.mu.Unlock()
			return &gated{Conn: c, g: g, from: from}, nil
		}
		g.mu.Unlock()
		g.s.dropped.Add(1)
		_ = c.Close() // a stranger's connection: nothing to do about a failure
	}
}

// gated counts itself out when closed.
type gated struct {
	net.Conn
	g    *gate
	from netip.Addr
	once sync.Once
}

// Close closes the connection.
func (c *gated) Close() error {
	c.once.Do(func() {
		c.g.mu.Lock()
		c.g.open--
		if c.g.by[c.from]--; c.g.by[c.from] == 0 {
			delete(c.g.by, c.from)
		}
		c.g.mu.Unlock()
	})
	return c.Conn.Close()
}

func stack() string { return string(debug.Stack()) }
