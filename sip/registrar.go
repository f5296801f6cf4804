package sip

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/redis/go-redis/v9"

	"hotline12345/hotline"
)

// Phones knows the agents' phones.
type Phones interface {
	// HA1 returns the secret of an extension. Errors: NotFound.
	HA1(ctx context.Context, extension string) (Secret, error)
}

// binding is one contact of a phone (RFC 3261 §10), and the flow it came by.
type binding struct {
	Extension string            `json:"ext"`
	Account   hotline.AccountID `json:"account"`
	URI       string            `json:"uri"`
	Network   string            `json:"net"`
	Source    netip.AddrPort    `json:"src"`
	CallID    string            `json:"call_id"`
	CSeq      uint32            `json:"cseq"`
	At        time.Time         `json:"at"`
	Until     time.Time         `json:"until"`
}

// The registrar's limits.
const (
	shortestExpiry = 60 * time.Second // less is answered 423 (RFC 3261 §10.2.8)
	longestExpiry  = time.Hour
	usualExpiry    = 5 * time.Minute
	maxContacts    = 10 // of one phone; the oldest goes
)

// registrar keeps the phones that registered at this node in memory and, for
// other nodes, in Redis under {reg}:<extension> with the contact's own expiry.
type registrar struct {
	s     *Server
	guard *guard

	mu     sync.Mutex
	byExt  map[string][]binding // newest first
	bySrc  map[netip.AddrPort]string
	signal func(ext string) // test hook: a binding changed; may be nil
}

func newRegistrar(s *Server) *registrar {
	return &registrar{s: s, guard: newGuard(s.o.Realm, s.o.OfferSHA256, s.o.Clock),
		byExt: map[string][]binding{}, bySrc: map[netip.AddrPort]string{}}
}

// extension returns the phone registered from src, "" for none.
func (r *registrar) extension(src netip.AddrPort) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bySrc[src]
}

// find returns the newest contact of a phone: of this node, else of another.
func (r *registrar) find(ctx context.Context, ext string) (binding, bool) {
	now := r.s.o.Clock.Now()
	r.mu.Lock()
	for _, b := range r.byExt[ext] {
		if b.Until.After(now) {
			r.mu.Unlock()
			return b, true
		}
	}
	r.mu.Unlock()
	var best binding
	for _, b := range r.shared(ctx, ext) {
		if b.Until.After(now) && b.At.After(best.At) {
			best = b
		}
	}
	return best, best.URI != ""
}

func (r *registrar) shared(ctx context.Context, ext string) []binding {
	all, err := r.s.o.Redis.HGetAll(ctx, regKey(ext)).Result()
	if err != nil {
		return nil // a Redis that is away is reported by the floor; this node's phones still ring
	}
	var out []binding
	for _, v := range all {
		var b binding
		if json.Unmarshal([]byte(v), &b) == nil {
			out = append(out, b)
		}
	}
	return out
}

func regKey(ext string) string { return "{reg}:" + ext }

// register answers a REGISTER; nil means that nothing is to be sent.
func (r *registrar) register(req *gosip.Request, src flow) *gosip.Response {
	ext := req.To().Address.User
	if ext == "" || len(ext) > 32 {
		return respond(req, 404, "Not Found")
	}
	if r.guard.locked(src.addr.Addr(), ext) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.s.life, 5*time.Second)
	defer cancel()
	secret, err := r.s.o.Phones.HA1(ctx, ext)
	if code := hotline.ErrorCode(err); err != nil && code != hotline.NotFound {
		r.s.log.Error("phone secrets unavailable", "err", err)
		return respond(req, 503, "Service Unavailable", "Retry-After", "10")
	}
	got := authMissing
	for _, h := range req.GetHeaders("Authorization") {
		if c, ok := parseDigest(h.Value()); !ok || c["username"] != ext {
			continue
		}
		if got = r.guard.check(h.Value(), string(req.Method), secret); got != authMissing {
			break
		}
	}
	switch got {
	case authGood:
		r.guard.count(src.addr.Addr(), ext, true)
	case authWrong:
		r.guard.count(src.addr.Addr(), ext, false)
		fallthrough
	default:
		res := respond(req, 401, "Unauthorized")
		for _, c := range r.guard.challenges(got == authStale) {
			res.AppendHeader(gosip.NewHeader("WWW-Authenticate", c))
		}
		return res
	}
	return r.bind(ctx, req, src, ext, secret.Account)
}

// bind changes the contacts as RFC 3261 §10.3 steps 6 to 8 say.
func (r *registrar) bind(ctx context.Context, req *gosip.Request, src flow, ext string, account hotline.AccountID) *gosip.Response {
	now := r.s.o.Clock.Now()
	usual := usualExpiry
	if h := req.GetHeader("Expires"); h != nil {
		n, _ := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 32) // validated before
		usual = time.Duration(n) * time.Second
	}
	var contacts []*gosip.ContactHeader
	for _, h := range req.GetHeaders("Contact") {
		if c, ok := h.(*gosip.ContactHeader); ok {
			contacts = append(contacts, c)
		}
	}
	star := slices.ContainsFunc(contacts, func(c *gosip.ContactHeader) bool { return c.Address.Wildcard })
	if star && (len(contacts) != 1 || usual != 0 || req.GetHeader("Expires") == nil) {
		return respond(req, 400, "Bad Request: * wants Expires 0 alone")
	}
	type change struct {
		b    binding
		gone bool
	}
	var changes []change
	for _, c := range contacts {
		if star {
			break
		}
		d := usual
		if v, ok := c.Params.Get("expires"); ok {
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return respond(req, 400, "Bad Request: expires unreadable")
			}
			d = time.Duration(n) * time.Second
		}
		if d > 0 && d < shortestExpiry {
			return respond(req, 423, "Interval Too Brief", "Min-Expires", seconds(shortestExpiry))
		}
		d = min(d, longestExpiry)
		changes = append(changes, change{binding{ext, account, c.Address.String(), src.network, src.addr,
			req.CallID().Value(), req.CSeq().SeqNo, now, now.Add(d)}, d == 0})
	}

	r.mu.Lock()
	before := r.byExt[ext]
	list := slices.Clone(before)
	for _, ch := range changes {
		i := slices.IndexFunc(list, func(b binding) bool { return b.URI == ch.b.URI })
		if i >= 0 {
			if list[i].CallID == ch.b.CallID && ch.b.CSeq <= list[i].CSeq { // RFC 3261 §10.3 step 7
				r.mu.Unlock()
				return respond(req, 500, "Out Of Order", "Retry-After", "1")
			}
			list = slices.Delete(list, i, i+1)
		}
		if !ch.gone {
			list = slices.Insert(list, 0, ch.b)
		}
	}
	if star {
		list = nil
	}
	list = list[:min(len(list), maxContacts)]
	r.put(ext, list)
	r.mu.Unlock()

	if len(changes) > 0 || star {
		r.publish(ctx, ext, account, before, list)
	}
	res := respond(req, 200, "OK")
	for _, b := range list {
		res.AppendHeader(gosip.NewHeader("Contact", fmt.Sprintf("<%s>;expires=%s", b.URI, seconds(b.Until.Sub(now)))))
	}
	res.AppendHeader(gosip.NewHeader("Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05")+" GMT"))
	return res
}

// put replaces a phone's contacts; r.mu is held.
func (r *registrar) put(ext string, list []binding) {
	for _, b := range r.byExt[ext] {
		delete(r.bySrc, b.Source)
	}
	delete(r.byExt, ext)
	if len(list) > 0 {
		r.byExt[ext] = list
	}
	for _, b := range list {
		r.bySrc[b.Source] = ext
	}
}

// publish tells Redis and the floor what became of a phone.
func (r *registrar) publish(ctx context.Context, ext string, account hotline.AccountID, before, after []binding) {
	pipe := r.s.o.Redis.Pipeline()
	for _, b := range before {
		if !slices.ContainsFunc(after, func(a binding) bool { return a.URI == b.URI }) {
			pipe.HDel(ctx, regKey(ext), b.URI)
		}
	}
	var last time.Time
	for _, b := range after {
		v, err := json.Marshal(b)
		if err != nil {
			continue // a binding always marshals
		}
		pipe.HSet(ctx, regKey(ext), b.URI, v)
		if b.Until.After(last) {
			last = b.Until
		}
	}
	if !last.IsZero() {
		pipe.PExpire(ctx, regKey(ext), max(time.Second, last.Sub(r.s.o.Clock.Now())))
	}
	_, err := pipe.Exec(ctx)
	if err == nil {
		if len(after) > 0 {
			err = r.s.o.Floor.PhoneUp(ctx, account, ext, r.s.o.ReadyOnRegister && len(before) == 0)
		} else if len(r.shared(ctx, ext)) == 0 {
			err = r.s.o.Floor.PhoneDown(ctx, account)
		}
	}
	if err != nil && err != redis.Nil {
		r.s.log.Warn("registration not shared", "extension", ext, "err", err) // refresh repeats it
	}
	if len(before) == 0 && len(after) > 0 {
		r.s.log.Info("phone registered", "extension", ext, "agent_id", account)
	} else if len(before) > 0 && len(after) == 0 {
		r.s.log.Info("phone gone", "extension", ext, "agent_id", account)
	}
	if r.signal != nil {
		r.signal(ext)
	}
}

// refresh takes expired contacts away and tells Redis and the floor again of
// the others, so that an emptied Redis heals. Run calls it every few seconds.
func (r *registrar) refresh(ctx context.Context) {
	now := r.s.o.Clock.Now()
	type job struct {
		ext           string
		account       hotline.AccountID
		before, after []binding
	}
	var jobs []job
	r.mu.Lock()
	for ext, list := range r.byExt {
		after := slices.DeleteFunc(slices.Clone(list), func(b binding) bool { return !b.Until.After(now) })
		jobs = append(jobs, job{ext, list[0].Account, list, after})
		if len(after) != len(list) {
			r.put(ext, after)
		}
	}
	r.mu.Unlock()
	for _, j := range jobs {
		r.publish(ctx, j.ext, j.account, j.before, j.after)
	}
}
