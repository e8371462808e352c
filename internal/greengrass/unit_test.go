package greengrass

import (
	"strings"
	"testing"
)

func TestParseUnit(t *testing.T) {
	tests := []struct{ name, cgroup, want string }{
		{"a component of nucleus lite 2.6.0", "0::/system.slice/ggl.community.greengrass.DeviceDefender.service\n", "community.greengrass.DeviceDefender"},
		{"the same in a hierarchy of version 1", "12:pids:/system.slice/ggl.com.example.agent.service\n1:name=systemd:/system.slice/ggl.com.example.agent.service\n", "com.example.agent"},
		{"a daemon of lite", "0::/system.slice/ggl.core.ggipcd.service\n", ""},
		{"a component of the Java nucleus", "0::/system.slice/greengrass.service\n", ""},
		{"a container", "0::/\n", ""},
		{"a shell", "0::/user.slice/user-1000.slice/session-2.scope\n", ""},
		{"nothing", "", ""},
		{"half a name", "0::/system.slice/ggl..service\n", ""},
	}
	for _, test := range tests {
		if got := parseUnit(strings.NewReader(test.cgroup)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzParseUnit(f *testing.F) {
	f.Add("0::/system.slice/ggl.a.service\n")
	f.Fuzz(func(t *testing.T, text string) {
		if name := parseUnit(strings.NewReader(text)); strings.Contains(name, "/") {
			t.Errorf("name %q", name)
		}
	})
}
