package live

import (
	"strings"
	"testing"
)

func TestCheckInfo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, info, want string }{
		{"good", "# Server\r\nredis_version:7.0.15\r\nrole:master\r\ncluster_enabled:0\r\n", ""},
		{"just new enough", "redis_version:6.2.0\r\n", ""},
		{"too old", "redis_version:5.0.7\r\n", "too old"},
		{"minor too old", "redis_version:6.0.16\r\n", "too old"},
		{"cluster", "redis_version:7.2.1\r\ncluster_enabled:1\r\n", "Cluster is not supported"},
		{"replica", "redis_version:7.2.1\r\nrole:slave\r\n", "read-only replica"},
		{"nonsense", "hello", "unknown Redis version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := checkInfo(tt.info)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzCheckInfo(f *testing.F) {
	for _, s := range []string{"", "redis_version:7.0.15\r\n", "redis_version:-1.2\r\nrole:slave", ":::\n:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := checkInfo(s); err == nil && !strings.Contains(s, "redis_version:") {
			t.Errorf("passed without a version: %q", s)
		}
	})
}
