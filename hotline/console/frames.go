package console

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"hotline12345/hotline"
	"hotline12345/hotline/outbox"
)

// The frames of /ws, one JSON object each.
type (
	hello struct {
		Type string    `json:"type"`
		Pos  int64     `json:"pos"`
		At   time.Time `json:"at"`
	}
	event struct {
		Type   string          `json:"type"`
		Pos    int64           `json:"pos"`
		Kind   string          `json:"kind"`
		Key    string          `json:"key"`
		At     time.Time       `json:"at"`
		Topics []string        `json:"topics"`
		Data   json.RawMessage `json:"data"`
	}
	floor struct {
		Type string                `json:"type"`
		Data hotline.FloorSnapshot `json:"data"`
	}
	phone struct {
		Type string    `json:"type"`
		Data phoneStep `json:"data"`
	}
	reset struct {
		Type string `json:"type"`
		Pos  int64  `json:"pos"`
	}
	denied struct {
		Type  string `json:"type"`
		Topic string `json:"topic"`
	}
	// request is what a client may send.
	request struct {
		Type   string   `json:"type"`
		Topics []string `json:"topics"`
		Since  *int64   `json:"since"` // nil: from now on
	}
)

// phoneStep is what an agent's own phone does: the screen pop that needs no
// database.
type phoneStep struct {
	Agent hotline.Agent        `json:"agent"`
	Call  *hotline.WaitingCall `json:"call"` // nil when the phone is free
}

func frame(v any) (*websocket.PreparedMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return websocket.NewPreparedMessage(websocket.TextMessage, b)
}

// plainFrame makes a frame of values that always encode.
func plainFrame(v any) *websocket.PreparedMessage {
	m, err := frame(v)
	if err != nil {
		panic(fmt.Sprintf("console: encode %T: %v", v, err)) // impossible: numbers and texts only
	}
	return m
}

func eventFrame(e outbox.Entry) (*websocket.PreparedMessage, error) {
	return frame(event{"event", e.Pos, e.Kind, e.Key, e.At, e.Topics, e.Payload})
}

func helloFrame(pos int64, at time.Time) *websocket.PreparedMessage {
	return plainFrame(hello{"hello", pos, at})
}

func resetFrame(pos int64) *websocket.PreparedMessage { return plainFrame(reset{"reset", pos}) }

func deniedFrame(topic string) *websocket.PreparedMessage {
	return plainFrame(denied{"denied", topic})
}
