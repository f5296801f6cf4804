package sip

import (
	"bytes"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"

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

// gate is the TCP listener that turns strangers away and bounds how many
// connections stand open.
type gate struct {
	net.Listener
	s    *Server
	mu   sync.Mutex
	open int
}

// maxConns bounds the TCP connections; more are closed at once.
const maxConns = 4096

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
		full := g.open >= maxConns
		if (trunk || g.s.phoneNet(from)) && !full {
			g.open++
			g.mu.Unlock()
			return &gated{Conn: c, g: g}, nil
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
	once sync.Once
}

// Close closes the connection.
func (c *gated) Close() error {
	c.once.Do(func() {
		c.g.mu.Lock()
		c.g.open--
		c.g.mu.Unlock()
	})
	return c.Conn.Close()
}

func stack() string { return string(debug.Stack()) }
