package configs

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a node's name may be: it stands in file names, Redis keys and metrics.
const (
	nodeLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	maxNode     = 63
)

// checkConfig notes every value that breaks a rule.
func checkConfig(r *reader, c Config) {
	listen := func(path, env, addr string) {
		if _, err := netip.ParseAddrPort(addr); err == nil {
			return
		}
		if r.from[env] {
			r.faults = append(r.faults, Fault{File: "环境变量 " + env, Message: "须为 地址:端口，如 127.0.0.1:8345"})
			return
		}
		r.fault(path, "须为 地址:端口，如 127.0.0.1:8345")
	}
	listen("http.addr", "HTTP_ADDR", c.HTTP.Addr)
	listen("sip.udp_addr", "SIP_ADDR", c.SIP.UDPAddr)
	if c.SIP.TCPAddr != c.SIP.UDPAddr {
		listen("sip.tcp_addr", "SIP_ADDR", c.SIP.TCPAddr)
	}
	link := func(path, env, value string, schemes ...string) {
		u, err := url.Parse(value)
		if value == "" || err == nil && slices.Contains(schemes, u.Scheme) && u.Host+u.Path != "" {
			return
		}
		// The value may hold a password: it is not repeated.
		msg := "须为 " + strings.Join(schemes, "://、") + ":// 开头的地址"
		if r.from[env] {
			r.faults = append(r.faults, Fault{File: "环境变量 " + env, Message: msg})
			return
		}
		r.fault(path, "%s", msg)
	}
	link("database_url", "DATABASE_URL", c.DatabaseURL, "postgres", "postgresql")
	link("redis_url", "REDIS_URL", c.RedisURL, "redis", "rediss", "unix")

	checkSIP(r, c.SIP)
	between := func(path string, v, low, high time.Duration) {
		if v < low || v > high {
			r.fault(path, "须在 %s 与 %s 之间", low, high)
		}
	}
	between("sip.ring_timeout", c.SIP.RingTimeout, 3*time.Second, 3*time.Minute)
	between("sip.max_call_length", c.SIP.MaxCallLength, time.Minute, 12*time.Hour)
	between("floor.wrap_up", c.Floor.WrapUp, 0, time.Hour)
	between("queue.longest_wait", c.Queue.LongestWait, 10*time.Second, 2*time.Hour)
	if c.Queue.MaxWaiting < 1 || c.Queue.MaxWaiting > 100_000 {
		r.fault("queue.max_waiting", "须在 1 与 100000 之间")
	}
	if c.DataDir == "" {
		r.fault("data_dir", "必填")
	}
	if c.City == "" {
		r.fault("city", "必填：xuancheng 或城市数据目录")
	}
	if c.Node == "" || len(c.Node) > maxNode || strings.Trim(c.Node, nodeLetters) != "" {
		r.fault("node", "须为 1 到 63 个字母、数字、点、下划线或连字符")
	}
	if !cronFields(c.Reports.DailyAt) {
		r.fault("reports.daily_at", "须为五段 cron 表达式，如 30 7 * * *")
	}
}

func checkSIP(r *reader, s SIP) {
	if !s.MediaIP.IsValid() || s.MediaIP.IsUnspecified() {
		r.fault("sip.media_ip", "须为本机可达的 IP 地址")
	}
	if s.RTPPortMin < 1024 || s.RTPPortMin%2 != 0 {
		r.fault("sip.rtp_port_min", "须为 1024 以上的偶数") // RFC 3550 §11: RTP on the even port
	}
	if s.RTPPortMax > 65535 || s.RTPPortMax <= s.RTPPortMin {
		r.fault("sip.rtp_port_max", "须大于 rtp_port_min 且不超过 65535")
	}
	if s.MaxCalls < 1 || s.MaxCalls > 10_000 {
		r.fault("sip.max_calls", "须在 1 与 10000 之间")
	} else if ports := s.RTPPortMax - s.RTPPortMin + 1; ports < 4*s.MaxCalls {
		// Two legs a call, an even and an odd port a leg.
		r.fault("sip.max_calls", "%d 路通话需 %d 个 RTP 端口，现有 %d 个", s.MaxCalls, 4*s.MaxCalls, ports)
	}
	if s.Realm == "" || strings.ContainsAny(s.Realm, "\"\\\r\n") {
		r.fault("sip.realm", "必填，且不得含引号与反斜杠")
	}
	seen := map[string]bool{}
	for i, t := range s.Trunks {
		path := "sip.trunks[" + strconv.Itoa(i) + "]"
		if t.Name == "" {
			r.fault(path+".name", "必填")
		}
		if seen[t.Name] {
			r.fault(path+".name", "中继 %s 重复", t.Name)
		}
		seen[t.Name] = true
		if len(t.Sources) == 0 {
			r.fault(path+".sources", "至少一个来源网段")
		}
		for j, p := range t.Sources {
			for k, o := range s.Trunks[:i] {
				if slices.ContainsFunc(o.Sources, p.Overlaps) {
					r.fault(path+".sources["+strconv.Itoa(j)+"]", "与第 %d 条中继 %s 的网段重叠", k+1, o.Name)
				}
			}
		}
	}
}

var cronField = regexp.MustCompile(`^(\*|\d+(-\d+)?)(/\d+)?(,(\*|\d+(-\d+)?)(/\d+)?)*$`)

// cronFields checks five fields of numbers, ranges, steps and lists within
// their bounds; the scheduler itself reads them again.
func cronFields(s string) bool {
	f := strings.Fields(s)
	bounds := [][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	if len(f) != len(bounds) {
		return false
	}
	for i, one := range f {
		if !cronField.MatchString(one) {
			return false
		}
		for _, part := range strings.Split(one, ",") {
			span, _, _ := strings.Cut(part, "/")
			for _, n := range strings.Split(span, "-") {
				if v, err := strconv.Atoi(n); n != "*" && (err != nil || v < bounds[i][0] || v > bounds[i][1]) {
					return false
				}
			}
		}
	}
	return true
}
