package localcore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

const (
	// frameTimeout is how long nucleus lite waits for the rest of a frame once
	// it has begun (socket_server.c).
	frameTimeout = 5 * time.Second
	// flushTimeout bounds the last frames to a peer that is to be closed.
	flushTimeout = 5 * time.Second

	// maxUnserved is how many frames a stalled core takes from a connection. It
	// stands for the socket's buffer, which an end of net.Pipe does not have.
	maxUnserved = 64
	// A connection whose peer does not read is served no further beyond
	// maxUnread frames waiting for it, and loses events beyond maxUnreadEvents
	// frames or maxUnreadBytes.
	maxUnread       = 64
	maxUnreadEvents = 1_024
	maxUnreadBytes  = 32 << 20
)

// connection is one client's connection. Fields without a comment on their
// lock are guarded by Core.mu.
type connection struct {
	core      *Core
	nc        net.Conn
	log       *slog.Logger
	component *Component         // nil until the handshake is done
	last      int32              // the highest stream id seen; Java
	live      map[int32]struct{} // streams that are not finished; Java
	ended     bool               // nothing more is served or queued
	silent    bool               // nothing more is sent

	closed chan struct{} // by close
	close  func()        // closes nc and closed, once

	out outbox
}

// ServeConn serves one client connection until it ends, ctx ends or the core
// is closed, and closes it.
func (c *Core) ServeConn(ctx context.Context, nc net.Conn) {
	conn := &connection{
		core:   c,
		nc:     nc,
		log:    c.log,
		live:   map[int32]struct{}{},
		closed: make(chan struct{}),
		out:    outbox{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)},
	}
	conn.close = sync.OnceFunc(func() {
		close(conn.closed)
		nc.Close()
	})
	defer conn.close()
	if !c.attach(conn) {
		return
	}
	defer c.detach(conn)
	defer context.AfterFunc(ctx, conn.close)()

	inbox := make(chan *eventrpc.Message, maxUnserved)
	var reader, writer sync.WaitGroup
	reader.Go(func() {
		defer close(inbox)
		conn.read(inbox)
	})
	writer.Go(conn.write)
	conn.serveAll(inbox)
	conn.out.finish()
	nc.SetWriteDeadline(time.Now().Add(flushTimeout))
	writer.Wait()
	conn.close()
	reader.Wait()
}

func (c *Core) attach(conn *connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if len(c.conns) >= c.dialect.maxConnections {
		c.log.Warn("connection refused: too many", "connections", len(c.conns))
		return false
	}
	c.conns[conn] = struct{}{}
	c.running.Add(1)
	return true
}

func (c *Core) detach(conn *connection) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.unsubscribe(func(s *subscription) bool { return s.conn == conn })
	c.mu.Unlock()
	c.running.Done()
}

// read takes frames from the client until the connection ends.
func (conn *connection) read(inbox chan<- *eventrpc.Message) {
	c := conn.core
	input := &frameInput{nc: conn.nc, timed: c.lite()}
	frames := eventrpc.NewReader(input, c.dialect.maxFrame)
	for {
		input.begin()
		m, err := frames.Read()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
				conn.log.Debug("connection lost", "error", err)
			}
			return
		}
		select {
		case inbox <- m:
		case <-conn.closed:
			return
		}
	}
}

// serveAll serves the client's frames in order, until there is none or the
// connection is to end. A process that was stopped serves all that lies in its
// sockets when it goes on, also what a client has left behind (run of 2.18 with
// a stopped JVM, of lite 2.6.0 with a stopped ggipcd and iotcored).
func (conn *connection) serveAll(inbox <-chan *eventrpc.Message) {
	c := conn.core
	for m := range inbox {
		if !conn.out.waitForRoom(conn.closed) || !c.waitForStall(conn) {
			return
		}
		c.mu.Lock()
		conn.receive(m)
		ended := conn.ended
		c.mu.Unlock()
		if ended {
			return
		}
	}
}

// receive acts on one frame as the nucleus does.
func (conn *connection) receive(m *eventrpc.Message) {
	if conn.core.lite() {
		conn.receiveLite(m)
	} else {
		conn.receiveJava(m)
	}
}

// end lets the connection end after what is queued. Reading stops with the
// frame being served.
func (conn *connection) end(why string, args ...any) {
	conn.log.Info("closing connection: "+why, args...)
	conn.ended = true
}

// answer queues a frame that the client waits for.
func (conn *connection) answer(m *eventrpc.Message) bool {
	return conn.queue(m, false)
}

// queue encodes m and queues it. It reports false for a frame that is too long
// for the nucleus, or an event that the client is too slow for.
func (conn *connection) queue(m *eventrpc.Message, event bool) bool {
	c := conn.core
	b, err := m.Encode(c.dialect.layout)
	if err != nil {
		conn.log.Error("cannot encode an answer", "error", err)
		return false
	}
	if len(b) > c.dialect.maxFrame {
		conn.log.Warn("frame not sent: too long for the nucleus", "bytes", len(b), "limit", c.dialect.maxFrame)
		return false
	}
	if conn.silent {
		return true
	}
	f := frame{bytes: b}
	if !event && c.faults.delay > 0 {
		f.due = time.Now().Add(c.faults.delay)
	}
	if !conn.out.add(f, event) {
		conn.log.Warn("event dropped: the client does not read", "stream", m.StreamID)
		return false
	}
	return true
}

// write sends queued frames until the queue is finished or the connection
// closed. What a client that is gone cannot get is dropped: its requests are
// served all the same.
func (conn *connection) write() {
	gone := false
	for {
		f, ok := conn.out.next(conn.closed)
		if !ok || !wait(time.Until(f.due), conn.closed) || !conn.core.waitForStall(conn) {
			return
		}
		if gone {
			continue
		}
		if conn.core.takeCut() {
			conn.nc.Write(f.bytes[:len(f.bytes)/2]) // the connection ends either way
			conn.close()
			return
		}
		_, err := conn.nc.Write(f.bytes)
		gone = err != nil
	}
}

// wait pauses for d and reports whether it was not cut short by done.
func wait(d time.Duration, done <-chan struct{}) bool {
	if d <= 0 {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}

// frameInput reads from a connection and, if timed, gives a frame that has
// begun frameTimeout to be complete.
type frameInput struct {
	nc    net.Conn
	timed bool
	begun bool
}

// begin says that the next byte read is the first of a frame.
func (in *frameInput) begin() {
	if in.begun && in.timed {
		in.nc.SetReadDeadline(time.Time{})
	}
	in.begun = false
}

func (in *frameInput) Read(p []byte) (int, error) {
	n, err := in.nc.Read(p)
	if n > 0 && !in.begun {
		in.begun = true
		if in.timed {
			in.nc.SetReadDeadline(time.Now().Add(frameTimeout))
		}
	}
	return n, err
}

// frame is an encoded message that waits to be sent.
type frame struct {
	bytes []byte
	due   time.Time // not before; zero is at once
}

// outbox is a connection's queue of frames to send. Adding never blocks.
type outbox struct {
	wake, room chan struct{} // capacity 1: something was added, taken

	mu       sync.Mutex // guards the rest
	frames   []frame
	bytes    int
	finished bool
}

// add queues f. It reports false for an event for which there is no room.
func (o *outbox) add(f frame, event bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if event && (len(o.frames) >= maxUnreadEvents || o.bytes+len(f.bytes) > maxUnreadBytes) {
		return false
	}
	o.frames = append(o.frames, f)
	o.bytes += len(f.bytes)
	notify(o.wake)
	return true
}

// finish lets next report false once the queue is empty.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	notify(o.wake)
}

// next waits for a frame. It reports false when there will be none.
func (o *outbox) next(closed <-chan struct{}) (frame, bool) {
	for {
		o.mu.Lock()
		if len(o.frames) > 0 {
			f := o.frames[0]
			o.frames[0] = frame{}
			o.frames = o.frames[1:]
			o.bytes -= len(f.bytes)
			o.mu.Unlock()
			notify(o.room)
			return f, true
		}
		finished := o.finished
		o.mu.Unlock()
		if finished {
			return frame{}, false
		}
		select {
		case <-o.wake:
		case <-closed:
			return frame{}, false
		}
	}
}

// waitForRoom waits while maxUnread frames wait to be sent.
func (o *outbox) waitForRoom(closed <-chan struct{}) bool {
	for {
		o.mu.Lock()
		n := len(o.frames)
		o.mu.Unlock()
		if n < maxUnread {
			return true
		}
		select {
		case <-o.room:
		case <-closed:
			return false
		}
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
