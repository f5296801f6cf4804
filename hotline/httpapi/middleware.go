package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hotline12345/hotline"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/pg"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// request is what the log knows of a request: no path with ids, no query, no
// address, no body.
type request struct {
	id    string
	actor hotline.AccountID
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// recorder notes status and size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// wrap puts the request's way together, the outermost first: log and metrics,
// recovery, foreign origins, body limit, identity, routes.
func (a *API) wrap() http.Handler {
	// Cross-site POSTs are told by Sec-Fetch-Site and Origin; reading is free.
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.write(w, r, hotline.Errorf(hotline.Forbidden, "不接受其他网站发来的请求"))
	}))
	identified := a.o.Auth.Identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := auth.Principal(r.Context()); ok {
			requestOf(r.Context()).actor = p.ID
		}
		a.mux.ServeHTTP(w, r)
	}), a.write)
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		// Pages and probes are for everybody: they cost no session look-up
		// and are there while the database is away.
		if strings.HasPrefix(r.URL.Path, prefix+"/") || r.URL.Path == "/ws" {
			if err := storable(r.URL); err != nil {
				a.write(w, r, err)
				return
			}
			identified.ServeHTTP(w, r)
			return
		}
		a.mux.ServeHTTP(w, r)
	})
	guarded := origin.Handler(limited)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.o.Clock.Now()
		_, route := a.mux.Handler(r)
		info := &request{id: rand.Text()[:16]}
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Request-Id", info.id)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
				if rec.status == 0 {
					a.write(rec, r, err)
				} else {
					a.log.Error("request failed after its answer began", "request_id", info.id, "err", err)
				}
			}
			took := a.o.Clock.Now().Sub(start)
			if rec.status == 0 {
				rec.status = http.StatusOK // an empty answer, or a connection taken over
			}
			level := slog.LevelInfo
			switch route {
			case "GET /ws": // lives for hours; its figures are the hub's
			case "GET /healthz", "GET /readyz", "GET /metrics", "/":
				level = slog.LevelDebug // asked all the time
				fallthrough
			default:
				a.metrics.observe(r.Method, route, rec.status, took)
			}
			a.log.Log(r.Context(), level, "request", "request_id", info.id, "method", r.Method, "route", route, "status", rec.status,
				"bytes", rec.bytes, "ms", took.Milliseconds(), "account_id", int64(info.actor))
		}()
		guarded.ServeHTTP(rec, r)
	})
}

// storable refuses an address with text that is no text: PostgreSQL takes
// neither U+0000 nor broken UTF-8, and no member of ours has it.
func storable(u *url.URL) error {
	bad := func(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) }
	if bad(u.Path) {
		return hotline.Errorf(hotline.NotFound, "没有这个接口")
	}
	for name, values := range u.Query() {
		if bad(name) || slices.ContainsFunc(values, bad) {
			return hotline.FieldErrorf(strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), ""), "含有无法识别的字符")
		}
	}
	return nil
}

// signedIn lets only people who are logged in reach h.
func (a *API) signedIn(h http.Handler) http.Handler { return auth.Require(h, a.write) }

// idempotent answers a POST that carries an Idempotency-Key once: a retry of
// the same request by the same person gets the first answer. Only successes
// are kept, so a corrected request may use its key again.
func (a *API) idempotent(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		p, ok := auth.Principal(r.Context())
		if key == "" || !ok {
			h.ServeHTTP(w, r)
			return
		}
		if len(key) > 128 {
			a.write(w, r, hotline.FieldErrorf("Idempotency-Key", "Idempotency-Key 不超过 128 字节"))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			a.write(w, r, readProblem(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		hash := sha256.New()
		fmt.Fprintf(hash, "%s\n", r.URL.Path)
		hash.Write(body)
		scope := "account:" + strconv.FormatInt(int64(p.ID), 10)
		earlier, first, err := a.o.Keys.Begin(r.Context(), scope, key, hash.Sum(nil))
		if err != nil {
			a.write(w, r, err)
			return
		}
		if !first {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Idempotent-Replay", "true")
			w.WriteHeader(earlier.Status)
			_, _ = w.Write(earlier.Body) // the reader has gone; nothing is left to do
			return
		}
		kept := &keeper{recorder: recorder{ResponseWriter: w}}
		// The answer is kept even when the reader has gone meanwhile: the
		// retry is on its way.
		ctx := context.WithoutCancel(r.Context())
		defer func() {
			var err error
			if s := kept.status; s >= 200 && s < 300 {
				err = a.o.Keys.Finish(ctx, scope, key, pg.Answer{Status: s, Body: kept.body.Bytes()})
			} else {
				err = a.o.Keys.Abandon(ctx, scope, key)
			}
			if err != nil {
				a.log.Warn("request key not settled", "request_id", requestOf(ctx).id, "err", err)
			}
		}()
		h.ServeHTTP(kept, r)
	})
}

// keeper is a recorder that keeps the body too.
type keeper struct {
	recorder
	body bytes.Buffer
}

// Write keeps a copy.
func (k *keeper) Write(b []byte) (int, error) {
	k.body.Write(b)
	return k.recorder.Write(b)
}

// readProblem says why a body could not be read.
func readProblem(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Problem{Type: "about:blank", Title: "内容过长", Status: http.StatusRequestEntityTooLarge, Detail: "内容过长，请精简后重试", Code: hotline.Invalid}
	}
	return hotline.Errorf(hotline.Invalid, "请求内容没有收全，请重试")
}

// etag names a content by its hash.
func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
