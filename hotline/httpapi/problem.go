package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
)

// Problem is every failure's body (RFC 9457). Detail is Chinese and fit to
// show; Errors names the members at fault. Current and Since come with a 409
// about an order that moved on.
type Problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail"`
	Code    hotline.Code       `json:"code"`
	Request string             `json:"request_id,omitempty"`
	Errors  []Fault            `json:"errors,omitempty"`
	Current *hotline.WorkOrder `json:"current,omitempty"`
	Since   []hotline.Event    `json:"since,omitempty"`
}

// Fault is what is wrong with one member of the input. It never holds the
// value that was sent.
type Fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error returns the code and the detail.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of RFC 9457 §3, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// status is the one place where a code becomes an HTTP status.
func status(c hotline.Code) (int, string) {
	switch c {
	case hotline.Invalid:
		return http.StatusUnprocessableEntity, "填写的内容有误"
	case hotline.NotFound:
		return http.StatusNotFound, "没有找到"
	case hotline.Conflict:
		return http.StatusConflict, "内容已有变化"
	case hotline.Forbidden:
		return http.StatusForbidden, "没有此项权限"
	case hotline.Unauthenticated:
		return http.StatusUnauthorized, "尚未登录"
	case hotline.TooMany:
		return http.StatusTooManyRequests, "操作过于频繁"
	case hotline.Unavailable:
		return http.StatusServiceUnavailable, "服务暂时不可用"
	}
	return http.StatusInternalServerError, "系统故障"
}

// problemOf turns any error into what the person may see of it.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	code := hotline.ErrorCode(err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		code = hotline.Unavailable
	}
	p := newProblem(code, "")
	if code == hotline.Internal {
		p.Detail = "系统出现故障，请稍后再试或联系管理员"
		return p
	}
	var texts []string
	walk(err, func(e *hotline.Error) {
		if e.Code != code || e.Message == "" {
			return
		}
		texts = append(texts, e.Message)
		if e.Field != "" {
			p.Errors = append(p.Errors, Fault{e.Field, e.Message})
		}
	})
	switch len(texts) {
	case 0:
		p.Detail = p.Title + "，请稍后再试"
	case 1:
		p.Detail = texts[0]
	default:
		p.Detail = "填写的内容有误，请按提示修改"
	}
	if stale, ok := errors.AsType[*workorder.StaleError](err); ok {
		p.Current, p.Since = stale.Current, stale.Since
	}
	return p
}

func newProblem(code hotline.Code, detail string) *Problem {
	s, title := status(code)
	return &Problem{Type: "about:blank", Title: title, Status: s, Detail: detail, Code: code}
}

// walk visits the hotline errors of a chain or a join, not those inside
// another's cause.
func walk(err error, f func(*hotline.Error)) {
	switch e := err.(type) {
	case nil:
	case *hotline.Error:
		f(e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			walk(one, f)
		}
	case interface{ Unwrap() error }:
		walk(e.Unwrap(), f)
	}
}

// write sends a problem outside of huma.
func (a *API) write(w http.ResponseWriter, r *http.Request, err error) {
	p := a.report(r.Context(), err)
	b, merr := json.Marshal(p)
	if merr != nil {
		a.log.Error("problem not encoded", "err", merr)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b) // the reader has gone; nothing is left to do
}

// report makes the problem of an error and logs the cause of those that are
// our fault.
func (a *API) report(ctx context.Context, err error) *Problem {
	p := problemOf(err)
	p.Request = requestOf(ctx).id
	switch {
	case ctx.Err() != nil: // the reader has gone
	case p.Code == hotline.Internal:
		a.log.Error("request failed", "request_id", p.Request, "err", err)
	case p.Code == hotline.Unavailable:
		a.log.Warn("request not served", "request_id", p.Request, "err", err)
	}
	return p
}

// wrongType reads the member's path out of encoding/json's error text, the one
// form in which the library hands it on.
var wrongType = regexp.MustCompile(`Go struct field \w*\.(\S+) of type `)

// humaErrors makes the library's own errors (a body that is no JSON, one too
// large) ours: in Chinese and without the value sent. The library keeps the
// function in a package variable.
var humaErrors = sync.OnceFunc(func() {
	huma.NewError = func(s int, _ string, errs ...error) huma.StatusError {
		p := newProblem(hotline.Invalid, "请求内容无法解析，请检查后重试")
		switch {
		case s == http.StatusRequestEntityTooLarge:
			p.Title, p.Detail = "内容过长", "内容过长，请精简后重试"
		case s >= http.StatusInternalServerError:
			p = newProblem(hotline.Internal, "系统出现故障，请稍后再试或联系管理员")
		}
		p.Status = s
		for _, err := range errs {
			if d, ok := err.(huma.ErrorDetailer); ok {
				field := strings.TrimPrefix(d.ErrorDetail().Location, "body.")
				fault := Fault{field, "填写有误"}
				if m := wrongType.FindStringSubmatch(d.ErrorDetail().Message); m != nil {
					fault = Fault{m[1], "类型不符"}
					p.Detail = "填写的内容有误，请按提示修改"
				}
				p.Errors = append(p.Errors, fault)
			}
		}
		return p
	}
})
