package workorder

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// The people of the tests. A county with a township below it, a department
// with a village elsewhere.
var (
	agent      = hotline.Principal{ID: 11, Login: "agent", Name: "话务员", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleAgent}}
	dispatcher = hotline.Principal{ID: 12, Login: "dispatcher", Name: "派单员", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleDispatcher}}
	caller     = hotline.Principal{ID: 13, Login: "callback", Name: "回访员", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleCallback}}
	leader     = hotline.Principal{ID: 14, Login: "leader", Name: "领导", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleLeader}}
	county     = hotline.Principal{ID: 21, Login: "county", Name: "区联络员", Unit: "341802", Roles: []hotline.Role{hotline.RoleUnit}}
	township   = hotline.Principal{ID: 22, Login: "township", Name: "街道联络员", Unit: "341802001", Roles: []hotline.Role{hotline.RoleUnit}}
	department = hotline.Principal{ID: 23, Login: "department", Name: "局联络员", Unit: "JYTYJ", Roles: []hotline.Role{hotline.RoleUnit}}
	both       = hotline.Principal{ID: 24, Login: "both", Name: "兼任", Unit: "JYTYJ", Roles: []hotline.Role{hotline.RoleUnit, hotline.RoleLeader}}
	officeUnit = hotline.Principal{ID: 25, Login: "office", Name: "误设", Unit: "CENTER", Roles: []hotline.Role{hotline.RoleUnit}}
	everybody  = []hotline.Principal{hotline.System, agent, dispatcher, caller, leader, county, township, department, officeUnit, {}}
)

func testCity() *hotline.Directory {
	return hotline.NewDirectory(hotline.City{
		Name: "宣城市",
		Units: []hotline.Unit{
			{Code: "CENTER", Kind: hotline.UnitCenter, Name: "热线中心", Short: "中心"},
			{Code: "341802", Parent: "CENTER", Kind: hotline.UnitCounty, Name: "宣州区", Short: "宣州区", Area: "341802"},
			{Code: "341802001", Parent: "341802", Kind: hotline.UnitTownship, Name: "西林街道", Short: "西林街道", Area: "341802001"},
			{Code: "JYTYJ", Parent: "CENTER", Kind: hotline.UnitDepartment, Name: "教育体育局", Short: "教体局"},
		},
		Areas: []hotline.Area{
			{Code: "341802", Name: "宣州区"}, {Code: "341802001", Parent: "341802", Name: "西林街道"}, {Code: "341822", Name: "广德市"},
		},
		Categories: []hotline.Category{
			{Code: "01", Name: "城市管理"}, {Code: "0102", Parent: "01", Name: "噪声"}, {Code: "010203", Parent: "0102", Name: "施工噪声", Urgency: hotline.Urgent},
			{Code: "05", Name: "教育"}, {Code: "0501", Parent: "05", Name: "入学"},
		},
		Sources: []hotline.Source{{Code: "01", Name: "电话"}, {Code: "02", Name: "网站"}},
	}, 1)
}

// limits is a table of time limits that a test may change.
type limits struct {
	mu    sync.Mutex
	hours map[hotline.ClockKind]int
	// provisional clocks as long as the holiday notice is away; it then moves
	// every due instant by extra.
	provisional bool
	extra       time.Duration
}

func newLimits() *limits {
	return &limits{hours: map[hotline.ClockKind]int{hotline.ClockDispatch: 24, hotline.ClockSign: 8, hotline.ClockContact: 12, hotline.ClockResolve: 120, hotline.ClockCallback: 48}}
}

func (l *limits) Deadline(kind hotline.ClockKind, _ *hotline.WorkOrder, start time.Time) (hotline.Deadline, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.hours[kind]
	if !ok {
		return hotline.Deadline{}, hotline.Errorf(hotline.NotFound, "没有该时限")
	}
	due := start.Add(time.Duration(h)*time.Hour + l.extra)
	return hotline.Deadline{Kind: kind, Policy: string(kind) + "-test", Amount: h, Unit: hotline.Hours, CalendarVersion: 1,
		StartedAt: start, DueAt: due, WarnAt: due.Add(-time.Hour), Provisional: l.provisional}, nil
}

func (l *limits) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// people is an address book in memory.
type people struct {
	mu   sync.Mutex
	next int64
	ids  map[hotline.Phone]int64
	fail error
}

func (p *people) Register(_ context.Context, phone hotline.Phone, name string) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return 0, p.fail
	}
	if phone == "" && name == "" {
		return 0, nil
	}
	if id, ok := p.ids[phone]; ok && phone != "" {
		return id, nil
	}
	p.next++
	p.ids[phone] = p.next
	return p.next, nil
}

// world is a ledger over a database of its own.
type world struct {
	*Service
	pool   *pgxpool.Pool
	clock  *hotlinetest.Clock
	limits *limits
	people *people
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOn(t, hotlinetest.DB(t))
}

func worldOn(t testing.TB, pool *pgxpool.Pool) *world {
	t.Helper()
	w := &world{
		pool: pool, clock: hotlinetest.NewClock(time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)),
		limits: newLimits(), people: &people{ids: map[hotline.Phone]int64{}},
	}
	city := testCity()
	s, err := New(Options{Pool: w.pool, Clock: w.clock, Deadlines: w.limits, Directory: func() *hotline.Directory { return city }, People: w.people})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	return w
}

const (
	callerPhone = "13812345678"
	callerName  = "欧阳小明"
)

func submission() Submission {
	return Submission{
		Source: "01", Type: hotline.Complaint, Category: "010203", Area: "341802001", Address: "西林街道某工地",
		Title: "夜间施工噪声扰民", Content: "市民反映工地夜间施工，影响休息，希望处理。", CallerName: callerName, CallerPhone: callerPhone,
	}
}

// submit opens an order.
func (w *world) submit(t testing.TB, change func(*Submission)) *hotline.WorkOrder {
	t.Helper()
	in := submission()
	if change != nil {
		change(&in)
	}
	o, err := w.Submit(t.Context(), agent, in)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func plan(lead hotline.UnitCode, co ...hotline.UnitCode) hotline.Plan {
	return hotline.Plan{Lead: lead, CoUnits: co, Reason: hotline.Reason{Kind: "rule", Rule: "test", Text: "按派单目录"}}
}

// dispatched opens an order and sends it to the township, the department
// helping.
func (w *world) dispatched(t testing.TB, change func(*Submission)) *hotline.WorkOrder {
	t.Helper()
	o := w.submit(t, change)
	return must(w.Dispatch(t.Context(), hotline.System, o.ID, o.Version, plan("341802001", "JYTYJ")))(t)
}

func (w *world) signed(t testing.TB, change func(*Submission)) *hotline.WorkOrder {
	t.Helper()
	o := w.dispatched(t, change)
	return must(w.Sign(t.Context(), township, o.ID, o.Version))(t)
}

func (w *world) replied(t testing.TB, change func(*Submission)) *hotline.WorkOrder {
	t.Helper()
	o := w.signed(t, change)
	return must(w.Reply(t.Context(), township, o.ID, o.Version, ReplyInput{Text: "已责令停止夜间施工", Solved: hotline.SolvedYes}))(t)
}

// must returns the order of a command that must not fail.
func must(o *hotline.WorkOrder, err error) func(testing.TB) *hotline.WorkOrder {
	return func(t testing.TB) *hotline.WorkOrder {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func wantCode(t testing.TB, what string, err error, want hotline.Code) {
	t.Helper()
	if got := hotline.ErrorCode(err); got != want {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, want)
	}
}

// fields lists the members a joined error names.
func fields(err error) []string {
	var names []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if h, ok := errors.AsType[*hotline.Error](e); ok {
				names = append(names, h.Field)
			}
		}
	}
	return names
}
