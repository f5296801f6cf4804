package workorder

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hotline12345/hotline"
	"hotline12345/hotline/pg"
)

// The desks: work lists by next due instant, and all orders, newest first.
const (
	DeskUnit     = "unit"     // orders with an open assignment in Unit's subtree
	DeskDispatch = "dispatch" // orders without a unit
	DeskCallback = "callback" // answered orders to call back
	DeskAll      = "all"      // every order the person may see
)

// The bounds of a page and of a count.
const (
	defaultLimit = 50
	maxLimit     = 200
	maxTotal     = 100_000
)

// Query chooses orders. Zero members choose nothing away; From bounds are
// inclusive, To bounds exclusive. What the person may not see is never in it.
type Query struct {
	Desk         string           // "": all
	Unit         hotline.UnitCode // and below; with desk unit "": the person's own unit
	Lead         hotline.UnitCode // this very unit is, or was last, the lead
	States       []hotline.OrderState
	Source       hotline.SourceCode
	Type         hotline.DemandType
	Category     hotline.CategoryCode // and below
	Area         hotline.AreaCode     // and below
	AcceptedFrom time.Time
	AcceptedTo   time.Time
	ClosedFrom   time.Time
	ClosedTo     time.Time
	DueFrom      time.Time // of the next due instant of open orders
	DueTo        time.Time
	Overdue      bool       // not replied though its handling limit has passed
	OverdueAt    *time.Time // the same, as it stood at that instant
	// ResolveDueFrom and ResolveDueTo bound the handling limit itself,
	// whether the order was replied to or not.
	ResolveDueFrom time.Time
	ResolveDueTo   time.Time
	OnTime         *bool // replied by the handling limit, or not; orders without one are in neither
	Satisfaction   []int // marks of the callback, 1 to 5; 0 is not rated
	Agent          hotline.AccountID
	PersonID       int64
	CallID         hotline.CallID // the call it was opened on
	Direct         *bool          // answered on the spot, or not
	Cursor         string         // Page.Next of the page before; "": the first page
	Limit          int            // 1 to 200; zero: 50
	WithTotal      bool
}

// Page is one page of a list.
type Page struct {
	Orders []hotline.WorkOrder `json:"orders"`
	Next   string              `json:"next,omitempty"`  // cursor of the next page; "": this was the last
	Total  *int                `json:"total,omitempty"` // with WithTotal; exact up to 100,000, 100,001 means more
}

// Order returns one order as the person may see it. Errors: NotFound.
func (s *Service) Order(ctx context.Context, p hotline.Principal, id hotline.OrderID) (*hotline.WorkOrder, error) {
	e := look(s.directory(), p)
	r, err := s.visible(ctx, e, id)
	if err != nil {
		return nil, err
	}
	return e.order(r.WorkOrder), nil
}

// Timeline returns those of an order's events the person may see, oldest
// first. Errors: NotFound.
func (s *Service) Timeline(ctx context.Context, p hotline.Principal, id hotline.OrderID) ([]hotline.Event, error) {
	e := look(s.directory(), p)
	r, err := s.visible(ctx, e, id)
	if err != nil {
		return nil, err
	}
	all, err := loadEvents(ctx, s.pool, id, 0)
	if err != nil {
		return nil, err
	}
	return e.events(&r.WorkOrder, all)
}

func (s *Service) visible(ctx context.Context, e eyes, id hotline.OrderID) (*record, error) {
	r, err := load(ctx, s.pool, sqlOrder, id)
	if err != nil {
		return nil, err
	}
	if r == nil || !e.sees(&r.WorkOrder) {
		return nil, errUnknown
	}
	return r, nil
}

// List returns a page of orders in one query, and one more for the total.
// Errors: Invalid for an unknown desk, state or cursor; Forbidden for a desk
// that is not the person's.
func (s *Service) List(ctx context.Context, p hotline.Principal, q Query) (Page, error) {
	e := look(s.directory(), p)
	st, err := s.statement(e, q)
	if err != nil {
		return Page{}, err
	}
	page := Page{Orders: []hotline.WorkOrder{}}
	if q.WithTotal {
		n := 0
		if err := s.pool.QueryRow(ctx, st.countSQL(), st.args...).Scan(&n); err != nil {
			return Page{}, fmt.Errorf("count orders: %w", pg.Code(err))
		}
		page.Total = &n
	}
	sql, args, err := st.pageSQL(q.Cursor)
	if err != nil {
		return Page{}, err
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return Page{}, fmt.Errorf("list orders: %w", pg.Code(err))
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*record, error) { return scanOrder(row) })
	if err != nil {
		return Page{}, fmt.Errorf("list orders: %w", pg.Code(err))
	}
	if len(records) > st.limit { // one more was read to know whether there is more
		records = records[:st.limit]
		page.Next = st.cursor(records[st.limit-1])
	}
	for _, r := range records {
		if !e.sees(&r.WorkOrder) { // the row filter says the same; two nets
			return Page{}, fmt.Errorf("list orders: row filter let order %d through", r.ID)
		}
		page.Orders = append(page.Orders, *e.order(r.WorkOrder))
	}
	return page, nil
}

// statement is a list query under construction. All its text is constant but
// the numbers of its parameters.
type statement struct {
	where []string
	args  []any
	byDue bool // ordered by next due instant; else newest first
	limit int
}

// and adds a condition; each ? in it takes the next argument.
func (st *statement) and(cond string, args ...any) {
	for _, a := range args {
		st.args = append(st.args, a)
		cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(st.args)), 1)
	}
	st.where = append(st.where, cond)
}

const (
	condOpenAssignment = `id in (select a.work_order_id from assignment a where a.unit_code = any(?) and a.ended_at is null)`
	condAssignment     = `exists (select 1 from assignment a where a.work_order_id = work_order.id and a.unit_code = any(?))`
	condOverdue        = `replied_at is null and resolve_due_at < ?`
	// The two arms each have their partial index.
	condOverdueAt = `accepted_at < ? and (replied_at is null and resolve_due_at is not null and resolve_due_at < ?
or replied_at >= ? and replied_at is not null and resolve_due_at is not null and resolve_due_at < ?)`
)

func (s *Service) statement(e eyes, q Query) (*statement, error) {
	st := &statement{limit: q.Limit}
	if st.limit == 0 {
		st.limit = defaultLimit
	}
	if st.limit < 1 || st.limit > maxLimit {
		return nil, hotline.FieldErrorf("limit", "每页 1 至 %d 条", maxLimit)
	}
	if err := s.desk(st, e, q); err != nil {
		return nil, err
	}
	if len(q.States) > 0 {
		for _, state := range q.States {
			if _, ok := stateNames[state]; !ok || state == "" {
				return nil, hotline.FieldErrorf("state", "没有工单状态 %q", state)
			}
		}
		st.and(`state = any(?)`, q.States)
	}
	if q.Source != "" {
		st.and(`source = ?`, q.Source)
	}
	if q.Type != "" {
		st.and(`demand_type = ?`, q.Type)
	}
	if q.Category != "" {
		st.and(`category_code >= ? and category_code < ?`, q.Category, q.Category+"~")
	}
	if q.Area != "" {
		st.and(`area_code >= ? and area_code < ?`, q.Area, q.Area+"~")
	}
	if q.Lead != "" {
		st.and(`lead_unit = ? and lead_unit <> ''`, q.Lead)
	}
	s.instants(st, q)
	if q.Agent != 0 {
		st.and(`agent_id = ?`, q.Agent)
	}
	if q.PersonID != 0 {
		st.and(`person_id = ? and person_id <> 0`, q.PersonID)
		if !e.center { // or a unit could tell who is behind a confidential order
			st.and(`confidentiality = 'open'`)
		}
	}
	if q.CallID != "" {
		st.and(`id in (select c.work_order_id from order_call c where c.call_id = ?)`, q.CallID)
		if !e.center {
			st.and(`confidentiality = 'open'`)
		}
	}
	if q.Direct != nil {
		st.and(`(state = 'direct_closed') = ?`, *q.Direct)
	}
	return st, nil
}

// desk adds what a desk shows and what the person may see of it.
func (s *Service) desk(st *statement, e eyes, q Query) error {
	if !e.center && len(e.units) == 0 {
		return hotline.Errorf(hotline.Forbidden, "您没有查看工单的权限")
	}
	units := e.units
	if e.center { // a person of both sees everything
		units = nil
	}
	if q.Unit != "" {
		if !e.center && !e.holds(q.Unit) {
			return hotline.Errorf(hotline.Forbidden, "只能查看本单位及下级单位的工单")
		}
		units = s.directory().Subtree(q.Unit)
	}
	switch q.Desk {
	case DeskUnit:
		if units == nil {
			units = s.directory().Subtree(e.principal.Unit)
		}
		st.byDue = true
		st.and(`closed_at is null`)
		st.and(condOpenAssignment, units)
		return nil
	case DeskDispatch, DeskCallback:
		if !e.center {
			return hotline.Errorf(hotline.Forbidden, "您没有查看该工作台的权限")
		}
		st.byDue = true
		st.and(`closed_at is null`)
		st.and(`state = ?`, map[string]hotline.OrderState{DeskDispatch: hotline.PendingDispatch, DeskCallback: hotline.PendingCallback}[q.Desk])
	case DeskAll, "":
	default:
		return hotline.FieldErrorf("desk", "没有工作台 %q", q.Desk)
	}
	if units != nil {
		st.and(condAssignment, units)
	}
	return nil
}

// instants adds the conditions on time.
func (s *Service) instants(st *statement, q Query) {
	// An id carries its Shanghai day, so the key narrows what accepted_at decides.
	if !q.AcceptedFrom.IsZero() {
		st.and(`accepted_at >= ? and id >= ?`, q.AcceptedFrom, hotline.NewOrderID(hotline.DateOf(q.AcceptedFrom), 0))
	}
	if !q.AcceptedTo.IsZero() {
		st.and(`accepted_at < ? and id < ?`, q.AcceptedTo, hotline.NewOrderID(hotline.DateOf(q.AcceptedTo).AddDays(1), 0))
	}
	if !q.ClosedFrom.IsZero() {
		st.and(`closed_at >= ?`, q.ClosedFrom)
	}
	if !q.ClosedTo.IsZero() {
		st.and(`closed_at < ?`, q.ClosedTo)
	}
	if !q.DueFrom.IsZero() {
		st.and(`closed_at is null and next_due_at >= ?`, q.DueFrom)
	}
	if !q.DueTo.IsZero() {
		st.and(`closed_at is null and next_due_at < ?`, q.DueTo)
	}
	if !q.ResolveDueFrom.IsZero() {
		st.and(`resolve_due_at >= ?`, q.ResolveDueFrom)
	}
	if !q.ResolveDueTo.IsZero() {
		st.and(`resolve_due_at < ?`, q.ResolveDueTo)
	}
	if q.OnTime != nil {
		st.and(`resolve_due_at is not null and coalesce(replied_at <= resolve_due_at, false) = ?`, *q.OnTime)
	}
	if len(q.Satisfaction) > 0 {
		st.and(`satisfaction = any(?)`, q.Satisfaction)
	}
	if q.Overdue {
		st.and(condOverdue, s.now())
	}
	if t := q.OverdueAt; t != nil {
		st.and(condOverdueAt, *t, *t, *t, *t)
	}
}

func (st *statement) condition() string {
	if len(st.where) == 0 {
		return "true"
	}
	return strings.Join(st.where, "\nand ")
}

func (st *statement) countSQL() string {
	return `select count(id) from (select id from work_order where ` + st.condition() + ` limit ` + strconv.Itoa(maxTotal+1) + `) as counted`
}

func (st *statement) pageSQL(cursor string) (string, []any, error) {
	page := &statement{where: st.where, args: st.args}
	if cursor != "" {
		due, id, ok := st.parseCursor(cursor)
		if !ok {
			return "", nil, hotline.FieldErrorf("cursor", "翻页标记无效，请从第一页开始")
		}
		if st.byDue {
			page.and(`(next_due_at, id) > (?, ?)`, due, id)
		} else {
			page.and(`id < ?`, id)
		}
	}
	order := `id desc`
	if st.byDue {
		order = `next_due_at, id`
	}
	return `select ` + orderColumns + ` from work_order where ` + page.condition() +
		` order by ` + order + ` limit ` + strconv.Itoa(st.limit+1), page.args, nil
}

// cursor names the place after r: its due instant and id, or its id.
func (st *statement) cursor(r *record) string {
	s := strconv.FormatInt(int64(r.ID), 10)
	if due := r.nextDue(); st.byDue && due != nil {
		s = strconv.FormatInt(due.UnixMicro(), 10) + "." + s
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

func (st *statement) parseCursor(cursor string) (due time.Time, id int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return due, 0, false
	}
	micros, rest, found := strings.Cut(string(b), ".")
	if found != st.byDue {
		return due, 0, false
	}
	if found {
		n, err := strconv.ParseInt(micros, 10, 64)
		if err != nil || n > noDue.UnixMicro() || n < 0 {
			return due, 0, false
		}
		due = time.UnixMicro(n).UTC()
	} else {
		rest = micros
	}
	id, err = strconv.ParseInt(rest, 10, 64)
	return due, id, err == nil
}
