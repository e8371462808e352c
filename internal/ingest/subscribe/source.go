package subscribe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/ingest"
)

const (
	keepAlive = 30 * time.Second
	// callTime is how long the broker may take to answer.
	callTime   = 10 * time.Second
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// Options say where to subscribe, and as whom.
type Options struct {
	URL         string // mqtts://HOST:PORT, or mqtt:// of loopback
	CA          string // file of the authorities that the broker's certificate is of; "" is the system's
	Certificate string // files of a client certificate and its key, read at each connection; may be ""
	Key         string
	User        string
	Password    string // file with the password; read at each connection
	ClientID    string // the same after a restart, and of no other client
	Group       string // of a shared subscription; "" is one of its own
	Replies     bool   // are published

	Intake    *ingest.Intake
	Connected func(bool)   // is told whether the source is subscribed; may be nil
	Log       *slog.Logger // default: no log

	keepAlive time.Duration // in tests
}

// Source takes reports from a broker.
type Source struct {
	options  Options
	broker   *url.URL
	address  string
	identity ingest.Identity
	log      *slog.Logger
}

// Check says whether the options can be used.
func (o Options) Check() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.Scheme != "mqtts" && u.Scheme != "mqtt":
		return errors.New("want a URL such as mqtts://broker.example:8883")
	case u.User != nil:
		return errors.New("the URL has a user or password: these do not belong on a command line")
	case u.Scheme == "mqtt" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%s: want mqtts, as everybody on the way can read and change mqtt", u.Redacted())
	case (o.Certificate == "") != (o.Key == ""):
		return errors.New("certificate and key go together")
	case o.Password != "" && o.User == "":
		return errors.New("a password wants a user")
	case strings.ContainsAny(o.Group, "/+#"):
		return fmt.Errorf("group %q, want a name without / + #", o.Group)
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// New makes a source. It reads the files, and connects to nothing.
func New(o Options) (*Source, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Connected == nil {
		o.Connected = func(bool) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.keepAlive == 0 {
		o.keepAlive = keepAlive
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	}
	s := &Source{
		options: o, broker: u, address: net.JoinHostPort(u.Hostname(), port),
		identity: ingest.Gateway("broker " + u.Host), log: o.Log.With("broker", u.Host),
	}
	// What is wrong with the files is said now.
	if _, err := s.tls(); err != nil {
		return nil, err
	}
	if _, err := s.password(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes a source that is not served.
func (*Source) Close() error { return nil }

// tls is for the next connection; nil is none.
func (s *Source) tls() (*tls.Config, error) {
	if s.broker.Scheme != "mqtts" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.broker.Hostname()}
	if s.options.CA != "" {
		text, err := os.ReadFile(s.options.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the broker's authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in PEM", s.options.CA)
		}
	}
	if s.options.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(s.options.Certificate, s.options.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate %s and its key: %w", s.options.Certificate, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s *Source) password() ([]byte, error) {
	if s.options.Password == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.options.Password)
	if err != nil {
		return nil, fmt.Errorf("reading the password: %w", err)
	}
	return []byte(strings.TrimRight(string(text), "\r\n")), nil
}

func (s *Source) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	if config == nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.address)
	}
	d := tls.Dialer{Config: config}
	return d.DialContext(ctx, "tcp", s.address)
}

// Serve takes reports until ctx ends. When the connection fails it connects again, however often.
func (s *Source) Serve(ctx context.Context) error {
	problem, pause := "", time.Duration(0)
	for ctx.Err() == nil {
		subscribed, err := s.connection(ctx, func() {
			s.options.Connected(true)
			if problem != "" {
				s.log.Info("subscribed again")
			} else {
				s.log.Info("subscribed")
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		s.options.Connected(false)
		if subscribed {
			problem, pause = "", 0
		}
		if text := err.Error(); text != problem {
			s.log.Error("the broker can't be subscribed to, it is tried again", "error", err)
			problem = text
		}
		pause = min(max(2*pause, firstPause), maxPause)
		wait(ctx, pause)
	}
	return nil
}

// wait reports whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
