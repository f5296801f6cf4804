package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hotline12345/hotline"
	"hotline12345/hotline/hotlinetest"
)

// sipp runs a scenario of testdata/sipp to its end. Everything it sends comes
// from 127.0.0.1, the demo's trunk and phone network.
func sipp(t *testing.T, server, scenario string, port int, args ...string) *sippRun {
	t.Helper()
	bin, err := exec.LookPath("sipp")
	if err != nil {
		hotlinetest.Missing(t, "sipp")
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	all := append([]string{server, "-sf", filepath.Join(wd, "testdata", "sipp", scenario+".xml"),
		"-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", strconv.Itoa(port), "-mp", strconv.Itoa(10000 + int(mediaPorts.Add(1)%1000)*10), "-nostdin",
		"-timeout", "60s", "-timeout_error", "-trace_err", "-trace_logs"}, args...)
	r := &sippRun{t: t, name: scenario, cmd: exec.Command(bin, all...), done: make(chan struct{})}
	r.cmd.Dir = t.TempDir()
	r.cmd.Env = append(os.Environ(), "TERM=xterm")
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.err = r.cmd.Wait(); close(r.done) }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.done })
	return r
}

// sippRun is a SIPp under way.
type sippRun struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  bytes.Buffer
	err  error
	done chan struct{}
}

// wait wants the scenario to end without a failed call.
func (r *sippRun) wait() {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(90 * time.Second):
		r.t.Fatalf("sipp %s did not end", r.name)
	}
	if r.err == nil {
		return
	}
	said := r.out.String()
	if logs, _ := filepath.Glob(filepath.Join(r.cmd.Dir, "*_errors.log")); len(logs) > 0 {
		b, _ := os.ReadFile(logs[0])
		said += string(b)
	}
	r.t.Fatalf("sipp %s: %v\n%s", r.name, r.err, said[max(0, len(said)-3000):])
}

// freePort finds a UDP port with its neighbours free enough for SIPp.
func freePort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// sippAgent registers an extension with digest authentication and then answers
// calls on the same port, its audio echoed.
func (c *town) sippAgent(extension, scenario string, calls int, args ...string) *sippRun {
	c.t.Helper()
	port := freePort(c.t)
	csv := filepath.Join(c.t.TempDir(), "agent.csv")
	line := fmt.Sprintf("SEQUENTIAL\n%s;[authentication username=%s password=%s]\n", extension, extension, demoPhonePassword(extension))
	if err := os.WriteFile(csv, []byte(line), 0o600); err != nil {
		c.t.Fatal(err)
	}
	sipp(c.t, c.cfg.SIP.UDPAddr, "register", port, "-inf", csv, "-m", "1").wait()
	return sipp(c.t, c.cfg.SIP.UDPAddr, scenario, port, append([]string{"-rtp_echo", "-m", strconv.Itoa(calls), "-d", "300"}, args...)...)
}

// TestSIPpCallIsAnsweredAndRecorded: a client no one here wrote dials 12345,
// is greeted, queued, answered by a registered phone, and its A-law sample
// comes back through the relay; the record and the recording are complete.
func TestSIPpCallIsAnsweredAndRecorded(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	agent := c.sippAgent("1001", "agent", 1)
	started := time.Now()
	sipp(t, c.cfg.SIP.UDPAddr, "caller", freePort(t), "-s", "12345", "-m", "1", "-d", "8000").wait()
	talked := time.Since(started)
	agent.wait()

	v := c.login("dispatcher")
	call := v.calls(1)[0]
	if call.Original != "12345" || call.Extension != "1001" || call.EndedBy != "caller" || call.EndReason != hotline.EndNormal {
		t.Errorf("record %+v", call)
	}
	if call.QueuedAt == nil || call.AnsweredAt == nil || !call.ArrivedAt.Before(*call.QueuedAt) || !call.QueuedAt.Before(*call.AnsweredAt) || !call.AnsweredAt.Before(*call.EndedAt) {
		t.Errorf("instants out of order: %+v", call)
	}
	if !strings.Contains(call.Caller, "****") {
		t.Errorf("caller shown as %q", call.Caller)
	}
	status, wav := v.do("GET", "/api/v1/calls/"+call.ID+"/recording", nil)
	if status != 200 {
		t.Fatalf("recording: status %d", status)
	}
	checkStereo(t, wav, call, talked)
	c.assertNoFullNumber("13905630001")
	c.assertNoFullNumber("1390563")
}

// checkStereo reads the WAV header (A-law stereo at 8 kHz) and wants sound on
// both sides: the sample of the caller, and its echo from the agent.
func checkStereo(t *testing.T, wav []byte, call hotlineCall, atMost time.Duration) {
	t.Helper()
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" {
		t.Fatalf("not a WAV: % x", wav[:min(16, len(wav))])
	}
	format, channels, rate := binary.LittleEndian.Uint16(wav[20:]), binary.LittleEndian.Uint16(wav[22:]), binary.LittleEndian.Uint32(wav[24:])
	if format != 6 || channels != 2 || rate != 8000 {
		t.Fatalf("format %d, %d channels, %d Hz; want A-law stereo at 8 kHz", format, channels, rate)
	}
	at := bytes.Index(wav, []byte("data"))
	audio := wav[at+8:]
	if got := int64(len(audio) / 16); got < call.AudioMS-200 || got > call.AudioMS+200 || got > atMost.Milliseconds() {
		t.Errorf("%d ms of audio, the record says %d, the whole call took %v", got, call.AudioMS, atMost)
	}
	loud := [2]int{}
	for i, b := range audio {
		// An A-law byte away from silence: its exponent bits, inverted by 0x55.
		if (b^0x55)&0x70 > 0x20 {
			loud[i%2]++
		}
	}
	for side, n := range loud {
		if n < 4000 {
			t.Errorf("side %d has %d loud samples; want half a second of sound", side, n)
		}
	}
}

// TestSIPpMergedLineKeepsItsNumber: an old line leads to the same queue and is
// kept as original_number.
func TestSIPpMergedLineKeepsItsNumber(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	var old string
	for _, l := range c.archive.Directory().City.Lines {
		if len(l.Number) == 7 {
			old = l.Number
			break
		}
	}
	agent := c.sippAgent("1001", "agent", 1)
	sipp(t, c.cfg.SIP.UDPAddr, "caller", freePort(t), "-s", old, "-m", "1", "-d", "3000").wait()
	agent.wait()
	call := c.login("dispatcher").calls(1)[0]
	if call.Original != old || call.AnsweredAt == nil {
		t.Errorf("record %+v, want original number %s", call, old)
	}
}

// TestSIPpAgentHangsUp: the other side ends it.
func TestSIPpAgentHangsUp(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	agent := c.sippAgent("1001", "agent_hangs_up", 1, "-d", "2000")
	sipp(t, c.cfg.SIP.UDPAddr, "caller_hung_up_on", freePort(t), "-s", "12345", "-m", "1").wait()
	agent.wait()
	call := c.login("dispatcher").calls(1)[0]
	if call.EndedBy != "agent" || call.EndReason != hotline.EndNormal {
		t.Errorf("record %+v", call)
	}
}

// TestSIPpTenCallsAtOnce over UDP, and the same over TCP.
func TestSIPpTenCallsAtOnce(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			c := startTown(t, testConfig(t))
			c.t = t
			var agents []*sippRun
			for n := range 10 {
				agents = append(agents, c.sippAgent(demoExtension(n), "agent", 1))
			}
			sipp(t, c.cfg.SIP.UDPAddr, "caller", freePort(t), "-t", transport, "-s", "12345", "-m", "10", "-l", "10", "-r", "10", "-d", "9000").wait()
			var wg sync.WaitGroup
			for _, a := range agents {
				wg.Go(func() { <-a.done })
			}
			wg.Wait()
			for _, a := range agents {
				a.wait()
			}
			seen := map[string]bool{}
			for _, call := range c.login("dispatcher").calls(10) {
				if call.AnsweredAt == nil || call.EndReason != hotline.EndNormal || !call.HasAudio {
					t.Errorf("record %+v", call)
				}
				seen[call.Extension] = true
			}
			if len(seen) != 10 {
				t.Errorf("%d agents took the ten calls", len(seen))
			}
		})
	}
}

// TestStrangerGetsNothing: an INVITE from a source that is no trunk and no
// registered phone is not answered with a single byte.
func TestStrangerGetsNothing(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	conn, err := net.ListenPacket("udp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := net.ResolveUDPAddr("udp", c.cfg.SIP.UDPAddr)
	if err != nil {
		t.Fatal(err)
	}
	invite := func(body string) {
		if _, err := conn.WriteTo([]byte(body), server); err != nil {
			t.Fatal(err)
		}
	}
	local := conn.LocalAddr().String()
	invite("INVITE sip:12345@" + c.cfg.SIP.UDPAddr + " SIP/2.0\r\nVia: SIP/2.0/UDP " + local + ";branch=z9hG4bKstranger;rport\r\nFrom: <sip:x@x>;tag=1\r\nTo: <sip:12345@x>\r\nCall-ID: stranger\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:x@" + local + ">\r\nContent-Length: 0\r\n\r\n")
	invite("garbage \x00\xff")
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	b := make([]byte, 2000)
	if n, _, err := conn.ReadFrom(b); err == nil {
		t.Errorf("the stranger got %q", b[:n])
	}
}
