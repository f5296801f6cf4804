package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hotline12345/hotline"
)

type reportsInput struct {
	Kind string `query:"kind" doc:"daily"`
}

type reportsOutput struct {
	Body struct {
		Reports []hotline.Issue `json:"reports"`
	}
}

type makeDailyInput struct {
	Body struct {
		Date string `json:"date" doc:"2026-11-22"`
	}
}

type reportPath struct {
	ID string `path:"id"`
}

type reportOutput struct{ Body hotline.Issue }

// reportPolicy lets the page style itself and nothing else (W3C Content
// Security Policy Level 3).
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// reports registers the documents; people of the office read them.
func (a *API) reports(r *router) {
	route(r, operation{method: http.MethodGet, path: "/reports", id: "list-reports", tag: "reports", sum: "报告列表"},
		func(ctx context.Context, in *reportsInput) (*reportsOutput, error) {
			if err := mayRead(ctx); err != nil {
				return nil, err
			}
			kind := or(in.Kind, "daily")
			if kind != "daily" {
				return nil, hotline.FieldErrorf("kind", "没有这种报告")
			}
			issues, err := a.o.Reports.List(ctx, kind)
			if err != nil {
				return nil, err
			}
			out := &reportsOutput{}
			out.Body.Reports = append([]hotline.Issue{}, issues...)
			return out, nil
		})
	route(r, operation{method: http.MethodPost, path: "/reports/daily", id: "make-daily", tag: "reports", sum: "生成每日汇总", status: http.StatusCreated, keyed: true},
		func(ctx context.Context, in *makeDailyInput) (*reportOutput, error) {
			if !actor(ctx).Has(hotline.RoleLeader, hotline.RoleAdmin, hotline.RoleDispatcher) {
				return nil, hotline.Errorf(hotline.Forbidden, "您没有生成报告的权限")
			}
			day, err := hotline.ParseDate(in.Body.Date)
			if err != nil {
				return nil, hotline.FieldErrorf("date", "日期须写作 2026-11-23 的样式")
			}
			issue, err := a.o.Reports.MakeDaily(ctx, day)
			if err != nil {
				return nil, err
			}
			return &reportOutput{issue}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/reports/{id}", id: "get-report", tag: "reports", sum: "报告"},
		func(ctx context.Context, in *reportPath) (*reportOutput, error) {
			issue, err := a.issue(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return &reportOutput{issue}, nil
		})
	route(r, operation{method: http.MethodGet, path: "/reports/{id}/html", id: "report-page", tag: "reports", sum: "报告页面", media: "text/html"},
		func(ctx context.Context, in *reportPath) (*huma.StreamResponse, error) {
			issue, err := a.issue(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(h huma.Context) {
				_, w := humago.Unwrap(h)
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Content-Security-Policy", reportPolicy)
				_, _ = w.Write([]byte(issue.HTML)) // the reader has gone; nothing is left to do
			}}, nil
		})
}

func mayRead(ctx context.Context) error {
	if !actor(ctx).Center() {
		return hotline.Errorf(hotline.Forbidden, "只有热线中心可以查看报告")
	}
	return nil
}

func (a *API) issue(ctx context.Context, id string) (hotline.Issue, error) {
	if err := mayRead(ctx); err != nil {
		return hotline.Issue{}, err
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return hotline.Issue{}, hotline.Errorf(hotline.NotFound, "没有这份报告")
	}
	return a.o.Reports.Get(ctx, n)
}
