package localcore

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
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

// The Java nucleus passes a message's MQTT 5 properties on.
func TestProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		p := dial(t, c, install(t, c, recipeYAML))
		stream := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`)
		p.succeed("PublishToIoTCore", publication("1", 0, `,"retain":true,"userProperties":[{"key":"k","value":"v"}],"messageExpiryIntervalSeconds":60,
			"correlationData":"YQ==","responseTopic":"r","payloadFormat":"1","contentType":"c"`))
		p.event(stream, "IoTCoreMessage", `{"message":{"topicName":"agent/x","payload":"","retain":true,"userProperties":[{"key":"k","value":"v"}],
			"messageExpiryIntervalSeconds":60,"correlationData":"YQ==","responseTopic":"r","payloadFormat":"1"}}`)
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

// The spooler never looks at a message's expiry: after an outage all of them
// come, in order (run of 2.18: 33 stale reports within 0.5 s).
func TestSpoolerIgnoresExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Reconnect: 45 * time.Second})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		c.SetOnline(false)
		p.succeed("PublishToIoTCore", publication("1", 1, `,"messageExpiryIntervalSeconds":1`))
		p.succeed("PublishToIoTCore", publication("1", 2))
		p.succeed("PublishToIoTCore", publication("1", 3, `,"messageExpiryIntervalSeconds":0`))
		time.Sleep(300 * time.Second)
		c.SetOnline(true)
		time.Sleep(44 * time.Second)
		if got := messages(); got != nil {
			t.Errorf("arrived before the nucleus had connected again: %v", got)
		}
		p.refused("PublishToIoTCore", publication("0", 4), "ServiceError", "Publish to topic agent/x failed: Device is offline. Dropping QoS 0 message.")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"agent/x 1", "agent/x 2", "agent/x 3"}, messages()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestSpoolerKeepsQoS0IfConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{KeepQoS0WhenOffline: true})
		p := dial(t, c, install(t, c, recipeYAML))
		messages := seen(c)
		c.HoldAcknowledgements(true)
		p.succeed("PublishToIoTCore", publication("0", 1))
		c.SetOnline(false)
		p.succeed("PublishToIoTCore", publication("0", 2))
		c.HoldAcknowledgements(false)
		c.SetOnline(true)
		if diff := cmp.Diff([]string{"agent/x 1", "agent/x 2"}, messages()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// Before its first connection the Java nucleus leaves a subscription
// unanswered. Later it refuses a new filter at once while it is offline, and
// accepts one that the broker has acknowledged, or a narrower one.
func TestSubscribeOfflineJava(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Offline: true})
		p := dial(t, c, install(t, c, recipeYAML))
		waiting := p.request("SubscribeToIoTCore", `{"topicName":"agent/a/#","qos":"1"}`)
		given := p.request("SubscribeToIoTCore", `{"topicName":"agent/b","qos":"1"}`)
		p.silent()
		p.terminate(given)
		p.succeed("GetConfiguration", "{}") // nothing else waits
		c.SetOnline(true)
		if m := p.receive(); m.StreamID != waiting || m.Text("service-model-type") != "aws.greengrass#SubscribeToIoTCoreResponse" {
			t.Errorf("got %+v", m)
		}
		p.silent()

		c.SetOnline(false)
		p.terminate(waiting) // the broker hears nothing of it
		again := p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/a/+","qos":"1"}`)
		if m := p.call("SubscribeToIoTCore", `{"topicName":"agent/b","qos":"1"}`); m.Text("service-model-type") != "aws.greengrass#ServiceError" {
			t.Errorf("a new filter answered by %s", m.Payload)
		}
		c.Publish("agent/a/x", []byte("kept by the broker")) // for the session
		c.Publish("agent/b", []byte("which knows no filter for this"))
		p.silent()
		c.SetOnline(true)
		if m := p.receive(); m.StreamID != again {
			t.Errorf("event on stream %d", m.StreamID)
		}
		p.silent()
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
