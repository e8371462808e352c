package greengrass

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// Codes of [Error]. Both nuclei have them, but InternalServerError, which is
// the Java nucleus' for what it could not read.
const (
	ServiceError                    = "ServiceError"
	UnauthorizedError               = "UnauthorizedError"
	ResourceNotFoundError           = "ResourceNotFoundError"
	InvalidArgumentsError           = "InvalidArgumentsError"
	ConflictError                   = "ConflictError"
	FailedUpdateConditionCheckError = "FailedUpdateConditionCheckError"
	InternalServerError             = "InternalServerError"
)

// maxErrorText bounds the text taken from an error's body, in bytes.
const maxErrorText = 1 << 10

// Error is a refusal by the nucleus. The connection lives on.
type Error struct {
	Operation string // such as "PublishToIoTCore"
	Code      string
	// Message is for people. It is empty where nucleus lite does not know the
	// operation.
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s: %s", e.Operation, e.Code)
	}
	return fmt.Sprintf("%s: %s: %s", e.Operation, e.Code, e.Message)
}

// IsCode reports whether err is a refusal by the nucleus with that code.
func IsCode(err error, code string) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == code
}

// newError reads an APPLICATION_ERROR. The code is in a header for modelled
// errors; the Java nucleus' others have neither the header nor, at times, JSON.
func newError(operation string, m *eventrpc.Message) *Error {
	var body map[string]any
	// What is not a JSON object is the text itself.
	_ = json.Unmarshal(m.Payload, &body)
	code, _ := body["_errorCode"].(string)
	text, ok := body["_message"].(string)
	if !ok {
		text, ok = body["message"].(string)
	}
	if !ok {
		text = string(m.Payload)
	}
	return &Error{
		Operation: operation,
		Code:      bounded(cmp.Or(shapeName(m.Text(eventrpc.HeaderModelType)), shapeName(code), InternalServerError)),
		Message:   bounded(text),
	}
}

// shapeName cuts the namespace off a shape's name.
func shapeName(s string) string { return s[strings.LastIndexByte(s, '#')+1:] }

func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxErrorText)], "")
}
