package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"hotline12345/hotline"
	"hotline12345/hotline/workorder"
)

type draftsOutput struct {
	Body struct {
		Drafts []workorder.Draft `json:"drafts"`
	}
}

// DraftPath is the draft an operation is about.
type DraftPath struct {
	ID string `path:"id" doc:"由页面选定的 UUID"`
}

type draftInput struct {
	DraftPath
	Body struct {
		CallID hotline.CallID  `json:"call_id"`
		Form   json.RawMessage `json:"form"`
	}
}

type draftOutput struct{ Body *workorder.Draft }

// drafts registers the forms being filled in; each person sees only their own.
func (a *API) drafts(r *router) {
	route(r, operation{method: http.MethodGet, path: "/drafts", id: "list-drafts", tag: "drafts", sum: "我的草稿"},
		func(ctx context.Context, _ *struct{}) (*draftsOutput, error) {
			all, err := a.o.Orders.Drafts(ctx, actor(ctx))
			if err != nil {
				return nil, err
			}
			out := &draftsOutput{}
			out.Body.Drafts = append([]workorder.Draft{}, all...)
			return out, nil
		})
	route(r, operation{method: http.MethodPut, path: "/drafts/{id}", id: "save-draft", tag: "drafts", sum: "保存草稿"},
		func(ctx context.Context, in *draftInput) (*draftOutput, error) {
			d, err := a.o.Orders.SaveDraft(ctx, actor(ctx), workorder.Draft{ID: in.ID, CallID: in.Body.CallID, Form: in.Body.Form})
			if err != nil {
				return nil, err
			}
			return &draftOutput{d}, nil
		})
	route(r, operation{method: http.MethodDelete, path: "/drafts/{id}", id: "delete-draft", tag: "drafts", sum: "删除草稿", status: http.StatusNoContent},
		func(ctx context.Context, in *DraftPath) (*struct{}, error) {
			return nil, a.o.Orders.DeleteDraft(ctx, actor(ctx), in.ID)
		})
}
