// Names for browser tests: every data-testid of the pages stands here, so a
// test (cmd/hotline, chromedp) and a page cannot disagree on one.
//
// login page
//   login-user, login-password    the two <input>s
//   login-submit                  button
//   login-error                   the fault, when there is one
// frame
//   nav-<page>                    desk, unit, dispatch, callback, orders, calls, reports
//   user-name, logout             top right
//   live-banner                   已断开 / 已恢复; data-status = lost | recovered
// 话务台
//   agent-state                   own state; data-state = the code
//   state-ready, state-not-ready, state-on-break, state-sign-out, state-sign-in   buttons
//   phone-registered              data-registered = true | false
//   wrap-up-left                  count-down of the wrap-up
//   waiting-count, waiting-row    the queue
//   caller-card                   pops when the phone rings; data-call = call id
//   caller-number, caller-order-<number>
//   hangup                        button while talking
//   draft-tab, draft-new, draft-saved (data-saved = true once stored), draft-close
//   order-type-<code>             radio: consult help complaint report suggest praise other
//   order-category, order-area    the two searchable choices: type into their <input>, then
//   category-hit, area-hit        click one of the found rows
//   order-address, order-title, order-content, order-caller-name, order-caller-phone   inputs
//   order-urgency-<1..3>, order-confidentiality-<code>
//   plan-lead, plan-reason        派单预览
//   submit-order                  提交派单
//   direct-answer                 opens the dialog; direct-answer-text, direct-answer-submit in it
//   submitted-number              the number of the order just submitted
// 单位工作台
//   unit-tab-<state>              dispatched signed pending_callback closed
//   unit-row-<number>             a row
//   order-drawer, sign, reply-text, reply-solved-<code>, reply-contacted, reply-submit
// 派单台
//   dispatch-row-<number>, dispatch-lead, dispatch-co, dispatch-reason, dispatch-submit
//   unit-hit                      a found unit in the lead or co-unit choice
// 回访台
//   callback-row-<number>, reveal, reveal-reason, reveal-submit, revealed-phone
//   callback-reached, callback-unreached
//   callback-very-satisfied, callback-satisfied, callback-basic, callback-dissatisfied, callback-very-dissatisfied
//   callback-solved-<code>, callback-note, callback-submit
// 工单查询
//   orders-total                  data-total = the count
//   orders-news                   有更新: something changed since the list was read
//   deadline                      one clock on the order page; data-kind, data-lamp
//   order-row-<number>
//   order-state                   data-state on the order page
//   order-timeline, event-<kind>  one entry of the timeline
//   audio                         the player
// 通话记录
//   calls-total, call-row-<id>
// 报表
//   report-make, report-date, report-row-<id>, report-frame
// everywhere
//   stale                         409: what a colleague changed
//   list-loading, list-empty, list-error, list-retry
//   field-error-<member>          the fault of one member

// satisfactionIDs names the five grades of GB/T 39735.
export const satisfactionIDs: Record<number, string> = {
  1: 'callback-very-satisfied',
  2: 'callback-satisfied',
  3: 'callback-basic',
  4: 'callback-dissatisfied',
  5: 'callback-very-dissatisfied',
}
