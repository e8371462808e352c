package localcore

import (
	"errors"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const pubsub = "aws.greengrass.ipc.pubsub"

func publishToTopic(r *request) (any, *refusal) {
	topic := r.text("topic")
	event, wrong := readTopicMessage(r, topic)
	if r.core.lite() {
		switch {
		case r.malformed() || wrong || !r.has("topic"):
			return nil, r.badParameters()
		case !r.authorized(pubsub, topic):
			return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
		case topic == "" || len(topic) > maxTopic:
			return nil, refuse(greengrass.ServiceError, "Failed to publish the message.")
		}
	} else {
		// The order of PublishToTopicOperationHandler in PubSubIPCEventStreamAgent.java.
		switch {
		case r.malformed():
			return nil, internalServerError
		case r.present("topic") && !r.authorized(pubsub, topic): // no policy is asked about null
			return nil, r.unauthorized(pubsub, topic)
		case !r.present("publishMessage"):
			return nil, nullPointer("PublishMessage.selfDesignateSetUnionMember", "PublishToTopicRequest.getPublishMessage")
		case wrong: // Optional.of(null), whose exception has no text
			return nil, refuse(greengrass.ServiceError, "")
		case !r.present("topic"):
			return nil, refuse(greengrass.InvalidArgumentsError, "Publish topic must not be null")
		case strings.ContainsAny(topic, "+#*"):
			return nil, refuse(greengrass.InvalidArgumentsError, "Publish topic must not contain a wildcard.")
		}
	}
	for _, s := range r.core.subscriptions {
		if s.kind == toTopic && covers(s.filter, topic) && !(s.othersOnly && s.conn.component == r.component()) {
			s.event("SubscriptionResponseMessage", event)
		}
	}
	return done{}, nil
}

// topicMessage is a message on a local topic: one of its members.
type topicMessage struct {
	JSON   *topicContent `json:"jsonMessage,omitempty"`
	Binary *topicContent `json:"binaryMessage,omitempty"`
}

type topicContent struct {
	Message any                       `json:"message"`
	Context greengrass.MessageContext `json:"context"`
}

// readTopicMessage reads the message to publish. It reports a wrong number of
// messages on lite, and one without content on the Java nucleus, which accepts
// no message at all (run of 2.18).
func readTopicMessage(r *request, topic string) (event topicMessage, wrong bool) {
	publish, _ := r.inner("publishMessage")
	jsonMessage, hasJSON := publish.inner("jsonMessage")
	binaryMessage, hasBinary := publish.inner("binaryMessage")
	context := greengrass.MessageContext{Topic: topic}
	if hasJSON {
		message, ok := jsonMessage.object["message"]
		if !r.core.lite() { // the shape for it is a map
			message, ok = member[map[string]any](jsonMessage, "message")
			message = doubles(message)
		}
		wrong = !ok
		event.JSON = &topicContent{r.core.spell(message), context}
	}
	if hasBinary {
		message, ok := member[string](binaryMessage, "message")
		if !r.core.lite() { // which hands the text on, base64 or not (run of 2.6.0)
			binaryMessage.blob("message")
		}
		wrong = wrong || !ok
		event.Binary = &topicContent{message, context}
	}
	switch {
	case r.core.lite():
		wrong = wrong || hasJSON == hasBinary
	case hasJSON && hasBinary:
		r.fail(errors.New("a message that is both JSON and binary"))
	}
	return event, wrong
}

func subscribeToTopic(r *request) (any, *refusal) {
	topic := r.text("topic")
	s := &subscription{kind: toTopic, filter: topic}
	if r.core.lite() {
		switch {
		case r.malformed() || !r.has("topic"):
			return nil, r.badParameters()
		case !r.authorized(pubsub, topic):
			return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
		case topic == "" || len(topic) > maxTopic || !r.subscribe(s):
			return nil, refuse(greengrass.ServiceError, "Failed to bind subscription.")
		}
		return done{}, nil
	}
	// The order of SubscribeToTopicOperationHandler in PubSubIPCEventStreamAgent.java.
	switch greengrass.ReceiveMode(r.text("receiveMode")) {
	case greengrass.ReceiveFromOthers:
		s.othersOnly = true
	case greengrass.ReceiveAll:
	default:
		s.othersOnly = hasWildcard(topic)
	}
	switch {
	case r.malformed():
		return nil, internalServerError
	case !r.present("topic"):
		return nil, refuse(greengrass.InvalidArgumentsError, "Subscribe topic must not be empty")
	case !r.authorized(pubsub, topic):
		return nil, r.unauthorized(pubsub, topic)
	case !r.subscribe(s):
		return nil, refuse(greengrass.ServiceError, "too many subscriptions")
	}
	return done{}, nil
}
