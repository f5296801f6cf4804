package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func noEnv(string) (string, bool) { return "", false }

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	c, err := load("", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Addr != "127.0.0.1:8345" || c.SIP.UDPAddr != "127.0.0.1:5060" || c.SIP.TCPAddr != c.SIP.UDPAddr ||
		c.Floor.WrapUp != 30*time.Second || c.Reports.DailyAt != "30 7 * * *" || c.City != "xuancheng" || c.Node == "" || len(c.SIP.Trunks) != 1 {
		t.Errorf("unexpected defaults: %+v", c)
	}
}

func TestLoadOverlaysFileAndEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "h.yaml"), "\xef\xbb\xbf"+`# mark of a Windows editor
http: {addr: "localhost:9000"}
sip:
  trunks:
    - {name: a, sources: [192.0.2.7, 198.51.100.0/24]}
    - {name: b, sources: [203.0.113.0/24]}
  ring_timeout: 15s
floor:
log: {level: debug}
`)
	env := func(k string) (string, bool) {
		v, ok := map[string]string{"SIP_ADDR": ":5070", "DATABASE_URL": "postgres://u:p@h/db"}[k]
		return v, ok
	}
	c, err := load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.HTTP.Addr, c.SIP.UDPAddr, c.SIP.TCPAddr, c.SIP.RingTimeout.String(), c.DatabaseURL, c.Log.Level.String(),
		c.SIP.Trunks[0].Sources[0].String(), c.SIP.Trunks[1].Name, c.Floor.WrapUp.String(), c.SIP.Realm}
	want := []string{"127.0.0.1:9000", "0.0.0.0:5070", "0.0.0.0:5070", "15s", "postgres://u:p@h/db", "DEBUG",
		"192.0.2.7/32", "b", "30s", "hotline"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLoadReportsAllFaults: every fault at once, each with its place.
func TestLoadReportsAllFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       []string // what each line says after the file's name
	}{
		{"unknown key, wrong types, bad values", `http:
  adr: 127.0.0.1:1
sip:
  max_calls: many
  rtp_port_min: 20001
  ring_timeout: 5
  phone_networks: [10.0.0.0/8, nowhere]
  trunks: 7
  ready_on_register: "yes"
node: [a]
log: {level: loud}
reports: {daily_at: "61 7 * * *"}
database_url: mysql://root:secret@db/x
`, []string{
			":2:3 http.adr: 未知的键，可用：addr",
			":4:14 sip.max_calls: 须为整数",
			":5:17 sip.rtp_port_min: 须为 1024 以上的偶数",
			":6:17 sip.ring_timeout: 须为时长，如 30s、2h",
			":7:32 sip.phone_networks[1]: 须为 IP 地址或网段，如 10.0.0.0/8",
			":8:11 sip.trunks: 须为列表",
			":9:22 sip.ready_on_register: 须为 true 或 false",
			":10:7 node: 须为文字",
			":11:14 log.level: 值 \"loud\" 无效",
			":12:21 reports.daily_at: 须为五段 cron 表达式，如 30 7 * * *",
			":13:15 database_url: 须为 postgres://、postgresql:// 开头的地址",
		}},
		{"overlapping trunks", "sip:\n  trunks:\n    - {name: a, sources: [10.0.0.0/8]}\n    - {name: a, sources: [10.1.0.0/16]}\n", []string{
			":4:14 sip.trunks[1].name: 中继 a 重复",
			":4:27 sip.trunks[1].sources[0]: 与第 1 条中继 a 的网段重叠",
		}},
		{"too few ports", "sip:\n  rtp_port_min: 30000\n  rtp_port_max: 30099\n", []string{" sip.max_calls: 200 路通话需 800 个 RTP 端口，现有 100 个"}},
		{"not YAML", "http: [\n", []string{"不是合法的 YAML"}},
		{"key given twice", "node: a\nnode: b\n", []string{"不是合法的 YAML"}},
		{"alias", "node: &x a\ncity: *x\n", []string{"node: 不支持锚点、别名与标签", "city: 不支持锚点、别名与标签"}},
		{"a list at the top", "- a\n", []string{": 须为键值表"}},
		{"not UTF-8", "node: a\ncity: \xd0\xfb\xb3\xc7\n", []string{":2: 不是 UTF-8 编码"}},
		{"a node's name that is no file name", "node: a/b\n", []string{":1:7 node: 须为 1 到 63 个字母"}},
		{"two documents", "node: a\n---\nnode: b\n", []string{"只能有一个 YAML 文档"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, filepath.Join(t.TempDir(), "h.yaml"), tc.text)
			_, err := load(path, noEnv)
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("got %v, want Faults", err)
			}
			lines := strings.Split(strings.ReplaceAll(faults.Error(), path, ""), "\n")
			if len(lines) != len(tc.want) {
				t.Errorf("%d faults, want %d:\n%s", len(lines), len(tc.want), faults)
			}
			for i := range min(len(lines), len(tc.want)) {
				if !strings.Contains(lines[i], tc.want[i]) {
					t.Errorf("fault %d is %q, want %q", i, lines[i], tc.want[i])
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("a password stands in the error")
			}
		})
	}
}

func TestLoadFaultsOfEnvironmentNameTheVariable(t *testing.T) {
	t.Parallel()
	_, err := load("", func(k string) (string, bool) { return "nonsense", k == "HTTP_ADDR" })
	if err == nil || !strings.HasPrefix(err.Error(), "环境变量 HTTP_ADDR: ") {
		t.Errorf("got %v", err)
	}
}

// TestDefaultDocumentsEveryKey: each key of default.yaml has a comment above
// it in both languages, and each field of Config has its key there.
func TestDefaultDocumentsEveryKey(t *testing.T) {
	t.Parallel()
	src, err := embedded.ReadFile("default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	r := newReader("default.yaml")
	r.decode(src, &c)
	for _, key := range []string{"http.addr", "sip.udp_addr", "sip.tcp_addr", "sip.media_ip", "sip.rtp_port_min", "sip.rtp_port_max", "sip.realm",
		"sip.trunks", "sip.phone_networks", "sip.max_calls", "sip.ring_timeout", "sip.max_call_length", "sip.ready_on_register", "floor.wrap_up",
		"queue.max_waiting", "queue.longest_wait", "database_url", "redis_url", "data_dir", "node", "city", "prompts", "ivr", "reports.daily_at", "log.level"} {
		if _, ok := r.at[key]; !ok {
			t.Errorf("default.yaml has no %s", key)
		}
	}
	comment := ""
	for i, line := range strings.Split(string(src), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
			comment += trimmed
			continue
		case trimmed == "" || strings.HasSuffix(trimmed, ":") && line == trimmed || strings.HasPrefix(trimmed, "-") || strings.HasPrefix(trimmed, "sources:"):
		case strings.HasPrefix(trimmed, "rtp_port_max"): // shares its neighbour's comment
		default:
			if !strings.ContainsFunc(comment, func(r rune) bool { return r > 0x4e00 }) || !strings.ContainsAny(comment, "abcdefghijklmnopqrstuvwxyz") {
				t.Errorf("line %d %q lacks a comment in Chinese and English", i+1, trimmed)
			}
		}
		comment = ""
	}
}

func FuzzLoad(f *testing.F) {
	src, err := embedded.ReadFile("default.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(src), "", "sip: {trunks: [{name: a}]}", "http: &a {addr: *a}", "? {a: b}\n: c", "sip:\n- 1", "log: {level: !!int 3}", "node: |\n  a\n", "sip: {max_calls: 99999999999999999999}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c Config
		r := newReader("f.yaml")
		r.decode([]byte(s), &c)
		checkConfig(r, c) // must not panic either
	})
}
