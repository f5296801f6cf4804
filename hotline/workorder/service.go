package workorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
	"hotline12345/hotline/pg"
)

// Deadlines tells how long a clock of an order may run. dispatch.Engine
// answers it without I/O. Errors: NotFound when the table of limits has no
// such clock for the order; then none is started.
type Deadlines interface {
	Deadline(kind hotline.ClockKind, o *hotline.WorkOrder, start time.Time) (hotline.Deadline, error)
}

// Citizens keeps callers; hotline/citizen answers it.
type Citizens interface {
	// Register returns the person with the phone, made when new; zero when
	// there is neither phone nor name.
	Register(ctx context.Context, phone hotline.Phone, name string) (int64, error)
}

// Options are the parts a Service is made of. All but Log are required.
type Options struct {
	Pool      *pgxpool.Pool
	Clock     hotline.Clock
	Deadlines Deadlines
	Directory func() *hotline.Directory // the city as it is now
	People    Citizens
	Log       *slog.Logger // nil: slog.Default
}

// Service is the ledger of orders. It is safe for concurrent use, on several
// nodes over one database.
type Service struct {
	pool      *pgxpool.Pool
	clock     hotline.Clock
	deadlines Deadlines
	directory func() *hotline.Directory
	people    Citizens
	log       *slog.Logger
}

// New makes the ledger.
func New(o Options) (*Service, error) {
	if o.Pool == nil || o.Clock == nil || o.Deadlines == nil || o.Directory == nil || o.People == nil {
		return nil, errors.New("make workorder service: pool, clock, deadlines, directory and people are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Service{o.Pool, o.Clock, o.Deadlines, o.Directory, o.People, o.Log.With("component", "workorder")}, nil
}

// StaleError says that the order moved on since the version a command named.
// It wraps a hotline.Error with code Conflict.
type StaleError struct {
	Current *hotline.WorkOrder // as the person may see it
	Since   []hotline.Event    // newer than the named version, as the person may see them
}

// errStale is what every StaleError wraps.
var errStale = &hotline.Error{Code: hotline.Conflict, Message: "工单已有新进展，请查看后再操作"}

// Error returns the conflict and the version reached.
func (e *StaleError) Error() string {
	return fmt.Sprintf("order %d is at version %d: %v", e.Current.ID, e.Current.Version, errStale)
}

// Unwrap returns the hotline.Error with code Conflict.
func (e *StaleError) Unwrap() error { return errStale }

// errUnknown is the answer for an order that is not there or not for the
// person to see; the two must look alike.
var errUnknown = &hotline.Error{Code: hotline.NotFound, Message: "没有这张工单"}

// now is the instant a command happens at, as PostgreSQL will keep it.
func (s *Service) now() time.Time { return s.clock.Now().UTC().Truncate(time.Microsecond) }

// change is one command on one order: what was, what is, and the events
// between.
type change struct {
	before, after record
	eyes          eyes
	now           time.Time
	events        []hotline.Event
}

func newChange(r *record, e eyes, now time.Time) *change {
	// Another node's clock may be ahead of ours: an order's story never runs back.
	if last := r.lastInstant(); now.Before(last) {
		now = last
	}
	return &change{before: r.clone(), after: r.clone(), eyes: e, now: now}
}

// add writes one more event, by the person behind the command.
func (c *change) add(kind hotline.EventKind, data any) error { return c.addAs(c.eyes, kind, data) }

// addAs writes one more event, by the person behind e.
func (c *change) addAs(e eyes, kind hotline.EventKind, data any) error {
	if _, err := permit(&c.after, kind, e); err != nil {
		return err
	}
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode %s of order %d: %w", kind, c.after.ID, err)
	}
	ev := hotline.Event{OrderID: c.after.ID, Seq: c.after.Version + 1, Kind: kind, At: c.now,
		Actor: e.principal.ID, Unit: e.principal.Unit, Audience: audiences[kind], Data: b}
	if err := c.after.apply(ev); err != nil {
		return err
	}
	c.events = append(c.events, ev)
	return nil
}

// byProgram are the eyes of the program itself.
func (s *Service) byProgram() eyes { return look(s.directory(), hotline.System) }

// start makes the clocks of the kinds that have a limit, from t on.
func (s *Service) start(o *hotline.WorkOrder, t time.Time, kinds ...hotline.ClockKind) ([]hotline.Deadline, error) {
	var started []hotline.Deadline
	for _, k := range kinds {
		d, ok, err := s.deadline(o, k, t)
		if err != nil {
			return nil, err
		}
		if ok {
			started = append(started, d)
		}
	}
	return started, nil
}

// deadline asks for one deadline; false when there is no such limit.
func (s *Service) deadline(o *hotline.WorkOrder, k hotline.ClockKind, t time.Time) (hotline.Deadline, bool, error) {
	d, err := s.deadlines.Deadline(k, o, t)
	if hotline.ErrorCode(err) == hotline.NotFound {
		return hotline.Deadline{}, false, nil
	}
	if err != nil {
		return hotline.Deadline{}, false, fmt.Errorf("compute %s deadline of order %d: %w", k, o.ID, err)
	}
	d.Kind, d.StartedAt, d.StoppedAt, d.Outcome = k, t, nil, ""
	d.DueAt, d.WarnAt = d.DueAt.UTC().Truncate(time.Microsecond), d.WarnAt.UTC().Truncate(time.Microsecond)
	return d, true, nil
}

// command runs one change on an existing order: lock, see, compare versions
// (nil: whatever version there is), decide, store. A decide that writes no
// event changes nothing.
func (s *Service) command(ctx context.Context, p hotline.Principal, id hotline.OrderID, version *int, decide func(*change) error) (*hotline.WorkOrder, error) {
	e := look(s.directory(), p)
	var out *hotline.WorkOrder
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		r, err := loadForUpdate(ctx, tx, id)
		if err != nil {
			return err
		}
		if r == nil || !e.sees(&r.WorkOrder) {
			return errUnknown
		}
		if version != nil && *version != r.Version {
			return s.stale(ctx, tx, e, r, *version)
		}
		c := newChange(r, e, s.now())
		if err := decide(c); err != nil {
			return err
		}
		if len(c.events) > 0 {
			if err := save(ctx, tx, c); err != nil {
				return err
			}
		}
		out = e.order(c.after.WorkOrder)
		return nil
	})
	if err != nil {
		return nil, pg.Code(err)
	}
	return out, nil
}

func (s *Service) stale(ctx context.Context, tx pgx.Tx, e eyes, r *record, version int) error {
	since, err := loadEvents(ctx, tx, r.ID, version)
	if err != nil {
		return err
	}
	if since, err = e.events(&r.WorkOrder, since); err != nil {
		return err
	}
	return &StaleError{Current: e.order(r.WorkOrder), Since: since}
}

// payload is the body of an order's live message. Order is the order after the
// command and Event the event, both as its units may see them.
type payload struct {
	Order *hotline.WorkOrder `json:"order"`
	Event *hotline.Event     `json:"event"`
}

// messages makes one outbox message per event. An event that units may not
// read goes with its data removed: consoles of the office fetch the timeline.
func messages(c *change) ([]outbox.Message, error) {
	o := unitEyes.order(c.after.WorkOrder)
	topics := topics(c)
	msgs := make([]outbox.Message, len(c.events))
	for i, ev := range c.events {
		seen, ok, err := unitEyes.event(o, ev)
		if err != nil {
			return nil, err
		}
		if !ok {
			seen = ev
			seen.Data = json.RawMessage("{}")
		}
		b, err := json.Marshal(payload{o, &seen})
		if err != nil {
			return nil, fmt.Errorf("encode message of order %d: %w", o.ID, err)
		}
		msgs[i] = outbox.Message{Topics: topics, Kind: "order." + string(ev.Kind), Key: strconv.FormatInt(int64(o.ID), 10), Payload: b}
	}
	return msgs, nil
}

// topics names who is told of a change: everybody who has the order on a desk
// before or after it.
func topics(c *change) []string {
	o := &c.after
	t := []string{"orders", "order:" + strconv.FormatInt(int64(o.ID), 10)}
	if o.AgentID != 0 {
		t = append(t, "agent:"+strconv.FormatInt(int64(o.AgentID), 10))
	}
	for i, a := range o.Assignments {
		if open := a.EndedAt == nil || c.before.Assignments[i].EndedAt == nil; open && !slices.Contains(t, "unit:"+string(a.Unit)) {
			t = append(t, "unit:"+string(a.Unit))
		}
	}
	for _, d := range []struct {
		state hotline.OrderState
		topic string
	}{{hotline.PendingDispatch, "desk:dispatch"}, {hotline.PendingCallback, "desk:callback"}} {
		if c.before.State == d.state || o.State == d.state {
			t = append(t, d.topic)
		}
	}
	return t
}
