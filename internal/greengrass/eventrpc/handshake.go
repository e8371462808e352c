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
// one, which is all that nucleus lite does. The latter may have another
// cause, such as a server that goes down: try a few times.
var ErrRefused = errors.New("token refused")

// Handshake presents the token to the server at the other end of nc. It takes
// nc over, and closes it on failure. ctx bounds the handshake, by 10 seconds
// if it has no deadline, and not the connection.
func Handshake(ctx context.Context, nc net.Conn, token string) (*Conn, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	frames := NewReader(bufio.NewReader(nc), MaxIncoming)
	err := connect(nc, frames, token)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return newConn(nc, frames), nil
}

func connect(nc net.Conn, frames *Reader, token string) error {
	payload, err := json.Marshal(struct {
		AuthToken string `json:"authToken"`
	}{token})
	if err != nil {
		return err
	}
	m := &Message{Type: Connect, Payload: payload}
	m.SetText(HeaderVersion, Version)
	frame, err := m.Encode(NumbersLast)
	if err != nil {
		return err
	}
	if _, err := nc.Write(frame); err != nil {
		if hungUp(err) || errors.Is(err, io.ErrClosedPipe) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	}
	ack, err := frames.Read()
	switch {
	case err == io.EOF || hungUp(err):
		return fmt.Errorf("%w: closed without an acknowledgement", ErrRefused)
	case err != nil:
		return err
	case ack.Type != ConnectAck:
		return fmt.Errorf("server sent %v instead of %v: %.512q", ack.Type, ConnectAck, ack.Payload)
	case ack.Flags&ConnectionAccepted == 0:
		return fmt.Errorf("%w: acknowledged with flags %d", ErrRefused, ack.Flags)
	}
	return nil
}

// hungUp reports whether err is of a connection that the peer has reset.
func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
