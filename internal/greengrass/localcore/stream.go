package localcore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// The bodies with which the engine inside the Java nucleus ends a connection
// (aws-c-event-stream, source/event_stream_rpc_server.c), its slips included.
const (
	errNotConnected     = `{ "message": "A CONNECT message must be received, and the CONNECT_ACK must be sent in response, before any other message-types can be sent on this connection. In addition, only one CONNECT message is allowed on a connection." }`
	errStreamIDGap      = `{ "message": "stream-id values must be monotonically incrementing. A new stream-id arrived that was incremented by more than 1." }`
	errStreamIDReused   = `{ "message": "stream-id values must be monotonically incrementing. A stream-id arrived that was lower than the last seen stream-id." }`
	errNoOperation      = `{ "message": "The first message for on a non-zero :stream-id must contain an operation header value."; }`
	errStreamIDRange    = `{ "message": "non-zero stream-id field is only allowed for messages of type APPLICATION_MESSAGE. The stream id max value is INT32_MAX." }`
	errMessageType      = `{ "message": "an invalid value for message-type field was received." }`
	errUnrecognizedType = `{ "error": "Unrecognized Message Type", "message": " message type value: %d is not recognized as a valid request path." }`
)

// receiveJava acts on a frame as the Java nucleus does.
func (conn *connection) receiveJava(m *eventrpc.Message) {
	switch {
	case conn.component == nil && m.Type != eventrpc.Connect:
		conn.protocolError(errNotConnected)
	case m.StreamID != 0:
		conn.receiveOnStream(m)
	case m.Type == eventrpc.Connect && conn.component == nil:
		conn.connectJava(m)
	case m.Type == eventrpc.Connect:
		conn.protocolError(errNotConnected)
	case m.Type == eventrpc.Ping:
		conn.answer(pong(m))
	case m.Type == eventrpc.PingResponse:
	case m.Type > eventrpc.PingResponse && m.Type <= eventrpc.InternalError:
		conn.connectionError(eventrpc.InternalError, fmt.Sprintf(errUnrecognizedType, int(m.Type)))
	default:
		conn.protocolError(errMessageType)
	}
}

// receiveOnStream is the strict half of the Java nucleus: new ids are the last
// one's plus one, and a finished stream bears nothing but another end.
func (conn *connection) receiveOnStream(m *eventrpc.Message) {
	_, live := conn.live[m.StreamID]
	switch {
	case m.Type > eventrpc.ApplicationError || m.Type < 0 || m.StreamID < 0:
		conn.protocolError(errStreamIDRange)
		return
	case m.StreamID <= conn.last && !live && !m.Terminates():
		conn.protocolError(errStreamIDReused)
		return
	case m.StreamID <= conn.last:
		// Further messages mean nothing to any operation here.
	case m.StreamID != conn.last+1:
		conn.protocolError(errStreamIDGap)
		return
	case m.Text(eventrpc.HeaderOperation) == "":
		conn.protocolError(errNoOperation)
		return
	default:
		conn.last = m.StreamID
		conn.live[m.StreamID] = struct{}{}
		conn.serve(m)
	}
	if m.Terminates() {
		conn.terminate(m.StreamID)
	}
}

// pong copies the client's own headers and the payload.
func pong(ping *eventrpc.Message) *eventrpc.Message {
	m := &eventrpc.Message{Type: eventrpc.PingResponse, Payload: ping.Payload}
	for _, h := range ping.Headers {
		if !strings.HasPrefix(h.Name, ":") {
			m.Headers = append(m.Headers, h)
		}
	}
	return m
}

func (conn *connection) protocolError(body string) {
	conn.connectionError(eventrpc.ProtocolError, body)
}

func (conn *connection) connectionError(t eventrpc.MessageType, body string) {
	m := &eventrpc.Message{Type: t, Payload: []byte(body)}
	m.SetText(eventrpc.HeaderContentType, eventrpc.ContentTypeJSON)
	conn.answer(m)
	conn.end(t.String(), "body", body)
}

// receiveLite acts on a frame as nucleus lite does: it minds neither the order
// nor the re-use of stream ids, but nothing may come on stream 0.
func (conn *connection) receiveLite(m *eventrpc.Message) {
	for _, h := range m.Headers {
		switch h.Value.(type) {
		case eventstream.StringValue, eventstream.Int32Value:
		default:
			conn.end("header of a type that nucleus lite does not know", "header", h.Name)
			return
		}
	}
	switch {
	case conn.component == nil:
		conn.connectLite(m)
	case m.StreamID == 0:
		conn.end("message on stream 0", "type", m.Type)
	case m.Terminates():
		conn.terminate(m.StreamID)
	case m.Type != eventrpc.ApplicationMessage || m.Flags&eventrpc.ConnectionAccepted != 0:
		conn.refuse(m.StreamID, refuse(greengrass.ServiceError, ""))
	default:
		conn.serve(m)
	}
}

// terminate forgets a stream of the client.
func (conn *connection) terminate(stream int32) {
	delete(conn.live, stream)
	conn.core.unsubscribe(func(s *subscription) bool { return s.conn == conn && s.stream == stream })
}

// serve answers the first message of a stream.
func (conn *connection) serve(m *eventrpc.Message) {
	c := conn.core
	name := m.Text(eventrpc.HeaderOperation)
	op, known := c.operations()[name]
	if !known {
		conn.refuseUnknown(m.StreamID, name)
		return
	}
	object, err := decodeObject(m.Payload)
	r := newRequest(c, object)
	r.conn, r.stream, r.operation = conn, m.StreamID, name
	switch {
	case c.lite() && (err != nil || tooDeep(object)):
		conn.refuse(m.StreamID, refuse(greengrass.ServiceError, ""))
		return
	case err != nil && slices.Contains([]string{"", "null"}, strings.TrimSpace(string(m.Payload))):
		if refused := nullRequest(name); refused != nil {
			conn.refuse(m.StreamID, refused)
			return
		}
	case err != nil:
		conn.refuse(m.StreamID, internalServerError)
		return
	}
	response, refused := op(r)
	switch {
	case refused != nil:
		conn.log.Debug("operation refused", "operation", name, "code", refused.code, "message", refused.message)
		conn.refuse(m.StreamID, refused)
	case response != nil:
		conn.respond(r, response)
	}
}

// respond sends an operation's response: on a subscription the stream goes on.
func (conn *connection) respond(r *request, response any) {
	m := &eventrpc.Message{StreamID: r.stream}
	streaming := strings.HasPrefix(r.operation, namespace+"Subscribe")
	if !streaming {
		m.Flags = conn.core.dialect.unaryFlags
	}
	m.SetText(eventrpc.HeaderContentType, eventrpc.ContentTypeJSON)
	if strings.HasPrefix(r.operation, namespace) { // lite's private ones have no model
		m.SetText(eventrpc.HeaderModelType, r.operation+"Response")
	}
	var err error
	m.Payload, err = conn.core.encode(response)
	if err != nil || !conn.answer(m) {
		conn.refuse(r.stream, refuse(greengrass.ServiceError, ""))
		return
	}
	if !streaming {
		delete(conn.live, r.stream)
	}
}

// refuse ends a stream with an error.
func (conn *connection) refuse(stream int32, r *refusal) {
	conn.answer(conn.core.refusalMessage(r, stream))
	delete(conn.live, stream)
}

// refuseUnknown refuses an operation that this nucleus does not have.
func (conn *connection) refuseUnknown(stream int32, name string) {
	short, ours := strings.CutPrefix(name, namespace)
	switch {
	case conn.core.lite():
		conn.refuse(stream, refuse(greengrass.ServiceError, ""))
	case ours && modelled[short]:
		conn.refuse(stream, refuse(greengrass.ServiceError, "Operation "+name+" is not supported by Greengrass"))
	default:
		m := &eventrpc.Message{Type: eventrpc.ApplicationError, Flags: eventrpc.TerminateStream, StreamID: stream}
		m.SetText(eventrpc.HeaderContentType, eventrpc.ContentTypeJSON)
		m.Payload = fmt.Appendf(nil, `{ "error": "Unsupported Operation", "message": "%s is an unsupported operation." }`, name)
		conn.answer(m)
		delete(conn.live, stream)
	}
}

// tooDeep reports whether nucleus lite's JSON reader gives up on v: over 255
// objects inside it or nested deeper than 15 (component SDK, gg/object.h).
func tooDeep(v map[string]any) bool {
	const maxObjects, maxDepth = 255, 15
	objects := 0
	var deep func(v any, depth int) bool
	deep = func(v any, depth int) bool {
		if depth > maxDepth || objects > maxObjects {
			return true
		}
		switch v := v.(type) {
		case map[string]any:
			objects += 2 * len(v)
			for _, e := range v {
				if deep(e, depth+1) {
					return true
				}
			}
		case []any:
			objects += len(v)
			for _, e := range v {
				if deep(e, depth+1) {
					return true
				}
			}
		}
		return objects > maxObjects
	}
	return deep(v, 1)
}
