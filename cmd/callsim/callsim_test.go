package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// TestCallsAgainstAPhone places real calls to a phone that takes two of three.
func TestCallsAgainstAPhone(t *testing.T) {
	t.Parallel()
	hotline, err := siptest.NewPhone(siptest.Options{Server: "127.0.0.1:9", User: "12345",
		OnCall: func(in siptest.Incoming) siptest.Reaction {
			if strings.HasSuffix(in.From, "9") {
				return siptest.Reaction{Status: 486}
			}
			return siptest.Reaction{After: 20 * time.Millisecond}
		},
		OnTalk: func(t *siptest.Talk) { t.Loop(media.Tone(800, time.Second)) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(hotline.Close)
	c := callCommand{common: common{Server: hotline.Addr(), Transport: "udp", Local: "127.0.0.1"},
		Calls: 2, Rate: 20, Talk: 500 * time.Millisecond, Dial: "12345", From: "13900000001", Timeout: 5 * time.Second}
	if err := c.Run(t.Context()); err != nil {
		t.Errorf("answered calls: %v", err)
	}
	c.From = "13900000009"
	if err := c.Run(t.Context()); !errors.Is(err, errFailed) {
		t.Errorf("refused calls: %v, want errFailed", err)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	failed := summarize(&b, []result{
		{answered: true, heard: true, setup: 100 * time.Millisecond, stats: media.Stats{Received: 10, Sent: 11, Lost: 2}},
		{answered: true, setup: 300 * time.Millisecond},
		{err: errors.New("sip status 486 Busy Here")},
	})
	if failed != 1 {
		t.Errorf("%d failed, want 1", failed)
	}
	for _, want := range []string{"呼叫 calls", "setup p95", "300ms", "1 × sip status 486"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
