package configs

import "time"

// IVR is what a caller hears before an agent answers (ivr.yaml): names of
// prompts and the rhythm of the announcements.
type IVR struct {
	Greeting       string        `yaml:"greeting"` // at most maxGreeting long
	Music          string        `yaml:"music"`
	Waiting        string        `yaml:"waiting"`
	Position       bool          `yaml:"position"` // tell the place in the queue
	PositionBefore string        `yaml:"position_before"`
	PositionAfter  string        `yaml:"position_after"`
	AnnounceEvery  time.Duration `yaml:"announce_every"`
	Busy           string        `yaml:"busy"`
	NoAgent        string        `yaml:"no_agent"`
	Reconnecting   string        `yaml:"reconnecting"`
}

// maxGreeting is the longest greeting, recording notice included (domain.md §4).
const maxGreeting = 8 * time.Second

// LoadIVR reads the greeting's settings of a file over the embedded ones; an
// empty path means no file. Each name must be one of the prompts, or empty for
// silence. A file that breaks a rule gives Faults.
func LoadIVR(path string, prompts map[string][]byte) (IVR, error) {
	var v IVR
	shown, src, err := fileOrEmbedded("", "ivr.yaml")
	if err != nil {
		return IVR{}, err
	}
	r := newReader(shown)
	r.decode(src, &v)
	if path != "" && len(r.faults) == 0 {
		shown, src, err = fileOrEmbedded(path, "")
		if err != nil {
			return IVR{}, err
		}
		r = newReader(shown)
		r.decode(src, &v)
	}
	for _, p := range []struct{ key, name string }{
		{"greeting", v.Greeting}, {"music", v.Music}, {"waiting", v.Waiting}, {"position_before", v.PositionBefore},
		{"position_after", v.PositionAfter}, {"busy", v.Busy}, {"no_agent", v.NoAgent}, {"reconnecting", v.Reconnecting},
	} {
		sound, ok := prompts[p.name]
		if !ok && p.name != "" {
			r.fault(p.key, "没有名为 %s 的语音提示", p.name)
		}
		if length, err := wavLength(sound); p.key == "greeting" && ok && err == nil && length > maxGreeting {
			r.fault(p.key, "问候语长 %.1f 秒，不得超过 %.0f 秒", length.Seconds(), maxGreeting.Seconds())
		}
	}
	if v.Position {
		for _, d := range digitPrompts {
			if _, ok := prompts[d]; !ok {
				r.fault("position", "播报位置缺少语音提示 %s", d)
			}
		}
	}
	if v.AnnounceEvery < 5*time.Second || v.AnnounceEvery > 10*time.Minute {
		r.fault("announce_every", "须在 5s 与 10m 之间")
	}
	if err := r.err(); err != nil {
		return IVR{}, err
	}
	return v, nil
}

// digitPrompts are the pieces a place in the queue is said with.
var digitPrompts = []string{"digit_0", "digit_1", "digit_2", "digit_3", "digit_4", "digit_5", "digit_6", "digit_7", "digit_8", "digit_9", "digit_10", "digit_100", "digit_1000"}
