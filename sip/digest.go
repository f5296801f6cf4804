package sip

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"hotline12345/hotline"
)

// Secret is what a phone's password became: H(extension:realm:password) in
// lower-case hex for both algorithms, and the agent it belongs to.
type Secret struct {
	Account hotline.AccountID
	MD5     string // RFC 2617; "" when not kept
	SHA256  string // RFC 8760; "" when not kept
}

// verdict is the outcome of a check of credentials.
type verdict int

const (
	authMissing verdict = iota // no usable credentials: challenge
	authStale                  // right but old: challenge with stale=true
	authWrong                  // wrong: challenge, and count
	authGood
)

// guard checks digest credentials (RFC 2617, RFC 8760) and locks out sources
// that fail. Nonces carry their own proof, so that strangers' requests fill no
// table; only nonces that were used rightly are kept, for their count.
type guard struct {
	realm string
	offer bool // challenge with SHA-256 too
	clock hotline.Clock
	key   [32]byte

	mu    sync.Mutex
	used  map[string]usedNonce // at most maxNonces
	fails map[failKey]failure  // at most maxFails
}

type usedNonce struct {
	count uint64
	until time.Time
}

// failKey is who fails: one address guessing one extension's password.
type failKey struct {
	from netip.Addr
	user string
}

type failure struct {
	times int
	until time.Time // locked out till then
}

const (
	nonceLife   = 5 * time.Minute
	maxNonces   = 16384
	maxFails    = 4096
	freeFails   = 5 // wrong passwords before the lock-out starts
	longestLock = 5 * time.Minute
)

func newGuard(realm string, offerSHA256 bool, clock hotline.Clock) *guard {
	g := &guard{realm: realm, offer: offerSHA256, clock: clock,
		used: map[string]usedNonce{}, fails: map[failKey]failure{}}
	rand.Read(g.key[:])
	return g
}

// challenges returns the values of WWW-Authenticate. MD5 stands first because
// some phones read one header only.
func (g *guard) challenges(stale bool) []string {
	nonce := g.nonce()
	out := []string{g.challenge("MD5", nonce, stale)}
	if g.offer {
		out = append(out, g.challenge("SHA-256", nonce, stale))
	}
	return out
}

func (g *guard) challenge(algorithm, nonce string, stale bool) string {
	v := `Digest realm="` + g.realm + `", nonce="` + nonce + `", algorithm=` + algorithm + `, qop="auth"`
	if stale {
		v += `, stale=true`
	}
	return v
}

func (g *guard) nonce() string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:8], uint64(g.clock.Now().UnixMilli()))
	rand.Read(b[8:16])
	m := hmac.New(sha256.New, g.key[:])
	m.Write(b[:16])
	copy(b[16:], m.Sum(nil))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// issued tells when we made the nonce; false: not ours.
func (g *guard) issued(nonce string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 {
		return time.Time{}, false
	}
	m := hmac.New(sha256.New, g.key[:])
	m.Write(b[:16])
	if !hmac.Equal(m.Sum(nil)[:16], b[16:]) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:8]))), true
}

// check judges one Authorization header for a method. A zero Secret (unknown
// user) takes the same way as a wrong password.
func (g *guard) check(header, method string, secret Secret) verdict {
	c, ok := parseDigest(header)
	if !ok || c["realm"] != g.realm || c["qop"] != "auth" || c["cnonce"] == "" {
		return authMissing
	}
	var h func() hash.Hash
	ha1 := ""
	switch strings.ToUpper(c["algorithm"]) {
	case "MD5", "":
		h, ha1 = md5.New, secret.MD5
	case "SHA-256":
		h, ha1 = sha256.New, secret.SHA256
	default:
		return authMissing
	}
	at, ours := g.issued(c["nonce"])
	if !ours {
		return authMissing
	}
	known := ha1 != ""
	sum := func(parts ...string) string {
		d := h()
		d.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(d.Sum(nil))
	}
	want := sum(ha1, c["nonce"], c["nc"], c["cnonce"], "auth", sum(method, c["uri"]))
	good := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c["response"]))) == 1
	if !good || !known {
		return authWrong
	}
	nc, err := strconv.ParseUint(c["nc"], 16, 32)
	if err != nil || nc == 0 {
		return authMissing
	}
	now := g.clock.Now()
	if now.Sub(at) > nonceLife {
		return authStale
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	u, seen := g.used[c["nonce"]]
	if seen && nc <= u.count { // replayed, or two requests crossed: the phone asks again
		return authStale
	}
	if !seen && len(g.used) >= maxNonces {
		for k, v := range g.used {
			if now.After(v.until) {
				delete(g.used, k)
			}
		}
		if len(g.used) >= maxNonces {
			return authStale
		}
	}
	g.used[c["nonce"]] = usedNonce{nc, at.Add(nonceLife)}
	return authGood
}

// locked tells whether the source is shut out for this user now.
func (g *guard) locked(from netip.Addr, user string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clock.Now().Before(g.fails[failKey{from, user}].until)
}

// count notes a failure (or a success, which forgets the failures). The
// lock-out doubles with each failure past freeFails.
func (g *guard) count(from netip.Addr, user string, good bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := failKey{from, user}
	if good {
		delete(g.fails, k)
		return
	}
	now := g.clock.Now()
	if len(g.fails) >= maxFails {
		for k, v := range g.fails {
			if now.After(v.until) {
				delete(g.fails, k)
			}
		}
		if len(g.fails) >= maxFails {
			return
		}
	}
	f := g.fails[k]
	f.times++
	f.until = now
	if f.times > freeFails {
		f.until = now.Add(min(longestLock, time.Second<<min(f.times-freeFails, 16)))
	}
	g.fails[k] = f
}

// parseDigest reads the members of a Digest header; quotes are taken off.
func parseDigest(v string) (map[string]string, bool) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok || !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	out := map[string]string{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || len(out) > 32 {
			return nil, false
		}
		name, after = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(after)
		var val strings.Builder
		if strings.HasPrefix(after, `"`) {
			i, closed := 1, false
			for ; i < len(after); i++ {
				if after[i] == '\\' && i+1 < len(after) {
					i++
				} else if after[i] == '"' {
					closed = true
					break
				}
				val.WriteByte(after[i])
			}
			if !closed {
				return nil, false
			}
			after = after[i+1:]
		} else {
			end := strings.IndexByte(after, ',')
			if end < 0 {
				end = len(after)
			}
			val.WriteString(strings.TrimSpace(after[:end]))
			after = after[end:]
		}
		if _, twice := out[name]; twice || name == "" {
			return nil, false
		}
		out[name] = val.String()
		rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(after), ","))
	}
	return out, len(out) > 0
}
