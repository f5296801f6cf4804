package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hotline12345/hotline/hotlinetest"
	"hotline12345/sip/media"
)

// baresip runs the softphone of that name with one account and a tone as its
// microphone, for some seconds.
func baresip(t *testing.T, account string, hz float64, seconds int, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := exec.LookPath("baresip")
	if err != nil {
		hotlinetest.Missing(t, "baresip")
	}
	dir := t.TempDir()
	wav := filepath.Join(dir, "tone.wav")
	files := map[string][]byte{
		wav: toneWAV(hz, 30*time.Second),
		filepath.Join(dir, "config"): []byte("module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\n" +
			"audio_srate 8000\naudio_channels 1\naudio_source aufile," + wav + "\naudio_player aufile," + filepath.Join(dir, "heard.wav") + "\n" +
			"module stdio.so\nmodule g711.so\nmodule aufile.so\nmodule account.so\nmodule menu.so\n"),
		filepath.Join(dir, "accounts"): []byte(account + "\n"),
	}
	for name, b := range files {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, append([]string{"-f", dir, "-t", fmt.Sprint(seconds)}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// toneWAV is a mono 8 kHz PCM16 file of a sine.
func toneWAV(hz float64, d time.Duration) []byte {
	n := int(d.Seconds() * 8000)
	var b bytes.Buffer
	b.WriteString("RIFF")
	for _, v := range []any{uint32(36 + 2*n), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(8000), uint32(16000), uint16(2), uint16(16), []byte("data"), uint32(2 * n)} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer takes all
	}
	for i := range n {
		_ = binary.Write(&b, binary.LittleEndian, int16(12000*math.Sin(2*math.Pi*hz*float64(i)/8000)))
	}
	return b.Bytes()
}

// TestBaresipTalksBothWays: baresip as the agent's phone, registered with
// digest authentication, and baresip as the citizen. Each plays its own tone;
// the recording has the citizen's on the left and the agent's on the right,
// so both went through the relay.
func TestBaresipTalksBothWays(t *testing.T) {
	t.Parallel()
	c := startTown(t, testConfig(t))
	baresip(t, fmt.Sprintf("<sip:1001@%s>;auth_pass=%s;answermode=auto;regint=60;audio_codecs=pcma/8000", c.cfg.SIP.UDPAddr, demoPhonePassword("1001")), 440, 60)
	hotlinetest.Eventually(t, 20*time.Second, "the phone registered", func() bool {
		floor, err := c.floor.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range floor.Agents {
			if a.Extension == "1001" && a.Phone {
				return true
			}
		}
		return false
	})
	baresip(t, fmt.Sprintf("<sip:13905630007@%s>;regint=0;audio_codecs=pcma/8000", c.cfg.SIP.UDPAddr), 700, 20, "-e", "d sip:12345@"+c.cfg.SIP.UDPAddr)

	v := c.login("dispatcher")
	call := v.calls(1)[0]
	if call.AnsweredAt == nil || call.EndedBy != "caller" {
		t.Errorf("record %+v", call)
	}
	status, wav := v.do("GET", "/api/v1/calls/"+call.ID+"/recording", nil)
	if status != 200 {
		t.Fatalf("recording: status %d", status)
	}
	audio := wav[bytes.Index(wav, []byte("data"))+8:]
	mid := len(audio) / 4 * 2 // a second from the middle of the talk
	sides := [2][]byte{}
	for i, b := range audio[mid:min(mid+16000, len(audio))] {
		sides[i%2] = append(sides[i%2], b)
	}
	for side, want := range []struct{ own, other float64 }{{700, 440}, {440, 700}} {
		pcm := make([]int16, len(sides[side]))
		media.PCMA.Decode(pcm, sides[side])
		own, other := media.ToneLevel(pcm, want.own), media.ToneLevel(pcm, want.other)
		if own < 0.2 || own < 10*other {
			t.Errorf("side %d: level %.3f at %.0f Hz and %.3f at %.0f Hz", side, own, want.own, other, want.other)
		}
	}
	c.assertNoFullNumber("13905630007")
}
