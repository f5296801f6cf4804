package cdr

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"hotline12345/hotline"
)

// fact is a hotline.CallFact at rest: a line of the spool and a row of
// call_fact. It never holds a full number in clear.
type fact struct {
	Call      hotline.CallID       `json:"call_id"`
	Seq       int                  `json:"seq"`
	Kind      hotline.CallFactKind `json:"kind"`
	At        time.Time            `json:"at"`
	Agent     hotline.AccountID    `json:"agent_id,omitempty"`
	Extension string               `json:"extension,omitempty"`
	Reason    string               `json:"reason,omitempty"`
	Sealed    []byte               `json:"caller_sealed,omitempty"`
	extra
}

// extra are the members only some kinds have: the column call_fact.data. The
// last three are found when the fact is stored, not when it is reported.
type extra struct {
	Last4     string `json:"caller_last4,omitempty"`
	Original  string `json:"original_number,omitempty"`
	Trunk     string `json:"trunk,omitempty"`
	Queue     string `json:"queue,omitempty"`
	EndedBy   string `json:"ended_by,omitempty"`
	Recording string `json:"recording,omitempty"`
	SHA256    string `json:"recording_sha256,omitempty"`
	MS        int64  `json:"recording_ms,omitempty"`

	Line     string             `json:"line,omitempty"`
	Source   hotline.SourceCode `json:"source,omitempty"`
	PersonID int64              `json:"person_id,omitempty"`
}

// encode writes the fact as one line with its end.
func (f fact) encode() ([]byte, error) {
	b, err := json.Marshal(f)
	return append(b, '\n'), err
}

// decodeFact reads a line of the spool, with or without its end.
func decodeFact(line []byte) (fact, error) {
	var f fact
	if err := json.Unmarshal(line, &f); err != nil {
		return fact{}, errors.New("decode call fact: not a fact") // the cause would quote the line
	}
	if f.Call == "" || f.Seq < 1 || f.Seq > math.MaxInt32 || f.Kind == "" || f.At.IsZero() {
		return fact{}, errors.New("decode call fact: incomplete")
	}
	if len(f.Sealed) == 0 {
		f.Sealed = nil
	}
	return f, nil
}

// Fold applies one fact to the call's record. Facts are applied in the order
// of Seq; a zero Call is the start. Facts that cannot follow, such as a second
// end, change nothing.
func Fold(c *hotline.Call, f hotline.CallFact) {
	c.ID = f.CallID
	if c.ArrivedAt.IsZero() {
		c.ArrivedAt = f.At // the arrival's own fact may be missing
	}
	at := f.At
	switch f.Kind {
	case hotline.CallArrived:
		c.ArrivedAt, c.Caller, c.Original, c.Trunk = at, f.Caller, f.Original, f.Trunk
	case hotline.CallGreeted:
	case hotline.CallQueued:
		if c.QueuedAt == nil {
			c.QueuedAt = &at
		}
	case hotline.CallOffered:
		if c.AnsweredAt == nil {
			c.OfferedAt, c.Agent, c.Extension = &at, f.Agent, f.Extension
		}
	case hotline.CallRefused:
		if c.AnsweredAt == nil && c.Agent == f.Agent {
			c.Agent, c.Extension = 0, ""
		}
	case hotline.CallAnswered:
		if c.AnsweredAt == nil {
			c.AnsweredAt, c.Agent, c.Extension = &at, f.Agent, f.Extension
		}
	case hotline.CallRecorded:
		c.HasAudio, c.AudioMS = f.Recording != "", f.Duration.Milliseconds()
	case hotline.CallEnded:
		if c.EndedAt == nil {
			c.EndedAt, c.EndedBy, c.EndReason = &at, f.EndedBy, f.Reason
		}
	}
}

// record is a call with what hotline.Call does not show: a row of call.
type record struct {
	hotline.Call
	sealed            []byte
	last4             string
	recording, sha256 string
	seq               int
}

// apply folds a stored fact into the record. Caller stays empty: it is opened
// when somebody reads the record.
func (r *record) apply(f fact) {
	Fold(&r.Call, hotline.CallFact{
		CallID: f.Call, Seq: f.Seq, Kind: f.Kind, At: f.At, Original: f.Original, Trunk: f.Trunk, Queue: f.Queue,
		Agent: f.Agent, Extension: f.Extension, Reason: f.Reason, EndedBy: f.EndedBy,
		Recording: f.Recording, SHA256: f.SHA256, Duration: time.Duration(f.MS) * time.Millisecond,
	})
	switch f.Kind {
	case hotline.CallArrived:
		r.sealed, r.last4 = f.Sealed, f.Last4
		r.Line, r.Source, r.PersonID = f.Line, f.Source, f.PersonID
	case hotline.CallRecorded:
		r.recording, r.sha256 = f.Recording, f.SHA256
	}
	r.seq = max(r.seq, f.Seq)
}

// concerns is the agent whose console must hear of the fact: the one it
// names, else the one the call is with.
func (r *record) concerns(f fact) hotline.AccountID {
	if f.Agent != 0 {
		return f.Agent
	}
	return r.Agent
}
