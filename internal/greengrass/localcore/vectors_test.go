package localcore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// vectors are captured frames by name.
type vectors struct {
	frames map[string][]byte
	used   map[string]bool
}

func loadVectors(t *testing.T) *vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/ipc-frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Name, Hex string }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	v := &vectors{frames: map[string][]byte{}, used: map[string]bool{}}
	for _, f := range list {
		if v.frames[f.Name], err = hex.DecodeString(f.Hex); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *vectors) frame(t *testing.T, name string) []byte {
	t.Helper()
	if v.frames[name] == nil {
		t.Fatalf("no vector %s", name)
	}
	v.used[name] = true
	return v.frames[name]
}

// send sends a captured client's frame.
func (v *vectors) send(p *peer, name string) {
	p.t.Helper()
	b := v.frame(p.t, name)
	p.write(b)
	m, err := eventrpc.NewReader(bytes.NewReader(b), eventrpc.MaxFrame).Read()
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = max(p.last, m.StreamID)
}

// freely spelled: the JSON of these has maps or numbers in an order or form
// that is the recording's own.
var freelySpelled = map[string]bool{
	"crt/get-configuration-all-response":           true,
	"crt/get-configuration-after-update-response":  true,
	"crt/validate-configuration-update-event":      true,
	"crt/subscription-response-message-json-event": true,
}

// expect receives the captured server's frame, byte for byte unless its JSON is
// freely spelled.
func (v *vectors) expect(p *peer, name string) {
	p.t.Helper()
	b := v.frame(p.t, name)
	got := p.receive()
	layout := eventrpc.NumbersFirst
	if strings.HasPrefix(name, "crt/") {
		layout = eventrpc.NumbersLast
	}
	gotFrame, err := got.Encode(layout)
	if err != nil {
		p.t.Fatal(err)
	}
	if bytes.Equal(gotFrame, b) {
		return
	}
	want, err := eventrpc.NewReader(bytes.NewReader(b), eventrpc.MaxFrame).Read()
	if err != nil {
		p.t.Fatal(err)
	}
	if !freelySpelled[name] {
		p.t.Errorf("%s:\n got %+v %s\nwant %+v %s", name, got, got.Payload, want, want.Payload)
		return
	}
	if diff := cmp.Diff(decodeJSON(p.t, string(want.Payload)), decodeJSON(p.t, string(got.Payload))); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	got.Payload, want.Payload = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// exchange sends one frame and expects the others, in order.
func (v *vectors) exchange(p *peer, server, request string, answers ...string) {
	p.t.Helper()
	v.send(p, server+request)
	synctest.Wait()
	for _, answer := range answers {
		v.expect(p, server+answer)
	}
}

// fill uses up stream ids that the recording used for something else.
func fill(p *peer, upTo int32) {
	p.t.Helper()
	for p.last < upTo {
		p.succeed("GetConfiguration", "{}")
	}
}

func giveToken(c *Core, k *Component, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.token = token
	c.tokens[token] = k
}

func TestVectorsLite(t *testing.T) {
	v := loadVectors(t)
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		giveToken(c, k, "V077ZPH4pK9U16Ks")
		c.SetHealthDaemon(false)

		p := open(t, c)
		for _, step := range [][]string{
			{"connect", "connect-ack"},
			{"get-configuration-leaf-request", "get-configuration-leaf-response"},
			{"get-configuration-missing-key-request", "error-resource-not-found"},
			{"subscribe-to-iot-core-request", "subscribe-to-iot-core-response"},
			{"publish-to-iot-core-request", "publish-to-iot-core-response", "iot-core-message-event"},
			{"terminate-stream-after-unary"},
			{"publish-to-iot-core-denied-request", "error-unauthorized"},
			{"subscribe-to-configuration-update-request", "subscribe-to-configuration-update-response"},
			{"update-configuration-request", "configuration-update-event-1", "configuration-update-event-2",
				"configuration-update-event-3", "update-configuration-response"},
			{"update-configuration-integer-timestamp-request", "error-invalid-arguments"},
			{"subscribe-to-topic-request", "subscribe-to-topic-response"},
			{"publish-to-topic-json-request", "subscription-response-message-json-event", "publish-to-topic-json-response"},
			{"publish-to-topic-binary-request", "subscription-response-message-binary-event", "publish-to-topic-binary-response"},
			{"update-state-request", "error-service-error-update-state"},
			{"subscribe-to-component-updates-request", "error-service-error-unknown-operation"},
			{"validate-authorization-token-request", "error-unauthorized-token-validation"},
			{"terminate-stream-subscription"},
		} {
			v.exchange(p, "lite/", step[0], step[1:]...)
		}
		c.Publish("agent/in/x", []byte("after the end of the subscription"))
		p.silent()

		giveToken(c, k, "fU85QsvnMAbAQuY3")
		v.exchange(open(t, c), "lite/", "connect-by-component-name", "connect-ack-with-svcuid")
	})
	v.complete(t, "lite/")
}

func TestVectorsJava(t *testing.T) {
	v := loadVectors(t)
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Java})
		k := install(t, c, recipeYAML)
		giveToken(c, k, "Q7KD3VXM5ZB2NTHA")

		p := open(t, c)
		do := func(request string, answers ...string) {
			t.Helper()
			v.exchange(p, "crt/", request, answers...)
		}
		do("connect", "connect-ack")
		do("get-configuration-all-request", "get-configuration-all-response")
		fill(p, 2)
		do("get-configuration-missing-key-request", "error-resource-not-found")
		fill(p, 4)
		do("subscribe-to-iot-core-request", "subscribe-to-iot-core-response")
		do("publish-to-iot-core-request", "publish-to-iot-core-response", "iot-core-message-event")
		fill(p, 7)
		do("publish-to-iot-core-denied-request", "error-unauthorized")
		do("subscribe-to-configuration-update-request", "subscribe-to-configuration-update-response")
		do("update-configuration-request", "configuration-update-event")
		p.event(9, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":["nested","a"]}}`)
		for range 2 { // a new leaf raises two, which the model that was recorded did not
			p.event(9, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":["nested","b"]}}`)
		}
		v.expect(p, "crt/update-configuration-response")
		p.request("UpdateConfiguration", `{"keyPath":["nested"],"timestamp":1795387802,"valueToMerge":{"a":"z"}}`)
		p.event(9, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":["nested","a"]}}`)
		p.receive()
		do("update-configuration-old-timestamp-request", "error-failed-update-condition-check")
		p.request("GetConfiguration", `{"keyPath":[]}`)
		v.expect(p, "crt/get-configuration-after-update-response")
		do("subscribe-to-topic-request", "subscribe-to-topic-response")
		do("publish-to-topic-json-request", "subscription-response-message-json-event", "publish-to-topic-json-response")
		p.request("PublishToTopic", `{"topic":"local/a","publishMessage":{"binaryMessage":{"message":"Ymlu"}}}`)
		v.expect(p, "crt/subscription-response-message-binary-event")
		p.receive()
		do("update-state-request", "update-state-response")
		p.subscribe("SubscribeToComponentUpdates", "{}")
		fill(p, 19)
		do("defer-component-update-late-request", "error-service-error-defer-too-late")
		p.request("PutComponentMetric", `{"metrics":[]}`)
		v.expect(p, "crt/error-unauthorized-component-metric")
		p.request("GetSecretValue", `{"secretId":"x"}`)
		v.expect(p, "crt/error-service-error-not-supported")
		do("terminate-stream-subscription")
		do("ping", "ping-response")
		do("ping-response-from-client")
		c.Publish("agent/in/x", []byte("after the end of the subscription"))
		p.silent()

		p = open(t, c)
		do("connect", "connect-ack")
		do("get-configuration-request-with-model-headers", "get-configuration-leaf-response")

		for _, refused := range []string{"connect-bad-token", "connect-wrong-version"} {
			p = open(t, c)
			do(refused, "connect-ack-refused")
			p.closed()
		}
		p = open(t, c)
		do("operation-before-connect", "protocol-error-before-connect")
		p.closed()

		for request, answer := range map[string]string{
			"broken-json-request":       "error-unmodelled-text-plain",
			"unknown-operation-request": "error-unsupported-operation-json",
		} {
			p = open(t, c)
			do("connect", "connect-ack")
			do(request, answer)
			fill(p, 2) // the connection lives on
		}
		c.SetOnline(false)
		p = open(t, c)
		do("connect", "connect-ack")
		do("publish-to-iot-core-offline-qos0-request", "error-service-error-offline-qos0")
		c.SetOnline(true)
	})
	t.Run("protocol errors", func(t *testing.T) { vectorProtocolErrors(t, v) })
	t.Run("deployment", func(t *testing.T) { vectorDeployments(t, v) })
	v.complete(t, "crt/",
		"crt/error-resource-not-found-spaced-json", // made for parsers
		"crt/end-of-stream-from-server",            // no operation here ends by itself
		"crt/ping-from-server",                     // the nucleus never pings
	)
}

func vectorProtocolErrors(t *testing.T, v *vectors) {
	stream := func(id int32, flags eventrpc.Flags) *eventrpc.Message {
		return &eventrpc.Message{StreamID: id, Flags: flags, Payload: []byte("{}")}
	}
	operation := func(m *eventrpc.Message) *eventrpc.Message {
		m.SetText(eventrpc.HeaderOperation, "aws.greengrass#GetConfiguration")
		return m
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		for _, test := range []struct {
			name   string
			answer string
			send   []*eventrpc.Message // on a connection whose stream 1 is finished
		}{
			{"second connect", "before-connect", []*eventrpc.Message{connectMessage(k.Token())}},
			{"gap", "stream-id-gap", []*eventrpc.Message{operation(stream(3, 0))}},
			{"finished stream", "stream-id-reused", []*eventrpc.Message{operation(stream(1, 0))}},
			{"no operation", "missing-operation", []*eventrpc.Message{stream(2, 0)}},
			{"end of the next stream", "missing-operation", []*eventrpc.Message{stream(2, eventrpc.TerminateStream)}},
			{"end of an unknown stream", "stream-id-gap", []*eventrpc.Message{stream(7, eventrpc.TerminateStream)}},
			{"end of a finished stream, then ping on a stream", "stream-id-out-of-range", []*eventrpc.Message{
				stream(1, eventrpc.TerminateStream), {Type: eventrpc.Ping, StreamID: 2}}},
			{"negative stream", "stream-id-out-of-range", []*eventrpc.Message{operation(stream(-1, 0))}},
			{"application message on stream 0", "invalid-message-type", []*eventrpc.Message{operation(stream(0, 0))}},
			{"unknown type", "invalid-message-type", []*eventrpc.Message{{Type: 8}}},
		} {
			t.Log(test.name)
			p := dial(t, c, k)
			fill(p, 1)
			for _, m := range test.send {
				p.send(m)
			}
			v.expect(p, "crt/protocol-error-"+test.answer)
			p.closed()
		}

		p := dial(t, c, k)
		v.exchange(p, "crt/", "stream-id-gap-request", "protocol-error-stream-id-gap")

		p = dial(t, c, k)
		p.send(&eventrpc.Message{Type: eventrpc.ConnectAck})
		if m := p.receive(); m.Type != eventrpc.InternalError {
			t.Errorf("CONNECT_ACK from a client answered by %v", m.Type)
		}
		p.closed()
	})
}

func vectorDeployments(t *testing.T, v *vectors) {
	const id = "9a1b6f0e-3f2d-4c55-8f0e-0d6a7a5c1e11"
	recipe := recipeYAML[:strings.Index(recipeYAML, "    nested:")] + recipeYAML[strings.Index(recipeYAML, "Manifests:"):]
	deploy := func(c *Core, k *Component, interval int64) chan error {
		d := deployment{core: c, id: id}
		if err := d.add(Change{Component: k.Name(), Merge: map[string]any{"interval": interval}}); err != nil {
			t.Error(err)
		}
		result := make(chan error, 1)
		go func() { result <- d.run(context.Background()) }()
		return result
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipe)
		p := dial(t, c, k)
		v.exchange(p, "crt/", "subscribe-to-component-updates-request", "subscribe-to-component-updates-response")
		result := deploy(c, k, 40)
		v.expect(p, "crt/component-update-policy-event-pre")
		v.exchange(p, "crt/", "defer-component-update-request", "defer-component-update-response")
		v.expect(p, "crt/component-update-policy-event-pre") // 30 seconds later
		p.succeed("DeferComponentUpdate", `{"deploymentId":"`+id+`","recheckAfterMs":0}`)
		v.expect(p, "crt/component-update-policy-event-post")
		if err := <-result; err != nil {
			t.Error(err)
		}

		p.nc.Close()
		p = dial(t, c, k)
		v.exchange(p, "crt/", "subscribe-to-validate-configuration-updates-request", "subscribe-to-validate-configuration-updates-response")
		result = deploy(c, k, 5)
		v.expect(p, "crt/validate-configuration-update-event")
		v.exchange(p, "crt/", "send-configuration-validity-report-request", "send-configuration-validity-report-response")
		err := <-result
		const want = "FAILED_NO_STATE_CHANGE: Components reported that their to-be-deployed configuration is invalid { name = com.example.agent, message = interval below 10 }"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %v", err, want)
		}
		if diff := cmp.Diff(map[string]any{"interval": int64(40)}, k.Configuration()); diff != "" {
			t.Errorf("after the rejection (-want +got):\n%s", diff)
		}
	})
}

// complete checks that every vector of the server took part.
func (v *vectors) complete(t *testing.T, server string, except ...string) {
	t.Helper()
	for _, name := range except {
		v.used[name] = true
	}
	for _, name := range sortedKeys(v.frames) {
		if strings.HasPrefix(name, server) && !v.used[name] {
			t.Errorf("vector %s is not tested", name)
		}
	}
}
