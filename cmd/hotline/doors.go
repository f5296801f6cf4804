package main

import (
	"context"
	"net/http"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/console"
)

// openDoors makes the live consoles, the API and the pages.
func (a *App) openDoors() (err error) {
	if a.hub, err = console.New(console.Options{Stream: a.stream, Directory: a.archive.Directory, Visible: a.visible, Recheck: a.auth.Recheck, Floor: a.floor.Changes(context.Background()), Clock: a.clock, Log: a.log}); err != nil {
		return err
	}
	a.server = &http.Server{Handler: http.NewServeMux(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return nil
}

// visible tells whether the person may see the order.
func (a *App) visible(ctx context.Context, p hotline.Principal, id hotline.OrderID) (bool, error) {
	_, err := a.orders.Order(ctx, p, id)
	if hotline.ErrorCode(err) == hotline.NotFound {
		return false, nil
	}
	return err == nil, err
}
