package hotline

import "time"

// CallID identifies one call from its INVITE to its record, recording and
// order: "20261123-1a2b3c4d5e6f". Safe in file names and URLs.
type CallID string

// CallFactKind is a step of a call's life.
type CallFactKind string

// The steps, in the order they can come.
const (
	CallArrived  CallFactKind = "arrived"  // INVITE accepted from a trunk
	CallGreeted  CallFactKind = "greeted"  // our 200 went out, the greeting starts
	CallQueued   CallFactKind = "queued"   // entered the queue
	CallOffered  CallFactKind = "offered"  // an agent's phone rings
	CallRefused  CallFactKind = "refused"  // that agent did not take it; Reason says why
	CallAnswered CallFactKind = "answered" // agent and caller are connected
	CallRecorded CallFactKind = "recorded" // the recording is sealed
	CallEnded    CallFactKind = "ended"    // no leg is left
)

// CallFact is one step, reported by the call's actor. (CallID, Seq) makes it
// idempotent: a fact delivered twice counts once.
type CallFact struct {
	CallID    CallID
	Seq       int // 1 for the arrival; dense within a call
	Kind      CallFactKind
	At        time.Time
	Caller    Phone         // arrived
	Original  string        // arrived: the line that was dialled (original_number)
	Trunk     string        // arrived
	Queue     string        // queued
	Agent     AccountID     // offered, refused, answered
	Extension string        // offered, refused, answered
	Reason    string        // refused: no_answer, busy, declined, unreachable; ended: see the End constants
	EndedBy   string        // ended: caller, agent, system
	Recording string        // recorded: file under the recordings folder
	SHA256    string        // recorded: of the file, hex
	Duration  time.Duration // recorded: of the audio
}

// The values of CallFact.Reason on an ended fact: why the call ended.
const (
	EndNormal     = "normal"      // somebody hung up after a talk
	EndAbandoned  = "abandoned"   // the caller gave up before an agent answered
	EndNoAgent    = "no_agent"    // nobody could take it in time
	EndNoACK      = "no_ack"      // our 200 was never acknowledged (RFC 3261 §13.3.1.4)
	EndMediaLost  = "media_lost"  // no audio from the peer for too long
	EndRejected   = "rejected"    // limits or a bad offer
	EndNodeLost   = "node_lost"   // the program died; closed afterwards
	EndFailed     = "failed"      // our fault
	EndShutdown   = "shutdown"    // the program stopped in order
	EndMaxLength  = "max_length"  // the longest call allowed
	EndAgentLost  = "agent_lost"  // the agent's phone vanished in a talk
	EndNotOffered = "not_offered" // the caller hung up while still in the greeting
)

// Call is a call's record (话单) as its facts made it.
type Call struct {
	ID         CallID     `json:"id"`
	Caller     Phone      `json:"caller"` // masked in JSON
	PersonID   int64      `json:"person_id,string"`
	Original   string     `json:"original_number"`
	Line       string     `json:"line"` // name of the dialled line
	Source     SourceCode `json:"source"`
	Trunk      string     `json:"trunk"`
	ArrivedAt  time.Time  `json:"arrived_at"`
	QueuedAt   *time.Time `json:"queued_at"`
	OfferedAt  *time.Time `json:"offered_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`
	Agent      AccountID  `json:"agent_id,string"`
	Extension  string     `json:"extension"`
	EndedBy    string     `json:"ended_by"`
	EndReason  string     `json:"end_reason"`
	HasAudio   bool       `json:"has_recording"`
	AudioMS    int64      `json:"recording_ms"`
}

// AgentState is what an agent does now (话务员状态, domain.md §4).
type AgentState string

// The states. Reserved and Ringing are set by the floor only.
const (
	SignedOut AgentState = "signed_out" // 签出
	Ready     AgentState = "ready"      // 示闲: gets calls
	NotReady  AgentState = "not_ready"  // 示忙: no calls; see the reason
	OnBreak   AgentState = "on_break"   // 小休
	Reserved  AgentState = "reserved"   // 预占: chosen for a call, phone about to ring
	Ringing   AgentState = "ringing"    // 振铃
	Talking   AgentState = "talking"    // 通话
	WrapUp    AgentState = "wrap_up"    // 话后处理: ends by itself at Deadline
)

// NotReadyRONA is the reason set when an agent let a call ring out (RONA).
const NotReadyRONA = "rona"

// Agent is a seat's live state on the floor (坐席).
type Agent struct {
	ID        AccountID  `json:"id,string"`
	Name      string     `json:"name"`
	Extension string     `json:"extension"`
	State     AgentState `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	Since     time.Time  `json:"since"`
	Deadline  *time.Time `json:"deadline"` // the state ends by itself then; nil: never
	CallID    CallID     `json:"call_id,omitempty"`
	Phone     bool       `json:"phone_registered"`
	Version   int64      `json:"version"`
}

// WaitingCall is a caller in the queue.
type WaitingCall struct {
	ID       CallID    `json:"id"`
	Caller   Phone     `json:"caller"` // masked in JSON
	Original string    `json:"original_number"`
	Since    time.Time `json:"since"` // entered the queue; kept when an agent refuses
	State    string    `json:"state"` // waiting, offered, talking
	Agent    AccountID `json:"agent_id,string"`
	Node     string    `json:"node"`
}

// FloorSnapshot is the whole floor at one instant.
type FloorSnapshot struct {
	At      time.Time     `json:"at"`
	Waiting []WaitingCall `json:"waiting"` // longest first; offered ones included
	Agents  []Agent       `json:"agents"`  // by extension; signed-out ones included
}
