package localcore

import (
	"slices"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// kind says what a subscription listens to.
type kind int

const (
	toIoTCore kind = iota
	toTopic
	toConfiguration
	toComponentUpdates
	toValidation
)

// subscription is one stream of events to a client.
type subscription struct {
	kind     kind
	conn     *connection
	request  *request
	answered bool // the response is queued: events may follow

	filter     string         // toIoTCore, toTopic
	qos        greengrass.QoS // toIoTCore, on the Java nucleus
	othersOnly bool           // toTopic: not the subscriber's own messages

	target *Component // toConfiguration: whose
	path   []string   // toConfiguration: below which key
	stream int32
}

// subscribe adds a subscription of the request's stream, answered at once by
// the caller. It reports false if the nucleus has no room for another one.
func (r *request) subscribe(s *subscription) bool {
	c := r.core
	local := 0
	for _, other := range c.subscriptions {
		if other.kind == toTopic {
			local++
		}
	}
	if len(c.subscriptions) >= c.dialect.maxSubscriptions || s.kind == toTopic && local >= c.dialect.maxLocal {
		return false
	}
	s.conn, s.request, s.stream, s.answered = r.conn, r, r.stream, true
	c.subscriptions = append(c.subscriptions, s)
	return true
}

// unsubscribe forgets the subscriptions that match, without an answer. The Java
// nucleus also unsubscribes at the broker, if it can, from the filters that
// nobody needs any more (MqttClient.unsubscribe).
func (c *Core) unsubscribe(match func(*subscription) bool) {
	c.subscriptions = slices.DeleteFunc(c.subscriptions, func(s *subscription) bool {
		if !match(s) {
			return false
		}
		if s.kind == toValidation {
			// Closing any of a component's registrations ends the validation.
			delete(c.validators, s.conn.component)
		}
		return true
	})
	if !c.cloud.connected() {
		return
	}
	for filter := range c.cloud.filters {
		if !slices.ContainsFunc(c.subscriptions, func(s *subscription) bool { return s.kind == toIoTCore && covers(filter, s.filter) }) {
			delete(c.cloud.filters, filter)
		}
	}
}

// event sends an event of the named shape.
func (s *subscription) event(shape string, body any) {
	m := &eventrpc.Message{StreamID: s.stream}
	m.SetText(eventrpc.HeaderContentType, eventrpc.ContentTypeJSON)
	m.SetText(eventrpc.HeaderModelType, namespace+shape)
	var err error
	if m.Payload, err = s.conn.core.encode(body); err != nil {
		s.conn.log.Error("cannot encode an event", "shape", shape, "error", err)
		return
	}
	s.conn.queue(m, true)
}
