package localcore

import (
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const pubsub = "aws.greengrass.ipc.pubsub"

func publishToTopic(r *request) (any, *refusal) {
	topic := r.text("topic")
	publish, _ := r.inner("publishMessage")
	jsonMessage, hasJSON := publish.inner("jsonMessage")
	binaryMessage, hasBinary := publish.inner("binaryMessage")
	event := greengrass.SubscriptionResponseMessage{}
	context := &greengrass.MessageContext{Topic: topic}
	if hasJSON {
		message, ok := jsonMessage.object["message"]
		// The Java nucleus' shape for it is a map.
		if _, isMap := message.(map[string]any); !ok || !isMap && !r.core.lite() {
			*r.malformed = true
		}
		raw, err := r.core.encode(r.core.spell(message))
		if err != nil {
			*r.malformed = true
		}
		event.JSONMessage = &greengrass.JSONMessage{Message: raw, Context: context}
	}
	if hasBinary {
		message, ok := binaryMessage.blob("message")
		if !ok {
			*r.malformed = true
		}
		event.BinaryMessage = &greengrass.BinaryMessage{Message: message, Context: context}
	}
	if r.core.lite() {
		switch {
		case *r.malformed || !r.has("topic") || hasJSON == hasBinary || len(topic) > maxTopic:
			return nil, r.badParameters()
		case !r.authorized(pubsub, topic):
			return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
		case topic == "":
			return nil, refuse(greengrass.ServiceError, "Failed to publish the message.")
		}
	} else {
		switch {
		case *r.malformed:
			return nil, internalServerError
		case topic == "":
			return nil, refuse(greengrass.InvalidArgumentsError, "Publish topic must not be null")
		case strings.ContainsAny(topic, "+#*"):
			return nil, refuse(greengrass.InvalidArgumentsError, "Publish topic must not contain a wildcard.")
		case hasJSON == hasBinary:
			return nil, refuse(greengrass.InvalidArgumentsError, "Publish message must be either JSON or binary")
		case !r.authorized(pubsub, topic):
			return nil, refuse(greengrass.UnauthorizedError, r.notAuthorized(pubsub, topic))
		}
	}
	for _, s := range r.core.subscriptions {
		if s.kind == toTopic && covers(s.filter, topic) && !(s.othersOnly && s.conn.component == r.component()) {
			s.event("SubscriptionResponseMessage", event)
		}
	}
	return done{}, nil
}

func subscribeToTopic(r *request) (any, *refusal) {
	topic := r.text("topic")
	s := &subscription{kind: toTopic, filter: topic}
	if r.core.lite() {
		switch {
		case *r.malformed || !r.has("topic"):
			return nil, r.badParameters()
		case !r.authorized(pubsub, topic):
			return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
		case len(topic) > maxTopic || !validFilter(topic) || !r.subscribe(s):
			return nil, refuse(greengrass.ServiceError, "Failed to bind subscription.")
		}
		return done{}, nil
	}
	if topic == "" {
		topic = r.text("topicName") // the model's deprecated name
		s.filter = topic
	}
	switch greengrass.ReceiveMode(r.text("receiveMode")) {
	case greengrass.ReceiveFromOthers:
		s.othersOnly = true
	case greengrass.ReceiveAll:
	default:
		s.othersOnly = hasWildcard(topic)
	}
	switch {
	case *r.malformed:
		return nil, internalServerError
	case topic == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "Subscribe topic must not be empty")
	case !r.authorized(pubsub, topic):
		return nil, refuse(greengrass.UnauthorizedError, r.notAuthorized(pubsub, topic))
	case !r.subscribe(s):
		return nil, refuse(greengrass.ServiceError, "too many subscriptions")
	}
	return done{}, nil
}
