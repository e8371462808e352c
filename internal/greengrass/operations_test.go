package greengrass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// opened forgets a subscription that only its request matters of.
func opened[E any](s *Subscription[E], err error) error {
	if err == nil {
		s.Close()
	}
	return err
}

// requests are calls that must put the captured frames on the wire.
var requests = map[string]func(context.Context, *Client) error{
	"get-configuration-leaf-request": func(ctx context.Context, c *Client) error {
		_, err := c.GetConfiguration(ctx, GetConfigurationRequest{KeyPath: []string{"interval"}})
		return err
	},
	"get-configuration-all-request": func(ctx context.Context, c *Client) error {
		_, err := c.GetConfiguration(ctx, GetConfigurationRequest{})
		return err
	},
	"get-configuration-missing-key-request": func(ctx context.Context, c *Client) error {
		_, err := c.GetConfiguration(ctx, GetConfigurationRequest{KeyPath: []string{"nope"}})
		return err
	},
	"subscribe-to-iot-core-request": func(ctx context.Context, c *Client) error {
		return opened(c.SubscribeToIoTCore(ctx, SubscribeToIoTCoreRequest{TopicName: "agent/in/#", QoS: AtLeastOnce}))
	},
	"publish-to-iot-core-request": func(ctx context.Context, c *Client) error {
		return c.PublishToIoTCore(ctx, PublishToIoTCoreRequest{TopicName: "agent/in/x", QoS: AtLeastOnce, Payload: []byte("hello")})
	},
	"publish-to-iot-core-denied-request": func(ctx context.Context, c *Client) error {
		return c.PublishToIoTCore(ctx, PublishToIoTCoreRequest{TopicName: "other/x", QoS: AtLeastOnce, Payload: []byte("hello")})
	},
	"publish-to-iot-core-offline-qos0-request": func(ctx context.Context, c *Client) error {
		return c.PublishToIoTCore(ctx, PublishToIoTCoreRequest{TopicName: "agent/x", QoS: AtMostOnce, Payload: []byte("a")})
	},
	"subscribe-to-configuration-update-request": func(ctx context.Context, c *Client) error {
		return opened(c.SubscribeToConfigurationUpdate(ctx, SubscribeToConfigurationUpdateRequest{}))
	},
	"lite/update-configuration-request": updateConfiguration(1795384224, 359),
	"crt/update-configuration-request":  updateConfiguration(1795387801, 417),
	"subscribe-to-topic-request": func(ctx context.Context, c *Client) error {
		return opened(c.SubscribeToTopic(ctx, SubscribeToTopicRequest{Topic: "local/a"}))
	},
	"publish-to-topic-json-request": func(ctx context.Context, c *Client) error {
		return c.PublishToTopic(ctx, PublishToTopicRequest{Topic: "local/a", PublishMessage: PublishMessage{
			JSONMessage: &JSONMessage{Message: json.RawMessage(`{"k":1}`)},
		}})
	},
	"publish-to-topic-binary-request": func(ctx context.Context, c *Client) error {
		return c.PublishToTopic(ctx, PublishToTopicRequest{Topic: "local/a", PublishMessage: PublishMessage{
			BinaryMessage: &BinaryMessage{Message: []byte("bin")},
		}})
	},
	"update-state-request": func(ctx context.Context, c *Client) error {
		return c.UpdateState(ctx, UpdateStateRequest{State: StateRunning})
	},
	"subscribe-to-validate-configuration-updates-request": func(ctx context.Context, c *Client) error {
		return opened(c.SubscribeToValidateConfigurationUpdates(ctx))
	},
	"send-configuration-validity-report-request": func(ctx context.Context, c *Client) error {
		return c.SendConfigurationValidityReport(ctx, SendConfigurationValidityReportRequest{
			ConfigurationValidityReport: ConfigurationValidityReport{
				Status: ConfigurationRejected, DeploymentID: "9a1b6f0e-3f2d-4c55-8f0e-0d6a7a5c1e11", Message: "interval below 10",
			},
		})
	},
}

func updateConfiguration(seconds, ms int64) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error {
		return c.UpdateConfiguration(ctx, UpdateConfigurationRequest{
			Timestamp:    Timestamp{time.UnixMilli(seconds*1000 + ms)},
			ValueToMerge: map[string]any{"interval": 60, "nested": map[string]any{"a": "y", "b": true}},
		})
	}
}

// otherRequests are captured frames that this client never sends.
var otherRequests = map[string]string{
	"connect":                      "in package eventrpc",
	"connect-bad-token":            "in package eventrpc",
	"terminate-stream":             "in package eventrpc",
	"ping":                         "in package eventrpc",
	"connect-by-component-name":    "for nucleus lite's own recipe-runner",
	"connect-wrong-version":        "wrong on purpose",
	"integer-timestamp":            "wrong on purpose",
	"old-timestamp":                "an integer timestamp",
	"operation-before-connect":     "wrong on purpose",
	"stream-id-gap":                "wrong on purpose",
	"broken-json":                  "wrong on purpose",
	"unknown-operation":            "wrong on purpose",
	"with-model-headers":           "habit of the Python SDK",
	"defer-component-update":       "no operation of this client",
	"subscribe-to-component":       "no operation of this client",
	"validate-authorization-token": "no operation of this client",
}

func TestRequestsAreTheCapturedFrames(t *testing.T) {
	driven := 0
	for name, v := range vectors(t) {
		if v.Direction != "client-to-server" {
			continue
		}
		_, plain, _ := strings.Cut(name, "/")
		do := requests[plain]
		if do == nil {
			do = requests[name]
		}
		if do == nil {
			known := false
			for part := range otherRequests {
				known = known || strings.Contains(name, part)
			}
			if !known {
				t.Errorf("%s: neither sent nor known as not ours", name)
			}
			continue
		}
		driven++
		t.Run(name, func(t *testing.T) {
			c, n := connected(t)
			id := v.message(t).StreamID
			use(t, c, n, id)
			ctx, cancel := context.WithCancel(t.Context())
			done := after(func() error { return do(ctx, c) })
			want := v.frame(t)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(n.nc, got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("frame (-want +got):\n%s", d)
			}
			cancel()
			n.terminated(id)
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		})
	}
	if driven != 24 {
		t.Errorf("%d captured requests sent, want 24", driven)
	}
}

func TestNoNullsAndNothingEmpty(t *testing.T) {
	tests := []struct {
		name, operation, want string
		do                    func(context.Context, *Client) error
	}{
		{"publish nothing", "PublishToIoTCore", `{"topicName":"a","qos":"0","payload":""}`, func(ctx context.Context, c *Client) error {
			return c.PublishToIoTCore(ctx, PublishToIoTCoreRequest{TopicName: "a", QoS: AtMostOnce})
		}},
		{"publish with expiry", "PublishToIoTCore", `{"topicName":"a","qos":"1","payload":"","messageExpiryIntervalSeconds":300}`, func(ctx context.Context, c *Client) error {
			return c.PublishToIoTCore(ctx, PublishToIoTCoreRequest{TopicName: "a", QoS: AtLeastOnce, MessageExpiryIntervalSeconds: 300})
		}},
		{"update nothing in a full second", "UpdateConfiguration", `{"keyPath":[],"timestamp":1795384224.000,"valueToMerge":{}}`, func(ctx context.Context, c *Client) error {
			return c.UpdateConfiguration(ctx, UpdateConfigurationRequest{Timestamp: Timestamp{time.Unix(1795384224, 0)}})
		}},
		{"binary nothing", "PublishToTopic", `{"topic":"t","publishMessage":{"binaryMessage":{"message":""}}}`, func(ctx context.Context, c *Client) error {
			return c.PublishToTopic(ctx, PublishToTopicRequest{Topic: "t", PublishMessage: PublishMessage{BinaryMessage: &BinaryMessage{}}})
		}},
		{"another component's configuration", "GetConfiguration", `{"componentName":"x","keyPath":[]}`, func(ctx context.Context, c *Client) error {
			_, err := c.GetConfiguration(ctx, GetConfigurationRequest{ComponentName: "x"})
			return err
		}},
		{"validation", "SubscribeToValidateConfigurationUpdates", `{}`, func(ctx context.Context, c *Client) error {
			return opened(c.SubscribeToValidateConfigurationUpdates(ctx))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, n := connected(t)
			done := after(func() error { return test.do(t.Context(), c) })
			m := n.request(test.operation)
			if d := cmp.Diff(test.want, string(m.Payload)); d != "" {
				t.Errorf("payload (-want +got):\n%s", d)
			}
			n.answer(m.StreamID, "{}")
			if strings.HasPrefix(test.operation, "Subscribe") {
				n.terminated(m.StreamID)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUpdateConfigurationIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		done := after(func() error {
			return c.UpdateConfiguration(t.Context(), UpdateConfigurationRequest{ValueToMerge: map[string]any{"a": 1}})
		})
		// In a synctest bubble it is midnight UTC of 2000-01-01.
		if got, want := string(n.request("UpdateConfiguration").Payload), `{"keyPath":[],"timestamp":946684800.000,"valueToMerge":{"a":1}}`; got != want {
			t.Errorf("payload %s, want %s", got, want)
		}
		n.answer(1, "{}")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCallsThatAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		json1 := &JSONMessage{Message: json.RawMessage("{}")}
		for _, do := range []func() error{
			func() error {
				return c.PublishToIoTCore(t.Context(), PublishToIoTCoreRequest{TopicName: "agent/#", QoS: AtMostOnce})
			},
			func() error { return c.PublishToTopic(t.Context(), PublishToTopicRequest{Topic: "t"}) },
			func() error {
				return c.PublishToTopic(t.Context(), PublishToTopicRequest{Topic: "t", PublishMessage: PublishMessage{JSONMessage: json1, BinaryMessage: &BinaryMessage{}}})
			},
			func() error {
				return c.PublishToTopic(t.Context(), PublishToTopicRequest{Topic: "t", PublishMessage: PublishMessage{JSONMessage: &JSONMessage{}}})
			},
			func() error {
				return c.UpdateConfiguration(t.Context(), UpdateConfigurationRequest{ValueToMerge: map[string]any{"f": func() {}}})
			},
		} {
			if err := do(); err == nil {
				t.Error("no error")
			}
		}
		n.silent()
	})
}

func TestCapturedConfiguration(t *testing.T) {
	accessControl := map[string]any{
		"aws.greengrass.ipc.mqttproxy": map[string]any{"com.example.agent:mqttproxy:1": map[string]any{
			"operations": []any{"aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"},
			"resources":  []any{"$aws/things/example-thing/*", "agent/*"},
		}},
		"aws.greengrass.ipc.pubsub": map[string]any{"com.example.agent:pubsub:1": map[string]any{
			"operations": []any{"*"}, "resources": []any{"*"},
		}},
	}
	list := []any{1.0, 2.0, "three"}
	tests := map[string]map[string]any{
		"lite/get-configuration-leaf-response":        {"interval": "30"},
		"crt/get-configuration-leaf-response":         {"interval": 60.0},
		"crt/get-configuration-all-response":          {"interval": 30.0, "nested": map[string]any{"a": "x", "list": list}, "accessControl": accessControl},
		"crt/get-configuration-after-update-response": {"interval": 60.0, "nested": map[string]any{"a": "z", "b": true, "list": list}, "accessControl": accessControl},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c, n := connected(t)
			v := vectors(t)[name]
			use(t, c, n, v.message(t).StreamID)
			go func() { n.request("GetConfiguration"); n.nc.Write(v.frame(t)) }()
			got, err := c.GetConfiguration(t.Context(), GetConfigurationRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(GetConfigurationResponse{ComponentName: "com.example.agent", Value: want}, got); d != "" {
				t.Errorf("response (-want +got):\n%s", d)
			}
			wantNucleus := map[string]Nucleus{"lite": Lite, "crt": Java}[name[:strings.IndexByte(name, '/')]]
			if got := c.Nucleus(); got != wantNucleus {
				t.Errorf("recognised as %v, want %v", got, wantNucleus)
			}
		})
	}
}

// TestCapturedResponses feeds each captured plain yes to its operation.
func TestCapturedResponses(t *testing.T) {
	fed := 0
	for name, v := range vectors(t) {
		_, plain, _ := strings.Cut(name, "/")
		operation, isResponse := strings.CutSuffix(plain, "-response")
		do := requests[operation+"-request"]
		if do == nil && operation == "update-configuration" {
			do = requests["lite/update-configuration-request"]
		}
		if !isResponse || do == nil || strings.HasPrefix(plain, "get-") {
			continue
		}
		fed++
		t.Run(name, func(t *testing.T) {
			c, n := connected(t)
			id := v.message(t).StreamID
			use(t, c, n, id)
			done := after(func() error { return do(t.Context(), c) })
			if _, err := n.frames.Read(); err != nil {
				t.Fatal(err)
			}
			n.nc.Write(v.frame(t))
			if strings.HasPrefix(operation, "subscribe") {
				n.terminated(id)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	if fed != 16 {
		t.Errorf("%d captured responses, want 16", fed)
	}
}

func TestCapturedEvents(t *testing.T) {
	message := func() IoTCoreMessage {
		var m IoTCoreMessage
		m.Message.TopicName, m.Message.Payload = "agent/in/x", []byte("hello")
		return m
	}()
	update := func(path ...string) ConfigurationUpdateEvents {
		return ConfigurationUpdateEvents{&ConfigurationUpdateEvent{ComponentName: "com.example.agent", KeyPath: path}}
	}
	local := &MessageContext{Topic: "local/a"}
	var (
		iotCore = receiver("SubscribeToIoTCore", func(ctx context.Context, c *Client) (*Subscription[IoTCoreMessage], error) {
			return c.SubscribeToIoTCore(ctx, SubscribeToIoTCoreRequest{})
		})
		updates = receiver("SubscribeToConfigurationUpdate", func(ctx context.Context, c *Client) (*Subscription[ConfigurationUpdateEvents], error) {
			return c.SubscribeToConfigurationUpdate(ctx, SubscribeToConfigurationUpdateRequest{})
		})
		topic = receiver("SubscribeToTopic", func(ctx context.Context, c *Client) (*Subscription[SubscriptionResponseMessage], error) {
			return c.SubscribeToTopic(ctx, SubscribeToTopicRequest{})
		})
		validation = receiver("SubscribeToValidateConfigurationUpdates", func(ctx context.Context, c *Client) (*Subscription[ValidateConfigurationUpdateEvents], error) {
			return c.SubscribeToValidateConfigurationUpdates(ctx)
		})
	)
	json1 := SubscriptionResponseMessage{JSONMessage: &JSONMessage{Message: json.RawMessage(`{"k":1}`), Context: local}}
	binary := SubscriptionResponseMessage{BinaryMessage: &BinaryMessage{Message: []byte("bin"), Context: local}}
	tests := []struct {
		vector  string
		receive func(*testing.T, vector) any
		want    any
	}{
		{"lite/iot-core-message-event", iotCore, message},
		{"crt/iot-core-message-event", iotCore, message},
		{"lite/configuration-update-event-1", updates, update("interval")},
		{"lite/configuration-update-event-2", updates, update("nested", "a")},
		{"lite/configuration-update-event-3", updates, update("nested", "b")},
		{"crt/configuration-update-event", updates, update("interval")},
		{"lite/subscription-response-message-json-event", topic, json1},
		{"crt/subscription-response-message-json-event", topic, json1},
		{"lite/subscription-response-message-binary-event", topic, binary},
		{"crt/subscription-response-message-binary-event", topic, binary},
		{"crt/validate-configuration-update-event", validation, ValidateConfigurationUpdateEvents{&ValidateConfigurationUpdateEvent{
			Configuration: map[string]any{"interval": 5.0}, DeploymentID: "9a1b6f0e-3f2d-4c55-8f0e-0d6a7a5c1e11",
		}}},
	}
	for _, test := range tests {
		t.Run(test.vector, func(t *testing.T) {
			if d := cmp.Diff(test.want, test.receive(t, vectors(t)[test.vector])); d != "" {
				t.Errorf("event (-want +got):\n%s", d)
			}
		})
	}
}

// receiver returns a function that feeds a captured event to a subscription.
func receiver[E any](operation string, open func(context.Context, *Client) (*Subscription[E], error)) func(*testing.T, vector) any {
	return func(t *testing.T, v vector) any {
		c, n := connected(t)
		use(t, c, n, v.message(t).StreamID)
		go func() {
			n.message(n.request(operation).StreamID, operation+"Response", "{}")
			n.nc.Write(v.frame(t))
		}()
		s, err := open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return <-s.Events()
	}
}

// TestEventsBeforeTheAnswer replays what nucleus lite did: the events of an
// update came before the answer to it.
func TestEventsBeforeTheAnswer(t *testing.T) {
	c, n := connected(t)
	vs := vectors(t)
	use(t, c, n, 9)
	go func() {
		n.request("SubscribeToConfigurationUpdate")
		n.message(9, "SubscribeToConfigurationUpdateResponse", "{}")
	}()
	s, err := c.SubscribeToConfigurationUpdate(t.Context(), SubscribeToConfigurationUpdateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		want := vs["lite/update-configuration-request"].frame(t)
		got := make([]byte, len(want))
		io.ReadFull(n.nc, got)
		if !bytes.Equal(want, got) {
			t.Errorf("request %q", got)
		}
		for _, name := range []string{"configuration-update-event-1", "configuration-update-event-2", "configuration-update-event-3", "update-configuration-response"} {
			n.nc.Write(vs["lite/"+name].frame(t))
		}
	}()
	if err := updateConfiguration(1795384224, 359)(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"interval", "nested/a", "nested/b"} {
		e := <-s.Events()
		if got := strings.Join(e.ConfigurationUpdateEvent.KeyPath, "/"); got != want {
			t.Errorf("event of %s, want %s", got, want)
		}
	}
}
