package eventrpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// handshakeTimeout is for a context without a deadline.
const handshakeTimeout = 10 * time.Second

// ErrRefused is wrapped by Handshake's error if the server refused the token:
// by an acknowledgement that says so, or by closing the connection instead of
// one, which is all that nucleus lite does. The latter may have another cause,
// such as a server that goes down or has no room for another client: try again
// for some minutes.
var ErrRefused = errors.New("token refused")

// Handshake presents the token to the server at the other end of nc. It takes
// nc over, and closes it on failure. ctx bounds the handshake, by 10 seconds
// if it has no deadline, and not the connection.
func Handshake(ctx context.Context, nc net.Conn, token string) (*Conn, error) {
	c, _, err := handshake(ctx, nc, credentials{AuthToken: token})
	return c, err
}

// HandshakeAs asks nucleus lite for a new token of a component, and returns it
// with the connection, which is the component's already. Lite grants it to
// processes in the cgroup of the component's systemd unit
// (ggipc-auth/src/auth.c); it is how its own recipe-runner comes by the token
// of a component's environment. Otherwise it is like [Handshake].
func HandshakeAs(ctx context.Context, nc net.Conn, component string) (*Conn, string, error) {
	c, ack, err := handshake(ctx, nc, credentials{ComponentName: component})
	if err != nil {
		return nil, "", err
	}
	return c, ack.Text(HeaderToken), nil
}

// credentials are the payload of CONNECT: one of them.
type credentials struct {
	AuthToken     string `json:"authToken,omitempty"`
	ComponentName string `json:"componentName,omitempty"`
}

func handshake(ctx context.Context, nc net.Conn, c credentials) (*Conn, *Message, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	frames := NewReader(bufio.NewReader(nc), MaxIncoming)
	ack, err := connect(nc, frames, c)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	return newConn(nc, frames), ack, nil
}

// connect returns the acknowledgement that accepts the credentials.
func connect(nc net.Conn, frames *Reader, c credentials) (*Message, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	m := &Message{Type: Connect, Payload: payload}
	m.SetText(HeaderVersion, Version)
	frame, err := m.Encode(NumbersLast)
	if err != nil {
		return nil, err
	}
	if _, err := nc.Write(frame); err != nil {
		if hungUp(err) || errors.Is(err, io.ErrClosedPipe) {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil, err
	}
	ack, err := frames.Read()
	switch {
	case errors.Is(err, io.EOF) || hungUp(err):
		return nil, fmt.Errorf("%w: closed without an acknowledgement", ErrRefused)
	case err != nil:
		return nil, err
	case ack.Type != ConnectAck:
		return nil, fmt.Errorf("server sent %v instead of %v: %.512q", ack.Type, ConnectAck, ack.Payload)
	case ack.Flags&ConnectionAccepted == 0:
		return nil, fmt.Errorf("%w: acknowledged with flags %d", ErrRefused, ack.Flags)
	}
	return ack, nil
}

// hungUp reports whether err is of a connection that the peer has reset.
func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
