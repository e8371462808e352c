package web

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

// pipes is a listener without a network, so that time can be made to pass.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// stream is a server with the deadlines of the service's, and reads its
// event stream.
func stream(t *testing.T, s *service.Service) (lines <-chan string, end func()) {
	t.Helper()
	listener := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: s.Handler(), ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		listener.conns <- there
		return here, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+render.EventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
			if scanner.Text() != "" {
				out <- scanner.Text()
			}
		}
	}()
	return out, func() {
		cancel()
		answer.Body.Close()
		transport.CloseIdleConnections()
		server.Close()
		<-done
	}
}

// TestEventStream listens for an hour: the server's deadlines are over by then.
func TestEventStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := service.Open(service.Options{Data: t.TempDir(), Pages: Pages(nil, nil)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		lines, end := stream(t, s)
		heard := func() string {
			t.Helper()
			synctest.Wait()
			var all []string
			for len(lines) > 0 {
				all = append(all, <-lines)
			}
			return strings.Join(all, "|")
		}
		if got := heard(); got != ": listening" {
			t.Errorf("at first: %q", got)
		}
		time.Sleep(time.Hour)
		if got := heard(); strings.Count(got, ": still here") < 170 || strings.Contains(got, "data") {
			t.Errorf("in an hour: %q", got)
		}
		// Of any number of reports within a second, the first and the rest.
		time.Sleep(eventPause)
		heard()
		for range 50 {
			s.Report(t.Context(), "a", report.JSON, []byte("{}"))
			synctest.Wait()
		}
		if got := heard(); got != "data: changed" {
			t.Errorf("at once: %q", got)
		}
		time.Sleep(eventPause)
		if got := heard(); got != "data: changed" {
			t.Errorf("a second later: %q", got)
		}
		time.Sleep(2 * eventPause)
		if got := heard(); got != "" {
			t.Errorf("then: %q", got)
		}
		end()
		synctest.Wait()
		// The place is free again for others.
		for range 64 {
			_, cancel, ok := s.Subscribe()
			if !ok {
				t.Fatal("the stream is still subscribed")
			}
			defer cancel()
		}
	})
}

func TestTooManyStreams(t *testing.T) {
	w := newWorld(t)
	for {
		_, cancel, ok := w.Service.Subscribe()
		if !ok {
			break
		}
		defer cancel()
	}
	answer, err := http.Get(w.URL + render.EventsPath)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Error(answer.Status)
	}
}
