package localcore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func runTests(m *testing.M) { goleak.VerifyTestMain(m) }

// recipeYAML is the component of the captured frames.
const recipeYAML = `
RecipeFormatVersion: "2020-01-25"
ComponentName: com.example.agent
ComponentVersion: 1.0.0
ComponentConfiguration:
  DefaultConfiguration:
    interval: 30
    nested:
      a: x
      list: [1, 2, three]
    accessControl:
      aws.greengrass.ipc.mqttproxy:
        "com.example.agent:mqttproxy:1":
          operations: ["aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"]
          resources: ["$aws/things/example-thing/*", "agent/*"]
      aws.greengrass.ipc.pubsub:
        "com.example.agent:pubsub:1":
          operations: ["*"]
          resources: ["*"]
Manifests:
  - Platform: {os: linux, runtime: "*"}
    Lifecycle:
      run: exec {artifacts:path}/agent
`

func newCore(t *testing.T, opts Options) *Core {
	t.Helper()
	if opts.ThingName == "" {
		opts.ThingName, opts.Region = "example-thing", "eu-central-1"
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func install(t *testing.T, c *Core, recipe string) *Component {
	t.Helper()
	r, err := ParseRecipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.Install(r)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forBoth runs a test as each nucleus, in a bubble of its own.
func forBoth(t *testing.T, test func(t *testing.T, c *Core, k *Component)) {
	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		t.Run(nucleus.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCore(t, Options{Nucleus: nucleus})
				test(t, c, install(t, c, recipeYAML))
			})
		})
	}
}

// peer is a client that checks nothing: it sends and receives frames.
type peer struct {
	t      *testing.T
	nc     net.Conn
	frames *eventrpc.Reader
	last   int32
	queued []*eventrpc.Message // received, not asked for yet
}

// open connects to the core without a handshake.
func open(t *testing.T, c *Core) *peer {
	t.Helper()
	client, server := net.Pipe()
	go c.ServeConn(context.Background(), server)
	t.Cleanup(func() { client.Close() })
	return &peer{t: t, nc: client, frames: eventrpc.NewReader(client, eventrpc.MaxFrame)}
}

// dial connects as a component.
func dial(t *testing.T, c *Core, k *Component) *peer {
	t.Helper()
	p := open(t, c)
	p.send(connectMessage(k.Token()))
	if ack := p.receive(); ack.Type != eventrpc.ConnectAck || ack.Flags != eventrpc.ConnectionAccepted {
		t.Fatalf("handshake answered by %v with flags %d", ack.Type, ack.Flags)
	}
	return p
}

func connectMessage(token string) *eventrpc.Message {
	m := &eventrpc.Message{Type: eventrpc.Connect, Payload: fmt.Appendf(nil, `{"authToken":%q}`, token)}
	m.SetText(eventrpc.HeaderVersion, eventrpc.Version)
	return m
}

func (p *peer) send(m *eventrpc.Message) {
	p.t.Helper()
	b, err := m.Encode(eventrpc.NumbersFirst)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(b)
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// receive waits for a frame.
func (p *peer) receive() *eventrpc.Message {
	p.t.Helper()
	if len(p.queued) > 0 {
		m := p.queued[0]
		p.queued = p.queued[1:]
		return m
	}
	m, err := p.read(time.Hour)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return m
}

func (p *peer) read(timeout time.Duration) (*eventrpc.Message, error) {
	p.nc.SetReadDeadline(time.Now().Add(timeout))
	defer p.nc.SetReadDeadline(time.Time{})
	return p.frames.Read()
}

// silent checks that nothing comes.
func (p *peer) silent() {
	p.t.Helper()
	if len(p.queued) > 0 {
		p.t.Fatalf("unexpected frame: %+v", p.queued[0])
	}
	// An interrupted read between two frames leaves the framing intact.
	if m, err := p.read(time.Second); err == nil {
		p.t.Fatalf("unexpected frame: %v %s on stream %d", m.Type, m.Payload, m.StreamID)
	} else if strings.Contains(err.Error(), io.EOF.Error()) {
		p.t.Fatal("connection closed")
	}
}

// closed checks that the core closed the connection without another frame.
func (p *peer) closed() {
	p.t.Helper()
	if m, err := p.read(time.Hour); err != io.EOF {
		p.t.Fatalf("got %+v, %v; want the end of the connection", m, err)
	}
}

// request opens the next stream.
func (p *peer) request(operation, payload string) int32 {
	p.t.Helper()
	p.last++
	m := &eventrpc.Message{StreamID: p.last, Payload: []byte(payload)}
	m.SetText(eventrpc.HeaderOperation, "aws.greengrass#"+operation)
	p.send(m)
	return p.last
}

// call opens the next stream and returns its first answer. What comes on other
// streams meanwhile is kept for receive.
func (p *peer) call(operation, payload string) *eventrpc.Message {
	p.t.Helper()
	return p.answer(p.request(operation, payload))
}

func (p *peer) answer(stream int32) *eventrpc.Message {
	p.t.Helper()
	for i, m := range p.queued {
		if m.StreamID == stream {
			p.queued = append(p.queued[:i:i], p.queued[i+1:]...)
			return m
		}
	}
	for {
		m, err := p.read(time.Hour)
		if err != nil {
			p.t.Fatalf("read: %v", err)
		}
		if m.StreamID == stream {
			return m
		}
		p.queued = append(p.queued, m)
	}
}

// terminate ends a stream. There is no answer: it waits until the core has
// acted on it.
func (p *peer) terminate(stream int32) {
	p.t.Helper()
	p.send(&eventrpc.Message{StreamID: stream, Flags: eventrpc.TerminateStream})
	synctest.Wait()
}

// subscribe opens a subscription and returns its stream.
func (p *peer) subscribe(operation, payload string) int32 {
	p.t.Helper()
	m := p.call(operation, payload)
	if m.Type != eventrpc.ApplicationMessage || m.Flags != 0 || m.Text(eventrpc.HeaderModelType) != "aws.greengrass#"+operation+"Response" {
		p.t.Fatalf("%s %s answered by %v %s", operation, payload, m.Type, m.Payload)
	}
	return m.StreamID
}

// succeed makes a call that must not be refused and returns its payload.
func (p *peer) succeed(operation, payload string) string {
	p.t.Helper()
	m := p.call(operation, payload)
	if m.Type != eventrpc.ApplicationMessage {
		p.t.Fatalf("%s %s refused: %s", operation, payload, m.Payload)
	}
	return string(m.Payload)
}

// refused makes a call that must be refused with that code and message.
func (p *peer) refused(operation, payload, code, message string) {
	p.t.Helper()
	m := p.call(operation, payload)
	var body map[string]string
	if err := json.Unmarshal(m.Payload, &body); err != nil {
		p.t.Fatalf("%s %s: %v in %s", operation, payload, err, m.Payload)
	}
	got := []any{m.Type, m.Flags, m.Text(eventrpc.HeaderModelType), body["_errorCode"], body["_message"]}
	want := []any{eventrpc.ApplicationError, eventrpc.TerminateStream, "aws.greengrass#" + code, code, message}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s %s (-want +got):\n%s", operation, payload, diff)
	}
}

// event receives a frame and checks its stream, shape and JSON.
func (p *peer) event(stream int32, shape, payload string) {
	p.t.Helper()
	m := p.receive()
	if m.StreamID != stream || m.Text(eventrpc.HeaderModelType) != "aws.greengrass#"+shape {
		p.t.Fatalf("got %s %s on stream %d, want %s on %d", m.Text(eventrpc.HeaderModelType), m.Payload, m.StreamID, shape, stream)
	}
	if diff := cmp.Diff(decodeJSON(p.t, payload), decodeJSON(p.t, string(m.Payload))); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", shape, diff)
	}
}

func decodeJSON(t *testing.T, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}
