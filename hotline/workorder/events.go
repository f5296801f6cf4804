package workorder

import (
	"time"

	"hotline12345/hotline"
)

// Clocks is the part of an event that starts and stops clocks.
type Clocks struct {
	Started []hotline.Deadline `json:"clocks_started,omitempty"`
	Stopped []ClockStop        `json:"clocks_stopped,omitempty"`
}

// ClockStop says that the running clock of a kind stopped, and how.
type ClockStop struct {
	Kind    hotline.ClockKind `json:"kind"`
	At      time.Time         `json:"at"`
	Outcome string            `json:"outcome"` // met or breached
}

// Caller is what an order knows of its caller: keys, never a name or number.
type Caller struct {
	PersonID int64          `json:"person_id,string"`
	Last4    string         `json:"last4"`
	CallID   hotline.CallID `json:"call_id,omitempty"`
}

// Submitted is the data of hotline.EventSubmitted. Caller is nil for readers
// who may not know the caller.
type Submitted struct {
	Type            hotline.DemandType      `json:"demand_type"`
	Source          hotline.SourceCode      `json:"source"`
	Category        hotline.CategoryCode    `json:"category_code"`
	Area            hotline.AreaCode        `json:"area_code"`
	Address         string                  `json:"address"`
	Title           string                  `json:"title"`
	Content         string                  `json:"content"`
	Urgency         hotline.Urgency         `json:"urgency"`
	Confidentiality hotline.Confidentiality `json:"confidentiality"`
	Caller          *Caller                 `json:"caller,omitempty"`
	Agent           hotline.AccountID       `json:"agent_id,string"`
	Clocks
}

// DirectAnswered is the data of hotline.EventDirectAnswered.
type DirectAnswered struct {
	Answer string         `json:"answer"`
	Solved hotline.Solved `json:"solved"`
}

// Unmatched is the data of hotline.EventUnmatched: why no rule matched.
type Unmatched struct {
	Reason hotline.Reason `json:"reason"`
}

// Dispatched is the data of hotline.EventDispatched: the new assignments, the
// lead first, each with the reason it was made for.
type Dispatched struct {
	Assignments []hotline.Assignment `json:"assignments"`
	Clocks
}

// Signed is the data of hotline.EventSigned: which assignment was signed.
type Signed struct {
	Assignment int64                  `json:"assignment_id,string"`
	Unit       hotline.UnitCode       `json:"unit_code"`
	Role       hotline.AssignmentRole `json:"role"`
	Clocks
}

// Replied is the data of hotline.EventReplied. It ends every open assignment.
type Replied struct {
	Unit        hotline.UnitCode `json:"unit_code"` // the lead unit, on whose behalf it is said
	Text        string           `json:"text"`
	Solved      hotline.Solved   `json:"solved"`
	ContactedAt *time.Time       `json:"contacted_at"` // when the unit spoke with the caller; nil: it did not say
	Clocks
}

// CallbackFailed is the data of hotline.EventCallbackFailed.
type CallbackFailed struct {
	Try  int    `json:"try"` // 1 for the first
	Note string `json:"note"`
}

// CallbackDone is the data of hotline.EventCallbackDone: the caller's words.
type CallbackDone struct {
	Satisfaction int            `json:"satisfaction"` // 1 very good … 5 very bad (GB/T 39735-2020)
	Solved       hotline.Solved `json:"solved"`
	Note         string         `json:"note"`
}

// Ended is the data of hotline.EventClosed; see the Outcome constants.
type Ended struct {
	Outcome string `json:"outcome"`
	Clocks
}

// DeadlineMoved is the data of hotline.EventDeadlineMoved: a running clock as
// it was and as it is under the newer calendar.
type DeadlineMoved struct {
	Before hotline.Deadline `json:"before"`
	After  hotline.Deadline `json:"after"`
}
