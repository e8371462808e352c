package eventrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const secret = "V077ZPH4pK9U16Ks"

func TestConnectIsTheCapturedFrame(t *testing.T) {
	for name, token := range map[string]string{"lite/connect": secret, "crt/connect": "Q7KD3VXM5ZB2NTHA"} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			want := captured(t, name)
			got := make([]byte, len(want))
			served := make(chan struct{})
			go func() {
				defer close(served)
				io.ReadFull(there, got)
				there.Write(captured(t, strings.Replace(name, "connect", "connect-ack", 1)))
			}()
			c, err := Handshake(t.Context(), here, token)
			if err != nil {
				t.Fatal(err)
			}
			<-served
			c.Close()
			if !bytes.Equal(got, want) {
				t.Errorf("CONNECT\n%q, want\n%q", got, want)
			}
		})
	}
}

// A component's name brings a new token, as lite/connect-by-component-name and
// its answer were recorded.
func TestHandshakeAs(t *testing.T) {
	here, there := net.Pipe()
	want, err := NewReader(bytes.NewReader(captured(t, "lite/connect-by-component-name")), MaxFrame).Read()
	if err != nil {
		t.Fatal(err)
	}
	want.Payload = []byte(`{"componentName":"com.example.agent"}`) // recorded with a blank
	served := make(chan struct{})
	go func() {
		defer close(served)
		got, err := NewReader(there, MaxFrame).Read()
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b eventstream.Header) bool { return a.Name < b.Name })); err != nil || diff != "" {
			t.Errorf("CONNECT: %v (-want +got):\n%s", err, diff)
		}
		there.Write(captured(t, "lite/connect-ack-with-svcuid"))
	}()
	c, token, err := HandshakeAs(t.Context(), here, "com.example.agent")
	if err != nil {
		t.Fatal(err)
	}
	<-served
	c.Close()
	if want := "fU85QsvnMAbAQuY3"; token != want {
		t.Errorf("token %q, want %q", token, want)
	}
}

func TestHandshakeFails(t *testing.T) {
	tests := []struct {
		name    string
		serve   func(*peer)
		refused bool
		want    string
	}{
		{"Java nucleus refuses", func(p *peer) { p.read(); p.writeRaw(captured(t, "crt/connect-ack-refused")) }, true, "flags 0"},
		{"lite refuses", func(p *peer) { p.read(); p.nc.Close() }, true, "closed without an acknowledgement"},
		{"closed before CONNECT was read", func(p *peer) { p.nc.Close() }, true, "token refused"},
		{"closed within the acknowledgement", func(p *peer) { p.read(); p.writeRaw(captured(t, "crt/connect-ack")[:20]); p.nc.Close() }, false, "EOF"},
		{"protocol error", func(p *peer) { p.read(); p.writeRaw(captured(t, "crt/protocol-error-before-connect")) }, false, "PROTOCOL_ERROR instead of CONNECT_ACK"},
		{"wrong checksum", func(p *peer) {
			p.read()
			b := captured(t, "crt/connect-ack")
			b[len(b)-1]++
			p.writeRaw(b)
		}, false, "checksum"},
		{"not this protocol", func(p *peer) { p.read(); p.writeRaw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, false, "frame too long"},
		{"silence", func(p *peer) { p.read() }, false, "deadline exceeded"},
		{"does not read", func(p *peer) {}, false, "deadline exceeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				p := newPeer(t, there)
				served := make(chan struct{})
				go func() { defer close(served); test.serve(p) }()
				begin := time.Now()
				_, err := Handshake(t.Context(), here, secret)
				<-served
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want an error with %q", err, test.want)
				}
				if errors.Is(err, ErrRefused) != test.refused {
					t.Errorf("%v: wraps ErrRefused: %v", err, !test.refused)
				}
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the token is in the error: %v", err)
				}
				if errors.Is(err, context.DeadlineExceeded) && time.Since(begin) != 10*time.Second {
					t.Errorf("after %v, want 10 s", time.Since(begin))
				}
				if _, err := here.Write([]byte{0}); err == nil {
					t.Error("connection left open")
				}
			})
		})
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		p := newPeer(t, there)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { p.read(); cancel() }()
		if _, err := Handshake(ctx, here, secret); !errors.Is(err, context.Canceled) || errors.Is(err, ErrRefused) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

// resetConn fails the way the kernel says that the peer has gone.
type resetConn struct {
	net.Conn
	read, write error
}

func (c resetConn) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", c.read)}
}

func (c resetConn) Write(b []byte) (int, error) {
	if c.write != nil {
		return 0, &net.OpError{Op: "write", Net: "unix", Err: os.NewSyscallError("write", c.write)}
	}
	return len(b), nil
}

func TestResetIsRefusal(t *testing.T) {
	for _, nc := range []resetConn{
		{read: syscall.ECONNRESET},
		{write: syscall.EPIPE},
		{write: syscall.ECONNRESET},
	} {
		here, there := net.Pipe()
		nc.Conn = here
		if _, err := Handshake(t.Context(), nc, secret); !errors.Is(err, ErrRefused) {
			t.Errorf("%v: got %v, want ErrRefused", nc, err)
		}
		there.Close()
	}
	here, there := net.Pipe()
	defer there.Close()
	if _, err := Handshake(t.Context(), resetConn{Conn: here, read: syscall.EIO}, secret); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("EIO: got %v, want an error that is no refusal", err)
	}
}

func TestHandshakeContextDoesNotBoundTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		p := newPeer(t, there)
		go func() { p.read(); p.write(&Message{Type: ConnectAck, Flags: ConnectionAccepted}) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c, err := Handshake(ctx, here, secret)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cancel()
		time.Sleep(time.Hour)
		if c.Err() != nil {
			t.Error(c.Err())
		}
		if s := fmt.Sprint(c.Err()); strings.Contains(s, secret) {
			t.Error(s)
		}
	})
}
