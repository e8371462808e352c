package localcore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	// A component that failed maxFailures times within failureWindow is BROKEN
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
	done      chan struct{}

	mu       sync.Mutex // guards the rest
	cmd      *exec.Cmd
	starts   int
	exitCode int
	err      error
}

// Start runs a binary as the component's process: with the environment of a
// real core and in the component's work folder, which is made. A process that
// fails is restarted, with a new environment, until it has failed three times
// within an hour; one that ends with exit code 0 is not. When ctx ends, or the
// core is closed, it gets SIGTERM and 5 seconds later SIGKILL. Start fails if
// the process cannot be started the first time.
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
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("start %s: the core is closed", k.name)
	}
	c.processes.running.Add(1)
	c.mu.Unlock()

	ctx, stop := until(ctx, c.processes.ctx)
	p := &Process{core: c, component: k, binary: path, args: args, stop: stop, done: make(chan struct{})}
	run, err := p.launch(ctx)
	if err != nil {
		stop()
		c.processes.running.Done()
		return nil, fmt.Errorf("start %s: %w", k.name, err)
	}
	go func() {
		defer c.processes.running.Done()
		p.supervise(ctx, run)
		stop()
		close(p.done)
	}()
	return p, nil
}

// launch starts the process once. The function returned waits for its end.
func (p *Process) launch(ctx context.Context) (wait func() error, err error) {
	cmd := exec.CommandContext(ctx, p.binary, p.args...)
	cmd.Env = p.component.Environ()
	cmd.Dir = p.component.WorkDir()
	stdout := &lineWriter{mu: &p.core.output, w: p.core.opts.Stdout}
	stderr := &lineWriter{mu: &p.core.output, w: p.core.opts.Stderr}
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
	p.cmd = cmd
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

// supervise waits for the process and restarts it as the nucleus does.
func (p *Process) supervise(ctx context.Context, run func() error) {
	log := p.core.log.With("component", p.component.name)
	var failures []time.Time
	for {
		err := run()
		p.mu.Lock()
		p.exitCode = p.cmd.ProcessState.ExitCode()
		p.mu.Unlock()
		if ctx.Err() != nil || err == nil || p.endedCleanly(err) {
			log.Info("process ended", "exit_code", p.ExitCode())
			return
		}
		now := time.Now()
		failures = slices.DeleteFunc(append(failures, now), func(t time.Time) bool { return now.Sub(t) > failureWindow })
		log.Warn("process failed", "error", err, "failures", len(failures))
		if len(failures) >= maxFailures {
			p.fail(fmt.Errorf("component %s is BROKEN: %d failures within %v, the last: %w", p.component.name, len(failures), failureWindow, err))
			return
		}
		if p.core.lite() && !wait(liteRestart, ctx.Done()) {
			return
		}
		if run, err = p.launch(ctx); err != nil {
			if ctx.Err() == nil {
				p.fail(fmt.Errorf("component %s is BROKEN: %w", p.component.name, err))
			}
			return
		}
	}
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

func (p *Process) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	p.core.log.Error("component is BROKEN", "component", p.component.name, "error", err)
}

// Done is closed when the process has ended and will not be restarted.
func (p *Process) Done() <-chan struct{} { return p.done }

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

// Signal sends a signal to the present process.
func (p *Process) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Signal(s)
}

// Stop stops the process as the nucleus does and waits for its end.
func (p *Process) Stop() {
	p.stop()
	<-p.done
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
	l.w.Write(b) // the reader's trouble must not stop the process
}
