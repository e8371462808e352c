package awsrest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dial opens connections that say something and then wait, each until it has
// had the answer if there is one.
func dial(t *testing.T, address string, n int, say string, answered bool) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, say); err != nil {
			t.Fatal(err)
		}
		if !answered {
			continue
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// Connections that wait for something lock nobody out: neither those between
// requests, nor those that began one and don't go on.
func TestOperatorsGetIn(t *testing.T) {
	for name, test := range map[string]struct {
		say      string
		answered bool
	}{
		"idle":             {"GET /books HTTP/1.1\r\nHost: localhost\r\n\r\n", true},
		"silent":           {"", false},
		"half a header":    {"GET /books HTTP/1.1\r\nHost: loc", false},
		"half a body":      {"POST /books/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", false},
		"half a chunk":     {"POST /books/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{", false},
		"a body of a page": {"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", false},
		"a refused body":   {"POST /books/t HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1000\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := start(t, nil)
			_, port, _ := net.SplitHostPort(address)
			say := strings.Replace(test.say, "Host: localhost\r\n", "Host: localhost:"+port+"\r\n", 1)
			dial(t, address, maxConnections+44, say, test.answered)
			ctx, cancel := context.WithTimeout(t.Context(), idleTimeout/4)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/books", nil)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		})
	}
}

// pipes is a listener to connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// A body has to come at a least rate: one that does is read whole, one that
// doesn't is answered soon.
func TestBodiesComeAtARate(t *testing.T) {
	for name, test := range map[string]struct {
		size, piece int
		pause       time.Duration
		status      int
		by          time.Duration
	}{
		"at once":          {100_000, 100_000, 0, 200, 0},
		"a slow network":   {100_000, 10_000, 500 * time.Millisecond, 200, 10 * time.Second},
		"a byte at a time": {1000, 1, time.Second, 408, 6 * time.Second},
		"stops":            {100_000, 50_000, time.Hour, 408, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{make(chan net.Conn), make(chan struct{})}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- library().Serve(ctx, l) }()
				client, server := net.Pipe()
				l.conns <- server
				began := time.Now()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					fmt.Fprintf(client, "POST /books/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", test.size)
					body := "{}" + strings.Repeat(" ", test.size-2)
					for len(body) > 0 {
						n := min(test.piece, len(body))
						if _, err := io.WriteString(client, body[:n]); err != nil {
							return
						}
						body = body[n:]
						select {
						case <-time.After(test.pause):
						case <-ctx.Done():
							return
						}
					}
				}()
				response, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if took := time.Since(began); response.StatusCode != test.status || took > test.by {
					t.Errorf("%s after %v, want %d after at most %v", response.Status, took, test.status, test.by)
				}
				client.Close()
				cancel()
				<-sent
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
