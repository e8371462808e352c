package greengrass

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "V077ZPH4pK9U16Ks"

// vector is a captured frame; see package eventrpc.
type vector struct{ Name, Direction, Payload, Hex string }

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	b, err := os.ReadFile("eventrpc/testdata/ipc-frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]vector)
	for _, v := range list {
		byName[v.Name] = v
	}
	return byName
}

func (v vector) frame(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Hex)
	if err != nil || len(b) == 0 {
		t.Fatalf("vector %q: %v", v.Name, err)
	}
	return b
}

func (v vector) message(t testing.TB) *eventrpc.Message {
	t.Helper()
	m, err := eventrpc.NewReader(bytes.NewReader(v.frame(t)), 1<<20).Read()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// nucleus is one connection's server end, which does what the test says.
type nucleus struct {
	t      testing.TB
	nc     net.Conn
	frames *eventrpc.Reader
	flags  eventrpc.Flags // of unary answers
	last   int32          // stream id of the last request
}

func newNucleus(t testing.TB, nc net.Conn) *nucleus {
	return &nucleus{t: t, nc: nc, frames: eventrpc.NewReader(nc, eventrpc.MaxFrame)}
}

// accept takes the client's CONNECT.
func (n *nucleus) accept() {
	n.t.Helper()
	if m, err := n.frames.Read(); err != nil || m.Type != eventrpc.Connect {
		n.t.Errorf("nucleus got %v, %v, want CONNECT", m, err)
	}
	n.write(&eventrpc.Message{Type: eventrpc.ConnectAck, Flags: eventrpc.ConnectionAccepted})
}

// refuse does what nucleus lite does to a wrong token.
func (n *nucleus) refuse() {
	n.t.Helper()
	if _, err := n.frames.Read(); err != nil {
		n.t.Error(err)
	}
	n.nc.Close()
}

// request reads the next request, which must be of that operation.
func (n *nucleus) request(operation string) *eventrpc.Message {
	n.t.Helper()
	m, err := n.frames.Read()
	if err != nil {
		n.t.Errorf("nucleus waits for %s: %v", operation, err)
		return &eventrpc.Message{}
	}
	if m.Text(eventrpc.HeaderOperation) != namespace+operation || m.StreamID != n.last+1 {
		n.t.Errorf("nucleus got %q on stream %d (%s), want %s on stream %d", m.Text(eventrpc.HeaderOperation), m.StreamID, m.Payload, operation, n.last+1)
	}
	n.last = m.StreamID
	return m
}

// terminated reads the next frame, which must end that stream.
func (n *nucleus) terminated(id int32) {
	n.t.Helper()
	m, err := n.frames.Read()
	if err != nil || m.StreamID != id || !m.Terminates() {
		n.t.Errorf("nucleus got %v, %v, want a terminate on stream %d", m, err, id)
	}
}

func (n *nucleus) write(m *eventrpc.Message) {
	n.t.Helper()
	b, err := m.Encode(eventrpc.NumbersLast)
	if err != nil {
		n.t.Error(err)
	}
	if _, err := n.nc.Write(b); err != nil {
		n.t.Errorf("nucleus writes: %v", err)
	}
}

// answer answers a unary request.
func (n *nucleus) answer(id int32, payload string) {
	n.t.Helper()
	n.write(&eventrpc.Message{StreamID: id, Flags: n.flags, Payload: []byte(payload)})
}

// message sends a modelled message, such as an event.
func (n *nucleus) message(id int32, shape, payload string) {
	n.t.Helper()
	m := &eventrpc.Message{StreamID: id, Payload: []byte(payload)}
	m.SetText(eventrpc.HeaderModelType, namespace+shape)
	n.write(m)
}

// fail answers with an error as nucleus lite does.
func (n *nucleus) fail(id int32, code, text string) {
	n.t.Helper()
	m := &eventrpc.Message{Type: eventrpc.ApplicationError, Flags: eventrpc.TerminateStream, StreamID: id}
	m.Payload = fmt.Appendf(nil, `{"_message":%q,"_errorCode":%q}`, text, code)
	m.SetText(eventrpc.HeaderModelType, namespace+code)
	n.write(m)
}

// silent fails if the client sends or closes while all else rests. The
// connection is gone afterwards.
func (n *nucleus) silent() {
	n.t.Helper()
	got := make(chan error, 1)
	go func() {
		_, err := n.nc.Read(make([]byte, 1))
		got <- err
	}()
	synctest.Wait()
	select {
	case err := <-got:
		n.t.Errorf("nucleus got something (%v), want silence", err)
	default:
	}
	n.nc.Close()
	<-got
}

// connected returns a client and its nucleus after the handshake.
func connected(t testing.TB) (*Client, *nucleus) {
	t.Helper()
	return connectedWithLog(t, discard)
}

func connectedWithLog(t testing.TB, log *slog.Logger) (*Client, *nucleus) {
	t.Helper()
	here, there := net.Pipe()
	n := newNucleus(t, there)
	accepted := make(chan struct{})
	go func() { defer close(accepted); n.accept() }()
	c, err := NewClient(context.Background(), here, secret, log)
	if err != nil {
		t.Fatal(err)
	}
	<-accepted
	t.Cleanup(func() { c.Close(); there.Close() })
	return c, n
}

// use makes calls until the next one has that stream id.
func use(t testing.TB, c *Client, n *nucleus, id int32) {
	t.Helper()
	for n.last < id-1 {
		go func() { n.answer(n.request("UpdateState").StreamID, "{}") }()
		if err := c.UpdateState(context.Background(), UpdateStateRequest{State: StateRunning}); err != nil {
			t.Fatal(err)
		}
	}
}

// after runs f on its own goroutine and returns its error.
func after(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

// logBook keeps log lines.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// count returns how many lines have that text.
func (l *logBook) count(text string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
