package awsrest

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// certificate is that of httptest: for example.com, *.example.com, 127.0.0.1
// and ::1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	return server.TLS.Certificates[0]
}

// An API with TLS and authentication is served on every interface, by the names
// of its certificate, and to no page of another origin.
func TestServeBeyondLoopback(t *testing.T) {
	pair := certificate(t)
	api := library()
	api.Authenticates = true
	api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	api.Host = func(host string) bool { return pair.Leaf.VerifyHostname(host) == nil }
	api.Open = map[string]http.Handler{"GET /healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	l, err := ListenBeyond(t.Context(), "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.Serve(ctx, l) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	address := l.Addr().String()
	for _, test := range []struct {
		host, path, origin string
		status             int
	}{
		{"example.com", "/books", "", 200},
		{"example.com:443", "/books", "", 200}, // forwarded from another port
		{"fleet.example.com:8443", "/books", "https://fleet.example.com:8443", 200},
		{"fleet.example.com:8443", "/books", "http://fleet.example.com:8443", 403},
		{"fleet.example.com:8443", "/books", "https://evil.example", 403},
		{"evil.example", "/books", "", 403},
		{"192.0.2.1", "/books", "", 403},
		{"192.0.2.1", "/healthz", "", 200},
		{"evil.example", "/healthz", "", 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+address+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("%s%s from %q: %d, want %d", test.host, test.path, test.origin, answer.StatusCode, test.status)
		}
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Either of TLS and authentication is not enough.
func TestServeBeyondLoopbackNeedsBoth(t *testing.T) {
	for name, change := range map[string]func(*API){
		"neither":        func(*API) {},
		"TLS":            func(a *API) { a.TLS = &tls.Config{} },
		"authentication": func(a *API) { a.Authenticates = true },
	} {
		l, err := ListenBeyond(t.Context(), ":0")
		if err != nil {
			t.Fatal(err)
		}
		api := library()
		change(api)
		if err := api.Serve(t.Context(), l); err == nil {
			t.Errorf("served with %s", name)
		}
	}
}

// Connections that never finish the handshake lock nobody out.
func TestSilentTLS(t *testing.T) {
	api := library()
	api.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.Serve(ctx, l) }()
	dial(t, l.Addr().String(), maxConnections+44, "", false)
	patience, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	r, err := http.NewRequestWithContext(patience, "GET", "https://"+l.Addr().String()+"/books", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
