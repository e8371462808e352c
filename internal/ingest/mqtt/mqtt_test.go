package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	v3 "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/memdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// certificate returns a self-signed certificate with its key, for clients and the server.
func certificate(t *testing.T, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// registry knows things by the ids of their certificates.
type registry struct {
	mu     sync.Mutex
	things map[string]string
}

func (r *registry) ThingOfCertificate(_ context.Context, id string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.things[id], nil
}

func (r *registry) Known(_ context.Context, thing string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.things {
		if known == thing {
			return true, nil
		}
	}
	return false, nil
}

func (r *registry) set(c tls.Certificate, thing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.things[service.CertificateID(c.Leaf)] = thing
}

// backend is a service that a test can look into, and have fail.
type backend struct {
	ingest.Service
	before func(thing string) // called before a report is taken

	mu     sync.Mutex
	events []detect.CloudEvent
	came   *sync.Cond
}

func (b *backend) ReportObserved(ctx context.Context, thing string, format report.Format, payload []byte, observed time.Time) report.Reply {
	if b.before != nil {
		b.before(thing)
	}
	return b.Service.ReportObserved(ctx, thing, format, payload, observed)
}

func (b *backend) Cloud(ev detect.CloudEvent) {
	b.mu.Lock()
	b.events = append(b.events, ev)
	b.mu.Unlock()
	b.came.Broadcast()
	b.Service.Cloud(ev)
}

// until waits until there is such an event.
func (b *backend) until(t *testing.T, text string, is func(detect.CloudEvent) bool) {
	t.Helper()
	late := time.AfterFunc(patience, func() { panic("no event: " + text) })
	defer late.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !slices.ContainsFunc(b.events, is) {
		b.came.Wait()
	}
}

// world is a service that is reached by MQTT.
type world struct {
	*backend
	service  *service.Service
	registry *registry
	address  string
	secure   bool
	identity tls.Certificate // of the server
}

func newWorld(t *testing.T, secure bool, before func(string)) *world {
	t.Helper()
	return newWorldOf(t, secure, before, nil)
}

// newWorldOf is newWorld with an authority that names things.
func newWorldOf(t *testing.T, secure bool, before func(string), authority *Authority) *world {
	t.Helper()
	s, err := service.Open(service.Options{Data: memdir.New(t), MinReportInterval: -1, CloudEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{backend: &backend{Service: s, before: before}, service: s, registry: &registry{things: map[string]string{}}, secure: secure}
	w.came = sync.NewCond(&w.mu)
	intake := ingest.New(w.backend, slog.New(slog.DiscardHandler))
	intake.EnrollBy(s.Enroll)
	o := Options{Intake: intake, Registry: w.registry, Authority: authority}
	if secure {
		w.identity = certificate(t, time.Now().Add(time.Hour))
		o.TLS = &tls.Config{Certificates: []tls.Certificate{w.identity}}
	}
	m, err := Listen(t.Context(), "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	w.address = m.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return w
}

// dial connects with a certificate.
func (w *world) dial(c *tls.Certificate) (net.Conn, error) {
	if !w.secure {
		return net.Dial("tcp", w.address)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.identity.Leaf)
	config := &tls.Config{RootCAs: roots, NextProtos: []string{"x-amzn-mqtt-ca"}}
	if c != nil {
		config.Certificates = []tls.Certificate{*c}
	}
	return tls.Dial("tcp", w.address, config)
}

// device is a client of either version.
type device struct {
	t       *testing.T
	publish func(topic string, qos byte, payload []byte) error
	sub     func(filter string) error
	end     func()
	replies chan string // topic and payload
}

// options are those of a client.
type options struct {
	version     int
	certificate *tls.Certificate
	id          string
	willTopic   string
}

// connect returns a client, or why there is none.
func (w *world) connect(t *testing.T, o options) (*device, error) {
	t.Helper()
	c, err := w.dial(o.certificate)
	if err != nil {
		return nil, err
	}
	if o.version == 5 {
		return connect5(t, c, o)
	}
	return connect3(t, c, o)
}

func connect3(t *testing.T, c net.Conn, o options) (*device, error) {
	d := &device{t: t, replies: make(chan string, 100)}
	opened := false
	config := v3.NewClientOptions().AddBroker("tcp://service").SetClientID(o.id).SetAutoReconnect(false).SetConnectRetry(false).SetProtocolVersion(4).
		SetCleanSession(false).SetWriteTimeout(patience).SetConnectTimeout(patience).
		SetCustomOpenConnectionFn(func(*url.URL, v3.ClientOptions) (net.Conn, error) {
			if opened {
				return nil, net.ErrClosed
			}
			opened = true
			return c, nil
		})
	if o.willTopic != "" {
		config.SetWill(o.willTopic, "will", 1, true)
	}
	lost := make(chan struct{})
	config.SetConnectionLostHandler(func(v3.Client, error) { close(lost) })
	client := v3.NewClient(config)
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		c.Close()
		return nil, fmt.Errorf("connecting: %w", token.Error())
	}
	wait := func(token v3.Token) error {
		select {
		case <-token.Done():
			return token.Error()
		case <-lost:
			return errLost
		case <-time.After(patience):
			panic("no answer")
		}
	}
	d.publish = func(topic string, qos byte, payload []byte) error {
		return wait(client.Publish(topic, qos, false, payload))
	}
	d.sub = func(filter string) error {
		token := client.Subscribe(filter, 1, func(_ v3.Client, m v3.Message) { d.replies <- m.Topic() + " " + string(m.Payload()) })
		if err := wait(token); err != nil {
			return err
		}
		for _, code := range token.(*v3.SubscribeToken).Result() { // by filters without $share
			if code > 1 {
				return fmt.Errorf("code %#x", code)
			}
		}
		return nil
	}
	d.end = func() { client.Disconnect(0) }
	t.Cleanup(func() {
		client.Disconnect(0)
		c.Close()
	})
	return d, nil
}

var errLost = fmt.Errorf("connection is lost")

func connect5(t *testing.T, c net.Conn, o options) (*device, error) {
	d := &device{t: t, replies: make(chan string, 100)}
	lost := make(chan struct{})
	var once sync.Once
	lose := func() { once.Do(func() { close(lost) }) }
	client := paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(c), ClientID: o.id, PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			d.replies <- p.Packet.Topic + " " + string(p.Packet.Payload)
			return true, nil
		}},
		OnClientError:      func(error) { lose() },
		OnServerDisconnect: func(*paho.Disconnect) { lose() },
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	expiry := uint32(3600)
	connect := &paho.Connect{ClientID: o.id, KeepAlive: 60, Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry}}
	if o.willTopic != "" {
		connect.WillMessage = &paho.WillMessage{Topic: o.willTopic, Payload: []byte("will"), QoS: 1}
	}
	if _, err := client.Connect(ctx, connect); err != nil {
		c.Close()
		return nil, fmt.Errorf("connecting: %w", err)
	}
	// within does something until the connection is lost.
	within := func(do func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- do(ctx) }()
		select {
		case err := <-done:
			return err
		case <-lost:
			cancel()
			<-done
			return errLost
		}
	}
	d.publish = func(topic string, qos byte, payload []byte) error {
		return within(func(ctx context.Context) error {
			_, err := client.Publish(ctx, &paho.Publish{Topic: topic, QoS: qos, Payload: payload})
			return err
		})
	}
	d.sub = func(filter string) error {
		return within(func(ctx context.Context) error {
			_, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}})
			return err
		})
	}
	d.end = func() { _ = client.Disconnect(&paho.Disconnect{}) }
	t.Cleanup(func() {
		d.end()
		c.Close()
		<-client.Done()
	})
	return d, nil
}

// reply is the next message that comes.
func (d *device) reply() string {
	d.t.Helper()
	select {
	case text := <-d.replies:
		return text
	case <-time.After(patience):
		d.t.Fatal("no reply")
		return ""
	}
}

func reportOf(id int) []byte {
	return fmt.Appendf(nil, `{"header":{"report_id":%d,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`, id)
}

// each runs a test with both versions, with TLS and without.
func each(t *testing.T, test func(t *testing.T, version int, secure bool)) {
	for _, version := range []int{3, 5} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("MQTT %d TLS %t", version, secure), func(t *testing.T) { test(t, version, secure) })
		}
	}
}

// join connects a thing that is registered if there is TLS.
func (w *world) join(t *testing.T, version int, thing string) *device {
	t.Helper()
	o := options{version: version, id: thing}
	if w.secure {
		c := certificate(t, time.Now().Add(time.Hour))
		w.registry.set(c, thing)
		o.certificate, o.id = &c, "agent-"+thing
	}
	d, err := w.connect(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A report is acknowledged and answered, as by AWS IoT Core; more of them than a client may
// have in flight, too.
func TestReports(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		d := w.join(t, version, "core-1")
		for _, verdict := range []string{"accepted", "rejected"} {
			if err := d.sub("$aws/things/core-1/defender/metrics/json/" + verdict); err != nil {
				t.Fatal(err)
			}
		}
		for i := 1; i <= 150; i++ {
			if err := d.publish("$aws/things/core-1/defender/metrics/json", byte(i%2), reportOf(i)); err != nil {
				t.Fatal(err)
			}
			if text := d.reply(); !strings.HasPrefix(text, "$aws/things/core-1/defender/metrics/json/accepted ") || !strings.Contains(text, fmt.Sprintf(`"reportId":%d,`, i)) {
				t.Fatal(text)
			}
		}
		if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, []byte("no report")); err != nil {
			t.Error(err)
		}
		if text := d.reply(); !strings.HasPrefix(text, "$aws/things/core-1/defender/metrics/json/rejected ") || !strings.Contains(text, "InvalidPayload") {
			t.Error(text)
		}
		// The largest there can be.
		large := append(reportOf(151), make([]byte, report.MaxSize-len(reportOf(151)))...)
		for i := range large {
			if large[i] == 0 {
				large[i] = ' '
			}
		}
		if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, large); err != nil {
			t.Error(err)
		}
		if text := d.reply(); !strings.Contains(text, `"reportId":151,`) {
			t.Error(text)
		}
	})
}

// The PUBACK comes when the report is on disk, not before.
func TestPubackIsAfterTheReportIsDurable(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		entered, release := make(chan string), make(chan struct{})
		w := newWorld(t, secure, func(thing string) {
			entered <- thing
			<-release
		})
		d := w.join(t, version, "core-1")
		acknowledged := make(chan error, 1)
		go func() { acknowledged <- d.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(1)) }()
		<-entered
		select {
		case err := <-acknowledged:
			t.Fatalf("acknowledged before it is taken: %v", err)
		default:
		}
		close(release)
		if err := <-acknowledged; err != nil {
			t.Fatal(err)
		}
		if state, found, err := w.service.Thing(t.Context(), "core-1"); err != nil || !found || state.LastReport.IsZero() {
			t.Errorf("acknowledged, and not stored: %+v, %v", state, err)
		}
	})
}

// Where nothing can be stored there is no PUBACK, and the client has to come again.
func TestNoPubackWithoutAStore(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		d := w.join(t, version, "core-1")
		if err := w.service.Close(); err != nil {
			t.Fatal(err)
		}
		if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(1)); err == nil {
			t.Error("acknowledged though it is not stored")
		}
		// Without an acknowledgement the reply says it.
		d = w.join(t, version, "core-2")
		if err := d.sub("$aws/things/core-2/#"); err != nil {
			t.Fatal(err)
		}
		if err := d.publish("$aws/things/core-2/defender/metrics/json", 0, reportOf(1)); err != nil {
			t.Error(err)
		}
		if text := d.reply(); !strings.Contains(text, "/rejected ") || !strings.Contains(text, "ServiceUnavailable") {
			t.Error(text)
		}
	})
}
