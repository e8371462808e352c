package eventrpc

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a server that does what the test says.
type peer struct {
	t      testing.TB
	nc     net.Conn
	frames *Reader
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc, frames: NewReader(nc, MaxFrame)}
}

// connected returns both ends of a connection after the handshake.
func connected(t testing.TB) (*Conn, *peer) {
	t.Helper()
	here, there := net.Pipe()
	return connectedOver(t, here, there)
}

func connectedOver(t testing.TB, here, there net.Conn) (*Conn, *peer) {
	t.Helper()
	p := newPeer(t, there)
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		p.read()
		p.write(&Message{Type: ConnectAck, Flags: ConnectionAccepted})
	}()
	c, err := Handshake(context.Background(), here, "token")
	if err != nil {
		t.Fatal(err)
	}
	<-acked
	t.Cleanup(func() { c.Close() })
	return c, p
}

// read returns the client's next frame.
func (p *peer) read() *Message {
	p.t.Helper()
	m, err := p.frames.Read()
	if err != nil {
		p.t.Errorf("server reads: %v", err)
		return &Message{}
	}
	return m
}

// readRequest returns the next frame, which must open that stream.
func (p *peer) readRequest(id int32) *Message {
	p.t.Helper()
	m := p.read()
	if m.StreamID != id || m.Type != ApplicationMessage || m.Flags != 0 || m.Text(HeaderOperation) == "" {
		p.t.Errorf("server got %+v, want a request on stream %d", m, id)
	}
	return m
}

// readTerminate reads the next frame, which must end that stream.
func (p *peer) readTerminate(id int32) {
	p.t.Helper()
	m := p.read()
	if m.StreamID != id || m.Type != ApplicationMessage || m.Flags != TerminateStream || len(m.Payload)+len(m.Headers) != 0 {
		p.t.Errorf("server got %+v, want a terminate on stream %d", m, id)
	}
}

// readNothing fails if the client sends or closes while all else rests.
func (p *peer) readNothing() {
	p.t.Helper()
	got := make(chan error)
	stop := make(chan struct{})
	go func() {
		var b [1]byte
		_, err := p.nc.Read(b[:])
		select {
		case got <- err:
		case <-stop:
		}
	}()
	synctest.Wait()
	select {
	case err := <-got:
		p.t.Fatalf("server got something (%v), want silence", err)
	default:
	}
	close(stop)
	p.nc.Close()
}

func (p *peer) write(m *Message) {
	p.t.Helper()
	frame, err := m.Encode(NumbersLast)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.writeRaw(frame)
}

func (p *peer) writeRaw(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil && err != io.ErrClosedPipe {
		p.t.Errorf("server writes: %v", err)
	}
}

// modelled is a message with a service-model-type.
func modelled(id int32, model, payload string) *Message {
	m := &Message{StreamID: id, Payload: []byte(payload)}
	m.SetText(HeaderContentType, ContentTypeJSON)
	m.SetText(HeaderModelType, model)
	return m
}
