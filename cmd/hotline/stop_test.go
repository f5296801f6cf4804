package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/sip/media"
	"hotline12345/sip/siptest"
)

// stopLimit is how long a stop may last when calls run and nobody answers
// their goodbyes: the telephone waits four seconds for answers (the race
// detector and a busy machine get the rest).
const stopLimit = 9 * time.Second

// softphone makes a phone of the town that is let go with the test.
func (c *town) softphone(o siptest.Options) *siptest.Phone {
	c.t.Helper()
	o.Server = c.cfg.SIP.UDPAddr
	p, err := siptest.NewPhone(o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = p.Close() })
	return p
}

// registered makes and registers the phone of an agent.
func (c *town) registered(extension string, o siptest.Options) *siptest.Phone {
	c.t.Helper()
	o.User, o.Password = extension, demoPhonePassword(extension)
	p := c.softphone(o)
	if err := p.Register(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// inTalk connects a caller with the agent of extension 1001, both speaking.
func (c *town) inTalk() (caller, agent *siptest.Phone) {
	c.t.Helper()
	agent = c.registered("1001", siptest.Options{OnTalk: func(talk *siptest.Talk) { talk.Loop(media.Tone(900, time.Second)) }})
	caller = c.softphone(siptest.Options{User: "13905630001"})
	talk, err := caller.Call(c.t.Context(), "12345")
	if err != nil {
		c.t.Fatal(err)
	}
	talk.Loop(media.Tone(500, time.Second))
	hotlinetest.Eventually(c.t, 30*time.Second, "the caller hears the agent", func() bool { return talk.Level(900) > 0.25 })
	return caller, agent
}

// TestStopIsFast: Ctrl-C ends calls whose peers answer nothing any more: in a
// talk, in the queue, while a dead phone rings, and before the first ACK.
func TestStopIsFast(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name  string
		peers func(c *town)
	}{
		{"nothing runs", func(*town) {}},
		{"phones of a talk gone", func(c *town) {
			caller, agent := c.inTalk()
			_, _ = caller.Close(), agent.Close()
		}},
		{"waiting caller gone", func(c *town) {
			p := c.softphone(siptest.Options{User: "13905630002"})
			if _, err := p.Call(c.t.Context(), "12345"); err != nil {
				c.t.Fatal(err)
			}
			_ = p.Close()
		}},
		{"dead phone rings", func(c *town) {
			agent := c.registered("1001", siptest.Options{})
			_ = agent.Close()
			p := c.softphone(siptest.Options{User: "13905630003"})
			if _, err := p.Call(c.t.Context(), "12345"); err != nil {
				c.t.Fatal(err)
			}
			c.ringing()
		}},
		{"ringing phone never answers", func(c *town) {
			c.registered("1001", siptest.Options{OnCall: func(siptest.Incoming) siptest.Reaction { return siptest.Reaction{Never: true} }})
			p := c.softphone(siptest.Options{User: "13905630003"})
			if _, err := p.Call(c.t.Context(), "12345"); err != nil {
				c.t.Fatal(err)
			}
			c.ringing()
		}},
		{"no acknowledgement", func(c *town) {
			conn, err := net.Dial("udp", c.cfg.SIP.UDPAddr)
			if err != nil {
				c.t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(rawInvite(conn.LocalAddr().String(), c.cfg.SIP.UDPAddr, "noack"))); err != nil {
				c.t.Fatal(err)
			}
			hotlinetest.Eventually(c.t, 5*time.Second, "the call is there", func() bool { return c.phones.Calls() == 1 })
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := startTown(t, testConfig(t))
			s.peers(c)
			begun := time.Now()
			c.stop()
			if d := time.Since(begun); d > stopLimit {
				t.Errorf("the stop took %v", d)
			}
			for _, bad := range []string{"did not stop", "client is closed", "closed pool", "after the ledger was closed", "call facts stay"} {
				if strings.Contains(c.logs.String(), bad) {
					t.Errorf("the log says %q", bad)
				}
			}
		})
	}
}

// ringing waits until a call rings at an agent.
func (c *town) ringing() {
	c.t.Helper()
	hotlinetest.Eventually(c.t, 30*time.Second, "a phone rings", func() bool {
		s, err := c.floor.Snapshot(context.Background())
		if err != nil {
			return false
		}
		for _, a := range s.Agents {
			if a.CallID != "" {
				return true
			}
		}
		return false
	})
}

// rawInvite is an INVITE of a caller who will say nothing else.
func rawInvite(local, server, id string) string {
	body := "v=0\r\no=x 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
	return fmt.Sprintf("INVITE sip:12345@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nFrom: <sip:13905630009@%s>;tag=%s\r\n"+
		"To: <sip:12345@%s>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:x@%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		server, local, id, local, id, server, id, local, len(body), body)
}

// TestCtrlCAfterCallersWereKilled: the whole program with calls of SIPp that
// was killed; all three wait. It ends soon and without fault.
func TestCtrlCAfterCallersWereKilled(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hotline-stop-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	server := freeSIPAddr(t)
	d := startDemo(t, dir, freeTCPAddr(t), server)
	run := sipp(t, server, "caller", freePort(t), "-s", "12345", "-m", "3", "-l", "3", "-r", "3", "-d", "60000")
	hotlinetest.Eventually(t, 20*time.Second, "three callers wait", func() bool { return d.metric("hotline_floor_waiting") == 3 })
	_ = run.cmd.Process.Kill()
	<-run.done
	begun := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	if took := time.Since(begun); took > stopLimit {
		t.Errorf("the stop took %v", took)
	}
	log, err := os.ReadFile(dir + "/hotline.log")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"did not stop", "client is closed", "level=ERROR"} {
		if strings.Contains(string(log), bad) {
			t.Errorf("the log says %q:\n%s", bad, log)
		}
	}
}

// metric reads one plain value of /metrics; -1 when it is not there.
func (d *demo) metric(name string) float64 {
	d.t.Helper()
	res, err := http.Get("http://" + d.http + "/metrics")
	if err != nil {
		return -1
	}
	defer res.Body.Close()
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return n
		}
	}
	return -1
}
