package greengrass

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

const (
	connectTimeout = 10 * time.Second // dialling and handshake
	// refusalPatience is how long a token must be refused before a session may
	// be given up. Nucleus lite refuses everybody while its 50 places are taken,
	// and so does a nucleus that is going down.
	refusalPatience = 5 * time.Minute
)

// ErrTokenRefused ends a session: the nucleus refuses the component's token
// and has done so for minutes. A new process gets a new token.
var ErrTokenRefused = errors.New("the nucleus refuses the component's token")

// errSessionEnded is for who asks a session that is over.
var errSessionEnded = errors.New("the session with the nucleus has ended")

// SessionConfig is what a [Session] needs.
type SessionConfig struct {
	Dial  func(context.Context) (net.Conn, error) // such as [Environment.Dial]
	Token string
	Log   *slog.Logger
	// OnConnect, if not nil, is called after each connect, while subscriptions
	// are being restored. The session does not mind its connection until it
	// returns.
	OnConnect func(*Client)
	// Component is the name of the component in whose systemd unit this process
	// runs, [LiteComponent]. Nucleus lite grants it a new token when the old one
	// died with the IPC daemon. It may be empty.
	Component string
	// GiveUp is asked, now and then, once the token has been refused for five
	// minutes. If it returns true the session ends. Nil always does.
	GiveUp func() bool
}

// Session keeps a connection to the nucleus, and the subscriptions registered
// with [Subscribe]. [Session.Run] does the work; the other methods are safe for
// concurrent use, before Run and after.
type Session struct {
	config  SessionConfig
	running sync.WaitGroup // of registrations
	token   string         // config.Token, or a later one; Run's

	mu            sync.Mutex
	ctx           context.Context // Run's, nil before
	registrations map[*Registration]struct{}
	client        *Client       // nil if there is none
	ended         error         // why Run has ended
	changed       chan struct{} // closed, and replaced, when client or ended changes
}

// NewSession returns a session for [Session.Run] to run.
func NewSession(c SessionConfig) *Session {
	if c.GiveUp == nil {
		c.GiveUp = func() bool { return true }
	}
	return &Session{
		config:        c,
		token:         c.Token,
		changed:       make(chan struct{}),
		registrations: make(map[*Registration]struct{}),
	}
}

// Run connects, and connects again whenever the connection is lost, until ctx
// ends or the session is given up because the token is refused: then the error
// wraps [ErrTokenRefused]. A nucleus that is not there is waited for. When Run
// returns no goroutine of the session is left. It is to be called once.
func (s *Session) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.running.Wait()
	defer cancel()
	s.begin(ctx)
	err := s.stayConnected(ctx)
	s.set(nil, fmt.Errorf("%w: %w", errSessionEnded, err))
	return err
}

// begin starts the registrations made so far.
func (s *Session) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
	for r := range s.registrations {
		s.start(r)
	}
}

// stayConnected holds one connection after the other.
func (s *Session) stayConnected(ctx context.Context) error {
	var wait backoff
	said := ""            // the failure logged last, "" since a success
	var refused time.Time // since when the token is, zero if it is not
	nucleus := Unknown    // the last one is a good guess at the next one
	for {
		client, err := s.connect(ctx, nucleus)
		isRefusal := errors.Is(err, eventrpc.ErrRefused)
		switch {
		case !isRefusal:
			refused = time.Time{}
		case refused.IsZero():
			refused = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			if client != nil {
				client.Close()
			}
			return context.Cause(ctx)
		case err == nil:
			said = ""
			connected := time.Now()
			err = s.hold(ctx, client)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			nucleus = client.Nucleus()
			wait.lasted(connected)
		case isRefusal && time.Since(refused) >= refusalPatience && s.config.GiveUp():
			return fmt.Errorf("%w, for %v: %w", ErrTokenRefused, time.Since(refused).Round(time.Second), err)
		}
		pause := wait.next()
		level := slog.LevelWarn
		if err.Error() == said {
			level = slog.LevelDebug
		}
		said = err.Error()
		s.config.Log.Log(ctx, level, "no connection to the nucleus", "error", err, "retry_in", pause.Round(time.Millisecond))
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// connect presents the token. If it is refused, and this process runs in a
// unit of nucleus lite, it asks for another one.
func (s *Session) connect(ctx context.Context, expected Nucleus) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := s.config.Dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := eventrpc.Handshake(ctx, nc, s.token)
	if errors.Is(err, eventrpc.ErrRefused) && s.config.Component != "" {
		if another, e := s.renewToken(ctx); e == nil {
			conn, err = another, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return newClient(conn, s.config.Log, expected), nil
}

// renewToken returns a connection that was accepted by the component's name.
func (s *Session) renewToken(ctx context.Context) (*eventrpc.Conn, error) {
	nc, err := s.config.Dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, token, err := eventrpc.HandshakeAs(ctx, nc, s.config.Component)
	if err != nil {
		return nil, err
	}
	if token != "" {
		s.token = token
	}
	s.config.Log.Info("the nucleus has forgotten the token and gave another one")
	return conn, nil
}

// hold makes the client available until its connection ends, and returns why it
// did. If it was lost, subscriptions still hand out what they have.
func (s *Session) hold(ctx context.Context, client *Client) error {
	s.config.Log.Info("connected to the nucleus")
	s.set(client, nil)
	defer s.set(nil, nil)
	if s.config.OnConnect != nil {
		s.config.OnConnect(client)
	}
	select {
	case <-client.Done():
	case <-ctx.Done():
		client.Close()
	}
	return client.Err()
}

func (s *Session) set(client *Client, ended error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.ended = client, ended
	close(s.changed)
	s.changed = make(chan struct{})
}

// Client returns the live connection, waiting for one if there is none. The
// error is the context's, or wraps why the session has ended.
func (s *Session) Client(ctx context.Context) (*Client, error) {
	for {
		s.mu.Lock()
		client, ended, changed := s.client, s.ended, s.changed
		s.mu.Unlock()
		switch {
		case ended != nil:
			return nil, ended
		case client != nil && client.Err() == nil:
			return client, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no connection to the nucleus: %w", context.Cause(ctx))
		}
	}
}

// add takes a registration in, and starts it if the session runs.
func (s *Session) add(r *Registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		r.cancel()
		return
	}
	s.registrations[r] = struct{}{}
	if s.ctx != nil {
		s.start(r)
	}
}

// start lets a registration run as long as the session. s.mu is held.
func (s *Session) start(r *Registration) {
	s.running.Go(func() {
		defer s.forget(r)
		defer context.AfterFunc(s.ctx, r.cancel)()
		r.run(r.ctx)
	})
}

func (s *Session) forget(r *Registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.registrations, r)
}

// sleep returns false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
