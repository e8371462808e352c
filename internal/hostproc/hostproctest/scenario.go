package hostproctest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// helperVariable tells a test binary that it is to be the scenario's process.
const helperVariable = "HOSTPROCTEST_SCENARIO"

// helperChecked is set once Helper has been called, without which the process
// that Start starts would run all tests again, and start another.
var helperChecked bool

// Helper must be called first in TestMain of a package that uses [Start]. It
// returns unless this process is the one that Start has started.
func Helper() {
	helperChecked = true
	if os.Getenv(helperVariable) != "" {
		serve(os.Stdin, os.Stdout)
		os.Exit(0)
	}
}

// Scenario is a host that lives as long as a test.
type Scenario struct {
	pid     int
	request io.Writer
	answers *bufio.Scanner
}

// Start starts the host. All sockets are open when it returns.
func Start(t testing.TB) *Scenario {
	t.Helper()
	if !helperChecked {
		t.Fatal("hostproctest.Helper is not called in TestMain")
	}
	require(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), helperVariable+"=1")
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	request, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		missing(t, fmt.Sprintf("no new namespaces: %v", err))
	}
	t.Cleanup(func() { _ = child.Wait() }) // the test's context has ended and killed it
	s := &Scenario{pid: child.Process.Pid, request: request, answers: bufio.NewScanner(answers)}
	s.answer(t, "setup")
	return s
}

// Root is where this process finds the host's proc file system.
func (s *Scenario) Root() string { return fmt.Sprintf("/proc/%d/root/proc", s.pid) }

// Command prepares a program that runs on the host. There, /proc is its own.
func (s *Scenario) Command(t testing.TB, name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(s.pid), "--net", "--pid", "--mount", "--", name}
	return exec.CommandContext(t.Context(), "nsenter", append(enter, args...)...)
}

// SendDatagrams sends 10 datagrams of 1,000 bytes to 127.0.0.1:2001 (10,280 bytes
// on lo, in and out) from a new socket, 0.0.0.0:43098, that stays open.
func (s *Scenario) SendDatagrams(t testing.TB) {
	t.Helper()
	s.do(t, sendDatagrams)
}

// DeleteInterface sends 50 datagrams out of br-a1, then deletes it. The socket
// that listens on its address goes on.
func (s *Scenario) DeleteInterface(t testing.TB) {
	t.Helper()
	s.do(t, deleteInterface)
}

func (s *Scenario) do(t testing.TB, request string) {
	t.Helper()
	if _, err := fmt.Fprintln(s.request, request); err != nil {
		t.Fatal(err)
	}
	s.answer(t, request)
}

func (s *Scenario) answer(t testing.TB, request string) {
	t.Helper()
	if !s.answers.Scan() {
		t.Fatalf("scenario: %s: the process has ended: %v", request, s.answers.Err())
	}
	if answer := s.answers.Text(); answer != answerOK {
		t.Fatalf("scenario: %s: %s", request, answer)
	}
}

// require skips the test where the scenario can't be built.
func require(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "not root")
	}
	var lacking []string
	for _, command := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(command); err != nil {
			lacking = append(lacking, command)
		}
	}
	if len(lacking) > 0 {
		missing(t, "no command "+strings.Join(lacking, ", "))
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		missing(t, "no IPv6")
	}
}

// missing ends a test that lacks something here: CI must not pass without it.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("network namespace: " + what)
	}
	t.Skip("network namespace: " + what)
}
