package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"hotline12345/hotline"
)

// Orders is the ledger as the Engine needs it; workorder.Service answers it.
type Orders interface {
	Order(ctx context.Context, p hotline.Principal, id hotline.OrderID) (*hotline.WorkOrder, error)
	Dispatch(ctx context.Context, p hotline.Principal, id hotline.OrderID, version int, plan hotline.Plan) (*hotline.WorkOrder, error)
	MarkUnmatched(ctx context.Context, id hotline.OrderID, version int, reason hotline.Reason) error
}

// Options are the parts of an Engine. All but Log are required.
type Options struct {
	Orders    Orders
	Directory func() *hotline.Directory // the city as it is now; never nil
	Clock     hotline.Clock
	Log       *slog.Logger // nil: slog.Default
}

// Engine sends submitted orders to their units. It is safe for concurrent use
// and on several nodes: the ledger's versions let one dispatch win.
type Engine struct {
	*Rules
	orders Orders
	clock  hotline.Clock
	log    *slog.Logger
}

// New makes an engine.
func New(o Options) (*Engine, error) {
	if o.Orders == nil || o.Directory == nil || o.Clock == nil {
		return nil, errors.New("make dispatch engine: orders, directory and clock are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Engine{Rules: NewRules(o.Directory), orders: o.Orders, clock: o.Clock, log: o.Log.With("component", "dispatch")}, nil
}

// KindSubmitted is the stream entry the Engine reacts to.
const KindSubmitted = "order.submitted"

// attempts bounds how often one order is looked at again because it changed
// under the engine's hands.
const attempts = 5

// Handle dispatches a newly submitted order, or records that no rule matched;
// entries of other kinds are ignored. It is idempotent: an order that has left
// the dispatch desk is left alone, so an entry delivered twice does no harm.
// An error means that the entry should be delivered again.
func (e *Engine) Handle(ctx context.Context, kind string, id hotline.OrderID) error {
	if kind != KindSubmitted {
		return nil
	}
	seen := 0
	for range attempts {
		o, err := e.orders.Order(ctx, hotline.System, id)
		if hotline.ErrorCode(err) == hotline.NotFound {
			// Delivering it again would not bring the order back.
			e.log.Error("submitted order is not in the ledger", "order_id", int64(id))
			return nil
		}
		if err != nil {
			return fmt.Errorf("read submitted order %d: %w", id, err)
		}
		// The same version again: the ledger did not find us stale, it refused.
		if o.State != hotline.PendingDispatch || o.Version == seen {
			return nil
		}
		seen = o.Version
		err = e.send(ctx, o)
		if hotline.ErrorCode(err) == hotline.Conflict {
			continue
		}
		if err != nil {
			return fmt.Errorf("dispatch order %d: %w", id, err)
		}
		return nil
	}
	return hotline.Errorf(hotline.Unavailable, "工单 %d 一直在变动，稍后重试派单", int64(id))
}

// send carries out the plan for one version of an order.
func (e *Engine) send(ctx context.Context, o *hotline.WorkOrder) error {
	plan := e.Plan(o)
	attrs := []any{"order_no", o.Number, "rule", plan.Reason.Rule, "waited_ms", e.clock.Now().Sub(o.AcceptedAt).Milliseconds()}
	if plan.Lead != "" {
		_, err := e.orders.Dispatch(ctx, hotline.System, o.ID, o.Version, plan)
		if err == nil {
			e.log.Info("order dispatched", append(attrs, "unit_id", string(plan.Lead), "co_units", len(plan.CoUnits))...)
			return nil
		}
		if hotline.ErrorCode(err) != hotline.Invalid {
			return err
		}
		// The ledger will never take this plan (the city's data changed
		// between the two): a person must look, the stream must go on.
		e.log.Warn("plan refused by the ledger", append(attrs, "unit_id", string(plan.Lead), "err", err)...)
		plan.Reason.Text = "按派单目录得出的方案未被采纳，请派单员选择承办单位。" + plan.Reason.Text
	}
	if err := e.orders.MarkUnmatched(ctx, o.ID, o.Version, plan.Reason); err != nil {
		return err
	}
	e.log.Info("order left to a dispatcher", attrs...)
	return nil
}
