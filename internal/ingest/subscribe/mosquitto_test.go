package subscribe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// patience is how long a test waits for what other processes do.
const patience = 30 * time.Second

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(patience)
	for !so() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// mosquitto is Debian's broker with the configuration that README.md shows.
type mosquitto struct {
	t       *testing.T
	folder  string
	port    int
	ca      *x509.Certificate
	key     *ecdsa.PrivateKey
	process *exec.Cmd
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI needs mosquitto")
		}
		t.Skip("mosquitto is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, folder: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	m.certificate("ca", true)
	m.certificate("broker", false)
	for _, name := range []string{"mosquitto.conf", "acl"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		filled := strings.NewReplacer("PORT", fmt.Sprint(m.port), "FOLDER", m.folder).Replace(string(text))
		if name == "mosquitto.conf" && os.Getuid() == 0 {
			filled += "user root\n" // or it gives up its rights to the folder
		}
		if err := os.WriteFile(filepath.Join(m.folder, name), []byte(filled), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(m.kill)
	return m
}

// certificate makes a certificate of the authority with a common name, and its key.
func (m *mosquitto) certificate(name string, authority bool) {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: authority, BasicConstraintsValid: true,
	}
	if authority {
		m.ca, m.key = template, key
		template.KeyUsage = x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, m.ca, key.Public(), m.key)
	if err != nil {
		m.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		m.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(m.folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.process = exec.Command("mosquitto", "-c", filepath.Join(m.folder, "mosquitto.conf"))
	log, err := os.OpenFile(filepath.Join(m.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.process.Stdout, m.process.Stderr = log, log
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "mosquitto", func() bool {
		c, err := net.Dial("tcp", m.address())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop ends it as a service manager does.
func (m *mosquitto) stop() {
	m.t.Helper()
	if err := m.process.Process.Signal(os.Interrupt); err != nil {
		m.t.Fatal(err)
	}
	m.process.Wait()
}

func (m *mosquitto) kill() {
	m.process.Process.Kill()
	m.process.Wait()
}

func (m *mosquitto) address() string { return fmt.Sprint("127.0.0.1:", m.port) }

func (m *mosquitto) file(name string) string { return filepath.Join(m.folder, name) }

// options are those of the service at an address, which leads to the broker.
func (m *mosquitto) options(address string) Options {
	m.certificate("device-defender", false)
	return Options{
		URL: "mqtts://" + address, CA: m.file("ca.crt"), Certificate: m.file("device-defender.crt"), Key: m.file("device-defender.key"),
		ClientID: "service", Replies: true, keepAlive: time.Second,
	}
}

// thing is a device that is connected to the broker.
type thing struct {
	*paho.Client
	mu      sync.Mutex
	replies []string
}

func (m *mosquitto) thing(name string) *thing {
	m.t.Helper()
	m.certificate(name, false)
	pair, err := tls.LoadX509KeyPair(m.file(name+".crt"), m.file(name+".key"))
	if err != nil {
		m.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(m.file("ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(text) {
		m.t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", m.address(), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}})
	if err != nil {
		m.t.Fatal(err)
	}
	th := &thing{}
	th.Client = paho.NewClient(paho.ClientConfig{Conn: packets.NewThreadSafeConn(conn), OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			th.mu.Lock()
			defer th.mu.Unlock()
			th.replies = append(th.replies, p.Packet.Topic)
			return true, nil
		},
	}})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := th.Connect(ctx, &paho.Connect{ClientID: name, KeepAlive: 60, CleanStart: true}); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		conn.Close()
		<-th.Done()
	})
	return th
}

// publish publishes a report of a thing with QoS 1, and waits for the broker's acknowledgement.
func (th *thing) publish(t *testing.T, of string, id int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	payload := fmt.Sprintf(`{"header":{"report_id":%d,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`, id)
	// The broker tells by the reason code that it is not allowed.
	if _, err := th.Publish(ctx, &paho.Publish{Topic: "$aws/things/" + of + "/defender/metrics/json", QoS: 1, Payload: []byte(payload)}); err != nil && ctx.Err() != nil {
		t.Fatal(err)
	}
}

func (th *thing) heard() string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return strings.Join(th.replies, " ")
}
