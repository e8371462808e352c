package greengrass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// Subscription is a stream of events. It is safe for concurrent use. Close it,
// or its client, unless its events were received to the end.
type Subscription[E any] struct {
	operation string
	stream    *eventrpc.Stream
	events    chan E
	closed    chan struct{} // by Close
	close     func()
}

// subscribe opens a stream of events. ctx bounds the wait for the response.
func subscribe[E any](ctx context.Context, c *Client, operation string, request any) (*Subscription[E], error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("%s: encode request: %w", operation, err)
	}
	stream, answer, err := c.conn.Open(ctx, namespace+operation, payload, eventQueue)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if answer.Type == eventrpc.ApplicationError {
		return nil, newError(operation, answer)
	}
	s := &Subscription[E]{operation: operation, stream: stream, events: make(chan E), closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	go s.decode(c)
	return s, nil
}

// decode turns messages into events, away from the connection's reader.
func (s *Subscription[E]) decode(c *Client) {
	defer close(s.events)
	dropped := 0
	for m := range s.stream.Events() {
		if n := s.stream.Dropped(); n != dropped {
			c.log.Warn("events dropped, they came too fast", "operation", s.operation, "dropped", n-dropped)
			dropped = n
		}
		var event E
		if err := json.Unmarshal(m.Payload, &event); err != nil {
			c.log.Warn("event ignored, it cannot be decoded", "operation", s.operation, "bytes", len(m.Payload), "error", err)
			continue
		}
		select {
		case s.events <- event:
		case <-s.closed:
			return
		case <-c.closed:
			return
		}
	}
}

// Events returns the channel of events, in the order of their arrival. A slow
// consumer loses the oldest. The channel is closed when the subscription has
// ended and the events that arrived before are received.
func (s *Subscription[E]) Events() <-chan E { return s.events }

// Close ends the subscription. Events not yet received are lost.
func (s *Subscription[E]) Close() {
	s.close()
	s.stream.Close()
}

// Err returns why the subscription ended: nil as long as it lives and after
// Close, an [*Error], or the connection's error.
func (s *Subscription[E]) Err() error {
	err := s.stream.Err()
	var end *eventrpc.StreamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &end):
		return newError(s.operation, end.Message)
	}
	return fmt.Errorf("%s: %w", s.operation, err)
}
