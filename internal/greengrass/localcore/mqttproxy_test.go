package localcore

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/google/go-cmp/cmp"
)

// publication is the request of a publish to agent/x.
func publication(qos string, bytes int, more ...string) string {
	return fmt.Sprintf(`{"topicName":"agent/x","qos":%q,"payload":%q%s}`,
		qos, base64.StdEncoding.EncodeToString(make([]byte, bytes)), strings.Join(more, ""))
}

// seen records what reaches the cloud, as topic and size.
func seen(c *Core) (list func() []string) {
	messages := make(chan string, 100_000)
	c.Tap(func(m Message) { messages <- fmt.Sprintf("%s %d", m.Topic, len(m.Payload)) })
	return func() (all []string) {
		synctest.Wait()
		for len(messages) > 0 {
			all = append(all, <-messages)
		}
		return all
	}
}

func TestPublishRefusals(t *testing.T) {
	const bad = "Received invalid parameters."
	for _, test := range []struct {
		payload               string
		javaCode, javaMessage string // "" is internalServerError; "-" accepted
		liteCode, liteMessage string
	}{
		{`{}`, "InvalidArgumentsError", "Topic is required", "ServiceError", bad},
		{`{"topicName":null,"qos":"1","payload":""}`, "InvalidArgumentsError", "Topic is required", "ServiceError", bad},
		{`{"topicName":5,"qos":"1","payload":""}`, "", "", "ServiceError", bad},
		{`{"topicName":"other/x","qos":"1"}`, "UnauthorizedError", "Not Authorized", "UnauthorizedError", "IPC Operation not authorized."},
		{`{"topicName":"agent/x","qos":"1"}`, "InvalidArgumentsError", "Payload is required", "-", ""},
		{`{"topicName":"agent/x","payload":""}`, "InvalidArgumentsError", "QoS is required", "-", ""},
		{`{"topicName":"agent/x"}`, "InvalidArgumentsError", "Payload is required", "-", ""},
		{`{"topicName":"agent/x","qos":"2","payload":""}`, "InvalidArgumentsError", "Invalid QoS value: 2", "-", ""},
		{`{"topicName":"agent/x","qos":"3","payload":""}`, "InvalidArgumentsError", "Invalid QoS value: 3", "ServiceError", "'qos' not a valid value."},
		{`{"topicName":"agent/x","qos":"x","payload":""}`, "InvalidArgumentsError", "Invalid QoS value: x", "ServiceError", "Failed to parse 'qos' string value."},
		{`{"topicName":"agent/x","qos":1,"payload":""}`, "", "", "-", ""},
		{`{"topicName":"agent/x","qos":1.5,"payload":""}`, "", "", "ServiceError", "Key qos of invalid type."},
		{`{"topicName":"agent/x","qos":null,"payload":""}`, "InvalidArgumentsError", "QoS is required", "ServiceError", "Key qos of invalid type."},
		{`{"topicName":"agent/x","qos":"1","payload":"%"}`, "", "", "ServiceError", "'payload' is not valid base64."},
		{`{"topicName":"agent/x","qos":"1","payload":5}`, "", "", "ServiceError", bad},
		{`{"topicname":"agent/x","qos":"1","payload":""}`, "InvalidArgumentsError", "Topic is required", "ServiceError", bad},
		{`{"topicName":"agent/x","qos":"1","payload":"","unknown":[]}`, "-", "", "-", ""},
		{`{"topicName":"agent/?","qos":"1","payload":""}`, "-", "", "UnauthorizedError", "IPC Operation not authorized."},
		{`{"topicName":"agent/#","qos":"1","payload":""}`, "ServiceError",
			"Publish to topic agent/# failed: Publish topics must not contain wildcard characters of '#' or '+'", "-", ""},
	} {
		forBoth(t, func(t *testing.T, c *Core, k *Component) {
			p := dial(t, c, k)
			code, message := test.javaCode, test.javaMessage
			if c.lite() {
				code, message = test.liteCode, test.liteMessage
			}
			switch code {
			case "-":
				p.succeed("PublishToIoTCore", test.payload)
			case "":
				if m := p.call("PublishToIoTCore", test.payload); string(m.Payload) != "InternalServerError" {
					t.Errorf("%s answered by %s", test.payload, m.Payload)
				}
			default:
				p.refused("PublishToIoTCore", test.payload, code, message)
			}
		})
	}
}

func TestSubscribeRefusals(t *testing.T) {
	for _, test := range []struct {
		payload               string
		javaCode, javaMessage string
		liteCode, liteMessage string // "-": accepted
	}{
		{`{}`, "InvalidArgumentsError", "Topic is required", "ServiceError", "Received invalid parameters."},
		{`{"topicName":"agent/x"}`, "InvalidArgumentsError", "QoS is required", "-", ""},
		{`{"topicName":"agent/x","qos":"7"}`, "InvalidArgumentsError", "Invalid QoS value: 7", "ServiceError", "'qos' not a valid value."},
		{`{"topicName":"other","qos":"1"}`, "UnauthorizedError", "Not Authorized", "UnauthorizedError", "IPC Operation not authorized."},
		{`{"topicName":"agent/1/2/3/4/5/6/7/8","qos":"1"}`, "ServiceError",
			"Subscribe to topic agent/1/2/3/4/5/6/7/8 failed with error The request topic must have no more than 7 forward slashes (/)", "-", ""},
		{`{"topicName":"agent/#/x","qos":"1"}`, "ServiceError", "Subscribe to topic agent/#/x failed with error TOPIC_FILTER_INVALID", "-", ""},
		{`{"topicName":"agent/` + strings.Repeat("x", 251) + `","qos":"1"}`, "ServiceError",
			"Subscribe to topic agent/" + strings.Repeat("x", 251) + " failed with error The topic size of request must be no larger than 256 bytes of " +
				"UTF-8 encoded characters. This excludes the first 3 mandatory segments for Basic Ingest topics ($AWS/rules/rule-name/) " +
				"or first 2 mandatory segments for MQTT Shared Subscriptions ($share/share-name/)",
			"ServiceError", "Failed to bind the subscription."},
	} {
		forBoth(t, func(t *testing.T, c *Core, k *Component) {
			p := dial(t, c, k)
			switch {
			case !c.lite() && !strings.Contains(test.javaMessage, "TOPIC_FILTER_INVALID"):
				p.refused("SubscribeToIoTCore", test.payload, test.javaCode, test.javaMessage)
			case !c.lite():
				m := p.call("SubscribeToIoTCore", test.payload)
				want := map[string]any{
					"context": map[string]any{"reasonString": "", "reasonCode": "TOPIC_FILTER_INVALID"},
					"message": test.javaMessage, "_message": test.javaMessage,
					"_service": "aws.greengrass#GreengrassCoreIPC", "_errorCode": "ServiceError",
				}
				if diff := cmp.Diff(any(want), decodeJSON(t, string(m.Payload))); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			case test.liteCode == "-":
				p.subscribe("SubscribeToIoTCore", test.payload)
			default:
				p.refused("SubscribeToIoTCore", test.payload, test.liteCode, test.liteMessage)
			}
		})
	}
}

func TestMessageFromTheCloud(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		wide := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/#","qos":"1"}`)
		narrow := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"0"}`)
		p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/y","qos":"0"}`)
		messages := seen(c)
		c.Publish("agent/x", []byte(`{"a":"='<>&"}`))
		event := `{"message":{"topicName":"agent/x","payload":"eyJhIjoiPSc8PiYifQ=="}}`
		if !c.lite() {
			event = `{"message":{"topicName":"agent/x","payload":"eyJhIjoiPSc8PiYifQ==","retain":false,"payloadFormat":"0"}}`
		}
		p.event(wide, "IoTCoreMessage", event)
		p.event(narrow, "IoTCoreMessage", event)
		if diff := cmp.Diff([]string{"agent/x 13"}, messages()); diff != "" {
			t.Errorf("tap (-want +got):\n%s", diff)
		}
		c.DropSubscriptions()
		c.Publish("agent/x", nil)
		p.silent()
		p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"0"}`)
		c.Publish("agent/x", nil)
		if m := p.receive(); !strings.Contains(string(m.Payload), `"payload":""`) {
			t.Errorf("empty message: %s", m.Payload)
		}
	})
}

// The Java nucleus hands a message's MQTT 5 properties on.
func TestProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		stream := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`)
		p.succeed("PublishToIoTCore", publication("1", 0, `,"retain":true,"userProperties":[{"key":"k","value":"v"}],"messageExpiryIntervalSeconds":60,
			"correlationData":"YQ==","responseTopic":"r","payloadFormat":"1","contentType":"c"`))
		p.event(stream, "IoTCoreMessage", `{"message":{"topicName":"agent/x","payload":"","retain":false,"userProperties":[{"key":"k","value":"v"}],
			"messageExpiryIntervalSeconds":60,"correlationData":"YQ==","responseTopic":"r","payloadFormat":"1","contentType":"c"}}`)
	})
}

// What a device publishes on a reserved topic reaches no subscriber.
func TestReservedTopicsAreForServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, accessRecipe("*")))
		p.subscribe("SubscribeToIoTCore", `{"topicName":"$aws/#","qos":"1"}`)
		messages := seen(c)
		p.succeed("PublishToIoTCore", `{"topicName":"$aws/rules/r/a","qos":"1","payload":""}`)
		if diff := cmp.Diff([]string{"$aws/rules/r/a 0"}, messages()); diff != "" {
			t.Errorf("tap (-want +got):\n%s", diff)
		}
		p.silent()
	})
}

func TestSpooler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		c.SetOnline(false)
		p.refused("PublishToIoTCore", publication("0", 1), "ServiceError", "Publish to topic agent/x failed: Device is offline. Dropping QoS 0 message.")
		p.refused("PublishToIoTCore", publication("1", 131_073), "ServiceError",
			"Publish to topic agent/x failed: The publishing message size 131073 bytes exceeds the configured limit of 131072 bytes")
		for range 20 {
			p.succeed("PublishToIoTCore", publication("1", 131_072)) // 2,621,440 bytes
		}
		p.refused("PublishToIoTCore", publication("1", 1), "ServiceError", "Publish to topic agent/x failed: Message spool is full. Message could not be added.")
		if got := messages(); got != nil {
			t.Errorf("reached the cloud offline: %v", got)
		}
		c.SetOnline(true)
		if got := messages(); len(got) != 20 {
			t.Errorf("%d messages arrived", len(got))
		}
	})
}

func TestSpoolerGivesUpQoS0First(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		c.HoldAcknowledgements(true)
		for range 10 {
			p.succeed("PublishToIoTCore", publication("0", 131_072))
			p.succeed("PublishToIoTCore", publication("1", 131_071))
		}
		p.succeed("PublishToIoTCore", publication("1", 100)) // one QoS 0 message goes
		c.HoldAcknowledgements(false)
		if got := messages(); len(got) != 20 {
			t.Errorf("%d messages arrived, want 9 + 11", len(got))
		}

		c.HoldAcknowledgements(true)
		p.succeed("PublishToIoTCore", publication("0", 1))
		p.succeed("PublishToIoTCore", publication("1", 2))
		c.SetOnline(false)
		c.SetOnline(true)
		c.HoldAcknowledgements(false)
		if diff := cmp.Diff([]string{"agent/x 2"}, messages()); diff != "" {
			t.Errorf("after an interruption (-want +got):\n%s", diff)
		}
	})
}

func TestSpooledMessageExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		c.SetOnline(false)
		p.succeed("PublishToIoTCore", publication("1", 1, `,"messageExpiryIntervalSeconds":300`))
		p.succeed("PublishToIoTCore", publication("1", 2, `,"messageExpiryIntervalSeconds":301`))
		p.succeed("PublishToIoTCore", publication("1", 3))
		p.succeed("PublishToIoTCore", publication("1", 4, `,"messageExpiryIntervalSeconds":9223372036854775807`))
		time.Sleep(300 * time.Second)
		c.SetOnline(true)
		if diff := cmp.Diff([]string{"agent/x 2", "agent/x 3", "agent/x 4"}, messages()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// Offline the Java nucleus leaves a subscription unanswered, unless a wider one
// has been acknowledged.
func TestSubscribeOfflineJava(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/a/#","qos":"1"}`)
		c.SetOnline(false)
		p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/a/+","qos":"1"}`)
		waiting := p.request("SubscribeToIoTCore", `{"topicName":"agent/b","qos":"1"}`)
		given := p.request("SubscribeToIoTCore", `{"topicName":"agent/b","qos":"1"}`)
		p.silent()
		p.terminate(given)
		p.succeed("GetConfiguration", "{}") // nothing else waits
		c.SetOnline(true)
		if m := p.receive(); m.StreamID != waiting || m.Text("service-model-type") != "aws.greengrass#SubscribeToIoTCoreResponse" {
			t.Errorf("got %+v", m)
		}
		p.silent()
		c.Publish("agent/b", nil)
		if m := p.receive(); m.StreamID != waiting {
			t.Errorf("event on stream %d", m.StreamID)
		}
	})
}

func TestOfflineLite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		stream := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/#","qos":"1"}`)
		messages := seen(c)
		c.HoldAcknowledgements(true)
		p.succeed("PublishToIoTCore", publication("1", 1))
		c.SetOnline(false) // loses what is in flight
		c.HoldAcknowledgements(false)
		p.refused("PublishToIoTCore", publication("1", 2), "ServiceError", "Failed to publish the message.")
		p.refused("PublishToIoTCore", publication("0", 2), "ServiceError", "Failed to publish the message.")
		p.refused("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`, "ServiceError", "Failed to bind the subscription.")
		c.Publish("agent/x", nil)
		p.silent()
		c.SetOnline(true)
		p.succeed("PublishToIoTCore", publication("1", 3))
		if diff := cmp.Diff([]string{"agent/x 0", "agent/x 3"}, messages()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		p.event(stream, "IoTCoreMessage", `{"message":{"topicName":"agent/x","payload":"AAAA"}}`) // the subscription was renewed
	})
}

func TestLiteInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		publish := func(n, bytes int) (accepted int) {
			for range n {
				if m := p.call("PublishToIoTCore", publication("1", bytes)); m.Type == 0 {
					accepted++
				}
			}
			return accepted
		}
		hold := func(f func()) {
			c.HoldAcknowledgements(true)
			f()
			c.HoldAcknowledgements(false)
			messages()
		}
		hold(func() {
			if n := publish(40, 1); n != 10 {
				t.Errorf("%d of 40 accepted", n)
			}
			for range 200 {
				p.succeed("PublishToIoTCore", publication("0", 1))
			}
		})
		// The burst of the reference: three of 12 x 4,500 bytes, and each
		// refusal costs a record.
		hold(func() {
			if n := publish(10, 4_500); n != 3 {
				t.Errorf("%d of 10 x 4,500 bytes accepted", n)
			}
		})
		hold(func() {
			if n := publish(10, 1); n != 3 {
				t.Errorf("%d accepted with leaked records", n)
			}
		})
		c.SetOnline(false)
		c.SetOnline(true)
		hold(func() {
			if n := publish(11, 1); n != 10 {
				t.Errorf("%d accepted after a reconnect", n)
			}
		})
		if n := publish(40, 1); n == 0 {
			t.Error("nothing accepted while acknowledgements come")
		}
	})
}

func TestLiteLosesLongPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		stream := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`)
		c.Publish("agent/x", make([]byte, 4_990))
		p.silent()
		c.Publish("agent/x", make([]byte, 4_970))
		if m := p.receive(); m.StreamID != stream {
			t.Error("4,970 bytes did not arrive")
		}
	})
}

// A publish to a wildcard topic costs the device its connection for a while.
func TestLiteWildcardPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		p.succeed("PublishToIoTCore", `{"topicName":"agent/#","qos":"1","payload":""}`)
		p.refused("PublishToIoTCore", publication("1", 1), "ServiceError", "Failed to publish the message.")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		p.succeed("PublishToIoTCore", publication("1", 1))
	})
}
