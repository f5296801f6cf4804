package httpapi

import (
	"context"
	"net/http"
	"time"

	"hotline12345/hotline"
)

type loginInput struct {
	Body struct {
		Login    string `json:"login"`
		Password string `json:"password"`
	}
}

type loginOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      hotline.Principal
}

type logoutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

// Me is the person behind the session, the seat, and where to begin to hear.
type Me struct {
	Principal  hotline.Principal `json:"principal"`
	Seat       *Seat             `json:"seat"` // null without a phone
	ServerTime time.Time         `json:"server_time"`
	Pos        int64             `json:"ws_pos"` // what is read after this request is not older than this position
}

// Seat is the person's place on the floor.
type Seat struct {
	Extension string   `json:"extension"`
	Groups    []string `json:"groups"`
}

type meOutput struct{ Body Me }

// session registers who am I.
func (a *API) session(r *router) {
	route(r, operation{method: http.MethodPost, path: "/login", id: "login", tag: "session", sum: "登录", public: true},
		func(ctx context.Context, in *loginInput) (*loginOutput, error) {
			p, cookie, err := a.o.Auth.Login(ctx, in.Body.Login, in.Body.Password)
			if err != nil {
				return nil, err
			}
			return &loginOutput{*cookie, p}, nil
		})
	route(r, operation{method: http.MethodPost, path: "/logout", id: "logout", tag: "session", sum: "退出", public: true, status: http.StatusNoContent},
		func(ctx context.Context, _ *struct{}) (*logoutOutput, error) {
			cookie, err := a.o.Auth.Logout(ctx)
			if err != nil {
				return nil, err
			}
			return &logoutOutput{*cookie}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/me", id: "me", tag: "session", sum: "当前用户"},
		func(ctx context.Context, _ *struct{}) (*meOutput, error) {
			me := Me{Principal: actor(ctx), ServerTime: a.o.Clock.Now(), Pos: a.o.Hub.Pos()}
			seat, err := a.o.Roster.Seat(ctx, me.Principal.ID)
			switch {
			case err == nil:
				me.Seat = &Seat{seat.Extension, seat.Groups}
			case hotline.ErrorCode(err) != hotline.NotFound:
				return nil, err
			}
			return &meOutput{me}, nil
		})
}
