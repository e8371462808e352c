package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestServingExamples runs each example in the help of the commands that go on
// until they are ended, until each shows that it is up. The story of demo is
// run from the real binary, by scripts/check-demo.sh.
func TestServingExamples(t *testing.T) {
	defer goleak.VerifyNone(t)
	folder, err := os.MkdirTemp("", "t") // short, for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "device-defender"), "../../component/device-defender")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Chdir(folder)
	t.Setenv("XDG_STATE_HOME", folder)
	t.Setenv("TMPDIR", folder)
	for _, command := range []struct {
		path []string
		up   string
	}{
		{[]string{"serve"}, "listening on http://127.0.0.1:"},
		{[]string{"local"}, "listening on http://127.0.0.1:"},
		{[]string{"demo", "traffic"}, "sending to 127.0.0.66:"},
	} {
		c, _, err := newRoot().Find(command.path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(c.Example) {
			t.Run(strings.TrimSpace(line), func(t *testing.T) {
				args := strings.Fields(line)[1:]
				if c.Flag("listen") != nil {
					args = append(args, "--listen", "127.0.0.1:0") // the last one counts
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := newScreen()
				code := make(chan int, 1)
				go func() { code <- Main(ctx, args, strings.NewReader(""), s, s) }()
				s.until(t, command.up, 1)
				cancel()
				if c := <-code; c != 0 {
					t.Errorf("exit code %d; shown:\n%s", c, s)
				}
			})
		}
	}
}

// Without TLS and authentication, the service serves this machine only.
func TestServeRefusesOtherAddresses(t *testing.T) {
	folder := t.TempDir()
	files := []string{"--tls-certificate", folder + "/tls.crt", "--tls-key", folder + "/tls.key"}
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		for _, more := range []struct {
			flags []string
			says  string
		}{
			{nil, "not a loopback address, so it is served over TLS only: give --tls-certificate and --tls-key"},
			{[]string{"--auth", "on"}, "served over TLS only"},
			{[]string{"--auth", "off"}, "--auth off: other machines reach"},
			{append([]string{"--auth", "off"}, files...), "--auth off: other machines reach"},
			{files[:2], "--tls-certificate and --tls-key go together"},
			{append([]string{"--auth", "no"}, files...), "want auto, on or off"},
		} {
			s := newScreen()
			args := append([]string{"serve", "--listen", listen, "--data", folder}, more.flags...)
			if code := Main(t.Context(), args, strings.NewReader(""), s, s); code != 2 {
				t.Errorf("%s: exit code %d", args, code)
			}
			if !strings.Contains(s.String(), more.says) {
				t.Errorf("%s: %s", args, s)
			}
		}
	}
	for args, says := range map[string]string{"--tls-certificate /no/such --tls-key /no/such": "/no/such", "--listen nowhere": "missing port"} {
		s := newScreen()
		if code := Main(t.Context(), append([]string{"serve", "--data", folder}, strings.Fields(args)...), strings.NewReader(""), s, s); code == 0 || !strings.Contains(s.String(), says) {
			t.Errorf("%s: exit code %d: %s", args, code, s)
		}
	}
}

// Authentication is on unless every listener is on loopback.
func TestAuthentication(t *testing.T) {
	for _, test := range []struct {
		auth      string
		listeners []string
		want      bool
	}{
		{"auto", []string{"127.0.0.1:0"}, false},
		{"auto", []string{"127.0.0.1:0", "[::1]:0"}, false},
		{"auto", []string{"127.0.0.1:0", "0.0.0.0:0"}, true},
		{"auto", []string{":0"}, true},
		{"auto", []string{"192.0.2.1:443"}, true},
		{"on", []string{"127.0.0.1:0"}, true},
		{"on", []string{"0.0.0.0:0"}, true},
		{"off", []string{"127.0.0.1:0"}, false},
	} {
		o := accessOptions{auth: test.auth, certificate: "tls.crt", key: "tls.key"}
		if got, err := o.authentication(t.Context(), test.listeners...); err != nil || got != test.want {
			t.Errorf("--auth %s at %s: %t, %v", test.auth, test.listeners, got, err)
		}
	}
}
