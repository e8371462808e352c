package greengrass

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

const (
	// callTimeout is for calls whose context has no deadline.
	callTimeout = 10 * time.Second

	// eventQueue is how many events of a subscription wait for their consumer
	// before the oldest are dropped. The longest have some 180 KB, the usual
	// ones less than 1 KB.
	eventQueue = 64
)

// Client is one connection to the nucleus. It is safe for concurrent use.
// When the connection ends, so do all calls and subscriptions; a [Session]
// makes a new one.
//
// Methods return an [*Error] for a refusal by the nucleus, the context's error,
// or the connection's. A call without a deadline ends after 10 seconds.
type Client struct {
	conn    *eventrpc.Conn
	log     *slog.Logger
	nucleus atomic.Int32
	closed  chan struct{} // by Close
	close   func()
}

// ErrNotSent is wrapped by the errors of calls that the nucleus has heard
// nothing of. What came of a call that failed with another error, and not with
// an [*Error], is unknown.
var ErrNotSent = eventrpc.ErrNotSent

// NewClient presents the token on nc, which it takes over. The error wraps
// [eventrpc.ErrRefused] if the nucleus refuses the token. ctx bounds the
// handshake, by 10 seconds if it has no deadline.
func NewClient(ctx context.Context, nc net.Conn, token string, log *slog.Logger) (*Client, error) {
	conn, err := eventrpc.Handshake(ctx, nc, token)
	if err != nil {
		return nil, err
	}
	return newClient(conn, log, Unknown), nil
}

// newClient expects a certain nucleus until it knows better.
func newClient(conn *eventrpc.Conn, log *slog.Logger, expected Nucleus) *Client {
	c := &Client{conn: conn, log: log, closed: make(chan struct{})}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	c.setNucleus(expected)
	return c
}

// Alive waits for a sign of life if the nucleus owes one: see
// [eventrpc.Conn.Alive]. The error wraps [ErrNotSent].
func (c *Client) Alive(ctx context.Context) error { return c.conn.Alive(ctx) }

// Nucleus returns which nucleus this is, Unknown before the first successful
// answer to a call that is no subscription. As long as it is unknown requests
// must fit the frames of nucleus lite.
func (c *Client) Nucleus() Nucleus { return Nucleus(c.nucleus.Load()) }

func (c *Client) setNucleus(n Nucleus) {
	c.nucleus.Store(int32(n))
	if n == Java {
		c.conn.SetMaxFrame(eventrpc.MaxFrame)
	} else {
		c.conn.SetMaxFrame(eventrpc.MaxFrameLite)
	}
}

// detect tells the nuclei apart by the flags of a unary answer: the Java
// nucleus ends the stream with it, nucleus lite does not.
func (c *Client) detect(answer *eventrpc.Message) {
	n := Lite
	if answer.Terminates() {
		n = Java
	}
	if c.Nucleus() != n {
		c.setNucleus(n)
		c.log.Debug("nucleus recognised", "nucleus", n)
	}
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.conn.Done() }

// Err returns why the connection ended, nil as long as it lives.
func (c *Client) Err() error { return c.conn.Err() }

// Close ends the connection and everything on it.
func (c *Client) Close() error {
	c.close()
	return c.conn.Close()
}

// call makes a unary call of the operation.
func call[Response any](ctx context.Context, c *Client, operation string, request any) (Response, error) {
	var response Response
	payload, err := json.Marshal(request)
	if err != nil {
		return response, fmt.Errorf("%s: encode request: %w", operation, err)
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	m, err := c.conn.Call(ctx, namespace+operation, payload)
	if err != nil {
		return response, fmt.Errorf("%s: %w", operation, err)
	}
	if m.Type == eventrpc.ApplicationError {
		return response, newError(operation, m)
	}
	c.detect(m)
	if err := json.Unmarshal(m.Payload, &response); err != nil {
		return response, fmt.Errorf("%s: decode response: %w", operation, err)
	}
	return response, nil
}

// empty is the payload of responses that say nothing but yes.
type empty struct{}

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}
