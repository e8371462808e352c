package awsrest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestListen takes loopback addresses, and no other.
func TestListen(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		l, err := Listen(t.Context(), listen)
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		if addr := l.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() || addr.IP.To4() == nil {
			t.Errorf("%s: listens on %v", listen, addr)
		}
		l.Close()
	}
	for listen, says := range map[string]string{
		":8787":           "every interface",
		"0.0.0.0:8787":    "0.0.0.0 is not a loopback address",
		"[::]:8787":       ":: is not a loopback address",
		"192.0.2.1:8787":  "192.0.2.1 is not a loopback address",
		"127.0.0.1":       "missing port",
		"":                "missing port",
		"127.0.0.1:99999": "invalid port",
	} {
		l, err := Listen(t.Context(), listen)
		if err == nil {
			l.Close()
			t.Errorf("listens on %q", listen)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", listen, err, says)
		}
	}
}

func TestServeRefusesOtherListeners(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := library().Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

// TestServeFinishesRequests ends the service while a request's body is on its
// way.
func TestServeFinishesRequests(t *testing.T) {
	address, stop := start(t, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /books/t HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", address)
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	reader.ReadString('\n')
	stop() // the operation is reading the body
	io.WriteString(conn, "{}")
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %s", response.Status)
	}
}
