// Package city keeps the versions of the reference data an administrator may
// change: units, places, categories, channels, lines, the dispatch catalogue,
// time limits and the calendar. It is the sole writer of city_dataset and
// city_version. cmd publishes what configs loaded; every other room reads the
// Directory it holds. It may import hotline/pg; it starts no goroutine but
// Run, which follows what other nodes publish.
package city

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
)

// followEvery is how old another node's publication may be before this node
// uses it.
const followEvery = 10 * time.Second

// Options are the parts an Archive needs. Pool and Clock are required.
type Options struct {
	Pool  *pgxpool.Pool
	Clock hotline.Clock
	Log   *slog.Logger // nil: slog.Default
}

// Archive is the store of city data. It is safe for concurrent use.
type Archive struct {
	pool    *pgxpool.Pool
	clock   hotline.Clock
	log     *slog.Logger
	current atomic.Pointer[hotline.Directory] // newest known; replaced only by newer ones
}

// New makes an Archive. It reads nothing yet: Directory is empty until the
// first Publish or Current.
func New(o Options) (*Archive, error) {
	if o.Pool == nil || o.Clock == nil {
		return nil, errors.New("new city archive: Pool and Clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &Archive{pool: o.Pool, clock: o.Clock, log: o.Log.With("component", "city")}
	a.current.Store(hotline.NewDirectory(hotline.City{}, 0))
	return a, nil
}

// Directory returns the newest city data this process knows, without touching
// the database. Never nil; its Version is zero before the first Publish or
// Current.
func (a *Archive) Directory() *hotline.Directory { return a.current.Load() }

// Publish makes the city data the one in force and returns its directory.
// Datasets whose content did not change keep their version; when none did,
// nothing is written and changed is false. Publications of several nodes at
// once are put in one line, so that the same content makes one version.
// The data must have passed the checks of configs.
func (a *Archive) Publish(ctx context.Context, c hotline.City, source string) (d *hotline.Directory, changed bool, err error) {
	sets, err := encode(c)
	if err != nil {
		return nil, false, err
	}
	version, changed, err := a.publish(ctx, c.Name, sets, source)
	if err != nil {
		return nil, false, fmt.Errorf("publish city data from %q: %w", source, err)
	}
	d = a.adopt(hotline.NewDirectory(c, version))
	if changed {
		a.log.Info("city data published", "version", version, "source", source)
	}
	return d, changed, nil
}

// Current asks the database for the version in force and returns its
// directory; the known one when it did not change. Errors: NotFound when
// nothing was ever published.
func (a *Archive) Current(ctx context.Context) (*hotline.Directory, error) {
	version, err := a.latest(ctx)
	if err != nil {
		return nil, fmt.Errorf("read city version: %w", err)
	}
	if version == 0 {
		return nil, hotline.Errorf(hotline.NotFound, "尚未装载城市基础数据")
	}
	if known := a.Directory(); known.Version >= version {
		return known, nil
	}
	c, err := a.load(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("load city version %d: %w", version, err)
	}
	return a.adopt(hotline.NewDirectory(c, version)), nil
}

// Run follows the publications of other nodes until ctx ends.
func (a *Archive) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		one, cancel := context.WithTimeout(ctx, followEvery)
		_, err := a.Current(one)
		cancel()
		if err != nil && ctx.Err() == nil && hotline.ErrorCode(err) != hotline.NotFound {
			a.log.Warn("city data not followed", "err", err)
		}
	}
}

// adopt makes d the current directory unless a newer one is, and returns the
// newer of both.
func (a *Archive) adopt(d *hotline.Directory) *hotline.Directory {
	for {
		known := a.current.Load()
		if known.Version > d.Version {
			return known
		}
		if a.current.CompareAndSwap(known, d) {
			return d
		}
	}
}

// kinds are the datasets of a city, in the order they are written.
var kinds = [...]string{"units", "areas", "categories", "sources", "lines", "catalogue", "limits", "calendar"}

// dataset is one kind's document and the hash of its bytes.
type dataset struct {
	kind, hash string
	data       []byte
}

// members returns the city's slices in the order of kinds.
func members(c *hotline.City) [len(kinds)]any {
	return [...]any{&c.Units, &c.Areas, &c.Categories, &c.Sources, &c.Lines, &c.Catalogue, &c.Limits, &c.Calendar}
}

func encode(c hotline.City) ([]dataset, error) {
	sets := make([]dataset, 0, len(kinds))
	for i, m := range members(&c) {
		data, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encode city %s: %w", kinds[i], err)
		}
		if string(data) == "null" {
			data = []byte("[]")
		}
		sum := sha256.Sum256(data)
		sets = append(sets, dataset{kind: kinds[i], hash: hex.EncodeToString(sum[:]), data: data})
	}
	return sets, nil
}

func decode(name string, docs map[string][]byte) (hotline.City, error) {
	c := hotline.City{Name: name}
	for i, m := range members(&c) {
		doc, ok := docs[kinds[i]]
		if !ok {
			return hotline.City{}, fmt.Errorf("decode city: no %s", kinds[i])
		}
		if err := json.Unmarshal(doc, m); err != nil {
			return hotline.City{}, fmt.Errorf("decode city %s: %w", kinds[i], err)
		}
	}
	return c, nil
}
