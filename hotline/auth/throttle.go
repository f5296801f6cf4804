package auth

import (
	"net/netip"
	"sync"
	"time"

	"hotline12345/hotline"
)

const (
	throttleWindow   = 15 * time.Minute
	throttlePerName  = 5      // failures of one name from one address
	throttlePerAddr  = 100    // failures from one address under any name: an office shares one
	throttleMaxItems = 20_000 // remembered failures' keys; then the throttle is shut
)

// throttle counts failed log-ins in memory. It fails closed: when it can
// remember no more, names and addresses it does not know wait.
type throttle struct {
	clock hotline.Clock

	mu    sync.Mutex
	items map[throttleKey]tally // guarded by mu
}

// throttleKey is a name at an address; the name is "" for the address alone.
type throttleKey struct {
	login string
	addr  netip.Prefix
}

type tally struct {
	failures int
	until    time.Time
}

func newThrottle(c hotline.Clock) *throttle {
	return &throttle{clock: c, items: map[throttleKey]tally{}}
}

// network is what counts as one address: an IPv4 address, an IPv6 /64 (the
// part a subscriber is given whole, RFC 6177 §2).
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero Addr: all unknown addresses are one
	}
	return p
}

func (t *throttle) keys(login string, addr netip.Addr) (name, all throttleKey) {
	n := network(addr)
	return throttleKey{login, n}, throttleKey{"", n}
}

// allow tells whether one more attempt may be made, and books it as failed;
// succeed takes the booking back. So attempts at the same moment count too.
func (t *throttle) allow(login string, addr netip.Addr) bool {
	now := t.clock.Now()
	name, all := t.keys(login, addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.items)+2 > throttleMaxItems {
		for k, v := range t.items {
			if !now.Before(v.until) {
				delete(t.items, k)
			}
		}
	}
	for _, k := range []throttleKey{name, all} {
		v, known := t.items[k]
		limit := throttlePerName
		if k == all {
			limit = throttlePerAddr
		}
		if known && now.Before(v.until) && v.failures >= limit {
			return false
		}
		if !known && len(t.items)+2 > throttleMaxItems {
			return false
		}
	}
	for _, k := range []throttleKey{name, all} {
		v := t.items[k]
		if !now.Before(v.until) {
			v = tally{until: now.Add(throttleWindow)}
		}
		v.failures++
		t.items[k] = v
	}
	return true
}

// succeed takes back what allow booked; kept failures of others stay.
func (t *throttle) succeed(login string, addr netip.Addr) {
	name, all := t.keys(login, addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.items, name)
	if v, ok := t.items[all]; ok {
		if v.failures--; v.failures <= 0 {
			delete(t.items, all)
		} else {
			t.items[all] = v
		}
	}
}
