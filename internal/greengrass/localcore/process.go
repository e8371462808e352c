package localcore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// stopTimeout is what the Java nucleus gives a process between SIGTERM and
	// SIGKILL.
	stopTimeout = 5 * time.Second
	// maxFailures and failureWindow decide when a component is BROKEN
	// (Lifecycle.java; StartLimitBurst of lite's systemd units).
	maxFailures   = 3
	failureWindow = time.Hour
	// liteRestart is RestartSec of lite's systemd units.
	liteRestart = time.Second
	// maxLine is the longest line handed on in one piece.
	maxLine = 64 << 10
)

// Process is a component's process over its restarts. Its methods are safe for
// concurrent use.
type Process struct {
	core      *Core
	component *Component
	binary    string
	args      []string
	stop      context.CancelFunc
	ended     chan struct{} // closed when there will be no further process
	wake      chan struct{} // capacity 1: a BROKEN component gets another chance

	mu         sync.Mutex // guards the rest
	cmd        *exec.Cmd
	starts     int
	exitCode   int
	err        error
	done       chan struct{}
	alive      bool // cmd has not ended
	restarting bool // it ends because it was told to
	failures   failures
}

// Start runs a binary as the component's process: with the environment of a
// real core and in the component's work folder, which is created. A process
// that fails is restarted, with a new environment, until the component is
// BROKEN; one that ends with exit code 0 is not. When ctx ends, or the core is
// closed, it gets SIGTERM and 5 seconds later SIGKILL. Start fails if the
// process cannot be started the first time.
func (c *Core) Start(ctx context.Context, k *Component, binary string, args ...string) (*Process, error) {
	if c.opts.Root == "" {
		return nil, fmt.Errorf("start %s: the core has no root folder", k.name)
	}
	path, err := exec.LookPath(binary)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		err = os.MkdirAll(k.WorkDir(), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", k.name, err)
	}
	ctx, stop := until(ctx, c.processes.ctx)
	p := &Process{
		core: c, component: k, binary: path, args: args, stop: stop,
		ended: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		stop()
		return nil, fmt.Errorf("start %s: the core is closed", k.name)
	}
	c.processes.running.Add(1)
	c.mu.Unlock()

	run, err := p.launch(ctx)
	if err != nil {
		stop()
		c.processes.running.Done()
		return nil, fmt.Errorf("start %s: %w", k.name, err)
	}
	c.mu.Lock()
	k.process = p
	c.mu.Unlock()
	go func() {
		defer c.processes.running.Done()
		defer close(p.ended)
		defer stop()
		for broken := p.supervise(ctx, run); broken; {
			select {
			case <-ctx.Done():
				p.finish()
				return
			case <-p.wake:
			}
			if run, err = p.launch(ctx); err != nil {
				p.fail(err)
			} else {
				broken = p.supervise(ctx, run)
			}
		}
	}()
	return p, nil
}

// launch starts the process once. The function returned waits for its end.
func (p *Process) launch(ctx context.Context) (wait func() error, err error) {
	cmd := exec.CommandContext(ctx, p.binary, p.args...)
	cmd.Env = p.component.Environ()
	cmd.Dir = p.component.WorkDir()
	stdout := &lineWriter{mu: &p.core.output, w: p.output(slog.LevelInfo, "stdout", p.core.opts.Stdout)}
	stderr := &lineWriter{mu: &p.core.output, w: p.output(slog.LevelWarn, "stderr", p.core.opts.Stderr)}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A group of its own: an interrupt typed at the terminal is the core's to
	// hand on, and signals reach the process' children, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = p.core.stopTimeout
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if p.starts == 0 {
		p.failures = p.core.newFailures()
	}
	p.cmd = cmd
	p.alive = true
	p.starts++
	p.core.log.Info("process started", "component", p.component.name, "pid", cmd.Process.Pid, "start", p.starts)
	return func() error {
		err := cmd.Wait()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // children left behind
		stdout.flush()
		stderr.flush()
		return err
	}, nil
}

// supervise waits for the process and restarts it as the nucleus does. It
// reports whether the component is BROKEN in the end.
func (p *Process) supervise(ctx context.Context, run func() error) (broken bool) {
	log := p.core.log.With("component", p.component.name)
	for {
		err := run()
		restarting := p.takeExit()
		switch {
		case ctx.Err() != nil, !restarting && (err == nil || p.endedCleanly(err)):
			log.Info("process ended", "exit_code", p.ExitCode())
			p.finish()
			return false
		case restarting:
			log.Info("process restarted", "exit_code", p.ExitCode())
		default:
			log.Warn("process failed", "error", err)
			if !p.mayRestart() {
				p.fail(fmt.Errorf("%d failures within %v, the last: %w", maxFailures, failureWindow, err))
				return true
			}
			if p.core.lite() && !wait(p.core.restartPause, ctx.Done()) {
				p.finish()
				return false
			}
		}
		if run, err = p.launch(ctx); err != nil {
			if ctx.Err() != nil {
				p.finish()
				return false
			}
			p.fail(err)
			return true
		}
	}
}

// takeExit records how the process ended and reports whether it was told to,
// for a restart.
func (p *Process) takeExit() (restarting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exitCode = p.cmd.ProcessState.ExitCode()
	p.alive = false
	restarting, p.restarting = p.restarting, false
	return restarting
}

// mayRestart counts a failure and reports whether the nucleus starts the process
// again.
func (p *Process) mayRestart() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.core.lite() {
		return p.failures.start(time.Now())
	}
	return p.failures.fail(time.Now())
}

// failures is what a nucleus remembers of a component's.
type failures struct {
	count int
	since time.Time
}

// newFailures is what a nucleus remembers when it starts a component.
func (c *Core) newFailures() failures {
	var f failures
	if c.lite() {
		f.start(time.Now())
	}
	return f
}

// fail counts a failure as the Java nucleus does: one that comes an hour after
// the one before is the first again (Lifecycle.internalReportState).
func (f *failures) fail(now time.Time) bool {
	if now.Sub(f.since) >= failureWindow {
		f.count = 0
	}
	f.count++
	f.since = now
	return f.count < maxFailures
}

// start counts a start of nucleus lite's systemd unit: three in an hour, the
// hour beginning with the first (StartLimitBurst; systemd's ratelimit.c).
func (f *failures) start(now time.Time) bool {
	if f.count == 0 || now.Sub(f.since) > failureWindow {
		*f = failures{count: 1, since: now}
		return true
	}
	f.count++
	return f.count <= maxFailures
}

// endedCleanly reports whether systemd, on nucleus lite, takes the signal that
// ended the process for no failure.
func (p *Process) endedCleanly(err error) bool {
	var exit *exec.ExitError
	if !p.core.lite() || !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() &&
		slices.Contains([]syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE}, status.Signal())
}

// fail makes the component BROKEN.
func (p *Process) fail(err error) {
	p.mu.Lock()
	p.err = fmt.Errorf("component %s is BROKEN: %w", p.component.name, err)
	p.mu.Unlock()
	p.core.log.Error("component is BROKEN", "component", p.component.name, "error", err)
	p.finish()
}

// finish closes Done.
func (p *Process) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
	default:
		close(p.done)
	}
}

// revive gives a BROKEN component another chance.
func (p *Process) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return
	}
	p.err = nil
	p.failures = p.core.newFailures()
	p.done = make(chan struct{})
	notify(p.wake)
}

// Restart restarts the process as the nucleus' command line does, which counts
// as no failure. Nothing happens to a BROKEN component, although the real
// operation says SUCCEEDED (Lifecycle.handleCurrentStateBroken; run of 2.18).
func (p *Process) Restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alive {
		return // or it is about to be started anyway
	}
	p.restarting = true
	cmd := p.cmd
	syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may be gone already
	time.AfterFunc(p.core.stopTimeout, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.restarting && p.cmd == cmd {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
}

// everyProcess calls f for each component's process.
func (c *Core) everyProcess(f func(*Process)) {
	c.mu.Lock()
	var all []*Process
	for _, name := range sortedKeys(c.components) {
		if p := c.components[name].process; p != nil {
			all = append(all, p)
		}
	}
	c.mu.Unlock()
	for _, p := range all {
		f(p)
	}
}

// Done is closed when the process has ended and only a deployment can start
// another one.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Err says, once Done is closed, why the component is BROKEN; nil if it
// finished or was stopped.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// ExitCode is that of the last process that ended, -1 if a signal ended it.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exitCode
}

// Starts is how often the process was started.
func (p *Process) Starts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// group is the process group of the present process.
func (p *Process) group() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Signal sends a signal to the present process.
func (p *Process) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Signal(s)
}

// Stop stops the process as the nucleus does and waits for its end.
func (p *Process) Stop() {
	p.stop()
	<-p.ended
}

// lineWriter hands whole lines on, for two of them to share one terminal.
type lineWriter struct {
	mu  *sync.Mutex // serialises w
	w   io.Writer   // nil drops
	buf []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.buf = append(l.buf, p...)
	end := bytes.LastIndexByte(l.buf, '\n') + 1
	if end == 0 && len(l.buf) >= maxLine {
		end = len(l.buf)
	}
	l.put(l.buf[:end])
	l.buf = slices.Delete(l.buf, 0, end)
	return len(p), nil
}

// flush hands on a last line without an end.
func (l *lineWriter) flush() {
	if len(l.buf) > 0 {
		l.put(append(l.buf, '\n'))
		l.buf = nil
	}
}

func (l *lineWriter) put(b []byte) {
	if l.w == nil || len(b) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(b) // the reader's trouble must not stop the process
}
