package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gorilla/websocket"

	"hotline12345/hotline"
)

// fill puts a value for each {parameter} of a route.
func fill(path, value string) string {
	for {
		i, j := strings.Index(path, "{"), strings.Index(path, "}")
		if i < 0 {
			return path
		}
		path = path[:i] + value + path[j+1:]
	}
}

func TestEveryRouteNeedsLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.nobody(t)
	public := 0
	for _, route := range r.api.Routes() {
		if route.Public {
			public++
			continue
		}
		res := c.do(route.Method, fill(route.Path, "1"), nil)
		if p := res.problem(t); res.StatusCode != http.StatusUnauthorized || p.Code != hotline.Unauthenticated {
			t.Errorf("%s %s: got %d, want 401", route.Method, route.Path, res.StatusCode)
		}
	}
	if public != 2 {
		t.Errorf("%d public routes, want login and logout only", public)
	}
	if res := c.do("GET", "/ws", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("/ws: got %d, want 401", res.StatusCode)
	}
	c.cookie = &http.Cookie{Name: "hotline_session", Value: "forged"}
	if res := c.do("GET", "/api/v1/me", nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged cookie: got %d, want 401", res.StatusCode)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/openapi.json", "/", "/orders?desk=all"} {
		if res := c.do("GET", path, nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", path, res.StatusCode)
		}
	}
}

func TestOpenAPIEqualsTheRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var doc struct {
		OpenAPI    string                                `json:"openapi"`
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Type any }
			}
		}
	}
	res := r.nobody(t).do("GET", "/api/openapi.json", nil)
	if err := json.Unmarshal(res.body, &doc); err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for path, methods := range doc.Paths {
		for m := range maps.Keys(methods) {
			got = append(got, strings.ToUpper(m)+" "+path)
		}
	}
	for _, route := range r.api.Routes() {
		want = append(want, route.Method+" "+route.Path)
	}
	slices.Sort(got)
	slices.Sort(want)
	if doc.OpenAPI != "3.1.0" || !slices.Equal(got, want) {
		t.Errorf("document %s has\n%v\nroutes are\n%v", doc.OpenAPI, got, want)
	}
	for _, m := range [][2]string{{"Principal", "id"}, {"WorkOrder", "person_id"}, {"OrderView", "person_id"}, {"WorkOrder", "id"}, {"Issue", "date"}} {
		if got := doc.Components.Schemas[m[0]].Properties[m[1]].Type; got != "string" {
			t.Errorf("%s.%s is %v in the document and a string on the wire", m[0], m[1], got)
		}
	}
	if strings.Contains(string(res.body), "$schema") {
		t.Error("the document links schemas")
	}
}

// TestForeignOrdersLookMissing asks for another unit's order through every
// operation on orders.
func TestForeignOrdersLookMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o := r.noiseOrder(t, r.as(t, "agent"), r.as(t, "dispatcher"))
	foreign, own := r.as(t, "jytyj"), r.as(t, "cgj")
	bodies := map[string]any{
		"/dispatch": map[string]any{"version": o.Version, "lead": "JYTYJ", "reason": "属我单位职责"},
		"/sign":     map[string]any{"version": o.Version},
		"/reply":    map[string]any{"version": o.Version, "text": "已办理完毕，谢谢", "solved": "yes"},
		"/callback": map[string]any{"version": o.Version, "reached": true, "satisfaction": 1, "solved": "yes"},
		"/reveal":   map[string]any{"reason": "联系来电人"},
	}
	tried := 0
	for _, route := range r.api.Routes() {
		if !strings.HasPrefix(route.Path, "/api/v1/orders/{id}") {
			continue
		}
		tried++
		tail := strings.TrimPrefix(route.Path, "/api/v1/orders/{id}")
		for _, one := range []string{id(o), "202611230000999", "x"} {
			res := foreign.do(route.Method, "/api/v1/orders/"+one+tail, bodies[tail])
			if p := res.problem(t); res.StatusCode != http.StatusNotFound || p.Current != nil || strings.Contains(string(res.body), "噪声") {
				t.Errorf("%s %s: got %d %s, want 404", route.Method, route.Path, res.StatusCode, res.body)
			}
		}
	}
	if tried < 7 {
		t.Fatalf("only %d operations tried", tried)
	}
	for _, q := range []string{"", "?desk=unit", "?number=" + o.Number, "?lead=CGJ", "?category=01"} {
		if l := get[OrderList](foreign, "GET", "/api/v1/orders"+q, nil); len(l.Orders) != 0 {
			t.Errorf("list%s shows %d foreign orders", q, len(l.Orders))
		}
	}
	if res := foreign.do("GET", "/api/v1/orders?unit=CGJ", nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("foreign unit's list: got %d, want 403", res.StatusCode)
	}
	if l := get[OrderList](own, "GET", "/api/v1/orders?desk=unit&total=1", nil); len(l.Orders) != 1 || *l.Total != 1 {
		t.Errorf("own list has %d orders, want 1", len(l.Orders))
	}
	for _, path := range []string{"/api/v1/calls", "/api/v1/floor", "/api/v1/reports", "/api/v1/plan?category=01"} {
		if res := own.do("GET", path, nil); res.StatusCode != http.StatusForbidden {
			t.Errorf("unit on %s: got %d, want 403", path, res.StatusCode)
		}
	}
}

// TestDemandPath walks an order from the form to its end over HTTP while a
// unit's console listens.
func TestDemandPath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent, dispatcher, unit, caller := r.as(t, "agent"), r.as(t, "dispatcher"), r.as(t, "cgj"), r.as(t, "callback")
	me := get[Me](unit, "GET", "/api/v1/me", nil)
	if me.Seat != nil || me.Principal.Unit != "CGJ" || !me.ServerTime.Equal(r.clock.Now()) {
		t.Errorf("me is %+v", me)
	}
	if me := get[Me](agent, "GET", "/api/v1/me", nil); me.Seat == nil || me.Seat.Extension != "1001" || me.Principal.Extension != "1001" {
		t.Errorf("agent's seat is %+v", me.Seat)
	}
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.url, "http")+"/ws", http.Header{"Cookie": {unit.cookie.String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteJSON(map[string]any{"type": "subscribe", "topics": []string{"unit:CGJ", "desk:callback"}, "since": me.Pos}); err != nil {
		t.Fatal(err)
	}

	draft := "3f0e1c1a-1111-4222-8333-444455556666"
	get[map[string]any](agent, "PUT", "/api/v1/drafts/"+draft, map[string]any{"id": draft, "call_id": "", "form": map[string]any{"title": "噪"}})
	o := r.noiseOrder(t, agent, dispatcher)
	get[map[string]any](agent, "DELETE", "/api/v1/drafts/"+draft, nil)
	if d := get[struct{ Drafts []any }](agent, "GET", "/api/v1/drafts", nil); d.Drafts == nil || len(d.Drafts) != 0 {
		t.Errorf("drafts are %v, want []", d.Drafts)
	}
	o = get[hotline.WorkOrder](unit, "POST", "/api/v1/orders/"+id(o)+"/sign", map[string]any{"version": o.Version})
	o = get[hotline.WorkOrder](unit, "POST", "/api/v1/orders/"+id(o)+"/reply", map[string]any{"version": o.Version, "text": "已责令停止夜间施工", "solved": "yes", "contacted_at": nil})
	view := get[OrderView](caller, "GET", "/api/v1/orders/"+id(o), nil)
	if view.Caller == nil || view.Caller.Name != "欧**" || view.Caller.Phone != "138****5678" || view.Number != o.Number {
		t.Errorf("order view has caller %+v", view.Caller)
	}
	o = get[hotline.WorkOrder](caller, "POST", "/api/v1/orders/"+id(o)+"/callback", map[string]any{"version": o.Version, "reached": true, "satisfaction": 2, "solved": "yes", "note": ""})
	if o.State != hotline.Closed || o.Satisfaction != 2 {
		t.Errorf("the order ended %s with %d", o.State, o.Satisfaction)
	}
	events := get[struct{ Events []OrderEvent }](dispatcher, "GET", "/api/v1/orders/"+id(o)+"/timeline", nil).Events
	if len(events) != o.Version || events[0].ActorName != "话务员甲" {
		t.Errorf("timeline is %+v", events)
	}

	var heard []string
	for len(heard) < 4 {
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		var m struct{ Type, Kind, Topic string }
		if err := ws.ReadJSON(&m); err != nil {
			t.Fatalf("after %v: %v", heard, err)
		}
		if m.Type != "hello" {
			heard = append(heard, m.Type+m.Kind+m.Topic)
		}
	}
	if want := []string{"denieddesk:callback", "eventorder.dispatched", "eventorder.signed", "eventorder.replied"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if m := string(r.nobody(t).do("GET", "/metrics", nil).body); !strings.Contains(m, `hotline_ws_clients 1`) || !strings.Contains(m, `hotline_events_total{kind="order.submitted"} 1`) ||
		!strings.Contains(m, `route="GET /api/v1/orders/{id}"`) {
		t.Errorf("metrics lack clients, events or routes")
	}
	if strings.Contains(r.log.String(), callerPhone) || strings.Contains(r.log.String(), callerName) {
		t.Error("the log holds the caller's number or name")
	}
}

func TestStaleCommandsSayWhatHappened(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent, dispatcher := r.as(t, "agent"), r.as(t, "dispatcher")
	o := r.noiseOrder(t, agent, dispatcher)
	res := dispatcher.do("POST", "/api/v1/orders/"+id(o)+"/dispatch", map[string]any{"version": o.Version - 1, "lead": "JYTYJ", "reason": "改派"})
	p := res.problem(t)
	if res.StatusCode != http.StatusConflict || p.Current == nil || p.Current.Version != o.Version || len(p.Since) != 1 || p.Since[0].Kind != hotline.EventDispatched {
		t.Errorf("got %d %s", res.StatusCode, res.body)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.as(t, "agent")
	r.api.mux.HandleFunc("GET /boom", func(http.ResponseWriter, *http.Request) { panic("secret cause") })
	wrong := submission()
	wrong["title"], wrong["category_code"], wrong["content"] = "", "99", "请联系13812345678"
	tests := []struct {
		name, method, path string
		body               any
		status             int
		fields             []string
	}{
		{"several faults", "POST", "/api/v1/orders", wrong, 422, []string{"category_code", "title", "content"}},
		{"no json", "POST", "/api/v1/orders", `{"title":"13812345678"`, 422, nil},
		{"wrong type", "POST", "/api/v1/orders", `{"title":13812345678}`, 422, []string{"title"}},
		{"wrong type in a list", "POST", "/api/v1/orders/202611230000001/dispatch", `{"co_units":"CGJ"}`, 422, []string{"co_units"}},
		{"no number", "POST", "/api/v1/orders", `{"caller_phone":"问邻居"}`, 422, []string{"source", "demand_type", "category_code", "area_code", "title", "content", "caller_phone"}},
		{"U+0000", "GET", "/api/v1/orders?category=%00", nil, 422, []string{"category"}},
		{"broken UTF-8", "GET", "/api/v1/calls?line=%ff", nil, 422, []string{"line"}},
		{"U+0000 in the path", "GET", "/api/v1/calls/%00/card", nil, 404, nil},
		{"too large", "POST", "/api/v1/orders", `{"title":"` + strings.Repeat("x", maxBody) + `"}`, 413, nil},
		{"unknown path", "GET", "/api/v1/nothing", nil, 404, nil},
		{"method", "DELETE", "/api/v1/orders", nil, 405, nil},
		{"bad instant", "GET", "/api/v1/orders?accepted_from=yesterday", nil, 422, []string{"accepted_from"}},
		{"bad cursor", "GET", "/api/v1/orders?cursor=x", nil, 422, []string{"cursor"}},
		{"bad state", "GET", "/api/v1/orders?state=lost", nil, 422, []string{"state"}},
		{"bad number", "GET", "/api/v1/orders?number=1", nil, 422, []string{"number"}},
		{"bad truth", "GET", "/api/v1/calls?answered=maybe", nil, 422, []string{"answered"}},
		{"bad limit", "GET", "/api/v1/orders?limit=-1", nil, 422, []string{"limit"}},
		{"future report", "POST", "/api/v1/reports/daily", map[string]string{"date": "2030-01-01"}, 403, nil},
		{"panic", "GET", "/boom", nil, 500, nil},
	}
	for _, tt := range tests {
		res := agent.do(tt.method, tt.path, tt.body)
		p := res.problem(t)
		var fields []string
		for _, f := range p.Errors {
			if f.Field != "" {
				fields = append(fields, f.Field)
			}
		}
		if res.StatusCode != tt.status || p.Status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, res.StatusCode, res.body, tt.status)
		}
		if tt.fields != nil && !slices.Equal(fields, tt.fields) {
			t.Errorf("%s: got fields %v, want %v", tt.name, fields, tt.fields)
		}
		if p.Detail == "" || strings.Contains(string(res.body), callerPhone) || strings.Contains(string(res.body), "secret cause") {
			t.Errorf("%s: body is %s", tt.name, res.body)
		}
		if !strings.ContainsFunc(p.Detail, func(c rune) bool { return unicode.Is(unicode.Han, c) }) {
			t.Errorf("%s: detail is not Chinese: %s", tt.name, p.Detail)
		}
	}
	if !strings.Contains(r.log.String(), "secret cause") {
		t.Error("the panic's cause is not in the log")
	}
	agent.header.Set("Sec-Fetch-Site", "cross-site")
	if res := agent.do("POST", "/api/v1/logout", nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("cross-site POST: got %d, want 403", res.StatusCode)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.as(t, "agent")
	agent.header.Set("Idempotency-Key", "k1")
	bad := submission()
	bad["title"] = ""
	if res := agent.do("POST", "/api/v1/orders", bad); res.StatusCode != 422 {
		t.Fatalf("got %d", res.StatusCode)
	}
	first := agent.do("POST", "/api/v1/orders", submission())
	again := agent.do("POST", "/api/v1/orders", submission())
	if first.StatusCode != 201 || again.StatusCode != 201 || string(first.body) != string(again.body) || again.Header.Get("Idempotent-Replay") != "true" {
		t.Errorf("got %d then %d with\n%s\n%s", first.StatusCode, again.StatusCode, first.body, again.body)
	}
	other := submission()
	other["title"] = "另一件诉求"
	if res := agent.do("POST", "/api/v1/orders", other); res.StatusCode != 409 {
		t.Errorf("another request under the key: got %d, want 409", res.StatusCode)
	}
	agent.header.Del("Idempotency-Key")
	if l := get[OrderList](agent, "GET", "/api/v1/orders?total=1", nil); *l.Total != 1 {
		t.Errorf("%d orders, want 1", *l.Total)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.as(t, "leader")
	if !c.cookie.HttpOnly || c.cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie is %+v", c.cookie)
	}
	get[struct{}](c, "POST", "/api/v1/logout", nil)
	if res := c.do("GET", "/api/v1/me", nil); res.StatusCode != 401 {
		t.Errorf("after logout: got %d, want 401", res.StatusCode)
	}
	var got []int
	for range 6 {
		got = append(got, r.nobody(t).do("POST", "/api/v1/login", map[string]string{"login": "leader", "password": "wrong"}).StatusCode)
	}
	if want := []int{401, 401, 401, 401, 401, 429}; !slices.Equal(got, want) {
		t.Errorf("wrong passwords: got %v, want %v", got, want)
	}
}

func TestRevealIsAudited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.as(t, "agent")
	o := get[hotline.WorkOrder](agent, "POST", "/api/v1/orders", submission())
	if res := agent.do("POST", "/api/v1/orders/"+id(o)+"/reveal", map[string]string{"reason": ""}); res.StatusCode != 422 {
		t.Errorf("without a reason: got %d, want 422", res.StatusCode)
	}
	v := get[Revealed](agent, "POST", "/api/v1/orders/"+id(o)+"/reveal", map[string]string{"reason": "补充联系"})
	if v.Name != callerName || v.Phone != callerPhone {
		t.Errorf("got %+v", v)
	}
	var rows int
	if err := r.pool.QueryRow(t.Context(), `select count(id) from audit_log where action = 'citizen.reveal' and actor = $1`, r.people["agent"].ID).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d audit rows, %v; want 1", rows, err)
	}
	if strings.Contains(r.log.String(), callerPhone) || strings.Contains(r.log.String(), callerName) {
		t.Error("the log holds the caller's number or name")
	}
}

func TestCallCardAndRecording(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent, leader := r.as(t, "agent"), r.as(t, "leader")
	at, me := r.clock.Now(), r.people["agent"].ID
	wav := []byte("RIFF" + strings.Repeat("0123456789", 100))
	r.writeRecording(t, "c1.wav", wav)
	r.report(t, hotline.CallFact{CallID: "c1", Kind: hotline.CallArrived, At: at, Caller: hotline.ParsePhone(callerPhone), Original: "12345"},
		hotline.CallFact{CallID: "c1", Kind: hotline.CallQueued, At: at.Add(time.Second)},
		hotline.CallFact{CallID: "c1", Kind: hotline.CallOffered, At: at.Add(2 * time.Second), Agent: me, Extension: "1001"},
		hotline.CallFact{CallID: "c1", Kind: hotline.CallAnswered, At: at.Add(5 * time.Second), Agent: me, Extension: "1001"},
		hotline.CallFact{CallID: "c1", Kind: hotline.CallRecorded, At: at.Add(60 * time.Second), Recording: "c1.wav", Duration: time.Minute},
		hotline.CallFact{CallID: "c1", Kind: hotline.CallEnded, At: at.Add(61 * time.Second), Reason: hotline.EndNormal, EndedBy: "caller"})
	in := submission()
	in["call_id"], in["caller_phone"], in["source"] = "c1", "138****5678", ""
	o := get[hotline.WorkOrder](agent, "POST", "/api/v1/orders", in)
	if o.CallerLast4 != "5678" || o.Source != "01" {
		t.Errorf("the order took last4 %q and source %q from its call", o.CallerLast4, o.Source)
	}
	card := get[struct {
		Call   struct{ Caller string }
		Person *struct {
			Phone string `json:"phone_masked"`
		}
		Orders []hotline.WorkOrder
	}](agent, "GET", "/api/v1/calls/c1/card", nil)
	if card.Call.Caller != "138****5678" || card.Person == nil || card.Person.Phone != "138****5678" || len(card.Orders) != 1 || card.Orders[0].ID != o.ID {
		t.Errorf("card is %+v", card)
	}
	leader.header.Set("Range", "bytes=4-13")
	res := leader.do("GET", "/api/v1/calls/c1/recording", nil)
	if res.StatusCode != http.StatusPartialContent || string(res.body) != "0123456789" || res.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("range: got %d %s %q", res.StatusCode, res.Header.Get("Content-Type"), res.body)
	}
	if res := agent.do("GET", "/api/v1/calls/c1/recording", nil); res.StatusCode != 200 || string(res.body) != string(wav) {
		t.Errorf("whole: got %d and %d bytes", res.StatusCode, len(res.body))
	}
	if res := r.as(t, "cgj").do("GET", "/api/v1/calls/c1/recording", nil); res.StatusCode != 404 {
		t.Errorf("unit: got %d, want 404", res.StatusCode)
	}
	var rows int
	if err := r.pool.QueryRow(t.Context(), `select count(id) from audit_log where action = 'call.recording' and subject = 'call:c1'`).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d audit rows, %v; want 2", rows, err)
	}
	floor := get[FloorView](agent, "GET", "/api/v1/floor", nil)
	if floor.Today.Offered != 1 || floor.Today.Answered != 1 || floor.Today.OrdersToday != 1 || floor.Agents == nil {
		t.Errorf("floor is %+v", floor)
	}
}

func TestOwnSeatOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent, leader := r.as(t, "agent"), r.as(t, "leader")
	for _, step := range []struct{ path, body string }{
		{"/floor/signin", ""}, {"/floor/state", `{"state":"on_break","reason":"用餐"}`}, {"/floor/signout", ""},
	} {
		var body any
		if step.body != "" {
			body = step.body
		}
		if res := leader.do("POST", "/api/v1"+step.path, body); res.StatusCode != 403 {
			t.Errorf("leader on %s: got %d, want 403", step.path, res.StatusCode)
		}
		get[struct{}](agent, "POST", "/api/v1"+step.path, body)
	}
	r.floor.mu.Lock()
	r.floor.snapshot.Agents = []hotline.Agent{{ID: r.people["agent"].ID, CallID: "mine"}, {ID: 99, CallID: "theirs"}}
	r.floor.mu.Unlock()
	if res := agent.do("POST", "/api/v1/calls/theirs/hangup", nil); res.StatusCode != 404 {
		t.Errorf("another's call: got %d, want 404", res.StatusCode)
	}
	get[struct{}](agent, "POST", "/api/v1/calls/mine/hangup", nil)
	if want := []string{"in 1001", "on_break 用餐", "out", "hangup mine"}; !slices.Equal(r.floor.asked, want) {
		t.Errorf("the floor was asked %v, want %v", r.floor.asked, want)
	}
}

func TestPreviewsAndDirectory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.as(t, "agent")
	plan := get[PlanView](agent, "GET", "/api/v1/plan?category=0501&area=341802001&text=", nil)
	if plan.Lead != "JYTYJ" || plan.LeadName != "教体局" || !slices.Equal(plan.CoNames, []string{"宣州区"}) || plan.Reason.Text == "" {
		t.Errorf("plan is %+v", plan)
	}
	d := get[struct{ Deadlines []hotline.Deadline }](agent, "GET", "/api/v1/deadline-preview?type=complaint&urgency=1&source=01", nil)
	if len(d.Deadlines) != 4 || !d.Deadlines[1].DueAt.Equal(r.clock.Now().Add(8*time.Hour)) {
		t.Errorf("deadlines are %+v", d.Deadlines)
	}
	res := agent.do("GET", "/api/v1/directory", nil)
	agent.header.Set("If-None-Match", res.Header.Get("ETag"))
	if again := agent.do("GET", "/api/v1/directory", nil); res.StatusCode != 200 || again.StatusCode != 304 || !strings.Contains(string(res.body), `"version":3`) {
		t.Errorf("directory: got %d then %d", res.StatusCode, again.StatusCode)
	}
}

func TestReadyTellsWhatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.api.o.Checks["sip"] = func(context.Context) error { return fmt.Errorf("address in use") }
	res := r.nobody(t).do("GET", "/readyz", nil)
	if s := string(res.body); res.StatusCode != 503 || !strings.Contains(s, `"sip":"failed"`) || !strings.Contains(s, `"postgresql":"ok"`) || strings.Contains(s, "address") {
		t.Errorf("got %d %s", res.StatusCode, s)
	}

}
