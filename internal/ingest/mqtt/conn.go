package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
)

// A client that sends faster is read more slowly, which holds it back by TCP. AWS IoT takes
// 100 packets a second of a connection.
const (
	packetRate  = 100
	packetBurst = 200
)

// conn is a connection of a client, and who that is. What it knows is written until the
// CONNACK by the goroutine that serves the connection.
type conn struct {
	net.Conn // with TLS, if there is
	server   *Server
	raw      net.Conn
	remote   netip.AddrPort
	pace     *rate.Limiter

	certificate string // the id of it; "" without TLS
	expires     time.Time
	shown       []*x509.Certificate // it, and those between it and its authority

	clientID string
	thing    string // "" until it is admitted
	identity ingest.Identity
	counted  atomic.Bool // its events are told to the service
}

func newConn(s *Server, accepted net.Conn) *conn {
	c := &conn{Conn: accepted, server: s, raw: accepted, pace: rate.NewLimiter(packetRate, packetBurst)}
	if tcp, ok := accepted.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = tcp.AddrPort()
	}
	if s.options.TLS != nil {
		c.Conn = tls.Server(accepted, s.options.TLS)
	}
	return c
}

// handshake does that of TLS.
func (c *conn) handshake(ctx context.Context) error {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	certificates := secure.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return errors.New("the client showed no certificate")
	}
	c.certificate, c.expires, c.shown = service.CertificateID(certificates[0]), certificates[0].NotAfter, certificates
	return nil
}

// drop ends the connection at once. A close of TLS would wait for whoever writes.
func (c *conn) drop() { c.raw.Close() } // its error is that it is closed

// Write is that of the connection, within bounds: who does not read loses the
// connection.
func (c *conn) Write(data []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(writeTime))
	n, err := c.Conn.Write(data)
	if err != nil {
		c.drop()
	}
	return n, err
}

// SetDeadline is of reading: writes have a deadline of their own, which the broker's
// would put off.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// whose returns the thing that the client is, and whether an authority says so.
func (c *conn) whose(ctx context.Context, clientID string) (thing string, issued bool, err error) {
	if c.certificate == "" {
		thing, _, _ := strings.Cut(clientID, "#")
		if err := report.CheckThingName(thing); err != nil {
			return "", false, fmt.Errorf("the client's id is no name of a thing: %w", err)
		}
		return thing, false, nil
	}
	now := c.server.options.Now()
	if now.After(c.expires) {
		return "", false, fmt.Errorf("certificate %s has expired at %v", c.certificate, c.expires)
	}
	thing, err = c.server.options.Registry.ThingOfCertificate(ctx, c.certificate)
	switch authority := c.server.options.Authority; {
	case err != nil:
		return "", false, fmt.Errorf("looking up certificate %s: %w", c.certificate, err)
	case thing != "":
		return thing, false, nil
	case authority == nil:
		return "", false, fmt.Errorf("certificate %s is of no thing: register it", c.certificate)
	default:
		if thing, err = authority.thing(c.shown, now); err != nil {
			return "", false, fmt.Errorf("certificate %s is not registered, and of no thing by its authority: %w", c.certificate, err)
		}
		return thing, true, nil
	}
}

// connect makes the connection that of a thing.
func (c *conn) connect(ctx context.Context, clientID string) error {
	thing, issued, err := c.whose(ctx, clientID)
	if err != nil {
		return err
	}
	name := "certificate " + c.certificate
	if c.certificate == "" {
		name = "client id on loopback"
	}
	c.clientID, c.identity = clientID, ingest.Device(thing, name)
	if issued {
		c.identity = c.identity.Enrolling()
	}
	if !c.server.admit(c, thing) {
		return fmt.Errorf("thing %s has %d connections, which is as many as there can be", thing, maxPerThing)
	}
	// Whoever reaches this machine can make names up, and each would be kept: a thing without
	// a certificate counts when it is known, or when its first report is accepted.
	known := c.certificate != ""
	if !known {
		if known, err = c.server.options.Registry.Known(ctx, thing); err != nil {
			return fmt.Errorf("looking up thing %s: %w", thing, err)
		}
	}
	if known {
		c.count()
	}
	c.server.note("connected", "thing", thing, "remote", c.remote)
	return nil
}

// disconnected says that the thing has no connection any more.
func (c *conn) disconnected() {
	c.event(detect.Disconnect, "", 0)
	c.server.note("disconnected", "thing", c.thing, "remote", c.remote)
}

// count has the service told of this connection from now on.
func (c *conn) count() {
	if c.counted.CompareAndSwap(false, true) {
		c.event(detect.Connect, "", 0)
	}
}

// event tells the service what happened.
func (c *conn) event(kind detect.CloudEventType, topic string, size int) {
	if !c.counted.Load() {
		return
	}
	// It is of the connection's own thing.
	_ = c.server.options.Intake.Event(c.identity, detect.CloudEvent{
		Thing: c.thing, Type: kind, Topic: topic, Bytes: size, ClientID: c.clientID, SourceIP: c.remote.Addr().Unmap(),
	})
}

// owns reports whether a topic, or a filter of topics, is of the connection's thing only.
func (c *conn) owns(topic string) bool {
	rest, ok := strings.CutPrefix(topic, "$aws/things/"+c.thing+"/")
	const most = 256
	return c.thing != "" && ok && rest != "" && len(rest) <= most && !strings.ContainsRune(rest, 0)
}
