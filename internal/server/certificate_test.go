package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

// newPair makes a certificate for the names that signs itself, and its key.
func newPair(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// put replaces a file.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// The certificate is read again when its files change; while they don't fit, the old
// one is kept, and the log says so once.
func TestCertificateChanges(t *testing.T) {
	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	first, firstKey := newPair(t, "first.example")
	put(t, certificate, first)
	put(t, key, firstKey)
	var log bytes.Buffer
	c, err := LoadCertificate(certificate, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want string) {
		t.Helper()
		pair, err := c.Config().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil || pair.Leaf.DNSNames[0] != want {
			t.Fatalf("%v, %v; want %s", pair.Leaf.DNSNames, err, want)
		}
		if !c.Host(want) || c.Host("other.example") {
			t.Errorf("names of %s", want)
		}
	}
	shows("first.example")
	second, secondKey := newPair(t, "second.example")
	put(t, certificate, second)
	shows("first.example")
	shows("first.example")
	if n := strings.Count(log.String(), "the old one is kept"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	put(t, key, secondKey)
	shows("second.example")
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	shows("second.example")
	put(t, certificate, []byte("no PEM"))
	shows("second.example")
	put(t, certificate, first)
	put(t, key, firstKey)
	shows("first.example")
	if strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("log: %s", log.String())
	}
}

func TestLoadCertificate(t *testing.T) {
	folder := t.TempDir()
	if _, err := LoadCertificate(filepath.Join(folder, "none"), filepath.Join(folder, "none"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
}

// The server is at every interface, over TLS, with a certificate that changes while
// it runs.
func TestServeTLS(t *testing.T) {
	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	roots := x509.NewCertPool()
	change := func(name string) {
		pair, private := newPair(t, name)
		roots.AppendCertsFromPEM(pair)
		put(t, certificate, pair)
		put(t, key, private)
	}
	change("first.example")
	pair, err := LoadCertificate(certificate, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(service.Options{Data: memdir.New(t), Authentication: true}, WithCertificate(pair))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context(), "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	err = s.While(t.Context(), func(ctx context.Context) error {
		url := strings.Replace(s.URL(), "0.0.0.0", "127.0.0.1", 1)
		if !strings.HasPrefix(url, "https://") {
			t.Errorf("URL %s", url)
		}
		for _, name := range []string{"first.example", "second.example"} {
			if name != "first.example" {
				change(name)
			}
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}}
			for path, want := range map[string]string{"/healthz": "200 OK ", "/things": "403 Forbidden MissingAuthenticationTokenException", "/": "303 See Other "} {
				answer, err := client.Get(url + path)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				answer.Body.Close()
				if got := answer.Status + " " + answer.Header.Get("X-Amzn-ErrorType"); got != want {
					t.Errorf("%s: %s, want %s", path, got, want)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Other machines reach no server that lacks TLS or authentication.
func TestListenBeyondLoopback(t *testing.T) {
	s, err := Open(service.Options{Data: memdir.New(t), Authentication: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context(), "0.0.0.0:0"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("listens without TLS: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
