package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// page is one person's browser, apart from the others'.
type page struct {
	t   *testing.T
	who string
	ctx context.Context
}

// browsers starts Chromium once and returns a maker of separate pages.
func (c *town) browsers() func(login string) *page {
	c.t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		hotlinetest.Missing(c.t, "chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "zh-CN"), chromedp.WindowSize(1440, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	c.t.Cleanup(stop)
	first, stopFirst := chromedp.NewContext(alloc)
	c.t.Cleanup(stopFirst)
	if err := chromedp.Do(first); err != nil {
		c.t.Fatal(err)
	}
	return func(login string) *page {
		c.t.Helper()
		ctx, cancel := chromedp.NewContext(first, chromedp.WithNewBrowserContext())
		c.t.Cleanup(cancel)
		ctx, cancelTime := context.WithTimeout(ctx, 3*time.Minute)
		c.t.Cleanup(cancelTime)
		p := &page{c.t, login, ctx}
		p.do(chromedp.EmulateViewport(1366, 768), chromedp.Navigate("http://"+c.HTTPAddr()+"/"))
		p.enter("login-user", login)
		p.enter("login-password", demoPassword)
		p.click("login-submit")
		p.see("user-name")
		return p
	}
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.shot("failed")
		p.t.Fatalf("%s: %v", p.who, err)
	}
}

func byID(id string) string { return `[data-testid="` + id + `"]` }

// until waits for the expression to become true within the limit.
func (p *page) until(limit time.Duration, what, expression string) {
	p.t.Helper()
	ok, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(limit), chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil || !ok {
		p.shot("failed")
		p.t.Fatalf("%s waited %v in vain for %s: %v", p.who, limit, what, err)
	}
}

// see waits until the element is on the page and has a size.
func (p *page) see(id string) {
	p.t.Helper()
	p.until(15*time.Second, id, fmt.Sprintf(`(()=>{const e=document.querySelector(%s);return !!e&&e.getClientRects().length>0})()`, quote(byID(id))))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// click waits for the element, scrolls to it and clicks it.
func (p *page) click(id string) {
	p.t.Helper()
	p.see(id)
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(()=>{const e=document.querySelector(%s);e.scrollIntoView({block:"center"});(e.querySelector("input[type=radio],input[type=checkbox]")||e).click()})()`, quote(byID(id)))))
}

// enter puts text into an input as typing would: focus, value, input event.
func (p *page) enter(id, text string) {
	p.t.Helper()
	p.see(id)
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(()=>{const e=document.querySelector(%s);const i=e.matches("input,textarea")?e:e.querySelector("input,textarea");i.focus();const set=Object.getOwnPropertyDescriptor(Object.getPrototypeOf(i),"value").set;set.call(i,%s);i.dispatchEvent(new Event("input",{bubbles:true}));i.dispatchEvent(new Event("change",{bubbles:true}))})()`, quote(byID(id)), quote(text))))
}

// text returns what the element says.
func (p *page) text(id string) string {
	p.t.Helper()
	p.see(id)
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%s).innerText`, quote(byID(id)))))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

// shot keeps a picture when HOTLINE_SHOTS names a folder.
func (p *page) shot(name string) {
	dir := os.Getenv("HOTLINE_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("screenshot %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, p.who+"-"+name+".png"), png, 0o644); err != nil {
		p.t.Log(err)
	}
}

// TestStory follows one call through the browser: it rings, the caller's card
// pops, the order is written down and submitted, the unit sees it within a
// second and answers, the citizen is called back, the order closes, and the
// day's summary counts it.
func TestStory(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	browser := c.browsers()
	phone := c.sippAgent("1001", "agent", 1, "-d", "2000")
	agent, unit, desk := browser("1001"), browser("cgj"), browser("callback")
	unit.see("nav-unit")

	caller := sipp(t, c.cfg.SIP.UDPAddr, "caller", freePort(t), "-s", "12345", "-m", "1", "-d", "30000")
	agent.see("caller-card")
	agent.shot("card")
	if got := agent.text("caller-number"); !strings.Contains(got, "****") {
		t.Errorf("the card shows the number as %q", got)
	}
	agent.until(30*time.Second, "the talk", `document.querySelector('[data-testid="agent-state"]')?.dataset.state==="talking"`)

	const title = "夜市油烟扰民"
	agent.click("order-type-complaint")
	agent.enter("order-category", "yy")
	agent.enter("order-category", "油烟")
	agent.click("category-hit")
	agent.enter("order-area", "西林")
	agent.click("area-hit")
	agent.enter("order-title", title)
	agent.enter("order-content", "来电人反映小区门口夜市烧烤油烟直排居民楼，每晚持续到凌晨，希望尽快处理。")
	agent.until(10*time.Second, "the draft kept on the server", `document.querySelector('[data-testid="draft-saved"]')?.dataset.saved==="true"`)
	agent.see("plan-lead")
	agent.shot("form")
	unit.do(chromedp.Evaluate[chromedp.Void](`(()=>{const seen=()=>{if(!window.arrivedAt&&document.querySelector('[data-testid^="unit-row-"]'))window.arrivedAt=Date.now()};seen();new MutationObserver(seen).observe(document.body,{childList:true,subtree:true})})()`))
	agent.click("submit-order")
	number := agent.text("submitted-number")
	number = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
	if _, err := hotline.ParseOrderNumber(number); err != nil {
		t.Fatalf("submitted number %q: %v", number, err)
	}
	unit.until(10*time.Second, "the order at the unit", fmt.Sprintf(`!!document.querySelector('[data-testid="unit-row-%s"]')`, number))
	c.arrivedWithin(unit, number, time.Second)
	unit.shot("arrived")
	agent.click("hangup")
	caller.ended(t)
	phone.ended(t)

	unit.click("unit-row-" + number)
	unit.click("sign")
	unit.enter("reply-text", "已现场检查，责令安装油烟净化装置并限时经营，来电人表示认可。")
	unit.click("reply-solved-yes")
	unit.click("reply-submit")

	desk.see("callback-row-" + number)
	desk.click("callback-row-" + number)
	desk.click("reveal")
	desk.enter("reveal-reason", "回访核实办理结果")
	desk.click("reveal-submit")
	if got := desk.text("revealed-phone"); !strings.Contains(got, "13905630001") {
		t.Errorf("revealed %q", got)
	}
	desk.click("callback-reached")
	desk.click("callback-satisfied")
	desk.click("callback-solved-yes")
	desk.shot("callback")
	desk.click("callback-submit")
	desk.until(10*time.Second, "the order to leave the desk", fmt.Sprintf(`!document.querySelector('[data-testid="callback-row-%s"]')`, number))

	c.closedAndCounted(number)
	c.assertNoFullNumber("13905630001")
}

// arrivedWithin wants the order on the unit's page, with no reload, within the
// limit of its acceptance; a loaded machine gets twice that.
func (c *town) arrivedWithin(unit *page, number string, limit time.Duration) {
	c.t.Helper()
	at, err := chromedp.Run(unit.ctx, chromedp.Evaluate[float64](`window.arrivedAt`))
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := hotline.ParseOrderNumber(number)
	if err != nil {
		c.t.Fatal(err)
	}
	var o struct {
		AcceptedAt time.Time `json:"accepted_at"`
	}
	c.login("dispatcher").get(fmt.Sprintf("/api/v1/orders/%d", id), &o)
	took := time.UnixMilli(int64(at)).Sub(o.AcceptedAt)
	c.t.Logf("accepted to shown at the unit: %v", took)
	if took > 2*limit {
		c.t.Errorf("the order took %v to the unit's page, want %v", took, limit)
	}
}

// ended wants the run to end; the far side may have hung up first.
func (r *sippRun) ended(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(60 * time.Second):
		t.Fatalf("sipp %s did not end", r.name)
	}
}

// closedAndCounted wants the order closed with its whole timeline, and the
// summary of today to count it in the lists its figures link to.
func (c *town) closedAndCounted(number string) {
	c.t.Helper()
	v := c.login("dispatcher")
	id, err := hotline.ParseOrderNumber(number)
	if err != nil {
		c.t.Fatal(err)
	}
	var o struct {
		State   hotline.OrderState `json:"state"`
		Outcome string             `json:"outcome"`
	}
	v.get(fmt.Sprintf("/api/v1/orders/%d", id), &o)
	if o.State != hotline.Closed || o.Outcome != "satisfied" {
		c.t.Errorf("order is %+v", o)
	}
	var timeline struct {
		Events []struct {
			Kind hotline.EventKind `json:"kind"`
			Seq  int               `json:"seq"`
		} `json:"events"`
	}
	v.get(fmt.Sprintf("/api/v1/orders/%d/timeline", id), &timeline)
	var kinds []string
	for i, e := range timeline.Events {
		kinds = append(kinds, string(e.Kind))
		if e.Seq != i+1 {
			c.t.Errorf("event %d has seq %d", i, e.Seq)
		}
	}
	if got, want := strings.Join(kinds, " "), "submitted dispatched signed replied callback_done closed"; got != want {
		c.t.Errorf("timeline %q, want %q", got, want)
	}
	var issue struct {
		ID json.Number `json:"id"`
	}
	v.post("/api/v1/reports/daily", map[string]string{"date": hotline.DateOf(time.Now()).String()}, 201, &issue)
	status, html := v.do("GET", "/api/v1/reports/"+issue.ID.String()+"/html", nil)
	if status != 200 || !strings.Contains(string(html), "每日汇总") {
		c.t.Fatalf("report: status %d", status)
	}
}
