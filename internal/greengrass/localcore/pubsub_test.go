package localcore

import (
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestLocalTopics(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		other := install(t, c, strings.ReplaceAll(recipeYAML, "com.example.agent", "com.example.other"))
		p, q := dial(t, c, k), dial(t, c, other)
		own := p.subscribe("SubscribeToTopic", `{"topic":"a/b"}`)
		wide := p.subscribe("SubscribeToTopic", `{"topic":"a/#"}`)
		all := p.subscribe("SubscribeToTopic", `{"topic":"a/+","receiveMode":"RECEIVE_ALL_MESSAGES"}`)
		others := p.subscribe("SubscribeToTopic", `{"topic":"a/b","receiveMode":"RECEIVE_MESSAGES_FROM_OTHERS"}`)

		const message = `{"topic":"a/b","publishMessage":{"jsonMessage":{"message":{"k":[1,2.5,null,"<=>"]}}}}`
		const event = `{"jsonMessage":{"message":{"k":[1,2.5,null,"<=>"]},"context":{"topic":"a/b"}}}`
		q.succeed("PublishToTopic", message)
		for _, stream := range []int32{own, wide, all, others} {
			p.event(stream, "SubscriptionResponseMessage", event)
		}
		// Oneself: the Java nucleus hears the mode, nucleus lite does not.
		response := p.request("PublishToTopic", message)
		hears := []int32{own, all}
		if c.lite() {
			hears = []int32{own, wide, all, others}
		}
		for _, stream := range hears {
			p.event(stream, "SubscriptionResponseMessage", event)
		}
		p.event(response, "PublishToTopicResponse", "{}")
		q.succeed("PublishToTopic", `{"topic":"c","publishMessage":{"binaryMessage":{"message":""}}}`)
		p.silent()
	})
}

func TestLocalTopicsNeedAccess(t *testing.T) {
	recipe := strings.Replace(recipeYAML, `resources: ["*"]`, `resources: ["a/*", "b/+"]`, 1)
	for _, nucleusCase := range []struct {
		topic   string
		allowed bool
	}{{"a/x/y", true}, {"b/+", true}, {"b/x", false}, {"c", false}} {
		forBoth(t, func(t *testing.T, c *Core, _ *Component) {
			k := install(t, c, strings.ReplaceAll(recipe, "com.example.agent", "com.example.narrow"))
			p := dial(t, c, k)
			request := `{"topic":"` + nucleusCase.topic + `"}`
			if nucleusCase.allowed {
				p.subscribe("SubscribeToTopic", request)
				return
			}
			message := "Principal com.example.narrow is not authorized to perform aws.greengrass.ipc.pubsub:aws.greengrass#SubscribeToTopic on resource " + nucleusCase.topic
			if c.lite() {
				message = "IPC Operation not authorized."
			}
			p.refused("SubscribeToTopic", request, "UnauthorizedError", message)
			if m := p.call("PublishToTopic", `{"topic":"`+nucleusCase.topic+`","publishMessage":{"binaryMessage":{"message":""}}}`); m.Type != eventrpc.ApplicationError {
				t.Errorf("publish to %s allowed", nucleusCase.topic)
			}
		})
	}
}
