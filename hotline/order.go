package hotline

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// OrderID is a work order's key: yyyymmdd·10⁷ + n, so that ids sort by day.
// The zero value is no order. In JSON it is a string: pages show it and send
// it back, they do not calculate with it.
type OrderID int64

// NewOrderID makes the n-th id of a day, n from 1.
func NewOrderID(day Date, n int) OrderID {
	return OrderID(int64(day.Year*10000+int(day.Month)*100+day.Day)*10_000_000 + int64(n))
}

// Number returns the printed number: the id and one check digit by ISO/IEC
// 7064 MOD 11,10, so that one wrong or swapped digit read over the telephone
// is noticed.
func (id OrderID) Number() string {
	s := strconv.FormatInt(int64(id), 10)
	return s + string(checkDigit(s))
}

// checkDigit is ISO/IEC 7064 MOD 11,10.
func checkDigit(digits string) byte {
	p := 10
	for _, r := range digits {
		s := (p + int(r-'0')) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return byte('0' + (11-p)%10)
}

// ParseOrderNumber reads a printed number. Errors: Invalid.
func ParseOrderNumber(s string) (OrderID, error) {
	if len(s) != 16 {
		return 0, FieldErrorf("number", "工单编号为 16 位数字")
	}
	id, err := strconv.ParseInt(s[:15], 10, 64)
	if err != nil || OrderID(id).Number() != s {
		return 0, FieldErrorf("number", "工单编号校验不通过，请核对")
	}
	return OrderID(id), nil
}

// MarshalText writes the id in decimal.
func (id OrderID) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(id), 10), nil
}

// UnmarshalText reads what MarshalText wrote.
func (id *OrderID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return &Error{Code: Invalid, Message: "工单标识须为数字", Err: err}
	}
	*id = OrderID(n)
	return nil
}

// AccountID is a person who works with the system. Zero is the system itself.
type AccountID int64

// DemandType is what the citizen wants (诉求类型, domain.md §2.4).
type DemandType string

// The demand types.
const (
	Consult   DemandType = "consult"   // 咨询
	Help      DemandType = "help"      // 求助
	Complaint DemandType = "complaint" // 投诉
	Report    DemandType = "report"    // 举报
	Suggest   DemandType = "suggest"   // 建议
	Praise    DemandType = "praise"    // 表扬
	Other     DemandType = "other"     // 其他
)

// Urgency is how soon an order must be handled (紧急程度). Zero means ordinary
// in a category and "any" in a Limit.
type Urgency int

// The urgencies.
const (
	Ordinary Urgency = 1 // 一般
	Urgent   Urgency = 2 // 紧急
	Extra    Urgency = 3 // 特急
)

// Confidentiality says who may learn the caller's identity (保密要求).
type Confidentiality string

// The degrees. GB/T 33358-2016: on the caller's wish the order is confidential.
const (
	Open      Confidentiality = "open"      // units see masked name and number
	Hidden    Confidentiality = "hidden"    // units see nothing of the caller
	Anonymous Confidentiality = "anonymous" // the caller gave no name; nobody asks
)

// OrderState is the one main state of an order (domain.md §2.2, the part this
// program handles).
type OrderState string

// The states.
const (
	PendingDispatch OrderState = "pending_dispatch" // 待派单: accepted, no unit yet
	Dispatched      OrderState = "dispatched"       // 待签收
	Signed          OrderState = "signed"           // 已签收·办理中
	PendingCallback OrderState = "pending_callback" // 已答复·待回访
	Closed          OrderState = "closed"           // 办结
	DirectClosed    OrderState = "direct_closed"    // 直办办结: answered while the caller was on the line
)

// Done tells whether nothing more is expected to happen to the order.
func (s OrderState) Done() bool { return s == Closed || s == DirectClosed }

// WorkOrder is one demand of one citizen (工单) as its events made it. It
// holds no name and no number: those stand in hotline/citizen under PersonID.
type WorkOrder struct {
	ID              OrderID         `json:"id"`
	Number          string          `json:"number"`
	Version         int             `json:"version"` // seq of its last event; send it back with each command
	State           OrderState      `json:"state"`
	Type            DemandType      `json:"demand_type"`
	Source          SourceCode      `json:"source"`
	Category        CategoryCode    `json:"category_code"`
	Area            AreaCode        `json:"area_code"`
	Address         string          `json:"address"`
	Title           string          `json:"title"`
	Content         string          `json:"content"`
	Urgency         Urgency         `json:"urgency"`
	Confidentiality Confidentiality `json:"confidentiality"`
	PersonID        int64           `json:"person_id,string"` // zero: no caller known
	CallerLast4     string          `json:"caller_last4"`     // "" when withheld; blanked for units when Hidden
	CallID          CallID          `json:"call_id,omitempty"`
	AgentID         AccountID       `json:"agent_id,string"` // who took it down
	Assignments     []Assignment    `json:"assignments"`     // open and ended, oldest first
	Deadlines       []Deadline      `json:"deadlines"`       // running and stopped, oldest first
	Answer          string          `json:"answer"`          // the latest reply, or what was said on the spot
	Solved          Solved          `json:"solved,omitempty"`
	Satisfaction    int             `json:"satisfaction"` // 1 very good … 5 very bad (GB/T 39735); zero: not rated
	CallbackTries   int             `json:"callback_tries"`
	Outcome         string          `json:"outcome,omitempty"` // how it ended: direct, satisfied, dissatisfied, unreached, no_callback
	AcceptedAt      time.Time       `json:"accepted_at"`
	RepliedAt       *time.Time      `json:"replied_at"`
	ClosedAt        *time.Time      `json:"closed_at"`
}

// Lead returns the open lead assignment, if any.
func (o *WorkOrder) Lead() (Assignment, bool) {
	for _, a := range o.Assignments {
		if a.Role == LeadRole && a.EndedAt == nil {
			return a, true
		}
	}
	return Assignment{}, false
}

// Solved is the unit's or the caller's word on the matter (是否解决).
type Solved string

// The answers.
const (
	SolvedYes       Solved = "yes"       // 已解决
	SolvedPartly    Solved = "partly"    // 部分解决
	SolvedNo        Solved = "no"        // 未解决
	SolvedExplained Solved = "explained" // 解释说明
)

// AssignmentRole is a unit's part in an order (主办, 协办).
type AssignmentRole string

// The roles.
const (
	LeadRole AssignmentRole = "lead"
	CoRole   AssignmentRole = "co"
)

// Assignment is one unit's share of an order, and why it got it.
type Assignment struct {
	ID       int64          `json:"id,string"`
	Unit     UnitCode       `json:"unit_code"`
	Role     AssignmentRole `json:"role"`
	Reason   Reason         `json:"reason"`
	SentAt   time.Time      `json:"sent_at"`
	SignedAt *time.Time     `json:"signed_at"`
	EndedAt  *time.Time     `json:"ended_at"` // replied, returned or taken away
}

// Reason says why a unit got an order, for the timeline and for disputes.
type Reason struct {
	Kind             string       `json:"kind"`              // "rule" or "manual"
	Rule             string       `json:"rule,omitempty"`    // CatalogueRule.ID
	CatalogueVersion int          `json:"catalogue_version"` // city data version the rule stood in
	Category         CategoryCode `json:"category,omitempty"`
	Area             AreaCode     `json:"area,omitempty"`
	Text             string       `json:"text"` // one Chinese sentence
}

// Plan is where an order should go (派单方案). A zero Lead means that no rule
// matched and a dispatcher must choose; Reason.Text then says so.
type Plan struct {
	Lead    UnitCode   `json:"lead"`
	CoUnits []UnitCode `json:"co_units"`
	Reason  Reason     `json:"reason"`
}

// Deadline is one clock of an order: the limit that applied, the versions it
// was computed with and what became of it.
type Deadline struct {
	Kind            ClockKind  `json:"kind"`
	Policy          string     `json:"policy"`
	Amount          int        `json:"amount"`
	Unit            LimitUnit  `json:"unit"`
	CalendarVersion int        `json:"calendar_version"`
	StartedAt       time.Time  `json:"started_at"`
	DueAt           time.Time  `json:"due_at"`
	WarnAt          time.Time  `json:"warn_at"`     // the lamp turns yellow (domain.md §2.8)
	Provisional     bool       `json:"provisional"` // a year in it has no published calendar yet
	StoppedAt       *time.Time `json:"stopped_at"`
	Outcome         string     `json:"outcome,omitempty"` // met, breached, cancelled
}

// EventKind names what happened to an order; the page and the log use it too.
type EventKind string

// The events.
const (
	EventSubmitted      EventKind = "submitted"       // 登记受理
	EventDirectAnswered EventKind = "direct_answered" // 当场答复
	EventUnmatched      EventKind = "unmatched"       // 转人工派单: no rule matched, or the rule names no unit
	EventDispatched     EventKind = "dispatched"      // 派单
	EventSigned         EventKind = "signed"          // 签收
	EventReplied        EventKind = "replied"         // 答复
	EventCallbackFailed EventKind = "callback_failed" // 回访未接通
	EventCallbackDone   EventKind = "callback_done"   // 回访完成
	EventClosed         EventKind = "closed"          // 办结
	EventDeadlineMoved  EventKind = "deadline_moved"  // 时限重算 (a holiday notice was loaded)
)

// Audience is who may read an event, on any page, API or document.
type Audience string

// The audiences, each including the ones before it.
const (
	ForCenter  Audience = "center"  // the hotline office only
	ForUnits   Audience = "units"   // and the order's units
	ForCitizen Audience = "citizen" // and the citizen
)

// Event is one thing that happened to an order: the truth the order is folded
// from. Data holds no name and no number.
type Event struct {
	OrderID  OrderID         `json:"order_id"`
	Seq      int             `json:"seq"` // 1 for the first; dense
	Kind     EventKind       `json:"kind"`
	At       time.Time       `json:"at"`
	Actor    AccountID       `json:"actor,string"` // zero: the system
	Unit     UnitCode        `json:"unit_code"`    // the actor's unit; "" for the system
	Audience Audience        `json:"audience"`
	Data     json.RawMessage `json:"data"`
}

// String names the event for logs.
func (e Event) String() string { return fmt.Sprintf("%d/%d %s", int64(e.OrderID), e.Seq, e.Kind) }
