package localcore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// The test binary is a component's process, too: the variable says which.
const childVariable = "LOCALCORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childVariable); what != "" {
		child(what)
	}
	runTests(m)
}

func child(what string) {
	switch what {
	case "print":
		dir, _ := os.Getwd()
		fmt.Println(filepath.Base(dir), os.Getenv("AWS_IOT_THING_NAME"), strings.Join(os.Args[1:], " "))
		fmt.Fprint(os.Stderr, "no end of line")
		os.Exit(0)
	case "fail":
		fmt.Println("token", os.Getenv("SVCUID"))
		os.Exit(7)
	case "token":
		fmt.Println("token", os.Getenv("SVCUID"))
		time.Sleep(time.Hour)
	case "wait":
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	case "connect":
		connectChild()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	}
	os.Exit(99)
}

// connectChild connects by the names of two components, as a process of nucleus
// lite may by that of its own, and prints whether it was accepted.
func connectChild() {
	for _, name := range []string{"com.example.agent", "com.example.other"} {
		nc, err := net.Dial("unix", os.Getenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		m := connectMessage("")
		m.Payload = fmt.Appendf(nil, `{"componentName":%q}`, name)
		b, _ := m.Encode(eventrpc.NumbersFirst)
		nc.Write(b)
		ack, err := eventrpc.NewReader(nc, eventrpc.MaxFrame).Read()
		if err != nil {
			fmt.Println(name, err)
		} else {
			fmt.Println(name, len(ack.Text("svcuid")), ack.Text("svcuid") == os.Getenv("SVCUID"))
		}
		nc.Close()
	}
	os.Exit(0)
}

// lines are what a process has written.
type lines struct {
	*bufio.Scanner
	t *testing.T
}

func (l lines) next() string {
	l.t.Helper()
	if !l.Scan() {
		l.t.Fatalf("no further line: %v", l.Err())
	}
	return l.Text()
}

// startChild starts this binary on a core that listens.
func startChild(t *testing.T, nucleus greengrass.Nucleus, what string, args ...string) (*Core, *Process, lines) {
	t.Helper()
	t.Setenv(childVariable, what)
	r, w := io.Pipe()
	// Lines wait in memory: a process must not wait for this test.
	queue := make(chan string, 1_000)
	var reader sync.WaitGroup
	reader.Go(func() {
		s := bufio.NewScanner(r)
		for s.Scan() {
			queue <- s.Text()
		}
		close(queue)
	})
	out, feed := io.Pipe()
	reader.Go(func() {
		defer feed.Close()
		for line := range queue {
			if _, err := fmt.Fprintln(feed, line); err != nil {
				return
			}
		}
	})
	c := newCore(t, Options{Nucleus: nucleus, Root: t.TempDir(), Stdout: w, Stderr: w})
	c.stopTimeout, c.restartPause = 100*time.Millisecond, time.Millisecond
	k := install(t, c, recipeYAML)
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(context.Background(), k, os.Args[0], args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		w.Close()
		out.Close()
		reader.Wait()
	})
	return c, p, lines{bufio.NewScanner(out), t}
}

func TestProcessFinishes(t *testing.T) {
	_, p, out := startChild(t, greengrass.Java, "print", "-a", "b")
	<-p.Done()
	got := map[string]bool{out.next(): true, out.next(): true}
	want := map[string]bool{"com.example.agent example-thing -a b": true, "no end of line": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if p.Err() != nil || p.ExitCode() != 0 || p.Starts() != 1 {
		t.Errorf("%v, exit code %d, %d starts", p.Err(), p.ExitCode(), p.Starts())
	}
}

func TestProcessBreaks(t *testing.T) {
	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		t.Run(nucleus.String(), func(t *testing.T) {
			c, p, out := startChild(t, nucleus, "fail")
			<-p.Done()
			token := out.next()
			if token != "token "+c.components["com.example.agent"].Token() {
				t.Errorf("the process has %q", token)
			}
			if p.Err() == nil || !strings.Contains(p.Err().Error(), "BROKEN: 3 failures within 1h0m0s, the last: exit status 7") {
				t.Errorf("got %v", p.Err())
			}
			if p.ExitCode() != 7 || p.Starts() != 3 {
				t.Errorf("exit code %d, %d starts", p.ExitCode(), p.Starts())
			}
		})
	}
}

// A restarted process of nucleus lite has a token again.
func TestProcessGetsNewToken(t *testing.T) {
	c, p, out := startChild(t, greengrass.Lite, "token")
	before := out.next()
	c.ForgetTokens()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	after := out.next()
	if before == after || len(after) != len("token ")+16 {
		t.Errorf("%q, then %q", before, after)
	}
	p.Stop()
}

func TestProcessStops(t *testing.T) {
	for _, what := range []string{"wait", "stubborn"} {
		t.Run(what, func(t *testing.T) {
			_, p, out := startChild(t, greengrass.Java, what)
			if line := out.next(); line != "waiting" {
				t.Fatal(line)
			}
			p.Stop()
			if p.Err() != nil || p.ExitCode() != -1 {
				t.Errorf("%v, exit code %d", p.Err(), p.ExitCode())
			}
		})
	}
}

// SIGTERM from elsewhere is a failure to the Java nucleus, and none to systemd.
func TestProcessIsSignalled(t *testing.T) {
	for nucleus, restarted := range map[greengrass.Nucleus]bool{greengrass.Java: true, greengrass.Lite: false} {
		t.Run(nucleus.String(), func(t *testing.T) {
			_, p, out := startChild(t, nucleus, "wait")
			out.next()
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if restarted {
				if line := out.next(); line != "waiting" {
					t.Error(line)
				}
				return
			}
			<-p.Done()
			if p.Err() != nil || p.Starts() != 1 {
				t.Errorf("%v after %d starts", p.Err(), p.Starts())
			}
		})
	}
}

// Three exits by a signal within an hour make a component BROKEN on the Java
// nucleus. A restart by the command line does nothing then, a deployment gives
// it another chance (run of 2.18).
func TestBrokenIsRevivedByADeployment(t *testing.T) {
	c, p, out := startChild(t, greengrass.Java, "wait")
	kill := func() {
		t.Helper()
		if line := out.next(); line != "waiting" {
			t.Fatal(line)
		}
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		kill()
	}
	<-p.Done()
	if p.Err() == nil || p.Starts() != 3 {
		t.Fatalf("%v after %d starts", p.Err(), p.Starts())
	}
	p.Restart()
	if p.Err() == nil {
		t.Error("revived by a restart")
	}
	if err := c.Deploy(t.Context(), "com.example.agent", map[string]any{"interval": 31}); err != nil {
		t.Fatal(err)
	}
	if p.Err() != nil {
		t.Errorf("after a deployment: %v", p.Err())
	}
	kill() // the first failure again
	if line := out.next(); line != "waiting" || p.Starts() != 5 {
		t.Errorf("%q after %d starts", line, p.Starts())
	}
	p.Stop()
	<-p.Done()
}

// A deployment also gives lite's unit three starts again.
func TestLiteIsRevivedByADeployment(t *testing.T) {
	c, p, out := startChild(t, greengrass.Lite, "fail")
	broken := func() {
		t.Helper()
		for range 3 {
			out.next()
		}
		<-p.Done()
		if p.Err() == nil {
			t.Fatal("not BROKEN")
		}
	}
	broken()
	if err := c.Deploy(t.Context(), "com.example.agent", map[string]any{"interval": "31"}); err != nil {
		t.Fatal(err)
	}
	broken()
	if n := p.Starts(); n != 6 {
		t.Errorf("%d starts, want 6", n)
	}
}

func TestProcessRestarts(t *testing.T) {
	_, p, out := startChild(t, greengrass.Java, "wait")
	for range 4 { // more than it may fail
		out.next()
		p.Restart()
	}
	out.next()
	if p.Err() != nil || p.Starts() != 5 {
		t.Errorf("%v after %d starts", p.Err(), p.Starts())
	}
}

// When the Java nucleus starts again, so do its components, with new tokens.
func TestNucleusRestartsComponents(t *testing.T) {
	c, p, out := startChild(t, greengrass.Java, "wait")
	out.next()
	token := c.components["com.example.agent"].Token()
	if err := c.RestartIPC(); err != nil {
		t.Fatal(err)
	}
	out.next()
	if p.Starts() != 2 || c.components["com.example.agent"].Token() == token {
		t.Errorf("%d starts, the token is the old one: %v", p.Starts(), c.components["com.example.agent"].Token() == token)
	}
}

// A process of nucleus lite connects by its component's name, and by no other.
func TestConnectByName(t *testing.T) {
	t.Setenv(childVariable, "connect")
	var got lockedBuffer
	c := newCore(t, Options{Nucleus: greengrass.Lite, Root: t.TempDir(), Stdout: &got})
	k := install(t, c, recipeYAML)
	other := install(t, c, strings.ReplaceAll(recipeYAML, "com.example.agent", "com.example.other"))
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, component := range []*Component{k, other} {
		p, err := c.Start(t.Context(), component, os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
	}
	// The first one of a component that has no process yet is as good as any.
	want := "com.example.agent 16 true\ncom.example.other 16 false\ncom.example.agent EOF\ncom.example.other 16 true\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}

func TestFailuresOfTheJavaNucleus(t *testing.T) {
	begin := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		minutes []int
		broken  bool
	}{
		{[]int{0, 1, 2}, true},
		{[]int{0, 59, 118}, true}, // each within an hour of the one before
		{[]int{0, 60, 61}, false},
		{[]int{0, 1, 61, 62, 122}, false},
	} {
		var f failures
		alive := true
		for _, m := range test.minutes {
			alive = alive && f.fail(begin.Add(time.Duration(m)*time.Minute))
		}
		if alive == test.broken {
			t.Errorf("failures at %v minutes: BROKEN %v", test.minutes, !alive)
		}
	}
}

func TestStartLimitOfLite(t *testing.T) {
	begin := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		minutes []int // of starts, the first included
		broken  bool
	}{
		{[]int{0, 1, 2}, false},
		{[]int{0, 1, 2, 3}, true},
		{[]int{0, 58, 59, 60}, true},
		{[]int{0, 61, 62, 63}, false}, // the second one begins an hour of its own
		{[]int{0, 1, 2, 61, 62, 63}, false},
	} {
		var f failures
		alive := true
		for _, m := range test.minutes {
			alive = alive && f.start(begin.Add(time.Duration(m)*time.Minute))
		}
		if alive == test.broken {
			t.Errorf("starts at %v minutes: BROKEN %v", test.minutes, !alive)
		}
	}
}

// The Java nucleus logs standard output as INFO and standard error as WARN; its
// own level decides which of them are written (lines as of a run of 2.18).
func TestComponentLog(t *testing.T) {
	stamp := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	const tail = ". {scriptName=services.com.example.agent.lifecycle.run.Script, serviceName=com.example.agent, currentState=RUNNING}\n"
	const out, warn = "TIME [INFO] (Copier) com.example.agent: stdout. com.example.agent example-thing " + tail, "TIME [WARN] (Copier) com.example.agent: stderr. no end of line" + tail
	for _, test := range []struct {
		nucleus greengrass.Nucleus
		level   slog.Level
		want    []string
	}{
		{greengrass.Java, slog.LevelInfo, []string{out, warn}},
		{greengrass.Java, slog.LevelWarn, []string{warn}},
		{greengrass.Lite, slog.LevelInfo, []string{"com.example.agent example-thing \n", "no end of line\n"}},
	} {
		t.Setenv(childVariable, "print")
		var got lockedBuffer
		c := newCore(t, Options{Nucleus: test.nucleus, Root: t.TempDir(), ComponentLog: &got, ComponentLogLevel: test.level})
		p, err := c.Start(t.Context(), install(t, c, recipeYAML), os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		lines := slices.Sorted(strings.Lines(stamp.ReplaceAllString(got.String(), "TIME")))
		if diff := cmp.Diff(test.want, lines); diff != "" {
			t.Errorf("%v at %v (-want +got):\n%s", test.nucleus, test.level, diff)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	c := newCore(t, Options{})
	k := install(t, c, recipeYAML)
	if _, err := c.Start(t.Context(), k, os.Args[0]); err == nil {
		t.Error("started without a root folder")
	}
	c = newCore(t, Options{Root: t.TempDir()})
	k = install(t, c, recipeYAML)
	if _, err := c.Start(t.Context(), k, "./no-such-binary"); err == nil {
		t.Error("started what is not there")
	}
	c.Close()
	if _, err := c.Start(t.Context(), k, os.Args[0]); err == nil {
		t.Error("started on a closed core")
	}
}

func TestLineWriter(t *testing.T) {
	var got []string
	l := &lineWriter{mu: &sync.Mutex{}, w: writerFunc(func(b []byte) { got = append(got, string(b)) })}
	for _, s := range []string{"a", "b\nc\nd", "", "\n", strings.Repeat("x", maxLine), "y"} {
		fmt.Fprint(l, s)
	}
	l.flush()
	l.flush()
	want := []string{"ab\nc\n", "d\n", strings.Repeat("x", maxLine), "y\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}
