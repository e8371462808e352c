package localcore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// maxSocketPath is the longest path of a Unix socket on Linux, in bytes.
const maxSocketPath = 107

// Personality is the nucleus that a core acts as.
type Personality = greengrass.Nucleus

// Options say what a core is like. The zero value is a Java nucleus without a
// folder.
type Options struct {
	// Nucleus is greengrass.Java, also if it is Unknown, or greengrass.Lite.
	Nucleus Personality
	// ThingName and Region are told to the components.
	ThingName, Region string
	// Root is the core's folder: its socket and the components' work folders.
	// Only Listen and Start need it.
	Root string
	// Log is where the core says what it does; nil says nothing.
	Log *slog.Logger
	// Offline lets the core start without a network.
	Offline bool
	// Reconnect is how long the MQTT side takes to connect once it has a
	// network. The Java nucleus took 5 to 45 s after an outage, and up to 110 s
	// after many (run of 2.18); lite pauses 5 to 300 s (mqtt.c). 0 is at once.
	Reconnect time.Duration
	// KeepQoS0WhenOffline is the Java nucleus' setting
	// mqtt.spooler.keepQos0WhenOffline.
	KeepQoS0WhenOffline bool
	// MinReportInterval is the minimum time between two Defender reports of one
	// thing. 0 is the service's 300 seconds, a negative one none.
	MinReportInterval time.Duration
	// Defender answers each message that reaches a Defender reporting topic
	// with messages from the cloud. nil answers as the service documents.
	Defender func(Message) []Message
	// Stdout and Stderr take the lines of the processes of Start; nil drops
	// them. ComponentLog takes them as the nucleus writes them to the
	// component's log, if ComponentLogLevel, the nucleus' own level, lets them
	// through: standard output counts as INFO, standard error as WARN. Writes
	// are never concurrent.
	Stdout, Stderr, ComponentLog io.Writer
	ComponentLogLevel            slog.Level
}

// Core is a stand-in core. Its methods are safe for concurrent use.
type Core struct {
	opts    Options
	log     *slog.Logger
	dialect *dialect

	ctx       context.Context // ends in Close, after the processes
	stop      context.CancelFunc
	running   sync.WaitGroup
	processes struct {
		ctx     context.Context
		stop    context.CancelFunc
		running sync.WaitGroup
	}
	deploying chan struct{} // capacity 1: held by the deployment in progress
	output    sync.Mutex    // serialises Options.Stdout and Stderr

	stopTimeout  time.Duration // between SIGTERM and SIGKILL
	restartPause time.Duration // before lite's unit starts again

	mu            sync.Mutex // guards the rest
	closed        bool
	listener      net.Listener
	components    map[string]*Component
	tokens        map[string]*Component
	conns         map[*connection]struct{}
	subscriptions []*subscription // in their order
	validators    map[*Component]*subscription
	update        *update // the deployment's question to the components
	cloud         cloud
	connectivity  connectivity
	faults        faults
}

// New returns a core, which must be closed.
func New(opts Options) (*Core, error) {
	if opts.Nucleus == greengrass.Unknown {
		opts.Nucleus = greengrass.Java
	}
	d := dialects[opts.Nucleus]
	if d == nil {
		return nil, fmt.Errorf("local core: no such nucleus: %v", opts.Nucleus)
	}
	if opts.Root != "" {
		var err error
		if opts.Root, err = filepath.Abs(opts.Root); err != nil {
			return nil, fmt.Errorf("local core: %w", err)
		}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Core{
		opts:      opts,
		log:       opts.Log,
		dialect:   d,
		deploying: make(chan struct{}, 1),

		stopTimeout:  stopTimeout,
		restartPause: liteRestart,
		components:   map[string]*Component{},
		tokens:       map[string]*Component{},
		conns:        map[*connection]struct{}{},
		validators:   map[*Component]*subscription{},
		cloud: cloud{
			offline: opts.Offline, onlineOnce: !opts.Offline,
			wake: make(chan struct{}, 1), filters: map[string]greengrass.QoS{}, defender: opts.Defender,
		},
	}
	if c.cloud.defender == nil {
		c.cloud.defender = newResponder(opts.MinReportInterval, c.log).answer
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.processes.ctx, c.processes.stop = context.WithCancel(c.ctx)
	if _, err := c.addComponent(d.nucleus, map[string]any{"awsRegion": opts.Region}); err != nil {
		return nil, fmt.Errorf("local core: %w", err)
	}
	c.running.Go(func() { c.carry(c.ctx) })
	return c, nil
}

// until returns a context that ends with ctx or end. Its function frees it.
func until(ctx, end context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(end, cancel)
	return ctx, func() {
		unlink()
		cancel()
	}
}

// Listen serves the nucleus' Unix socket below Root until Close. The real
// socket is open to everybody on the device, for components run as their own
// users; this one, on a developer's machine, is its owner's alone.
func (c *Core) Listen() error {
	path, err := c.socket()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.opts.Root, 0o700); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := removeStale(path); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return fmt.Errorf("listen: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.listener != nil {
		ln.Close()
		return errors.New("listen: the core is closed, or listens already")
	}
	c.listener = ln
	c.running.Go(func() { c.accept(ln) })
	return nil
}

// socket is the path of the core's socket.
func (c *Core) socket() (string, error) {
	if c.opts.Root == "" {
		return "", errors.New("listen: the core has no root folder")
	}
	path := filepath.Join(c.opts.Root, c.dialect.socket)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("listen: the path of a socket has at most %d bytes, %s has %d: choose a shorter root folder", maxSocketPath, path, len(path))
	}
	return path, nil
}

// removeStale removes the socket of a core that is gone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and not a socket", path)
	}
	if nc, err := net.Dial("unix", path); err == nil {
		nc.Close()
		return fmt.Errorf("another core serves %s", path)
	}
	return os.Remove(path)
}

func (c *Core) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors: they come back
			c.log.Error("cannot accept a connection", "error", err)
			if !wait(100*time.Millisecond, c.ctx.Done()) {
				return
			}
		default:
			c.running.Go(func() { c.ServeConn(context.Background(), nc) })
		}
	}
}

// stopListening reports whether the core listened.
func (c *Core) stopListening() bool {
	c.mu.Lock()
	ln := c.listener
	c.listener = nil
	c.mu.Unlock()
	if ln == nil {
		return false
	}
	ln.Close() // removes the socket
	return true
}

// Close stops the processes as the nucleus does, then closes every connection,
// removes the socket, and waits for all of it. A tap must not call it.
func (c *Core) Close() error {
	c.mu.Lock()
	c.closed = true // nothing new begins
	c.mu.Unlock()
	c.processes.stop()
	c.processes.running.Wait()
	c.mu.Lock()
	c.tell(false)
	c.mu.Unlock()
	c.stop()
	c.stopListening()
	c.CloseConnections()
	c.running.Wait()
	return nil
}
