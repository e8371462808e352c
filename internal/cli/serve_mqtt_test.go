package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v3 "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/memdir"
)

// newPair writes a self-signed certificate and its key, and the key once more before the
// certificate in a file of both.
func newPair(t *testing.T, folder, name string) (certificate, key, both string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	certificatePEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write := func(ending string, data []byte) string {
		path := filepath.Join(folder, name+ending)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write(".crt", certificatePEM), write(".key", keyPEM), write(".pem", append(keyPEM, certificatePEM...))
}

// A thing is registered by its certificate with an access key, reports by MQTT with it, and is answered.
func TestServeMQTT(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	folder := t.TempDir()
	serverCertificate, serverKey, _ := newPair(t, folder, "server")
	deviceCertificate, deviceKey, both := newPair(t, folder, "device")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, data := newScreen(), memdir.New(t)
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{
			"serve", "--listen", "127.0.0.1:0", "--auth", "on", "--data", data, "--mqtt", "127.0.0.1:0", "--tls-certificate", serverCertificate, "--tls-key", serverKey,
		}, strings.NewReader(""), s, s)
	}()
	s.until(t, "Ctrl-C ends it", 1)
	api := regexp.MustCompile(`https?://[0-9.:]+`).FindString(s.String())
	broker := regexp.MustCompile(`mqtts://([0-9.:]+)`).FindStringSubmatch(s.String())
	if api == "" || broker == nil {
		t.Fatal(s.String())
	}
	t.Setenv("AWS_ENDPOINT_URL_IOT", api)
	t.Setenv("AWS_CA_BUNDLE", serverCertificate)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(data, "admin-credentials"))

	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"core-1", "--certificate", both}, 0, "thing core-1 is known by certificate "},
		{[]string{"core-1", "--certificate", deviceCertificate}, 0, "thing core-1 is known by certificate "}, // again
		{[]string{"core-2", "--certificate", deviceCertificate}, 1, "The certificate is of thing core-1"},
		{[]string{"core-2", "--certificate", deviceKey}, 1, "has no certificate in PEM"},
		{[]string{"core-2", "--certificate", filepath.Join(folder, "none")}, 1, "no such file"},
		{[]string{"a/b", "--certificate", serverCertificate}, 1, "thingName"},
	} {
		shown := newScreen()
		got := Main(t.Context(), append([]string{"thing", "register"}, test.args...), strings.NewReader(""), shown, shown)
		if got != test.code || !strings.Contains(shown.String(), test.says) {
			t.Errorf("%q: exit code %d, %s, want %d, %s", test.args, got, shown, test.code, test.says)
		}
	}

	pair, err := tls.LoadX509KeyPair(deviceCertificate, deviceKey)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(serverCertificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	replies := make(chan string, 1)
	client := v3.NewClient(v3.NewClientOptions().AddBroker("ssl://" + broker[1]).SetClientID("agent").SetAutoReconnect(false).
		SetTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}).
		SetDefaultPublishHandler(func(_ v3.Client, m v3.Message) { replies <- m.Topic() + " " + string(m.Payload()) }))
	const topic = "$aws/things/core-1/defender/metrics/json"
	for _, token := range []func() v3.Token{
		client.Connect, func() v3.Token { return client.Subscribe(topic+"/+", 1, nil) },
		func() v3.Token {
			return client.Publish(topic, 1, false, `{"header":{"report_id":7,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`)
		},
	} {
		if done := token(); !done.WaitTimeout(time.Minute) || done.Error() != nil {
			t.Fatal(done.Error())
		}
	}
	select {
	case reply := <-replies:
		if !strings.HasPrefix(reply, topic+"/accepted ") || !strings.Contains(reply, `"reportId":7`) {
			t.Error(reply)
		}
	case <-time.After(time.Minute):
		t.Error("no reply")
	}
	client.Disconnect(0)
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d; shown:\n%s", c, s)
	}
	if shown := s.String(); strings.Contains(shown, "PRIVATE") || strings.Contains(shown, "packets_out") {
		t.Errorf("shown:\n%s", shown)
	}
}

// Beyond loopback things are known by certificates only.
func TestMQTTBeyondLoopbackWantsTLS(t *testing.T) {
	folder := t.TempDir()
	certificate, key, _ := newPair(t, folder, "server")
	for _, args := range [][]string{
		{"--mqtt", "0.0.0.0:0"}, {"--mqtt", ":0"}, {"--mqtt", "no address"},
		{"--mqtt", "0.0.0.0:0", "--auth", "off", "--tls-certificate", certificate, "--tls-key", key},
		{"--mqtt", "127.0.0.1:0", "--tls-certificate", certificate}, {"--mqtt", "127.0.0.1:0", "--tls-key", key},
		{"--mqtt", "127.0.0.1:0", "--tls-certificate", key, "--tls-key", certificate},
		{"--mqtt", "127.0.0.1:0", "--mqtt-ca", certificate},
		{"--mqtt-ca", certificate, "--tls-certificate", certificate, "--tls-key", key},
		{"--mqtt", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key, "--mqtt-ca-revoked", certificate},
		{"--mqtt", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key, "--mqtt-ca", certificate}, // of no authority
	} {
		shown := newScreen()
		args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data", memdir.New(t)}, args...)
		if code := Main(t.Context(), args, strings.NewReader(""), shown, shown); code == 0 || !regexp.MustCompile(`--mqtt|--tls-|--auth off|TLS certificate|"no address"`).MatchString(shown.String()) {
			t.Errorf("%q: exit code %d, %s", args, code, shown)
		}
	}
}
