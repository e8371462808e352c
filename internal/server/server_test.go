package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listening returns a server at an address of its own, and the folder of its
// database.
func listening(t *testing.T) (*Server, string) {
	t.Helper()
	folder := memdir.New(t)
	s, err := Open(service.Options{Data: folder})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return s, folder
}

// reopens checks that the database is closed.
func reopens(t *testing.T, folder string) {
	t.Helper()
	again, err := Open(service.Options{Data: folder})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// get returns what is at the path.
func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Whoever uses the server has it until the end, also when ctx has ended.
func TestServerOutlivesItsUsers(t *testing.T) {
	s, folder := listening(t)
	ctx, cancel := context.WithCancel(t.Context())
	want := errors.New("as it went")
	err := s.While(ctx, func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		if page := get(t, s.URL()+"/"); !strings.HasPrefix(page, "<!") {
			t.Errorf("at /: %.80s", page)
		}
		if answer := get(t, s.URL()+"/security-profiles"); !strings.Contains(answer, `"securityProfileIdentifiers":[]`) {
			t.Errorf("the API: %.80s", answer)
		}
		return want
	})
	if !errors.Is(err, want) {
		t.Error(err)
	}
	reopens(t, folder)
}

// Users of a server that fails are told by their context.
func TestServerFails(t *testing.T) {
	s, folder := listening(t)
	err := s.While(t.Context(), func(ctx context.Context) error {
		s.listener.Close()
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want that the listener is closed", err)
	}
	reopens(t, folder)
}

func TestRunEnds(t *testing.T) {
	s, folder := listening(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	reopens(t, folder)
}

// A server that never runs gives back its address and its database.
func TestClose(t *testing.T) {
	s, folder := listening(t)
	address := s.listener.Addr().String()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	reopens(t, folder)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
