package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/agent/command"
)

func TestMain(m *testing.M) {
	completionPatience = 2 * time.Minute // this machine may be busy
	testscript.Main(m, map[string]func(){
		"defenderctl": func() {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			os.Exit(Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
		"device-defender": func() {
			os.Exit(command.Main(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// service begins a world of three things, of which gateway-2 is in alarm.
			"service": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Setenv("AWS_ENDPOINT_URL_IOT", alarmed(t).URL)
			},
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", testdata)
			return nil
		},
	})
}

// screen collects what a command writes and tells when it holds some text.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for the n-th time the text is shown.
func (s *screen) until(t *testing.T, text string, n int) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for strings.Count(s.String(), text) < n {
		select {
		case <-s.changed:
		case <-deadline:
			t.Fatalf("still waiting for %q, %d times; shown:\n%s", text, n, s)
		}
	}
}

// local runs "defenderctl local" until the screen shows n accepted reports.
func local(t *testing.T, n int, args ...string) string {
	t.Helper()
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newScreen()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, append([]string{"local", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), s, s)
	}()
	s.until(t, "ACCEPTED report", n)
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d; shown:\n%s", c, s)
	}
	return s.String()
}

// What a new user sees: the configuration read, this host's report, the reply,
// and nothing left behind.
func TestLocal(t *testing.T) {
	for _, as := range []string{"nucleus", "lite"} {
		t.Run(as, func(t *testing.T) {
			temp, err := os.MkdirTemp("", "t")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(temp)
			t.Setenv("TMPDIR", temp)
			shown := local(t, 2, "--as", as, "--interval", "1s", "--thing", "laptop")
			for _, want := range []string{
				"configuration read", "interval=1s", "on $aws/things/laptop/defender/metrics/json",
				"listening TCP", "listening UDP", "connections", "network", "cpu_usage", "report accepted",
			} {
				if !strings.Contains(shown, want) {
					t.Errorf("%q is not shown:\n%s", want, shown)
				}
			}
			if entries, _ := os.ReadDir(temp); len(entries) > 0 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestLocalComponent(t *testing.T) {
	folder, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "device-defender")
	if out, err := exec.Command("go", "build", "-o", binary, "../../component/device-defender").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data := filepath.Join(folder, "core")
	shown := local(t, 2, "--component", binary, "--data", data, "--interval", "1s")
	if !strings.Contains(shown, `msg="report accepted"`) {
		t.Errorf("the child's log is not shown:\n%s", shown)
	}
	state := filepath.Join(data, "work/community.greengrass.DeviceDefender/state.json")
	if _, err := os.Stat(state); err != nil {
		t.Errorf("--data keeps the work folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "ipc.socket")); err == nil {
		t.Error("the socket is left behind")
	}
}

// A reader that goes away ends the command, and nothing is left behind.
func TestLocalWithoutAReader(t *testing.T) {
	temp, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	t.Setenv("TMPDIR", temp)
	reader, writer := io.Pipe()
	reader.Close()
	if code := Main(t.Context(), []string{"local", "--listen", "127.0.0.1:0"}, strings.NewReader(""), writer, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if entries, _ := os.ReadDir(temp); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// Each command's help has an example.
func TestHelpHasExamples(t *testing.T) {
	for _, c := range newRoot().Commands() {
		all := append(c.Commands(), c)
		for _, c := range all {
			if c.Runnable() && !c.HasSubCommands() && c.Example == "" {
				t.Errorf("%s has no example", c.CommandPath())
			}
		}
	}
	if code := Main(t.Context(), []string{"--help"}, strings.NewReader(""), io.Discard, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
