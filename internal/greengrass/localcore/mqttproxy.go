package localcore

import (
	"strconv"

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
	payload, hasPayload := r.blob("payload")
	m.Payload = payload
	qos, hasQoS := r.text("qos"), r.present("qos")
	m.UserProperties, _ = member[[]any](r, "userProperties")
	m.CorrelationData, m.ResponseTopic = r.text("correlationData"), r.text("responseTopic")
	m.PayloadFormatIndicator = r.text("payloadFormat")
	m.Retain, _ = member[bool](r, "retain")
	if seconds, ok := r.integer("messageExpiryIntervalSeconds"); ok {
		m.MessageExpiry = &seconds
	}
	// The order of PublishToIoTCoreOperationHandler in MqttProxyIPCAgent.java.
	switch {
	case r.malformed():
		return nil, internalServerError
	case !r.present("topicName"):
		return nil, refuse(greengrass.InvalidArgumentsError, "Topic is required")
	case !r.authorized(mqttproxy, m.Topic):
		return nil, refuse(greengrass.UnauthorizedError, "Not Authorized")
	case !hasPayload:
		return nil, refuse(greengrass.InvalidArgumentsError, "Payload is required")
	}
	if refused := checkQoSJava(qos, hasQoS); refused != nil {
		return nil, refused
	}
	m.QoS = greengrass.QoS(qos)
	if problem := r.core.spool(m); problem != "" {
		return nil, refuse(greengrass.ServiceError, "Publish to topic "+m.Topic+" failed: "+problem)
	}
	return done{}, nil
}

// checkQoSJava is validateQoS of MqttProxyIPCAgent.java.
func checkQoSJava(qos string, present bool) *refusal {
	switch {
	case !present:
		return refuse(greengrass.InvalidArgumentsError, "QoS is required")
	case qos != "0" && qos != "1":
		return refuse(greengrass.InvalidArgumentsError, "Invalid QoS value: "+qos)
	}
	return nil
}

func publishLite(r *request, m *outgoing) (any, *refusal) {
	r.text("payload")
	if r.malformed() || !r.has("topicName") {
		return nil, r.badParameters()
	}
	qos, problem := liteQoS(r)
	m.QoS = qos
	if problem != "" {
		return nil, refuse(greengrass.ServiceError, problem)
	}
	m.Payload, _ = r.blob("payload")
	switch {
	case r.malformed():
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
		if r.malformed() || !r.has("topicName") {
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
	// The order of SubscribeToIoTCoreOperationHandler in MqttProxyIPCAgent.java.
	qos, hasQoS := r.text("qos"), r.present("qos")
	switch {
	case r.malformed():
		return nil, internalServerError
	case !r.present("topicName"):
		return nil, refuse(greengrass.InvalidArgumentsError, "Topic is required")
	case !r.authorized(mqttproxy, filter):
		return nil, refuse(greengrass.UnauthorizedError, "Not Authorized")
	}
	if refused := checkQoSJava(qos, hasQoS); refused != nil {
		return nil, refused
	}
	s.qos = greengrass.QoS(qos)
	const crtException = "java.util.concurrent.CompletionException: software.amazon.awssdk.crt.CrtRuntimeException: "
	failed := func(problem string) *refusal {
		return refuse(greengrass.ServiceError, "Subscribe to topic "+filter+" failed with error "+problem)
	}
	if problem := checkTopicJava(filter, false); problem != "" {
		return nil, failed("com.aws.greengrass.mqttclient.MqttRequestException: " + problem)
	}
	acknowledged := r.core.acknowledged(filter)
	switch cl := &r.core.cloud; {
	case acknowledged:
	case !validFilter(filter):
		return nil, failed(crtException + "Invalid mqtt5 subscribe packet options value. AWS_ERROR_MQTT5_SUBSCRIBE_OPTIONS_VALIDATION(5144)")
	case !cl.connected() && cl.onlineOnce:
		return nil, failed(crtException + "Mqtt5 operation failed due to a disconnection event in conjunction with the client's " +
			"offline queue retention policy. AWS_ERROR_MQTT5_OPERATION_FAILED_DUE_TO_OFFLINE_QUEUE_POLICY(5156)")
	}
	if !r.subscribe(s) {
		return nil, failed("too many subscriptions")
	}
	if !acknowledged && !r.core.cloud.connected() {
		s.answered = false // until the first connection of this nucleus' run
		return nil, nil
	}
	if !acknowledged {
		r.core.cloud.filters[filter] = s.qos
	}
	return done{}, nil
}

// acknowledged reports whether AWS IoT Core has acknowledged a filter that
// covers this one: the Java nucleus then subscribes no more, also while it is
// offline (MqttClient.findExistingSubscriberForTopic; run of 2.18).
func (c *Core) acknowledged(filter string) bool {
	for f := range c.cloud.filters {
		if covers(f, filter) {
			return true
		}
	}
	return false
}
