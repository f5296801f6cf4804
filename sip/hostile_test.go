package sip

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/sip/siptest"
)

// TestHostileTraffic: a flood of rubbish from peers and strangers, datagrams
// of the largest size, and connections that say a letter at a time do not keep
// a call from being answered nor stay in memory.
func TestHostileTraffic(t *testing.T) {
	h := open(t, houseOptions{trunks: []Trunk{{"local", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}},
		change: func(o *Options) { o.PhoneNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }})
	h.agent(1001, siptest.Options{})
	server := net.UDPAddrFromAddrPort(h.Addr())
	var slow []net.Conn
	for range maxPeerConns + 88 {
		c, err := net.Dial("tcp", h.TCPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("INVITE sip:12345@x SIP/2.0\r\nVia: ")) // those too many are closed
		slow = append(slow, c)
	}
	r := rand.New(rand.NewPCG(8, 8))
	flood := func(n int) {
		for _, from := range []string{"127.0.0.1:0", "127.0.0.9:0"} {
			conn, err := net.ListenPacket("udp", from)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				b := make([]byte, 1+r.IntN(1500))
				if i%50 == 0 {
					b = make([]byte, 60000)
				}
				for j := range b {
					b[j] = byte(r.Uint32())
				}
				if i%3 == 0 {
					copy(b, "INVITE sip:12345@x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n")
				}
				if _, err := conn.WriteTo(b, server); err != nil {
					t.Fatal(err)
				}
				if i%25 == 0 {
					_, _ = slow[i%len(slow)].Write([]byte("x"))
					time.Sleep(time.Millisecond) // not to overrun the socket: a lost datagram tests nothing
				}
			}
			_ = conn.Close()
		}
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood(1000)
	before := heap()
	flood(5000)
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	talk, err := h.phone(siptest.Options{User: "13812345678"}).Call(within(t, 10*time.Second), "12345")
	if err != nil {
		t.Fatal(err)
	}
	h.until("the agent talks", func() bool { return h.state(1001) == hotline.Talking })
	if err := talk.Hangup(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.ended("caller", hotline.EndNormal)
	if h.malformed.Load() == 0 || h.dropped.Load() < 88+6000 {
		t.Errorf("%d datagrams unreadable, %d things of strangers dropped", h.malformed.Load(), h.dropped.Load())
	}
}

// TestConnectsToPeersOnly: a Via that names another host makes the server
// neither look a name up nor connect there (RFC 3261 §18.2.2 would have it).
func TestConnectsToPeersOnly(t *testing.T) {
	t.Parallel()
	h := open(t, houseOptions{})
	d := h.dialer(nil)
	if c, err := d.DialContext(t.Context(), "tcp", "192.0.2.1:5060"); !errors.Is(err, errStranger) {
		t.Errorf("a stranger: %v, %v", c, err)
	}
	c, err := d.DialContext(t.Context(), "tcp", h.TCPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	names := &net.Resolver{PreferGo: true, Dial: noNames}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if ips, err := names.LookupHost(ctx, "spindle.example.com"); err == nil || ctx.Err() != nil {
		t.Errorf("a name: %v, %v", ips, err)
	}
}
