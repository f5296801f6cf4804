package main

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/console"
	"hotline12345/hotline/httpapi"
	"hotline12345/hotline/web"
	"hotline12345/sip/acd"
)

// openDoors makes the live consoles, the API and the pages.
func (a *App) openDoors() (err error) {
	changes, stop := context.WithCancel(context.Background())
	a.onClose("floor changes", func(context.Context) error { stop(); return nil })
	if a.hub, err = console.New(console.Options{
		Stream: a.stream, Directory: a.archive.Directory, Visible: a.visible, Recheck: a.auth.Recheck,
		Floor: a.floor.Changes(changes), Clock: a.clock, Log: a.log,
	}); err != nil {
		return err
	}
	api, err := httpapi.New(httpapi.Options{
		Auth: a.auth, Orders: a.orders, People: a.people, Calls: a.calls, Roster: a.roster, Hub: a.hub, Keys: a.requestKeys,
		Directory: a.archive.Directory, Dispatcher: a.engine, Phone: a.phones, Floor: seatedFloor{a.floor}, Reports: a.reports,
		Pages: web.Handler(), Version: programVersion(), Clock: a.clock, Log: a.log,
		Checks: map[string]func(context.Context) error{
			"serving":    a.checkServing,
			"postgresql": func(ctx context.Context) error { return a.pool.Ping(ctx) },
			"redis":      func(ctx context.Context) error { return a.live.Client.Ping(ctx).Err() },
			"sip":        func(context.Context) error { return a.phones.Ready() },
		},
	})
	if err != nil {
		return err
	}
	a.server = &http.Server{Handler: api.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return nil
}

// checkServing fails while the program starts or stops.
func (a *App) checkServing(context.Context) error {
	if a.serving.Load() {
		return nil
	}
	return errors.New("starting or stopping")
}

// visible tells whether the person may see the order.
func (a *App) visible(ctx context.Context, p hotline.Principal, id hotline.OrderID) (bool, error) {
	_, err := a.orders.Order(ctx, p, id)
	if hotline.ErrorCode(err) == hotline.NotFound {
		return false, nil
	}
	return err == nil, err
}

// seatedFloor answers httpapi.Floor: a person signs in with the seat he has.
type seatedFloor struct{ *acd.Floor }

// SignIn brings the person's seat to the floor.
func (f seatedFloor) SignIn(ctx context.Context, p hotline.Principal) error {
	return f.Floor.SignIn(ctx, acd.Seat{ID: p.ID, Name: p.Name, Extension: p.Extension})
}

// programVersion is the version control revision the binary was built from.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
