// Package configs owns what an operator may set: the configuration of the
// program (Config), the data of a city (units, places, categories, catalogue,
// limits, calendars), the spoken prompts and the greeting's settings. Defaults
// are embedded; a file or a folder of the operator's lies over them. Every
// file is read strictly, and all faults are reported at once with their place.
// cmd/hotline calls it at start and hands values down; it starts no goroutine,
// keeps no state, and imports hotline only.
package configs

import (
	"embed"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"
)

//go:embed default.yaml ivr.yaml xuancheng calendar prompts
var embedded embed.FS

// Config is the configuration of one node. Load fills every field; a key the
// operator leaves out has the value of the embedded default.yaml, which
// documents each of them in Chinese and English.
type Config struct {
	HTTP        HTTP    `yaml:"http"`
	SIP         SIP     `yaml:"sip"`
	Floor       Floor   `yaml:"floor"`
	Queue       Queue   `yaml:"queue"`
	DatabaseURL string  `yaml:"database_url"` // "": none given
	RedisURL    string  `yaml:"redis_url"`    // "": in the process itself
	DataDir     string  `yaml:"data_dir"`     // recordings, spool, keys
	Node        string  `yaml:"node"`         // this node's name among its fellows
	City        string  `yaml:"city"`         // "xuancheng" or a folder
	Prompts     string  `yaml:"prompts"`      // folder of recorded prompts; "": the embedded ones
	IVR         string  `yaml:"ivr"`          // file with the greeting's settings; "": the embedded one
	Reports     Reports `yaml:"reports"`
	Log         Log     `yaml:"log"`
}

// HTTP is the door for pages, API and metrics.
type HTTP struct {
	Addr string `yaml:"addr"` // host:port
}

// SIP is the telephone side.
type SIP struct {
	UDPAddr         string         `yaml:"udp_addr"`     // host:port
	TCPAddr         string         `yaml:"tcp_addr"`     // host:port; "": as udp_addr
	MediaIP         netip.Addr     `yaml:"media_ip"`     // address offered in SDP
	RTPPortMin      int            `yaml:"rtp_port_min"` // even
	RTPPortMax      int            `yaml:"rtp_port_max"`
	Realm           string         `yaml:"realm"` // of digest authentication
	Trunks          []Trunk        `yaml:"trunks"`
	PhoneNetworks   []netip.Prefix `yaml:"phone_networks"` // where agents' phones may register from
	MaxCalls        int            `yaml:"max_calls"`      // at once; more get 503
	RingTimeout     time.Duration  `yaml:"ring_timeout"`   // of an agent's phone
	MaxCallLength   time.Duration  `yaml:"max_call_length"`
	ReadyOnRegister bool           `yaml:"ready_on_register"` // a registered phone takes calls without its page
}

// Trunk is a carrier's line into the hotline.
type Trunk struct {
	Name    string         `yaml:"name"`
	Sources []netip.Prefix `yaml:"sources"` // addresses its requests come from
}

// Floor is the agents' floor.
type Floor struct {
	WrapUp time.Duration `yaml:"wrap_up"` // 话后处理: ends by itself after this; zero: none
}

// Queue is the callers' queue.
type Queue struct {
	MaxWaiting  int           `yaml:"max_waiting"`  // more are told that all seats are busy
	LongestWait time.Duration `yaml:"longest_wait"` // then the same
}

// Reports is when figures are made.
type Reports struct {
	DailyAt string `yaml:"daily_at"` // five cron fields, Asia/Shanghai
}

// Log is what is written to standard error.
type Log struct {
	Level slog.Level `yaml:"level"`
}

// overrides are the environment variables that win over the file.
var overrides = []struct {
	env string
	set func(c *Config, v string)
}{
	{"HTTP_ADDR", func(c *Config, v string) { c.HTTP.Addr = v }},
	{"SIP_ADDR", func(c *Config, v string) { c.SIP.UDPAddr, c.SIP.TCPAddr = v, v }},
	{"DATABASE_URL", func(c *Config, v string) { c.DatabaseURL = v }},
	{"REDIS_URL", func(c *Config, v string) { c.RedisURL = v }},
}

// Load reads the operator's file over the embedded defaults and the
// environment variables HTTP_ADDR, SIP_ADDR (UDP and TCP), DATABASE_URL and
// REDIS_URL over both. An empty path means no file. Addresses come out as
// IP:port: "localhost:1" is 127.0.0.1:1 and ":1" is 0.0.0.0:1. A file that breaks a rule
// gives Faults: all of them.
func Load(path string) (Config, error) {
	return load(path, os.LookupEnv)
}

func load(path string, env func(string) (string, bool)) (Config, error) {
	var c Config
	base, err := embedded.ReadFile("default.yaml")
	if err != nil {
		return Config{}, err
	}
	r := newReader("default.yaml")
	r.decode(base, &c)
	if len(r.faults) == 0 && path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return Config{}, err
		}
		r = newReader(path)
		r.decode(b, &c)
	}
	for _, o := range overrides {
		if v, ok := env(o.env); ok && v != "" {
			o.set(&c, v)
			r.from[o.env] = true
		}
	}
	if c.SIP.TCPAddr == "" {
		c.SIP.TCPAddr = c.SIP.UDPAddr
	}
	for _, addr := range []*string{&c.HTTP.Addr, &c.SIP.UDPAddr, &c.SIP.TCPAddr} {
		if port, ok := strings.CutPrefix(*addr, "localhost:"); ok {
			*addr = "127.0.0.1:" + port
		} else if strings.HasPrefix(*addr, ":") {
			*addr = "0.0.0.0" + *addr
		}
	}
	if c.Node == "" {
		c.Node = hostName()
	}
	checkConfig(r, c)
	if err := r.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// hostName returns the host's name as a node's name: characters a node may not
// have become hyphens.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "hotline"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(nodeLetters, r) {
			return r
		}
		return '-'
	}, name[:min(len(name), maxNode)])
}
