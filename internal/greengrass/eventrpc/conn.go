package eventrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxIncoming caps a frame that the client takes, in bytes; a longer one
	// ends the connection. The protocol allows [MaxFrame], which a small device
	// cannot hold. The longest frames that a component has reason to expect are
	// an MQTT message, 128 KiB in base64, and its own configuration.
	MaxIncoming = 1 << 20

	// writeTimeout bounds the writing of one frame. Nucleus lite, which is
	// single-threaded, stands still for 5 s when another component does not
	// read.
	writeTimeout = 10 * time.Second

	// silenceLimit is how long a connection may bring nothing while a request
	// waits for its answer. Nucleus lite, which is single-threaded, stands still
	// for seconds at a time; what is silent for longer does not come back.
	silenceLimit = time.Minute

	// maxPongs bounds the answers that wait for a peer that pings but does not
	// read; further pings go unanswered.
	maxPongs = 8
)

// Conn is the client's end of a connection, made by [Handshake]. It is safe
// for concurrent use.
//
// A reader goroutine hands frames to their streams and never waits for a
// consumer; a writer goroutine is the only one to give out stream ids and to
// write, so that ids are consecutive on the wire. Both end with the
// connection.
type Conn struct {
	nc       net.Conn
	maxFrame atomic.Int64
	requests chan *Stream  // to the writer
	wake     chan struct{} // tells the writer of control; capacity 1
	done     chan struct{} // closed when the connection has ended
	running  sync.WaitGroup

	mu      sync.Mutex
	last    int32             // the highest stream id in use; set by the writer
	streams map[int32]*Stream // those that have not ended
	control []*Message        // terminates and pongs, for the writer
	pongs   int               // in control
	err     error             // why the connection ended
	silence *time.Timer       // runs from a unary request to the next frame, nil before the first
	unheard chan struct{}     // closed by the next frame; nil unless a request was given up since the last one
}

// ErrSilent ends a connection that is open and brings nothing: a unary request
// was written, and for a minute no frame came at all.
var ErrSilent = errors.New("the server does not answer any more")

// ErrNotSent is wrapped by the errors of requests that the server cannot have
// read, because their frame was not written, or not to its end. Only these can
// be made again without the risk of doing something twice.
var ErrNotSent = errors.New("request not sent")

func notSent(err error) error { return fmt.Errorf("%w: %w", ErrNotSent, err) }

func newConn(nc net.Conn, frames *Reader) *Conn {
	c := &Conn{
		nc:       nc,
		requests: make(chan *Stream),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		streams:  make(map[int32]*Stream),
	}
	c.maxFrame.Store(MaxFrame)
	c.running.Go(func() { c.read(frames) })
	c.running.Go(c.write)
	return c
}

// SetMaxFrame sets the cap on frames to the server, in bytes: [MaxFrame] if
// never set. It holds for requests that are not yet written.
func (c *Conn) SetMaxFrame(n int) { c.maxFrame.Store(int64(n)) }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, nil as long as it lives:
// [net.ErrClosed] after Close, [io.EOF] if the server closed it.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection, its streams and its goroutines.
func (c *Conn) Close() error {
	c.end(net.ErrClosed)
	c.running.Wait()
	return nil
}

// end ends the connection for the reason of the first caller.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, s := range c.streams {
		s.end(err)
	}
	c.control = nil
	if c.silence != nil {
		c.silence.Stop()
	}
	close(c.done)
	c.nc.Close()
}

// read hands out the server's frames until the connection ends.
func (c *Conn) read(frames *Reader) {
	for {
		m, err := frames.Read()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("connection closed by the server: %w", err)
		}
		if err == nil {
			err = c.receive(m)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// receive acts on one frame. An error ends the connection.
func (c *Conn) receive(m *Message) error {
	defer c.heard()
	switch m.Type {
	case ApplicationMessage, ApplicationError:
	case Ping:
		c.pong(m)
		return nil
	case PingResponse:
		return nil
	case ProtocolError, InternalError:
		return fmt.Errorf("server ended the connection with %v: %.512q", m.Type, m.Payload)
	default:
		return fmt.Errorf("protocol error by the server: unexpected %v", m.Type)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.StreamID < 1 || m.StreamID > c.last {
		return fmt.Errorf("protocol error by the server: %v on stream %d, the last one opened is %d", m.Type, m.StreamID, c.last)
	}
	// A stream that is not in the map has ended; what was under way for it then
	// may still arrive.
	if s := c.streams[m.StreamID]; s != nil {
		s.receive(m)
	}
	return nil
}

// heard notes a sign of life.
func (c *Conn) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unheard != nil {
		close(c.unheard)
		c.unheard = nil
	}
	if c.silence == nil || c.err != nil {
		return
	}
	c.silence.Stop()
	for _, s := range c.streams {
		if s.unary() {
			c.silence.Reset(silenceLimit)
			return
		}
	}
}

// listen starts to wait for a sign of life, unless it is waited for already.
// c.mu is held.
func (c *Conn) listen() {
	switch {
	case c.silence == nil:
		c.silence = time.AfterFunc(silenceLimit, func() { c.end(ErrSilent) })
	case !c.waiting():
		c.silence.Reset(silenceLimit)
	}
}

// waiting reports whether something was asked since the last frame. c.mu is
// held.
func (c *Conn) waiting() bool {
	if c.unheard != nil {
		return true
	}
	for _, s := range c.streams {
		if s.unary() {
			return true
		}
	}
	return false
}

// Alive waits until the server has shown a sign of life after the last request
// that was given up unanswered. It returns at once if there is none. A server
// that stands still may yet read all that is sent to it in the meantime, so
// what must not arrive late is not to be sent before. The error wraps
// [ErrNotSent].
func (c *Conn) Alive(ctx context.Context) error {
	c.mu.Lock()
	unheard := c.unheard
	c.mu.Unlock()
	if unheard == nil {
		return nil
	}
	select {
	case <-unheard:
		return nil
	case <-c.done:
		return notSent(c.Err())
	case <-ctx.Done():
		return notSent(context.Cause(ctx))
	}
}

// pong queues the answer to a ping.
func (c *Conn) pong(ping *Message) {
	answer := &Message{Type: PingResponse, Payload: ping.Payload}
	for _, h := range ping.Headers {
		if !strings.HasPrefix(h.Name, ":") {
			answer.Headers = append(answer.Headers, h)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pongs < maxPongs {
		c.pongs++
		c.queueControl(answer)
	}
}

// queueControl leaves a frame to the writer. c.mu is held.
func (c *Conn) queueControl(m *Message) {
	if c.err != nil {
		return
	}
	c.control = append(c.control, m)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes requests and control frames until the connection ends.
func (c *Conn) write() {
	for {
		var err error
		select {
		case <-c.done:
			return
		case s := <-c.requests:
			// Who ends one stream before opening another has it in that order.
			if err = c.writeControl(); err == nil {
				err = c.writeRequest(s)
			} else {
				s.fail(notSent(err))
			}
		case <-c.wake:
			err = c.writeControl()
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// writeRequest opens s with the next stream id, unless it cannot be sent or
// its caller has given up: then no id is used. An error ends the connection.
func (c *Conn) writeRequest(s *Stream) error {
	if c.last == math.MaxInt32 {
		s.fail(notSent(errNoMoreStreams))
		return errNoMoreStreams
	}
	id := c.last + 1
	frame, err := s.request(id).Encode(NumbersFirst)
	if limit := c.maxFrame.Load(); err == nil && int64(len(frame)) > limit {
		err = fmt.Errorf("%w: %d bytes, the server takes %d", ErrFrameTooLong, len(frame), limit)
	}
	if err != nil {
		s.fail(notSent(err))
		return nil
	}
	if !s.open(id) {
		return nil
	}
	if err = c.writeFrame(frame); err != nil {
		s.fail(notSent(err))
	}
	return err
}

// errNoMoreStreams ends a connection; on the next one ids start again at 1.
var errNoMoreStreams = errors.New("stream ids are used up")

func (c *Conn) writeControl() error {
	c.mu.Lock()
	messages := c.control
	c.control, c.pongs = nil, 0
	c.mu.Unlock()
	for _, m := range messages {
		frame, err := m.Encode(NumbersFirst)
		if err != nil {
			return err
		}
		if err := c.writeFrame(frame); err != nil {
			return err
		}
	}
	return nil
}

// writeFrame writes a frame within writeTimeout. After an error part of the
// frame may be written: the connection is of no more use.
func (c *Conn) writeFrame(frame []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if _, err := c.nc.Write(frame); err != nil {
		return fmt.Errorf("write frame of %d bytes: %w", len(frame), err)
	}
	return nil
}
