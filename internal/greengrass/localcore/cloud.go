package localcore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const (
	// The Java nucleus' spooler (MqttClient.java, Spool.java): payload bytes.
	spoolBytes      = 2_621_440
	maxPayloadBytes = 131_072
	// spoolMessages and maxStored are this package's own bounds on what costs
	// nothing there: messages without a payload, and those that wait in AWS IoT
	// Core.
	spoolMessages = 50_000
	maxStored     = 1_000

	// What nucleus lite leaves unacknowledged for the whole device (mqtt.c).
	liteInFlight      = 10
	liteInFlightBytes = 15_000
	// liteUnsent bounds QoS 0 messages that the MQTT socket has not taken.
	liteUnsent = 1_000
	// liteMaxPacket is the longest MQTT packet that nucleus lite lets the
	// broker send (mqtt.c, IOTCORED_NETWORK_BUFFER_SIZE).
	liteMaxPacket = 5_000
	// liteReconnect is nucleus lite's first pause after a lost connection.
	liteReconnect = 5 * time.Second
)

// Message is an MQTT message that has reached the cloud, or comes from it.
type Message struct {
	Topic     string
	Payload   []byte
	QoS       greengrass.QoS
	Component string // who published it; "" if it is the cloud's own
}

// outgoing is a message on its way to the cloud.
type outgoing struct {
	Message
	properties
}

// properties are the parts of a message that the Java nucleus passes on. It
// drops contentType (MqttProxyIPCAgent.java; run of 2.18). The expiry is for the
// broker: the spooler ignores it (MqttClient.java, Spool.java; run of 2.18).
type properties struct {
	Retain                 bool   `json:"retain"`
	UserProperties         []any  `json:"userProperties,omitempty"`
	MessageExpiry          *int64 `json:"messageExpiryIntervalSeconds,omitempty"`
	CorrelationData        string `json:"correlationData,omitempty"`
	ResponseTopic          string `json:"responseTopic,omitempty"`
	PayloadFormatIndicator string `json:"payloadFormat"`
}

// cloud is the core's MQTT connection and what waits to go through it. All is
// guarded by Core.mu.
type cloud struct {
	offline      bool // no network, by SetOnline
	reconnecting bool // there is a network, but no connection yet
	attempt      int  // counts the changes of both
	onlineOnce   bool // since the nucleus started
	holding      bool // the broker acknowledges nothing
	queue        []*outgoing
	queued       int // bytes of payload in queue
	leaked       int // records that nucleus lite lost until it reconnects
	wake         chan struct{}

	// filters are what the broker has acknowledged to the Java nucleus: they
	// outlive their subscribers while it is offline. stored is what the broker
	// keeps for the session meanwhile.
	filters map[string]greengrass.QoS
	stored  []*outgoing

	taps     []func(Message)
	defender func(Message) []Message
	rejects  *rejection
}

func (cl *cloud) connected() bool { return !cl.offline && !cl.reconnecting }

// keeps reports whether the broker keeps a message with this topic for the Java
// nucleus' session, which lasts seven days (AwsIotMqtt5Client.java; run of 2.18:
// only of filters with QoS 1).
func (cl *cloud) keeps(topic string) bool {
	for filter, qos := range cl.filters {
		if qos == greengrass.AtLeastOnce && matchTopic(filter, topic) {
			return true
		}
	}
	return false
}

func (cl *cloud) add(m *outgoing) {
	cl.queue = append(cl.queue, m)
	cl.queued += len(m.Payload)
	notify(cl.wake)
}

// drop removes the messages that match.
func (cl *cloud) drop(match func(*outgoing) bool) {
	cl.queue = slices.DeleteFunc(cl.queue, func(m *outgoing) bool {
		if !match(m) {
			return false
		}
		cl.queued -= len(m.Payload)
		return true
	})
}

// inFlight is what waits at one quality of service.
func (cl *cloud) inFlight(qos greengrass.QoS) (bytes, messages int) {
	for _, m := range cl.queue {
		if m.QoS == qos {
			bytes += len(m.Payload)
			messages++
		}
	}
	return bytes, messages
}

// spool takes a message as the Java nucleus does (MqttClient.publish, Spool;
// run of 2.18). It returns the reason of a refusal, or "".
func (c *Core) spool(m *outgoing) string {
	cl := &c.cloud
	full := func() bool { return cl.queued+len(m.Payload) > spoolBytes || len(cl.queue) >= spoolMessages }
	if len(m.Payload) > maxPayloadBytes {
		return fmt.Sprintf("The publishing message size %d bytes exceeds the configured limit of %d bytes", len(m.Payload), maxPayloadBytes)
	}
	if problem := checkTopicJava(m.Topic, true); problem != "" {
		return problem
	}
	if m.QoS == greengrass.AtMostOnce && !cl.connected() && !c.opts.KeepQoS0WhenOffline {
		return "Device is offline. Dropping QoS 0 message."
	}
	cl.drop(func(old *outgoing) bool { return full() && old.QoS == greengrass.AtMostOnce })
	if full() {
		return "Message spool is full. Message could not be added."
	}
	cl.add(m)
	return ""
}

// transmit takes a message as nucleus lite does, and reports whether.
func (c *Core) transmit(m *outgoing) bool {
	cl := &c.cloud
	bytes, messages := cl.inFlight(m.QoS)
	switch {
	case !cl.connected() || m.Topic == "":
		return false
	case hasWildcard(m.Topic):
		c.loseConnection()
		return true
	case m.QoS == greengrass.AtMostOnce:
		if messages >= liteUnsent {
			return false
		}
	case messages+cl.leaked >= liteInFlight:
		return false
	case bytes+len(m.Payload) > liteInFlightBytes:
		// A defect of lite 2.6.0: each refusal for lack of bytes loses one of
		// the records of messages in flight.
		cl.leaked++
		return false
	}
	cl.add(m)
	return true
}

// loseConnection is the broker's answer to a publish on a wildcard topic.
func (c *Core) loseConnection() {
	c.log.Warn("the broker dropped the device's MQTT connection: publish to a topic with a wildcard")
	c.disconnect()
	c.reconnect(liteReconnect)
}

// disconnect ends the MQTT connection, if there is one. Lite will start a new
// session, which loses what was in flight (mqtt.c); the Java nucleus keeps what
// it has spooled, but QoS 0 only if it is configured to.
func (c *Core) disconnect() {
	c.tell(false)
	cl := &c.cloud
	cl.attempt++
	cl.leaked = 0
	cl.drop(func(m *outgoing) bool {
		return c.lite() || m.QoS == greengrass.AtMostOnce && !c.opts.KeepQoS0WhenOffline
	})
}

// reconnect brings the connection back after a pause.
func (c *Core) reconnect(pause time.Duration) {
	cl := &c.cloud
	cl.attempt++
	cl.reconnecting = pause > 0
	if pause <= 0 {
		c.connected()
		return
	}
	attempt := cl.attempt
	time.AfterFunc(pause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if cl.attempt == attempt {
			cl.reconnecting = false
			c.connected()
		}
	})
}

// connected lets what waited go on.
func (c *Core) connected() {
	cl := &c.cloud
	cl.onlineOnce = true
	c.tell(cl.connected())
	for _, s := range c.subscriptions {
		if !s.answered {
			s.answered = true
			cl.filters[s.filter] = s.qos
			s.conn.respond(s.request, done{})
		}
	}
	stored := cl.stored
	cl.stored = nil
	for _, m := range stored {
		c.deliver(m)
	}
	notify(cl.wake)
}

// carry takes messages to the cloud, in order, until ctx ends.
func (c *Core) carry(ctx context.Context) {
	for {
		c.mu.Lock()
		var m *outgoing
		if cl := &c.cloud; cl.connected() && !cl.holding && len(cl.queue) > 0 {
			m = cl.queue[0]
		}
		c.mu.Unlock()
		if m == nil {
			select {
			case <-c.cloud.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		c.arrive(m)
		c.mu.Lock()
		if q := c.cloud.queue; len(q) > 0 && q[0] == m { // else dropped meanwhile
			q[0] = nil
			c.cloud.queue = q[1:]
			c.cloud.queued -= len(m.Payload)
		}
		c.mu.Unlock()
	}
}

// arrive handles a message in the cloud: it is seen, answered if it is a
// Defender report, and brought to the device's subscribers.
func (c *Core) arrive(m *outgoing) {
	c.observe(m.Message)
	switch {
	case isReport(m.Topic):
		for _, reply := range c.answerReport(m.Message) {
			c.Publish(reply.Topic, reply.Payload)
		}
	case strings.HasPrefix(m.Topic, "$aws/"):
		// Reserved topics end in a service of AWS.
	default:
		c.receive(m)
	}
}

func (c *Core) observe(m Message) {
	c.mu.Lock()
	taps := c.cloud.taps
	c.mu.Unlock()
	for _, tap := range taps {
		tap(m)
	}
}

// Publish brings a message from the cloud to the components subscribed to its
// topic, and to the taps. While the core is offline nucleus lite loses it; the
// Java nucleus gets it when it has connected again.
func (c *Core) Publish(topic string, payload []byte) {
	m := &outgoing{Message: Message{Topic: topic, Payload: payload, QoS: greengrass.AtLeastOnce}}
	c.observe(m.Message)
	c.receive(m)
}

// Tap calls f with each message that reaches the cloud or comes from it, from
// then on. The calls come from more than one goroutine; while one lasts, the
// message counts as not acknowledged.
func (c *Core) Tap(f func(Message)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.taps = append(slices.Clip(c.cloud.taps), f)
}

// receive handles a message for the device.
func (c *Core) receive(m *outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := &c.cloud
	switch n := packetSize(m.Topic, m.Payload); {
	case c.lite() && n > liteMaxPacket:
		c.log.Warn("message from the cloud dropped: longer than nucleus lite takes", "topic", m.Topic, "bytes", n, "limit", liteMaxPacket)
	case cl.connected():
		c.deliver(m)
	case cl.keeps(m.Topic) && m.QoS == greengrass.AtLeastOnce && len(cl.stored) < maxStored:
		cl.stored = append(cl.stored, m)
	default:
		c.log.Debug("message from the cloud lost: offline", "topic", m.Topic)
	}
}

// deliver brings a message to the subscribers of its topic.
func (c *Core) deliver(m *outgoing) {
	event := c.iotCoreMessage(m)
	for _, s := range c.subscriptions {
		if s.kind == toIoTCore && s.answered && matchTopic(s.filter, m.Topic) {
			s.event("IoTCoreMessage", event)
		}
	}
}

// packetSize is the size of an MQTT 5 PUBLISH packet with QoS 1 and without
// properties.
func packetSize(topic string, payload []byte) int {
	remaining := 2 + len(topic) + 2 + 1 + len(payload)
	size := 1 + remaining
	for n := remaining; n > 0; n >>= 7 {
		size++
	}
	return size
}

// iotCoreMessage is the event of a message: lite tells topic and payload only.
func (c *Core) iotCoreMessage(m *outgoing) any {
	if c.lite() {
		var e greengrass.IoTCoreMessage
		e.Message.TopicName, e.Message.Payload = m.Topic, m.Payload
		if e.Message.Payload == nil {
			e.Message.Payload = []byte{}
		}
		return e
	}
	type message struct {
		TopicName string `json:"topicName"`
		Payload   []byte `json:"payload"`
		properties
	}
	p := m.properties
	if p.PayloadFormatIndicator == "" {
		p.PayloadFormatIndicator = "0"
	}
	return map[string]any{"message": message{m.Topic, append([]byte{}, m.Payload...), p}}
}
