package awsrest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Error is an error of an API: its type, as in the header X-Amzn-ErrorType, and
// its HTTP status.
type Error struct {
	Type    string `json:"-"`
	Status  int    `json:"-"`
	Message string `json:"message"`
	// ResourceID and ResourceARN are members of ResourceAlreadyExistsException.
	ResourceID  string `json:"resourceId,omitempty"`
	ResourceARN string `json:"resourceArn,omitempty"`
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Invalid is an InvalidRequestException.
func Invalid(message string) error {
	return &Error{Type: "InvalidRequestException", Status: http.StatusBadRequest, Message: message}
}

// NotFound is a ResourceNotFoundException.
func NotFound(message string) error {
	return &Error{Type: "ResourceNotFoundException", Status: http.StatusNotFound, Message: message}
}

// VersionConflict is a VersionConflictException.
func VersionConflict(message string) error {
	return &Error{Type: "VersionConflictException", Status: http.StatusConflict, Message: message}
}

// LimitExceeded is a LimitExceededException, with the status that AWS IoT gives it.
func LimitExceeded(message string) error {
	return &Error{Type: "LimitExceededException", Status: http.StatusGone, Message: message}
}

// AlreadyExists is a ResourceAlreadyExistsException.
func AlreadyExists(message, id, arn string) error {
	return &Error{Type: "ResourceAlreadyExistsException", Status: http.StatusConflict, Message: message, ResourceID: id, ResourceARN: arn}
}

// Constraint says in AWS's words that a member's value is not as it must be.
func Constraint(member, value, must string) error {
	return Invalid(fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", Clip(value), member, must))
}

// Missing says in AWS's words that a required member is absent.
func Missing(member string) error {
	return Invalid(fmt.Sprintf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member))
}

// CheckOneOf checks the value of an enum.
func CheckOneOf(member, value string, values ...string) error {
	if !slices.Contains(values, value) {
		return Constraint(member, value, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
	return nil
}

// Clip bounds what is repeated of a request in an answer.
func Clip(text string) string {
	const most = 1024
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// toError returns the error as the API tells it: one of our own is an internal
// failure.
func toError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Type: "InternalFailureException", Status: http.StatusInternalServerError, Message: "internal failure, see the service's log"}
}

func writeError(w http.ResponseWriter, err error) {
	e := toError(err)
	w.Header().Set("X-Amzn-ErrorType", e.Type)
	writeJSON(w, e.Status, e)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"message":"encoding the answer failed"}`)
		w.Header().Set("X-Amzn-ErrorType", "InternalFailureException")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(data)
}
