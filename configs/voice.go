package configs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// musicName is the prompt a caller hears while he waits.
const musicName = "music"

// MakePrompts speaks each text by espeak-ng and writes <name>.wav into dir, 8
// kHz mono A-law made by sox, and music.wav, a soft melody of our own. It is
// how the embedded prompts were made: `hotline prompts` calls it. The voice is
// cmn-latn-pinyin; espeak-ng's plain cmn reads pinyin as English. The same
// texts give the same files. Errors name the missing program.
func MakePrompts(ctx context.Context, texts PromptTexts, dir string) error {
	for _, program := range []string{"espeak-ng", "sox"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("未找到 %s，请先安装 / %s is not installed: %w", program, program, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make prompts folder: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(texts.Texts)) {
		if !promptName.MatchString(name) {
			return fmt.Errorf("make prompt %q: not a prompt name", name)
		}
		say := texts.Texts[name]
		if s, ok := texts.Say[name]; ok {
			say = s
		}
		var speech bytes.Buffer
		if err := run(ctx, strings.NewReader(say), &speech, "espeak-ng", "-v", "cmn-latn-pinyin", "-s", "165", "--stdin", "--stdout"); err != nil {
			return fmt.Errorf("speak prompt %s: %w", name, err)
		}
		// A stream has no length in its header; --ignore-length reads it all.
		// Silence at both ends is cut, so that digits join into a number.
		err := sox(ctx, &speech, filepath.Join(dir, name+".wav"), []string{"--ignore-length", "-t", "wav"},
			"highpass", "200", "lowpass", "3500", "silence", "1", "0.01", "0.5%", "reverse", "silence", "1", "0.01", "0.5%", "reverse",
			"norm", "-3", "pad", "0.02", "0.08")
		if err != nil {
			return fmt.Errorf("make prompt %s: %w", name, err)
		}
	}
	raw := []string{"-t", "raw", "-r", "8000", "-c", "1", "-e", "signed", "-b", "16", "-L"}
	if err := sox(ctx, bytes.NewReader(melody()), filepath.Join(dir, musicName+".wav"), raw, "lowpass", "3000"); err != nil {
		return fmt.Errorf("make prompt %s: %w", musicName, err)
	}
	return nil
}

// sox turns sound of the described form into an A-law file with the effects.
func sox(ctx context.Context, in io.Reader, out string, form []string, effects ...string) error {
	args := append([]string{"-V1", "-D"}, form...)
	args = append(args, "-", "-t", "wav", "-r", "8000", "-c", "1", "-e", "a-law", out)
	return run(ctx, in, nil, "sox", append(args, effects...)...)
}

func run(ctx context.Context, in io.Reader, out *bytes.Buffer, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &complaint
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("run %s: %w", program, err), errors.New(strings.TrimSpace(complaint.String())))
	}
	return nil
}

// melody is sixteen seconds of a slow pentatonic tune as 16-bit samples at 8
// kHz. It ends in silence, so that it can be played again and again.
func melody() []byte {
	const rate, beat = 8000, 4000 // half a second a beat
	// Semitones above C4 in the mode of gong (宫): C D E G A; -1 rests.
	tune := []int{7, 9, 12, 9, 7, 4, 7, -1, 9, 12, 14, 12, 9, 7, 9, -1, 4, 7, 9, 7, 4, 2, 4, -1, 2, 4, 7, 4, 2, 0, 0, -1}
	wave := make([]float64, len(tune)*beat)
	add := func(from int, hz, loud, seconds float64) {
		for i := from; i < len(wave); i++ {
			t := float64(i-from) / rate
			if t > 3*seconds {
				break
			}
			envelope := loud * math.Min(t/0.03, 1) * math.Exp(-t/seconds)
			wave[i] += envelope * (math.Sin(2*math.Pi*hz*t) + 0.25*math.Sin(4*math.Pi*hz*t))
		}
	}
	for i, note := range tune {
		if note < 0 {
			continue
		}
		hz := 261.63 * math.Pow(2, float64(note)/12)
		add(i*beat, hz, 0.16, 0.5)
		if i%4 == 0 {
			add(i*beat, hz/2, 0.10, 0.9)
		}
	}
	out := make([]byte, 0, 2*len(wave))
	for i, v := range wave {
		fade := math.Min(1, float64(len(wave)-i)/float64(rate/4))
		out = binary.LittleEndian.AppendUint16(out, uint16(int16(20000*v*fade)))
	}
	return out
}
