package mqtt

import (
	"context"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/ingest"
)

const (
	// AWS's quotas of subscriptions of a request and a connection.
	maxFilters       = 8
	maxSubscriptions = 50
	// AWS's bounds of the keep-alive in seconds; a client that gives none has the largest.
	minKeepalive = 30
	maxKeepalive = 1200
	maxClientID  = 128
)

// hook is where the broker asks.
type hook struct {
	broker.HookBase
	server *Server
}

// ID names the hook.
func (*hook) ID() string { return "ingest" }

// Provides says which of the methods are there.
func (*hook) Provides(b byte) bool {
	switch b {
	case broker.OnPacketRead, broker.OnConnect, broker.OnConnectAuthenticate, broker.OnACLCheck, broker.OnPublish, broker.OnPacketSent, broker.OnWill, broker.OnClientExpired:
		return true
	}
	return false
}

// connOf returns the connection of a client; nil for the broker's own.
func connOf(cl *broker.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// OnPacketRead comes before anything is done with a packet. The broker heeds no error but
// ErrRejectPacket, which ends the connection.
func (h *hook) OnPacketRead(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, packets.ErrRejectPacket
	}
	if c.pace.Wait(h.server.ctx) != nil {
		return pk, packets.ErrRejectPacket // the server ends
	}
	switch pk.FixedHeader.Type {
	case packets.Connect:
		// No session outlives its connection, and no will is sent: the broker would send it
		// to whoever has subscribed to its topic, without asking whether the client may.
		pk.Connect.Clean = true
		pk.Connect.WillFlag, pk.Connect.WillRetain, pk.Connect.WillQos = false, false, 0
		pk.Connect.WillTopic, pk.Connect.WillPayload = "", nil
	case packets.Publish:
		if pk.FixedHeader.Qos > 1 {
			return h.refuse(cl, pk, packets.ErrQosNotSupported)
		}
		if !broker.IsValidFilter(pk.TopicName, true) { // which the broker would pass over without an answer
			return h.refuse(cl, pk, packets.ErrTopicNameInvalid)
		}
		pk.FixedHeader.Retain = false
	case packets.Subscribe:
		if len(pk.Filters) > maxFilters || cl.State.Subscriptions.Len()+len(pk.Filters) > maxSubscriptions {
			return h.refuse(cl, pk, packets.ErrQuotaExceeded)
		}
	}
	return pk, nil
}

// refuse ends the connection, and tells a client of MQTT 5 why.
func (h *hook) refuse(cl *broker.Client, pk packets.Packet, why packets.Code) (packets.Packet, error) {
	h.server.warn("MQTT connection ended", "thing", connOf(cl).thing, "reason", why.Reason)
	if cl.Properties.ProtocolVersion == 5 {
		_ = h.server.broker.DisconnectClient(cl, why) // its error is the reason
	} else {
		cl.Stop(why)
	}
	return pk, packets.ErrRejectPacket
}

// OnConnect finds out who the client is.
func (h *hook) OnConnect(cl *broker.Client, pk packets.Packet) error {
	c := connOf(cl)
	if c == nil {
		return packets.ErrNotAuthorized
	}
	refused := packets.ErrNotAuthorized
	if pk.ProtocolVersion < 5 {
		refused = packets.ErrBadUsernameOrPassword // which the broker writes as "not authorized" of 3.1.1
	}
	id := pk.Connect.ClientIdentifier
	if len(id) > maxClientID {
		refused = packets.ErrClientIdentifierNotValid
	} else if err := c.connect(h.server.ctx, id); err != nil {
		h.server.warn("MQTT client is not authorized", "remote", c.remote, "error", err)
	} else {
		// The broker tells sessions apart by this: those of other things are out of reach.
		cl.ID = c.thing + "/" + cl.ID
		keepalive := min(max(cl.State.Keepalive, minKeepalive), maxKeepalive)
		if cl.State.Keepalive == 0 {
			keepalive = maxKeepalive
		}
		cl.State.ServerKeepalive = keepalive != cl.State.Keepalive
		cl.State.Keepalive = keepalive
		return nil
	}
	_ = h.server.broker.SendConnack(cl, refused, false, nil) // the connection ends anyway
	return refused
}

// OnConnectAuthenticate comes after OnConnect, which has decided.
func (*hook) OnConnectAuthenticate(cl *broker.Client, _ packets.Packet) bool {
	c := connOf(cl)
	return c != nil && c.thing != ""
}

// OnACLCheck says whether a client may publish to a topic, or subscribe to a filter, or be
// sent a message.
func (h *hook) OnACLCheck(cl *broker.Client, topic string, write bool) bool {
	c := connOf(cl)
	if c == nil {
		return false
	}
	if c.owns(topic) {
		return true
	}
	h.server.warn("MQTT client is not authorized", "thing", c.thing, "topic", topic[:min(len(topic), 256)], "publish", write)
	c.event(detect.AuthorizationFailure, topic, 0)
	return false
}

// OnPublish takes what a client has published, before it is acknowledged. No message goes
// to another client: all that the broker sends comes from here.
func (h *hook) OnPublish(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	c := connOf(cl)
	if c == nil || !c.owns(pk.TopicName) {
		return pk, packets.ErrRejectPacket
	}
	c.event(detect.Publish, pk.TopicName, len(pk.Payload))
	topic, payload := "", []byte(nil)
	if thing, format, ok := report.ParseTopic(pk.TopicName); ok {
		var err error
		if topic, payload, err = h.report(c, thing, format, pk); err != nil {
			return h.refuse(cl, pk, packets.ErrServerBusy)
		}
	} else {
		topic, payload = answer(c.thing, pk.TopicName, pk.Payload, h.server.options.Now())
	}
	if topic != "" {
		// Its error would be of a topic or of the quota of the broker's own client.
		_ = h.server.broker.Publish(topic, payload, false, 0)
	}
	return pk, packets.CodeSuccessIgnore
}

// report takes a report and returns the reply. An error is that it must not be
// acknowledged.
func (h *hook) report(c *conn, thing string, format report.Format, pk packets.Packet) (topic string, payload []byte, err error) {
	if c.certificate != "" {
		// It may have been deleted since the client connected.
		if owner, _, err := c.whose(h.server.ctx, c.clientID); err != nil {
			return "", nil, err
		} else if owner != c.thing {
			return "", nil, ingest.ErrNotOwn
		}
	}
	// A report that is being stored is stored, also when the server ends.
	reply, err := h.server.options.Intake.Report(context.WithoutCancel(h.server.ctx), ingest.Report{
		Thing: thing, Identity: c.identity, Format: format, Payload: pk.Payload,
	})
	if err != nil && (pk.FixedHeader.Qos > 0 || reply.Status == "") {
		return "", nil, err
	}
	if reply.Status == report.Accepted {
		c.count()
	}
	// Of QoS 0 there is nothing to acknowledge, and the reply is all that can be said.
	topic, payload, err = ingest.Answer(reply, thing, format)
	if err != nil {
		return "", nil, nil // it is stored, but there is no reply to it
	}
	return topic, payload, nil
}

// OnPacketSent counts what a client was sent.
func (h *hook) OnPacketSent(cl *broker.Client, pk packets.Packet, _ []byte) {
	if c := connOf(cl); c != nil && pk.FixedHeader.Type == packets.Publish {
		c.event(detect.Deliver, pk.TopicName, len(pk.Payload))
	}
}

// OnWill comes when a connection ends without a DISCONNECT. There are no wills.
func (*hook) OnWill(*broker.Client, broker.Will) (broker.Will, error) { return broker.Will{}, nil }

// OnClientExpired comes when the broker forgets a client that ended before its CONNACK. It
// would keep its subscriptions.
func (h *hook) OnClientExpired(cl *broker.Client) { h.server.broker.UnsubscribeClient(cl) }
