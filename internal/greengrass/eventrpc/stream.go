package eventrpc

import (
	"context"
	"errors"
	"fmt"
)

// ErrStreamEnded is the error of a stream that the server ended without an
// error of its own.
var ErrStreamEnded = errors.New("stream ended by the server")

// StreamError is the error of a stream that the server ended with an
// APPLICATION_ERROR after its first answer.
type StreamError struct{ Message *Message }

func (e *StreamError) Error() string {
	return fmt.Sprintf("stream %d ended by the server: %s: %.512q", e.Message.StreamID, e.Message.Text(HeaderModelType), e.Message.Payload)
}

// Stream is one operation on a connection. It is safe for concurrent use.
type Stream struct {
	conn      *Conn
	operation string
	payload   []byte
	answer    chan *Message // the first answer, or closed without one; capacity 1
	events    chan *Message // nil for a unary operation

	// Guarded by conn.mu.
	id       int32 // 0 until the writer has opened the stream
	answered bool
	ended    bool
	err      error
	dropped  int
}

// Call makes a unary request and returns its answer, the first message on the
// stream whatever its flags. An APPLICATION_ERROR is an answer, not an error.
//
// If ctx ends before the request was written, the server hears nothing of it;
// if later, it is told that the stream is over. Errors: the context's, one
// that wraps [ErrFrameTooLong] for a request over the server's limit,
// [ErrStreamEnded], or the connection's. They wrap [ErrNotSent] too if the
// server cannot have read the request; otherwise what came of it is unknown.
func (c *Conn) Call(ctx context.Context, operation string, payload []byte) (*Message, error) {
	s := &Stream{conn: c, operation: operation, payload: payload, answer: make(chan *Message, 1)}
	return s.exchange(ctx)
}

// Open makes a request for a stream of events and returns its first answer,
// which may be an APPLICATION_ERROR: then the stream has ended. Up to queue
// events wait for the consumer; beyond, the oldest are dropped. ctx bounds the
// wait for the first answer. Errors are those of [Conn.Call].
func (c *Conn) Open(ctx context.Context, operation string, payload []byte, queue int) (*Stream, *Message, error) {
	s := &Stream{
		conn: c, operation: operation, payload: payload,
		answer: make(chan *Message, 1),
		events: make(chan *Message, max(queue, 1)),
	}
	m, err := s.exchange(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s, m, nil
}

// exchange sends the request and waits for the first answer. An answer that is
// there counts, even if ctx has ended too.
func (s *Stream) exchange(ctx context.Context) (*Message, error) {
	if ctx.Err() != nil {
		return nil, notSent(context.Cause(ctx))
	}
	select {
	case s.conn.requests <- s:
	case <-s.conn.done:
		return nil, notSent(s.conn.Err())
	case <-ctx.Done():
		return nil, notSent(context.Cause(ctx))
	}
	select {
	case m := <-s.answer:
		return s.answeredWith(m)
	case <-ctx.Done():
	}
	select {
	case m := <-s.answer:
		return s.answeredWith(m)
	default:
		if !s.giveUp() {
			return nil, notSent(context.Cause(ctx))
		}
		return nil, context.Cause(ctx)
	}
}

// answeredWith returns what came from s.answer: nil if it was closed.
func (s *Stream) answeredWith(m *Message) (*Message, error) {
	if m == nil {
		return nil, s.Err()
	}
	return m, nil
}

// Events returns the stream's events in the order of their arrival. The
// channel is closed when the stream has ended; what arrived before can still
// be received then.
func (s *Stream) Events() <-chan *Message { return s.events }

// Dropped returns how many events the consumer was too slow for.
func (s *Stream) Dropped() int {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.dropped
}

// Err returns why the stream ended: nil as long as it lives and after Close, a
// [StreamError], [ErrStreamEnded], or the connection's error.
func (s *Stream) Err() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.err
}

// Close ends the stream and tells the server so, if it knows of the stream. It
// does not wait for that. Closing again does nothing.
func (s *Stream) Close() { s.giveUp() }

// giveUp closes the stream. It reports false if the server has heard nothing
// of it and will not.
func (s *Stream) giveUp() (sent bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended {
		return s.id != 0
	}
	if s.unary() && s.id != 0 && c.unheard == nil {
		c.unheard = make(chan struct{})
	}
	s.end(nil)
	if s.id != 0 {
		c.queueControl(&Message{Flags: TerminateStream, StreamID: s.id})
	}
	return s.id != 0
}

// unary reports whether the stream is for a single answer.
func (s *Stream) unary() bool { return s.events == nil }

// request returns the stream's first message.
func (s *Stream) request(id int32) *Message {
	m := &Message{StreamID: id, Payload: s.payload}
	m.SetText(HeaderOperation, s.operation)
	return m
}

// open gives the stream its id and has the connection listen to it. It
// reports false if the caller has given up or the connection has ended.
func (s *Stream) open(id int32) bool {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		s.end(notSent(c.err))
	}
	if s.ended {
		return false
	}
	if s.unary() {
		c.listen()
	}
	c.last, s.id = id, id
	c.streams[id] = s
	return true
}

// fail ends a stream that was not opened.
func (s *Stream) fail(err error) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.end(err)
}

// receive takes one message from the reader. conn.mu is held.
func (s *Stream) receive(m *Message) {
	switch {
	case m.Type == ApplicationMessage && m.Terminates() && len(m.Payload) == 0 && m.Text(HeaderModelType) == "":
		s.end(ErrStreamEnded)
		return
	case !s.answered && s.isAnswer(m):
		s.answered = true
		s.answer <- m
	case m.Type == ApplicationError:
		s.end(&StreamError{m})
		return
	default:
		s.push(m)
	}
	if m.Type == ApplicationError || m.Terminates() || s.unary() {
		s.end(ErrStreamEnded)
	}
}

// isAnswer tells the first answer from an event. On nucleus lite the two come
// from different threads, so an event may overtake the response to its
// subscription; the model type tells them apart.
func (s *Stream) isAnswer(m *Message) bool {
	if s.unary() || m.Type == ApplicationError {
		return true
	}
	model := m.Text(HeaderModelType)
	return model == "" || model == s.operation+"Response"
}

// push queues an event, dropping the oldest for want of room. The reader is
// the only sender and holds conn.mu.
func (s *Stream) push(m *Message) {
	for {
		select {
		case s.events <- m:
			return
		default:
		}
		select {
		case <-s.events:
			s.dropped++
		default: // the consumer was faster
		}
	}
}

// end ends the stream on this side. conn.mu is held.
func (s *Stream) end(err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	delete(s.conn.streams, s.id)
	if !s.answered {
		close(s.answer)
	}
	if !s.unary() {
		close(s.events)
	}
}
