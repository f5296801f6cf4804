// Package httpapi is the door for browsers and programs: it authenticates,
// decodes, calls one room, and maps errors; it decides nothing itself. One file
// per noun, one route table for the whole API, an OpenAPI document made from
// it. cmd builds it and serves its Handler; it starts no goroutine. Of our own
// packages it may import those under hotline; dispatch, sip and reports are
// reached through the small interfaces below.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/agent"
	"hotline12345/hotline/auth"
	"hotline12345/hotline/cdr"
	"hotline12345/hotline/citizen"
	"hotline12345/hotline/console"
	"hotline12345/hotline/pg"
	"hotline12345/hotline/workorder"
)

// Dispatcher tells what the rules would do; dispatch.Rules does.
type Dispatcher interface {
	Plan(o *hotline.WorkOrder) hotline.Plan
	Deadline(kind hotline.ClockKind, o *hotline.WorkOrder, start time.Time) (hotline.Deadline, error)
}

// Phone ends calls; sip.Server does.
type Phone interface {
	Hangup(ctx context.Context, id hotline.CallID) error
}

// Floor is the agents' live state; acd.Floor does it, with a seat made of the
// person in cmd.
type Floor interface {
	Snapshot(ctx context.Context) (hotline.FloorSnapshot, error)
	SignIn(ctx context.Context, p hotline.Principal) error
	SignOut(ctx context.Context, agent hotline.AccountID) error
	SetState(ctx context.Context, agent hotline.AccountID, state hotline.AgentState, reason string, version int64) error
}

// Reports makes and keeps issues; reports.Service does.
type Reports interface {
	MakeDaily(ctx context.Context, day hotline.Date) (hotline.Issue, error)
	List(ctx context.Context, kind string) ([]hotline.Issue, error)
	Get(ctx context.Context, id int64) (hotline.Issue, error)
}

// Options are the parts of the API. All but Checks, Version and Log are
// required.
type Options struct {
	Auth       *auth.Service
	Orders     *workorder.Service
	People     *citizen.Service
	Calls      *cdr.Ledger
	Roster     *agent.Roster
	Hub        *console.Hub
	Keys       pg.RequestKeys
	Directory  func() *hotline.Directory
	Dispatcher Dispatcher
	Phone      Phone
	Floor      Floor
	Reports    Reports
	Pages      http.Handler                               // every path that is not the API's
	Checks     map[string]func(ctx context.Context) error // what /readyz asks; "postgresql", "sip"
	Version    string                                     // of the program, for the OpenAPI document
	Clock      hotline.Clock
	Log        *slog.Logger // nil: slog.Default
}

// API is the whole HTTP surface. Safe for concurrent use.
type API struct {
	o       Options
	log     *slog.Logger
	mux     *http.ServeMux
	handler http.Handler
	routes  []Route
	metrics *metrics
	today   today
	city    cityCache
}

// Route is one operation of the API.
type Route struct {
	Method string
	Path   string // with the prefix /api/v1
	Public bool   // needs no login
}

// New makes the API.
func New(o Options) (*API, error) {
	if o.Auth == nil || o.Orders == nil || o.People == nil || o.Calls == nil || o.Roster == nil || o.Hub == nil || o.Keys.Pool == nil ||
		o.Directory == nil || o.Dispatcher == nil || o.Phone == nil || o.Floor == nil || o.Reports == nil || o.Pages == nil || o.Clock == nil {
		return nil, errors.New("new http api: every part but Checks, Version and Log is required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &API{o: o, log: o.Log.With("component", "httpapi"), mux: http.NewServeMux()}
	a.metrics = newMetrics(a)
	if err := a.register(); err != nil {
		return nil, err
	}
	a.handler = a.wrap()
	return a, nil
}

// Handler answers every request of the program's HTTP port.
func (a *API) Handler() http.Handler { return a.handler }

// Routes returns the operations under /api/v1, in the order registered.
func (a *API) Routes() []Route { return a.routes }
