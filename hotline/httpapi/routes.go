package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hotline12345/hotline"
	"hotline12345/hotline/auth"
)

const prefix = "/api/v1"

// operation is one line of the route table.
type operation struct {
	method, path string
	id, tag, sum string
	status       int  // of success; zero: 200, or 204 without a body
	public       bool // needs no login
	keyed        bool // honours Idempotency-Key
	media        string
}

// router collects the table while the handlers are registered.
type router struct {
	a    *API
	api  huma.API
	keys map[string]bool // patterns that honour Idempotency-Key
	open map[string]bool // patterns that need no login
}

// Handle and HandleFunc make router the mux that humago registers with: each
// operation gets its guards there.
func (r *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.Handle(pattern, http.HandlerFunc(h))
}

// Handle registers a handler behind the guards of its pattern.
func (r *router) Handle(pattern string, h http.Handler) {
	if r.keys[pattern] {
		h = r.a.idempotent(h)
	}
	if !r.open[pattern] {
		h = r.a.signedIn(h)
	}
	r.a.mux.Handle(pattern, noStore(h))
}

// ServeHTTP serves the mux, as humago's interface asks.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.a.mux.ServeHTTP(w, req) }

// noStore keeps answers out of shared and disk caches, unless the handler
// says otherwise.
func noStore(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// route registers an operation. Parameters and bodies are checked by the
// rooms, in Chinese, so the library's own validation is off.
func route[I, O any](r *router, op operation, f func(context.Context, *I) (*O, error)) {
	pattern := op.method + " " + prefix + op.path
	r.open[pattern], r.keys[pattern] = op.public, op.keyed
	r.a.routes = append(r.a.routes, Route{op.method, prefix + op.path, op.public})
	h := huma.Operation{
		OperationID: op.id, Method: op.method, Path: prefix + op.path, Summary: op.sum, Tags: []string{op.tag},
		DefaultStatus: op.status, SkipValidateBody: true, SkipValidateParams: true, MaxBodyBytes: maxBody,
		BodyReadTimeout: 15 * time.Second, Errors: []int{http.StatusUnprocessableEntity, http.StatusInternalServerError},
	}
	if !op.public {
		h.Security = []map[string][]string{{"session": {}}}
		h.Errors = append(h.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound)
	}
	if op.keyed {
		h.Errors = append(h.Errors, http.StatusConflict)
		h.Parameters = []*huma.Param{{Name: "Idempotency-Key", In: "header", Description: "同一请求重试时不变的唯一值", Schema: &huma.Schema{Type: "string"}}}
	}
	if op.media != "" {
		h.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{op.media: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}}
	}
	huma.Register(r.api, h, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, r.a.report(ctx, err)
		}
		return out, nil
	})
}

// register makes every route and the OpenAPI document.
func (a *API) register() error {
	humaErrors()
	r := &router{a: a, keys: map[string]bool{}, open: map[string]bool{}}
	cfg := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "12345 政务服务便民热线", Version: or(a.o.Version, "dev")},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"session": {Type: "apiKey", In: "cookie", Name: auth.CookieName}},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	}
	cfg.FieldsOptionalByDefault = true
	cfg.AllowAdditionalPropertiesByDefault = true
	r.api = humago.New(r, cfg)
	a.session(r)
	a.reference(r)
	a.orders(r)
	a.drafts(r)
	a.floor(r)
	a.calls(r)
	a.previews(r)
	a.reports(r)
	quoteNumbers(r.api.OpenAPI().Components.Schemas)
	doc, err := json.Marshal(r.api.OpenAPI())
	if err != nil {
		return fmt.Errorf("encode openapi document: %w", err)
	}
	a.plain(doc)
	return nil
}

// quoteNumbers mends what the library overlooks: members tagged ",string" are
// strings on the wire.
func quoteNumbers(schemas huma.Registry) {
	for name, s := range schemas.Map() {
		t := schemas.TypeFromRef("#/components/schemas/" + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if p := s.Properties[member]; p != nil && strings.Contains(options, "string") {
				s.Properties[member] = &huma.Schema{Type: huma.TypeString, Description: p.Description}
			}
		}
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// plain registers what is not an operation of the API.
func (a *API) plain(openapi []byte) {
	tag := etag(openapi)
	a.mux.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(openapi) // the reader has gone; nothing is left to do
	})
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	a.mux.HandleFunc("GET /readyz", a.readyz)
	a.mux.Handle("GET /metrics", a.metrics.handler())
	a.mux.Handle("GET /ws", a.signedIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.Principal(r.Context())
		a.o.Hub.Serve(w, r, p)
	})))
	a.mux.HandleFunc("/api/", a.unknown)
	a.mux.Handle("/", a.o.Pages)
}

// readyz asks every check, each within two seconds. Causes go to the log.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	answer := struct {
		Ready  bool              `json:"ready"`
		Checks map[string]string `json:"checks"`
	}{true, map[string]string{}}
	for name, check := range a.o.Checks {
		answer.Checks[name] = "ok"
		if err := check(ctx); err != nil {
			answer.Ready, answer.Checks[name] = false, "failed"
			a.log.Warn("not ready", "check", name, "err", err)
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		a.write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(b, '\n'))
}

// unknown answers paths under /api that no operation has, or not with the
// method.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := a.mux.Handler(probe); strings.HasPrefix(pattern, m+" ") {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.write(w, r, &Problem{Type: "about:blank", Title: "不支持的方法", Status: http.StatusMethodNotAllowed, Detail: "此地址不支持该方法", Code: hotline.Invalid})
		return
	}
	a.write(w, r, hotline.Errorf(hotline.NotFound, "没有这个接口"))
}

// actor is the person behind the request; every operation that is not public
// has one.
func actor(ctx context.Context) hotline.Principal {
	p, _ := auth.Principal(ctx)
	return p
}
