package awsrest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxConnections bounds, with maxBody, the memory of requests that are being
	// read.
	maxConnections = 256
	// lateAnswer is how long a request may take before its connection gives
	// way to others: the client may not read the answer.
	lateAnswer = 10 * time.Second
	// bodyDelay and bodyRate are the time that a body may take: so long, and
	// longer as more of it has come.
	bodyDelay = 5 * time.Second
	bodyRate  = 16 << 10 // bytes a second
)

// connections is a listener that has a number of connections open at most. One
// more takes the place of the one that has been idle for longest, or else of the
// one whose request has been on its way for longest: who opens many
// connections and says nothing locks nobody out.
type connections struct {
	net.Listener
	limit int

	mu      sync.Mutex // guards the rest
	changed *sync.Cond
	open    map[*conn]bool
	clock   uint64 // counts what happens to connections
	closed  bool
}

// conn is a connection of a client.
type conn struct {
	net.Conn
	of    *connections
	state connState // guarded by of.mu, as all below
	when  uint64    // it has been in the state since
	since time.Time
}

// connState is what a connection is doing. A lower one gives way first.
type connState int

const (
	idle      connState = iota // no request, or not all of its header
	sending                    // its body is on the way
	answering                  // the service is at it
	streaming                  // the answer has no end
)

func newConnections(l net.Listener, limit int) *connections {
	set := &connections{Listener: l, limit: limit, open: map[*conn]bool{}}
	set.changed = sync.NewCond(&set.mu)
	return set
}

func (set *connections) Accept() (net.Conn, error) {
	accepted, err := set.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, of: set}
	set.mu.Lock()
	defer set.mu.Unlock()
	for len(set.open) >= set.limit && !set.closed {
		if victim := set.leastBusy(); victim != nil {
			delete(set.open, victim)
			victim.Conn.Close()
			continue
		}
		again := time.AfterFunc(time.Second, set.changed.Broadcast)
		set.changed.Wait()
		again.Stop()
	}
	if set.closed {
		accepted.Close()
		return nil, net.ErrClosed
	}
	set.open[c] = true
	c.become(idle)
	return c, nil
}

// leastBusy returns the connection that gives way to a new one; nil if there is
// none. The caller holds set.mu.
func (set *connections) leastBusy() (least *conn) {
	late := time.Now().Add(-lateAnswer)
	for c := range set.open {
		if c.state == streaming || c.state == answering && c.since.After(late) {
			continue
		}
		if least == nil || c.state < least.state || c.state == least.state && c.when < least.when {
			least = c
		}
	}
	return least
}

func (set *connections) Close() error {
	set.mu.Lock()
	set.closed = true
	set.mu.Unlock()
	set.changed.Broadcast()
	return set.Listener.Close()
}

// become notes what the connection does from now on. The caller holds of.mu.
func (c *conn) become(state connState) {
	c.of.clock++
	c.state, c.when, c.since = state, c.of.clock, time.Now()
	if state <= sending {
		c.of.changed.Broadcast() // it may give way to one that waits
	}
}

func (c *conn) set(state connState) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.become(state)
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	c.of.changed.Broadcast()
	return c.Conn.Close()
}

// stateChanged is the hook of http.Server.
func stateChanged(nc net.Conn, state http.ConnState) {
	if c, ok := below(nc).(*conn); ok && state == http.StateIdle {
		c.set(idle)
	}
}

// below is the connection that TLS is spoken over, or the same.
func below(nc net.Conn) net.Conn {
	if secure, ok := nc.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return nc
}

type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, below(nc))
}

// began notes that a request has begun, and has its body paced.
func began(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	switch {
	case !ok:
	case r.ContentLength != 0:
		c.set(sending)
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		c.set(streaming)
	default:
		c.set(answering)
	}
	if r.ContentLength != 0 {
		r.Body = &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), conn: c, began: time.Now()}
	}
}

// pacedBody is a body that has to come at a least rate.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	conn    *conn // nil when it is not known
	began   time.Time
	size    int64
	over    bool
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if !b.over {
		// Where there is no connection, as in tests, there is no deadline either.
		_ = b.control.SetReadDeadline(b.began.Add(bodyDelay + time.Duration(b.size)*time.Second/bodyRate))
	}
	n, err := b.ReadCloser.Read(p)
	b.size += int64(n)
	if err == io.EOF && !b.over {
		b.over = true
		// What the connection reads from here on is the next request.
		_ = b.control.SetReadDeadline(time.Time{})
		if b.conn != nil {
			b.conn.set(answering)
		}
	}
	return n, err
}
