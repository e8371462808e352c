package localcore

import (
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const (
	mqttproxy         = "aws.greengrass.ipc.mqttproxy"
	liteNotAuthorized = "IPC Operation not authorized."
	// maxTopic is nucleus lite's cap on a topic or filter, in bytes.
	maxTopic = 256
)

func publishToIoTCore(r *request) (any, *refusal) {
	m := &outgoing{Message: Message{Topic: r.text("topicName"), Component: r.component().name}}
	if r.core.lite() {
		return publishLite(r, m)
	}
	var hasPayload bool
	m.Payload, hasPayload = r.blob("payload")
	qos := r.text("qos")
	m.UserProperties, _ = member[[]any](r, "userProperties")
	m.CorrelationData, m.ResponseTopic, m.ContentType = r.text("correlationData"), r.text("responseTopic"), r.text("contentType")
	m.PayloadFormatIndicator = r.text("payloadFormat")
	if seconds, ok := member[int64](r, "messageExpiryIntervalSeconds"); ok {
		m.MessageExpiry = &seconds
		// MQTT's interval has 32 bits.
		m.expires = time.Now().Add(time.Duration(max(0, min(seconds, 1<<32-1))) * time.Second)
	}
	switch {
	case *r.malformed:
		return nil, internalServerError
	case m.Topic == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "Topic is required")
	case !r.authorized(mqttproxy, m.Topic):
		return nil, refuse(greengrass.UnauthorizedError, "Not Authorized")
	case !hasPayload:
		return nil, refuse(greengrass.InvalidArgumentsError, "Payload is required")
	case qos == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "QoS is required")
	case qos != "0" && qos != "1":
		return nil, refuse(greengrass.InvalidArgumentsError, "Invalid QoS value: "+qos)
	}
	m.QoS = greengrass.QoS(qos)
	problem := checkTopicJava(m.Topic, true)
	if problem == "" {
		problem = r.core.spool(m)
	}
	if problem != "" {
		return nil, refuse(greengrass.ServiceError, "Publish to topic "+m.Topic+" failed: "+problem)
	}
	return done{}, nil
}

func publishLite(r *request, m *outgoing) (any, *refusal) {
	r.text("payload")
	if *r.malformed || !r.has("topicName") {
		return nil, r.badParameters()
	}
	qos, problem := liteQoS(r)
	m.QoS = qos
	if problem != "" {
		return nil, refuse(greengrass.ServiceError, problem)
	}
	m.Payload, _ = r.blob("payload")
	switch {
	case *r.malformed:
		return nil, refuse(greengrass.ServiceError, "'payload' is not valid base64.")
	case !r.authorized(mqttproxy, m.Topic):
		return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
	case !r.core.transmit(m):
		return nil, refuse(greengrass.ServiceError, "Failed to publish the message.")
	}
	return done{}, nil
}

// liteQoS reads the quality of service as nucleus lite does: a string or a
// number, 0 if absent. It returns what is wrong with it, or "".
func liteQoS(r *request) (qos greengrass.QoS, problem string) {
	var n int64
	switch v := r.object["qos"].(type) {
	case nil:
		if r.has("qos") {
			return "", "Key qos of invalid type."
		}
	case int64:
		n = v
	case string:
		var err error
		if n, err = strconv.ParseInt(v, 10, 64); err != nil {
			return "", "Failed to parse 'qos' string value."
		}
	default:
		return "", "Key qos of invalid type."
	}
	if n < 0 || n > 2 {
		return "", "'qos' not a valid value."
	}
	return greengrass.QoS(strconv.FormatInt(n, 10)), ""
}

func subscribeToIoTCore(r *request) (any, *refusal) {
	filter := r.text("topicName")
	s := &subscription{kind: toIoTCore, filter: filter}
	if r.core.lite() {
		if *r.malformed || !r.has("topicName") {
			return nil, r.badParameters()
		}
		if _, problem := liteQoS(r); problem != "" {
			return nil, refuse(greengrass.ServiceError, problem)
		}
		if !r.authorized(mqttproxy, filter) {
			return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
		}
		if !r.core.cloud.connected() || filter == "" || len(filter) > maxTopic || !r.subscribe(s) {
			return nil, refuse(greengrass.ServiceError, "Failed to bind the subscription.")
		}
		return done{}, nil
	}
	qos := r.text("qos")
	failed := "Subscribe to topic " + filter + " failed with error "
	switch {
	case *r.malformed:
		return nil, internalServerError
	case filter == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "Topic is required")
	case !r.authorized(mqttproxy, filter):
		return nil, refuse(greengrass.UnauthorizedError, "Not Authorized")
	case qos == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "QoS is required")
	case qos != "0" && qos != "1":
		return nil, refuse(greengrass.InvalidArgumentsError, "Invalid QoS value: "+qos)
	}
	if problem := checkTopicJava(filter, false); problem != "" {
		return nil, refuse(greengrass.ServiceError, failed+problem)
	}
	if !validFilter(filter) { // AWS IoT Core's SUBACK
		refused := refuse(greengrass.ServiceError, failed+"TOPIC_FILTER_INVALID")
		refused.context = map[string]string{"reasonString": "", "reasonCode": "TOPIC_FILTER_INVALID"}
		return nil, refused
	}
	acknowledged := r.core.cloud.connected() || r.core.acknowledged(filter)
	if !r.subscribe(s) {
		return nil, refuse(greengrass.ServiceError, failed+"too many subscriptions")
	}
	if !acknowledged {
		s.answered = false // until the core is online
		return nil, nil
	}
	return done{}, nil
}

// acknowledged reports whether AWS IoT Core has taken a filter that covers
// this one: the Java nucleus then asks no more.
func (c *Core) acknowledged(filter string) bool {
	for _, s := range c.subscriptions {
		if s.kind == toIoTCore && s.answered && covers(s.filter, filter) {
			return true
		}
	}
	return false
}
