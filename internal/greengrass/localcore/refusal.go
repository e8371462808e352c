package localcore

import "github.com/device-defender/device-defender/internal/greengrass/eventrpc"

// refusal is an operation's APPLICATION_ERROR. With an empty code it is what
// the Java nucleus sends after an unexpected exception: no JSON at all.
type refusal struct {
	code    string
	message string
	context map[string]string // of a Java ServiceError
}

func refuse(code, message string) *refusal { return &refusal{code: code, message: message} }

// internalServerError is Java's answer to a request that its JSON reader
// cannot map to the operation's shape.
var internalServerError = &refusal{}

// refusalMessage is the message of a refusal on a stream.
func (c *Core) refusalMessage(r *refusal, stream int32) *eventrpc.Message {
	m := &eventrpc.Message{Type: eventrpc.ApplicationError, Flags: eventrpc.TerminateStream, StreamID: stream}
	if r.code == "" {
		m.SetText(eventrpc.HeaderContentType, "text/plain")
		m.Payload = []byte("InternalServerError")
		return m
	}
	m.SetText(eventrpc.HeaderContentType, eventrpc.ContentTypeJSON)
	m.SetText(eventrpc.HeaderModelType, namespace+r.code)
	var body any
	if c.lite() {
		body = struct {
			Message string `json:"_message"`
			Code    string `json:"_errorCode"`
		}{r.message, r.code}
	} else {
		body = struct {
			Context map[string]string `json:"context,omitempty"`
			Plain   string            `json:"message,omitempty"`
			Service string            `json:"_service"`
			Message string            `json:"_message,omitempty"`
			Code    string            `json:"_errorCode"`
		}{r.context, r.message, namespace + "GreengrassCoreIPC", r.message, r.code}
	}
	m.Payload, _ = c.encode(body) // strings only: cannot fail
	return m
}
