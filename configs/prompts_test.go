package configs

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wav makes a file of n bytes of sound in a format.
func wav(tag, channels, bits uint16, rate uint32, n int) []byte {
	le := binary.LittleEndian
	b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), 16, 0, 0, 0)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, channels)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, rate*uint32(channels)*uint32(bits)/8)
	b = le.AppendUint16(b, channels*bits/8)
	b = le.AppendUint16(b, bits)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(n))
	return append(b, make([]byte, n)...)
}

// TestEmbeddedPrompts: each text has its sound, the greeting keeps the eight
// seconds of domain.md §4, and the file of settings fits them.
func TestEmbeddedPrompts(t *testing.T) {
	t.Parallel()
	texts, err := LoadPromptTexts("")
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := Prompts("")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for name := range texts.Texts {
		b, ok := prompts[name]
		if !ok {
			t.Errorf("no sound of %s; run hotline prompts", name)
			continue
		}
		size += len(b)
		if length, err := wavLength(b); err != nil || length < 150*time.Millisecond || length > maxGreeting {
			t.Errorf("%s lasts %s, %v", name, length, err)
		}
	}
	if len(prompts) != len(texts.Texts)+1 || size > 1<<20 {
		t.Errorf("%d prompts of %d bytes", len(prompts), size)
	}
	if length, err := wavLength(prompts["music"]); err != nil || length < 10*time.Second || length > 20*time.Second {
		t.Errorf("the music lasts %s, %v", length, err)
	}
	if !strings.Contains(texts.Texts["greeting"], "录音") {
		t.Error("the greeting does not tell that the call is recorded")
	}
	v, err := LoadIVR("", prompts)
	if err != nil {
		t.Fatal(err)
	}
	if v.Greeting != "greeting" || !v.Position || v.AnnounceEvery != 30*time.Second {
		t.Errorf("settings %+v", v)
	}
}

func TestPromptsOfTheOperator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := wav(1, 1, 16, 8000, 16000)
	write(t, filepath.Join(dir, "greeting.wav"), string(mine))
	write(t, filepath.Join(dir, "readme.txt"), "not a prompt")
	prompts, err := Prompts(dir)
	if err != nil {
		t.Fatal(err)
	}
	if string(prompts["greeting"]) != string(mine) || len(prompts["busy"]) == 0 {
		t.Error("the folder does not lie over the embedded prompts")
	}
	write(t, filepath.Join(dir, "busy.wav"), string(wav(1, 2, 16, 44100, 10)))
	write(t, filepath.Join(dir, "waiting.wav"), "MP3")
	write(t, filepath.Join(dir, "Wrong-Name.wav"), string(mine))
	_, err = Prompts(dir)
	faults, ok := errors.AsType[Faults](err)
	if !ok || len(faults) != 3 || !strings.Contains(err.Error(), "44100 Hz 2 声道") || !strings.Contains(err.Error(), "waiting.wav: 不是 WAV 文件") {
		t.Errorf("got %v", err)
	}
	if _, err := Prompts(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a missing folder passed")
	}
}

func TestLoadIVRFaults(t *testing.T) {
	t.Parallel()
	prompts := map[string][]byte{"long": wav(6, 1, 8, 8000, 8*8000+1), "music": wav(6, 1, 8, 8000, 8)}
	path := write(t, filepath.Join(t.TempDir(), "ivr.yaml"), "greeting: long\nwaiting: ''\nposition_before: ''\nposition_after: ''\nbusy: nothing\nno_agent: ''\nreconnecting: ''\nannounce_every: 1s\nmenu: [1]\nposition: false\n")
	_, err := LoadIVR(path, prompts)
	want := []string{":1:11 greeting: 问候语长 8.0 秒，不得超过 8 秒", ":5:7 busy: 没有名为 nothing 的语音提示", ":8:17 announce_every: 须在", ":9:1 menu: 未知的键"}
	faults, ok := errors.AsType[Faults](err)
	if !ok || len(faults) != len(want) {
		t.Fatalf("got %v", err)
	}
	for i, w := range want {
		if got := strings.TrimPrefix(faults[i].String(), path); !strings.HasPrefix(got, w) {
			t.Errorf("got %q, want %q", got, w)
		}
	}
}

func TestLoadPromptTextsFaults(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "texts.yaml"), "texts:\n  Bad: 您好\n  music: 乐\n  empty: ''\n  digits: 拨打12345\nsay:\n  unknown: x\n")
	_, err := LoadPromptTexts(path)
	if faults, ok := errors.AsType[Faults](err); !ok || len(faults) != 5 {
		t.Errorf("got %v", err)
	}
}

// TestMakePrompts makes two prompts and the music by the real programs.
func TestMakePrompts(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"espeak-ng", "sox"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	texts := PromptTexts{Texts: map[string]string{"hello": "您好", "digit_1": "一"}, Say: map[string]string{"hello": "nin2 hao3, nin2 hao3"}}
	if err := MakePrompts(t.Context(), texts, dir); err != nil {
		t.Fatal(err)
	}
	prompts, err := Prompts(dir)
	if err != nil {
		t.Fatal(err)
	}
	hello, err := wavLength(prompts["hello"])
	one, err2 := wavLength(prompts["digit_1"])
	if err != nil || err2 != nil || hello < 2*one || one < 150*time.Millisecond {
		t.Errorf("hello lasts %s %v, one %s %v", hello, err, one, err2)
	}
	if err := MakePrompts(t.Context(), PromptTexts{Texts: map[string]string{"../x": "一"}}, dir); err == nil {
		t.Error("a name that leaves the folder passed")
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(wav(6, 1, 8, 8000, 4))
	f.Add(wav(1, 2, 16, 44100, 4))
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \xff\xff\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := wavLength(b); err == nil && d <= 0 {
			t.Errorf("a prompt of %s passed", d)
		}
	})
}
