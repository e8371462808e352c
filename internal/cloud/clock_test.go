package cloud_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// A service that began in the past is asked for its own "last hour".
func TestNowIsTheServicesTime(t *testing.T) {
	begin := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := servicetest.NewWorld(t, begin)
	got := cloud.Options{EndpointURL: w.URL}.Now(t.Context())
	if d := got.Sub(begin); d < 0 || d > 2*time.Second {
		t.Errorf("now is %v, want the service's %v", got, begin)
	}
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1", "not this machine": "http://192.0.2.1", "AWS": "",
	} {
		before := time.Now()
		now := cloud.Options{EndpointURL: endpoint}.Now(t.Context())
		if after := time.Now(); now.Before(before) || now.After(after) {
			t.Errorf("%s: now is %v, want this machine's time, %v to %v", name, now, before, after)
		}
	}
}

// A service with TLS has this machine's time. It is not asked, as that would take the authority of
// its certificate, and fail in its log without it.
func TestNowOfAServiceWithTLS(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	cloud.Options{EndpointURL: s.URL}.Now(t.Context())
	s.Close()
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}
