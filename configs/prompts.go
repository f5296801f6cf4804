package configs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// PromptTexts is what the prompts say (prompts/texts.yaml).
type PromptTexts struct {
	Texts map[string]string `yaml:"texts"` // prompt name → Mandarin
	Say   map[string]string `yaml:"say"`   // prompt name → what the voice is given instead
}

var promptName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// LoadPromptTexts reads the texts of a file, or the embedded ones when path is
// empty. A file that breaks a rule gives Faults.
func LoadPromptTexts(path string) (PromptTexts, error) {
	shown, src, err := fileOrEmbedded(path, "prompts/texts.yaml")
	if err != nil {
		return PromptTexts{}, err
	}
	var t PromptTexts
	r := newReader(shown)
	r.decode(src, &t)
	for _, name := range slices.Sorted(maps.Keys(t.Texts)) {
		switch text := t.Texts[name]; {
		case !promptName.MatchString(name):
			r.fault("texts."+name, "名称须为小写字母、数字与下划线，以字母开头")
		case name == musicName:
			r.fault("texts."+name, "%s 是生成的等候音乐，不能是文字", musicName)
		case strings.TrimSpace(text) == "":
			r.fault("texts."+name, "必填")
		case strings.ContainsAny(text, "0123456789"):
			r.fault("texts."+name, "数字须写成以空格隔开的汉字")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Say)) {
		if _, ok := t.Texts[name]; !ok {
			r.fault("say."+name, "texts 中没有这个名称")
		}
	}
	if err := r.err(); err != nil {
		return PromptTexts{}, err
	}
	return t, nil
}

// fileOrEmbedded returns the operator's file, or the embedded one when he
// named none, with the name to show in faults.
func fileOrEmbedded(operators, ours string) (shown string, src []byte, err error) {
	if operators == "" {
		src, err = embedded.ReadFile(ours)
		return ours, src, err
	}
	src, err = os.ReadFile(operators)
	return operators, src, err
}

// maxPrompt bounds a prompt file: ten minutes of 16-bit sound.
const maxPrompt = 10 * 60 * 8000 * 2

// Prompts returns the prompt files by name ("greeting"): the embedded ones,
// each replaced by the folder's file of the same name; an empty dir is none.
// Every file is a WAV of one channel at 8 kHz in A-law, µ-law or 16-bit PCM; a
// file that is not gives Faults.
func Prompts(dir string) (map[string][]byte, error) {
	ours, err := fs.Sub(embedded, "prompts")
	if err != nil {
		return nil, err
	}
	all, faults, err := readPrompts(ours, "prompts")
	if err != nil {
		return nil, err
	}
	if dir != "" {
		theirs, more, err := readPrompts(os.DirFS(dir), dir)
		if err != nil {
			return nil, fmt.Errorf("read prompts: %w", err)
		}
		maps.Copy(all, theirs)
		faults = append(faults, more...)
	}
	if err := asError(faults); err != nil {
		return nil, err
	}
	return all, nil
}

func readPrompts(dir fs.FS, shown string) (map[string][]byte, []Fault, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, nil, err
	}
	all := map[string][]byte{}
	var faults []Fault
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".wav")
		if !ok || e.IsDir() {
			continue
		}
		file := filepath.Join(shown, e.Name())
		if !promptName.MatchString(name) {
			faults = append(faults, Fault{File: file, Message: "文件名须为小写字母、数字与下划线"})
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, nil, err
		}
		if info.Size() > maxPrompt {
			faults = append(faults, Fault{File: file, Message: "超过十分钟"})
			continue
		}
		b, err := fs.ReadFile(dir, path.Clean(e.Name()))
		if err != nil {
			return nil, nil, err
		}
		if _, err := wavLength(b); err != nil {
			faults = append(faults, Fault{File: file, Message: err.Error()})
			continue
		}
		all[name] = b
	}
	return all, faults, nil
}

// wavLength returns how long a prompt file plays. The error is a Chinese
// clause that says what the file is and what it must be.
func wavLength(b []byte) (time.Duration, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return 0, errors.New("不是 WAV 文件")
	}
	le := binary.LittleEndian
	bytesPerSecond := 0
	for rest := b[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int(le.Uint32(rest[4:]))
		body := rest[8:]
		body = body[:min(size, len(body))]
		switch {
		case id == "fmt " && len(body) >= 16:
			tag, channels, rate, bits := le.Uint16(body), le.Uint16(body[2:]), le.Uint32(body[4:]), le.Uint16(body[14:])
			// RFC 2361: 1 PCM, 6 A-law, 7 µ-law.
			if channels != 1 || rate != 8000 || (tag != 1 || bits != 16) && (tag != 6 && tag != 7 || bits != 8) {
				return 0, fmt.Errorf("须为 8000 Hz 单声道 A 律、µ 律或 16 位 PCM，实为 %d Hz %d 声道、编码 %d、%d 位", rate, channels, tag, bits)
			}
			bytesPerSecond = 8000 * int(bits) / 8
		case id == "data" && bytesPerSecond == 0:
			return 0, errors.New("WAV 的 data 段之前没有 fmt 段")
		case id == "data" && len(body) == 0:
			return 0, errors.New("WAV 没有声音")
		case id == "data":
			return time.Duration(len(body)) * time.Second / time.Duration(bytesPerSecond), nil
		}
		rest = rest[min(len(rest), 8+size+size&1):] // chunks are padded to even lengths
	}
	return 0, errors.New("WAV 缺少 fmt 或 data 段")
}
