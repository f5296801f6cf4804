// Package web owns the consoles' pages (坐席、单位、派单、回访控制台): the Vue
// sources beside this file, built by npm into dist and embedded here.
// hotline/httpapi mounts its Handler under every path the API does not claim.
// Nothing is written after Handler returns; it imports the standard library
// only.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist holds one committed placeholder on a fresh clone and the built pages
// after make web.
//
//go:embed all:dist
var dist embed.FS

// policy lets pages load nothing from outside and run no inline script.
// Inline styles stay allowed: Element Plus positions its pop-ups with them.
// (W3C Content Security Policy Level 3 §6.)
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; media-src 'self' blob:; frame-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// notBuilt is the page shown when only the placeholder is embedded.
const notBuilt = `<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>控制台未构建</title>
<style>body{font:16px/1.8 sans-serif;margin:15vh auto;max-width:36em;padding:0 1em;color:#1d2b3a}code{background:#e8eff7;padding:2px 6px}</style>
<h1>控制台未构建</h1>
<p>控制台未构建，请运行 <code>make web</code>，再重新编译并启动程序。</p>
<p>接口与话务不受影响，仍可使用。</p>
</html>
`

// file is one embedded file, ready to be sent.
type file struct {
	body  []byte
	kind  string
	etag  string
	cache string
}

// Handler serves the embedded pages: hashed assets cached for a year, every
// other page path answered with index.html so that the router in the browser
// sees it, and a page in plain Chinese when the pages were not built. It is
// safe for concurrent use.
func Handler() http.Handler {
	root, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: embedded dist: " + err.Error()) // impossible: the embed directive names it
	}
	return newPages(root)
}

// pages is the whole site in memory; about 1.5 MB.
type pages struct {
	files map[string]file
	index file
	built bool
}

// newPages reads every file of root.
func newPages(root fs.FS) *pages {
	p := &pages{files: map[string]file{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "placeholder" {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		p.files[name] = newFile(name, body)
		return nil
	})
	if err != nil {
		panic("web: read embedded pages: " + err.Error()) // impossible: the files are in the program
	}
	p.index, p.built = p.files["index.html"]
	if !p.built {
		p.index = newFile("index.html", []byte(notBuilt))
	}
	return p
}

// newFile prepares one file. Vite puts a content hash into the name of every
// file under assets, so those never change under their name.
func newFile(name string, body []byte) file {
	sum := sha256.Sum256(body)
	f := file{body: body, kind: contentType(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, cache: "no-cache"}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable"
	}
	return f
}

// contentType names the media type without asking the machine's own table,
// which differs from one system to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".json":
		return "application/json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// ServeHTTP answers one request.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), payment=()")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "此地址只供浏览", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	f, ok := p.files[name]
	if !ok {
		if strings.HasPrefix(name, "assets/") || path.Ext(name) != "" {
			h.Set("Cache-Control", "no-store")
			http.Error(w, "没有这个文件", http.StatusNotFound)
			return
		}
		f = p.index
	}
	h.Set("Cache-Control", f.cache)
	h.Set("Content-Type", f.kind)
	if !p.built {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		if r.Method == http.MethodGet {
			_, _ = w.Write(f.body) // the reader has gone; nothing is left to do
		}
		return
	}
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.body))
}
