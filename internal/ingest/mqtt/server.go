package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/ingest"
)

const (
	// maxConnections bounds memory: a connection takes about 130 KB with TLS.
	maxConnections = 10_000
	// maxOpening is how many connections may be on their way to a CONNACK. One more takes
	// the place of the oldest.
	maxOpening  = 128
	openingTime = 10 * time.Second
	// maxPerThing is how many connections a thing may have. A nucleus opens one for each
	// 50 subscriptions.
	maxPerThing = 10
	// writeTime is how long a client may take to read what it is sent.
	writeTime = 10 * time.Second
	// maxPacket has room for a report of the longest size with its topic.
	maxPacket = 128<<10 + 4<<10
	// maxWaiting is how many packets may wait for a client to read them.
	maxWaiting = 32
	// acceptPause is after a connection could not be accepted, such as for lack of file
	// descriptors.
	acceptPause = 100 * time.Millisecond
	never       = 1 << 20 // seconds
)

// Registry tells of things.
type Registry interface {
	// ThingOfCertificate returns which thing a certificate is of; "" when of none.
	ThingOfCertificate(ctx context.Context, id string) (thing string, err error)
	// Known reports whether a thing is registered or has reported.
	Known(ctx context.Context, thing string) (bool, error)
}

// Options say what a server is.
type Options struct {
	Intake *ingest.Intake
	// TLS has the server's certificate. The clients' are asked for by the server. Nil: no TLS,
	// on loopback only.
	TLS      *tls.Config
	Registry Registry
	// Authority names the things of certificates that are not registered; nil: they are of
	// none.
	Authority *Authority
	Now       func() time.Time // default time.Now; of answers and of the end of certificates
	Log       *slog.Logger     // default: no log
}

// Server takes reports over MQTT. It is served once, or closed.
type Server struct {
	options  Options
	log      *slog.Logger
	limit    *rate.Limiter // of log lines that clients cause
	listener net.Listener
	broker   *broker.Server
	ctx      context.Context // ends with Serve
	cancel   context.CancelFunc

	mu      sync.Mutex // guards the rest
	conns   map[*conn]bool
	opening []*conn        // the oldest first
	things  map[string]int // connections of each
	closed  bool
}

// Listen takes the address. Without TLS it has to be a loopback one.
func Listen(ctx context.Context, address string, o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listen := awsrest.Listen
	if o.TLS != nil {
		listen = listenTLS
		o.TLS = clientCertificates(o.TLS)
	}
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o, log: o.Log, limit: rate.NewLimiter(10, 100), listener: listener,
		conns: map[*conn]bool{}, things: map[string]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

func listenTLS(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

// clientCertificates has clients show a certificate, and prove that they have its key. Who
// issued it does not matter: it is looked up. Clients of AWS IoT may name protocols (ALPN)
// that are not in the configuration, and are let in all the same.
func clientCertificates(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth = tls.RequireAnyClientCert
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.NextProtos = nil
	return config
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes a server that is not served.
func (s *Server) Close() error {
	s.cancel()
	return s.listener.Close()
}

// Serve serves until ctx ends, and then ends all connections: reports that are being stored are
// stored. It closes the listener.
func (s *Server) Serve(ctx context.Context) error {
	defer s.cancel()
	if err := s.startBroker(); err != nil {
		return errors.Join(err, s.listener.Close())
	}
	stop := context.AfterFunc(ctx, s.end)
	var running sync.WaitGroup
	err := s.accept(&running)
	if stop() { // ctx has not ended: the listener failed
		s.end()
	} else {
		err = nil
	}
	running.Wait()
	return errors.Join(err, s.broker.Close())
}

// startBroker makes the broker, without listeners of its own.
func (s *Server) startBroker() error {
	capabilities := broker.NewDefaultServerCapabilities()
	capabilities.MaximumClientWritesPending = maxWaiting
	capabilities.MaximumSessionExpiryInterval = 0
	capabilities.MaximumPacketSize = maxPacket
	capabilities.ReceiveMaximum = 100 // AWS's
	capabilities.MaximumInflight = 100
	capabilities.TopicAliasMaximum = 0
	capabilities.SharedSubAvailable = 0
	capabilities.MinimumProtocolVersion = 4 // 3.1.1
	capabilities.MaximumQos = 1
	capabilities.RetainAvailable = 0
	capabilities.Compatibilities.NoInheritedPropertiesOnAck = true
	s.broker = broker.New(&broker.Options{
		Capabilities: capabilities, InlineClient: true, SysTopicResendInterval: never,
		Logger: slog.New(slog.DiscardHandler), // it logs payloads
	})
	if err := s.broker.AddHook(&hook{server: s}, nil); err != nil {
		return fmt.Errorf("starting MQTT: %w", err)
	}
	return s.broker.Serve()
}

// end ends the listener and all connections.
func (s *Server) end() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.drop()
	}
	s.mu.Unlock()
	s.cancel()
	s.listener.Close() // its error is that it is closed
}

// accept takes connections until the listener is closed.
func (s *Server) accept(running *sync.WaitGroup) error {
	for {
		accepted, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("serving MQTT on %v: %w", s.Addr(), err)
			}
			s.log.Warn("accepting an MQTT connection failed", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
			}
			continue
		}
		c := newConn(s, accepted)
		if !s.enter(c) {
			accepted.Close()
			continue
		}
		running.Go(func() { s.serve(c) })
	}
}

// enter counts a connection, if there is room.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(s.conns) >= maxConnections && len(s.opening) == 0 {
		s.warn("too many MQTT connections", "remote", c.remote)
		return false
	}
	if len(s.opening) >= maxOpening || len(s.conns) >= maxConnections {
		s.opening[0].drop()
		s.opening = s.opening[1:]
	}
	s.conns[c] = true
	s.opening = append(s.opening, c)
	return true
}

// opened says that a connection is no longer on its way to a CONNACK. The caller holds s.mu.
func (s *Server) opened(c *conn) {
	for i, other := range s.opening {
		if other == c {
			s.opening = append(s.opening[:i:i], s.opening[i+1:]...)
			return
		}
	}
}

// serve serves one connection.
func (s *Server) serve(c *conn) {
	defer s.leave(c)
	// Whatever a client sends, the service stays up.
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("MQTT connection failed", "remote", c.remote, "thing", c.thing, "panic", p)
		}
	}()
	if err := c.handshake(s.ctx); err != nil {
		s.warn("MQTT connection refused", "remote", c.remote, "error", err)
		return
	}
	c.SetReadDeadline(time.Now().Add(openingTime)) // until OnConnect
	err := s.broker.EstablishConnection("mqtt", c)
	if c.thing == "" && err != nil {
		s.warn("MQTT connection refused", "remote", c.remote, "error", err)
	}
}

// leave forgets a connection that is over.
func (s *Server) leave(c *conn) {
	c.drop()
	s.mu.Lock()
	delete(s.conns, c)
	s.opened(c)
	last := false
	if c.thing != "" {
		if s.things[c.thing]--; s.things[c.thing] == 0 {
			delete(s.things, c.thing)
			last = true
		}
	}
	s.mu.Unlock()
	if last {
		c.disconnected()
	}
}

// admit makes a connection that of a thing, if there is room.
func (s *Server) admit(c *conn, thing string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.things[thing] >= maxPerThing {
		return false
	}
	s.opened(c)
	s.things[thing]++
	c.thing = thing
	return true
}

// note and warn log what a client causes, at a bounded rate.
func (s *Server) note(message string, args ...any) {
	if s.limit.Allow() {
		s.log.Info(message, args...)
	}
}

func (s *Server) warn(message string, args ...any) {
	if s.limit.Allow() {
		s.log.Warn(message, args...)
	}
}
