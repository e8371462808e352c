package localcore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/google/go-cmp/cmp"
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
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	}
	os.Exit(99)
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
	c.stopTimeout = 100 * time.Millisecond
	k := install(t, c, recipeYAML)
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
