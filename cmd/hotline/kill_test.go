package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// visitor opens a session of the demo.
func (d *demo) visitor(login string) *visitor {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	v := &visitor{d.t, "http://" + d.http, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
	v.post("/api/v1/login", map[string]string{"login": login, "password": demoPassword}, http.StatusOK, nil)
	return v
}

// newest waits until the newest call has ended with its recording; it must be
// the number's.
func (v *visitor) newest(number string) hotlineCall {
	v.t.Helper()
	var list callsList
	hotlinetest.Eventually(v.t, 30*time.Second, "the end of the newest call", func() bool {
		v.get("/api/v1/calls?limit=1", &list)
		return len(list.Calls) == 1 && list.Calls[0].EndedAt != nil && list.Calls[0].HasAudio && strings.HasSuffix(list.Calls[0].Caller, number[7:])
	})
	return list.Calls[0]
}

// dial calls 12345 and returns when the caller hears the agent's 900 Hz.
func dial(t *testing.T, server, user string) *siptest.Talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	p, err := siptest.NewPhone(siptest.Options{Server: server, User: user})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	talk, err := p.Call(ctx, "12345")
	if err != nil {
		t.Fatal(err)
	}
	talk.Loop(media.Tone(500, time.Second))
	hotlinetest.Eventually(t, 40*time.Second, "the caller hears the agent", func() bool { return talk.Level(900) > 0.25 })
	return talk
}

// redisServer is a Redis that outlives the program.
func redisServer(t *testing.T) (url string) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		hotlinetest.Missing(t, "redis-server")
	}
	addr := freeTCPAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(bin, "--bind", host, "--port", port, "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return "redis://" + addr
}

// TestKill9InATalk: the program dies in the middle of a talk. After the next
// start its record is closed as lost, the recording plays up to then, the
// agent is free and takes the next call, with a Redis of the program's own
// that is empty and with one that still believes in the talk.
func TestKill9InATalk(t *testing.T) {
	for _, kind := range []string{"private redis", "redis of the machine"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind != "private redis" {
				url := redisServer(t)
				killInATalk(t, "REDIS_URL="+url)
				return
			}
			killInATalk(t)
		})
	}
}

func killInATalk(t *testing.T, env ...string) {
	dir, err := os.MkdirTemp("", "hotline-kill-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	server, web := freeSIPAddr(t), freeTCPAddr(t)
	first := startDemo(t, dir, web, server, env...)
	agent, err := siptest.NewPhone(siptest.Options{Server: server, User: "1001", Password: demoPhonePassword("1001"),
		OnTalk: func(talk *siptest.Talk) { talk.Loop(media.Tone(900, time.Second)) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() })
	if err := agent.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	talk := dial(t, server, "13905630001")
	time.Sleep(3 * time.Second) // the length of the talk, not a wait for anybody
	if err := first.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()

	again := startDemo(t, dir, web, server, env...)
	hotlinetest.Eventually(t, 10*time.Second, "the program is ready", func() bool { return again.metric("hotline_call_facts_pending") >= 0 })
	v := again.visitor("dispatcher")
	call := v.newest("13905630001")
	if call.EndReason != hotline.EndNodeLost || call.AnsweredAt == nil || call.Extension != "1001" || call.EndedAt.Before(*call.AnsweredAt) {
		t.Errorf("record %+v", call)
	}
	status, wav := v.do("GET", "/api/v1/calls/"+call.ID+"/recording", nil)
	if status != http.StatusOK || len(wav) < 44+2*media.RateHz || !bytes.HasPrefix(wav, []byte("RIFF")) {
		t.Errorf("recording: status %d, %d bytes", status, len(wav))
	}
	if call.AudioMS < 1500 || int(call.AudioMS)*16+1000 < len(wav) {
		t.Errorf("%d ms of audio in %d bytes", call.AudioMS, len(wav))
	}

	// The old call's phones hang up on their own; the new program knows nothing
	// of it.
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_ = talk.Hangup(short)
	for _, old := range agent.Talks() {
		_ = old.Hangup(short)
	}
	if err := agent.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := dial(t, server, "13905630002")
	if err := next.Hangup(t.Context()); err != nil {
		t.Error(err)
	}
	if call := v.newest("13905630002"); call.EndReason != hotline.EndNormal || call.Extension != "1001" || !call.HasAudio {
		t.Errorf("the next call %+v", call)
	}
	if err := again.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := again.cmd.Wait(); err != nil {
		t.Errorf("stop: %v", err)
	}
}
