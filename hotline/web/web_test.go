package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var site = fstest.MapFS{
	"placeholder":           {Data: []byte("x")},
	"index.html":            {Data: []byte("<!doctype html><title>话务台</title>")},
	"favicon.svg":           {Data: []byte("<svg/>")},
	"assets/index-a1b2.js":  {Data: []byte("export {}")},
	"assets/index-a1b2.css": {Data: []byte("body{}")},
}

func get(t *testing.T, h http.Handler, method, target string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestPages(t *testing.T) {
	t.Parallel()
	const year, revalidate, none = "public, max-age=31536000, immutable", "no-cache", "no-store"
	tests := []struct {
		name, method, target string
		status               int
		kind, cache, body    string
	}{
		{"front page", "GET", "/", 200, "text/html; charset=utf-8", revalidate, "话务台"},
		{"a page of the router", "GET", "/orders/202611230000001?tab=calls", 200, "text/html; charset=utf-8", revalidate, "话务台"},
		{"hashed script", "GET", "/assets/index-a1b2.js", 200, "text/javascript; charset=utf-8", year, "export"},
		{"hashed style", "GET", "/assets/index-a1b2.css", 200, "text/css; charset=utf-8", year, "body"},
		{"icon", "GET", "/favicon.svg", 200, "image/svg+xml", revalidate, "<svg/>"},
		{"an asset of an older build is missing, not a page", "GET", "/assets/index-old.js", 404, "text/plain; charset=utf-8", none, "没有"},
		{"a file that never was", "GET", "/robots.txt", 404, "text/plain; charset=utf-8", none, "没有"},
		{"the placeholder is not a page", "GET", "/placeholder", 200, "text/html; charset=utf-8", revalidate, "话务台"},
		{"no way up", "GET", "/../../etc/passwd", 200, "text/html; charset=utf-8", revalidate, "话务台"},
		{"head", "HEAD", "/", 200, "text/html; charset=utf-8", revalidate, ""},
		{"writing", "POST", "/orders", 405, "text/plain; charset=utf-8", "", "浏览"},
	}
	h := newPages(site)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := get(t, h, tt.method, tt.target, nil)
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", res.StatusCode, tt.status)
			}
			if got := res.Header.Get("Content-Type"); got != tt.kind {
				t.Errorf("got type %q, want %q", got, tt.kind)
			}
			if got := res.Header.Get("Cache-Control"); got != tt.cache {
				t.Errorf("got cache %q, want %q", got, tt.cache)
			}
			if !strings.Contains(string(body), tt.body) {
				t.Errorf("got body %q, want it to hold %q", body, tt.body)
			}
			if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "default-src 'none'") {
				t.Errorf("got policy %q, want no script from outside or inline", csp)
			}
		})
	}
}

func TestPagesRevalidate(t *testing.T) {
	t.Parallel()
	h := newPages(site)
	tag := get(t, h, "GET", "/desk", nil).Header.Get("ETag")
	if tag == "" {
		t.Fatal("index.html has no ETag")
	}
	if res := get(t, h, "GET", "/desk", http.Header{"If-None-Match": {tag}}); res.StatusCode != http.StatusNotModified {
		t.Errorf("got status %d for a known ETag, want 304", res.StatusCode)
	}
}

func TestPagesNotBuilt(t *testing.T) {
	t.Parallel()
	h := newPages(fstest.MapFS{"placeholder": {Data: []byte("x")}})
	res := get(t, h, "GET", "/desk", nil)
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "控制台未构建，请运行 <code>make web</code>") {
		t.Errorf("got %d %s, want 503 and the command to run", res.StatusCode, body)
	}
}

// TestHandlerHasNoInlineScript reads the embedded index.html, when it was
// built: the policy would stop an inline script, and with it the whole page.
func TestHandlerHasNoInlineScript(t *testing.T) {
	t.Parallel()
	res := get(t, Handler(), "GET", "/", nil)
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range strings.Split(string(body), "<script")[1:] {
		if !strings.Contains(tag[:strings.Index(tag, ">")], "src=\"/assets/") {
			t.Errorf("got script %q, want only /assets/ sources", tag)
		}
	}
	if strings.Contains(string(body), "http://") || strings.Contains(string(body), "https://") {
		t.Error("index.html names an outside address")
	}
}
