package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hotline12345/hotline"
)

// City is the reference data a page needs.
type City struct {
	Version    int                `json:"version"`
	Name       string             `json:"name"`
	Units      []hotline.Unit     `json:"units"`
	Areas      []hotline.Area     `json:"areas"`
	Categories []hotline.Category `json:"categories"`
	Sources    []hotline.Source   `json:"sources"`
	Lines      []hotline.Line     `json:"lines"`
}

// cityCache is the encoded City of the directory it was made from; it is
// replaced as a whole.
type cityCache struct{ current atomic.Pointer[encodedCity] }

type encodedCity struct {
	of   *hotline.Directory
	body []byte
	tag  string
}

func (c *cityCache) get(d *hotline.Directory) (*encodedCity, error) {
	if e := c.current.Load(); e != nil && e.of == d {
		return e, nil
	}
	v := City{d.Version, d.City.Name, d.City.Units, d.City.Areas, d.City.Categories, d.City.Sources, d.City.Lines}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode directory: %w", err)
	}
	e := &encodedCity{d, b, etag(b)}
	c.current.Store(e)
	return e, nil
}

// reference registers the directory.
func (a *API) reference(r *router) {
	route(r, operation{method: http.MethodGet, path: "/directory", id: "directory", tag: "reference", sum: "单位、区域、分类、渠道、线路", media: "application/json"},
		func(context.Context, *struct{}) (*huma.StreamResponse, error) {
			e, err := a.city.get(a.o.Directory())
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(h huma.Context) {
				req, w := humago.Unwrap(h)
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Cache-Control", "private, no-cache")
				w.Header().Set("ETag", e.tag)
				http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(e.body))
			}}, nil
		})
}
