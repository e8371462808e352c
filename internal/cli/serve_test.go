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

// The service serves this machine alone.
func TestServeRefusesOtherAddresses(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0"} {
		s := newScreen()
		if code := Main(t.Context(), []string{"serve", "--listen", listen, "--data", t.TempDir()}, strings.NewReader(""), s, s); code == 0 {
			t.Errorf("%s: exit code 0", listen)
		}
		if !strings.Contains(s.String(), "loopback") {
			t.Errorf("%s: %s", listen, s)
		}
	}
}
