package localcore

import (
	"fmt"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// refusal is an operation's APPLICATION_ERROR. With an empty code it is what
// the Java nucleus sends after an unexpected exception: no JSON at all.
type refusal struct {
	code    string
	message string
}

func refuse(code, message string) *refusal { return &refusal{code: code, message: message} }

// internalServerError is Java's answer to a request that its JSON reader
// cannot map to the operation's shape.
var internalServerError = &refusal{}

// The texts of the Java nucleus' null pointer exceptions, which ExceptionUtil
// sends as a ServiceError (run of 2.18 on JDK 17).
const javaModel = "software.amazon.awssdk.aws.greengrass.model."

// nullPointer is the refusal after a call on what another one returned.
func nullPointer(call, on string) *refusal {
	return refuse(greengrass.ServiceError,
		fmt.Sprintf(`Cannot invoke "%s%s()" because the return value of "%s%s()" is null`, javaModel, call, javaModel, on))
}

// nullRequests are the calls over which operations stumble if there is no
// request: an empty payload, or null. Others do not look at it.
var nullRequests = map[string]string{
	"GetConfiguration":               `GetConfigurationRequest.getComponentName()" because "request"`,
	"PublishToIoTCore":               `PublishToIoTCoreRequest.getTopicName()" because "request"`,
	"PublishToTopic":                 `PublishToTopicRequest.getTopic()" because "publishRequest"`,
	"SubscribeToConfigurationUpdate": `SubscribeToConfigurationUpdateRequest.getComponentName()" because "request"`,
	"UpdateState":                    `UpdateStateRequest.getState()" because "request"`,
}

// nullRequest is the refusal of a request that is null, or nil.
func nullRequest(operation string) *refusal {
	call, ok := nullRequests[strings.TrimPrefix(operation, namespace)]
	if !ok {
		return nil
	}
	return refuse(greengrass.ServiceError, `Cannot invoke "`+javaModel+call+" is null")
}

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
		message := &r.message
		if r.message == "" && r.code == greengrass.ServiceError { // of an exception without a text
			message = nil
		}
		body = struct {
			Plain   string  `json:"message,omitempty"`
			Service string  `json:"_service"`
			Message *string `json:"_message,omitempty"`
			Code    string  `json:"_errorCode"`
		}{r.message, namespace + "GreengrassCoreIPC", message, r.code}
	}
	m.Payload, _ = c.encode(body) // strings only: cannot fail
	return m
}
