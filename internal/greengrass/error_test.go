package greengrass

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestCapturedErrors(t *testing.T) {
	tests := map[string]Error{
		"lite/error-resource-not-found":              {Code: ResourceNotFoundError, Message: "Key not found."},
		"lite/error-unauthorized":                    {Code: UnauthorizedError, Message: "IPC Operation not authorized."},
		"lite/error-invalid-arguments":               {Code: InvalidArgumentsError, Message: "Received invalid parameters."},
		"lite/error-service-error-update-state":      {Code: ServiceError, Message: "Failed to update the lifecycle state."},
		"lite/error-service-error-unknown-operation": {Code: ServiceError},
		"lite/error-unauthorized-token-validation":   {Code: UnauthorizedError, Message: "Component does not have access to token verification IPC command."},
		"crt/error-resource-not-found":               {Code: ResourceNotFoundError, Message: "Key not found"},
		"crt/error-resource-not-found-spaced-json":   {Code: ResourceNotFoundError, Message: "Key not found"},
		"crt/error-unauthorized":                     {Code: UnauthorizedError, Message: "Not Authorized"},
		"crt/error-failed-update-condition-check":    {Code: FailedUpdateConditionCheckError, Message: "Proposed timestamp is older than the config's latest modified timestamp"},
		"crt/error-service-error-defer-too-late":     {Code: ServiceError, Message: "Time limit to respond to PreComponentUpdateEvent exceeded"},
		"crt/error-unauthorized-component-metric":    {Code: UnauthorizedError, Message: "Principal com.example.agent is not authorized to perform aws.greengrass.ipc.componentmetric:aws.greengrass#PutComponentMetric "},
		"crt/error-service-error-not-supported":      {Code: ServiceError, Message: "Operation aws.greengrass#GetSecretValue is not supported by Greengrass"},
		"crt/error-unmodelled-text-plain":            {Code: InternalServerError, Message: "InternalServerError"},
		"crt/error-unsupported-operation-json":       {Code: InternalServerError, Message: "aws.greengrass#NoSuchOperation is an unsupported operation."},
		"crt/error-service-error-offline-qos0":       {Code: ServiceError, Message: "Publish to topic agent/x failed: Device is offline. Dropping QoS 0 message."},
	}
	for name, v := range vectors(t) {
		m := v.message(t)
		want, ok := tests[name]
		if ok != (m.Type == eventrpc.ApplicationError) {
			t.Errorf("%s: expected: %v, is a %v", name, ok, m.Type)
		}
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, n := connected(t)
			use(t, c, n, m.StreamID)
			go func() { n.request("UpdateState"); n.nc.Write(v.frame(t)) }()
			err := c.UpdateState(t.Context(), UpdateStateRequest{State: StateErrored})
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an *Error", err)
			}
			want.Operation = "UpdateState"
			if d := cmp.Diff(want, *got); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
			if c.Err() != nil {
				t.Errorf("connection ended: %v", c.Err())
			}
		})
	}
}

func TestErrorByHeaderAndBody(t *testing.T) {
	tests := []struct{ name, model, body, code, message string }{
		{"header before body", "aws.greengrass#ConflictError", `{"_errorCode":"ServiceError","_message":"m"}`, "ConflictError", "m"},
		{"body without header", "", `{"_errorCode":"ServiceError","_message":"m"}`, "ServiceError", "m"},
		{"_message before message", "", `{"message":"no","_message":"yes"}`, "InternalServerError", "yes"},
		{"message", "", `{"message":"m"}`, "InternalServerError", "m"},
		{"neither", "", `{"reason":1}`, "InternalServerError", `{"reason":1}`},
		{"other types", "", `{"_errorCode":7,"_message":null,"message":["x"]}`, "InternalServerError", `{"_errorCode":7,"_message":null,"message":["x"]}`},
		{"no object", "", `"text"`, "InternalServerError", `"text"`},
		{"no JSON", "", "oops", "InternalServerError", "oops"},
		{"nothing", "", "", "InternalServerError", ""},
		{"empty shape name", "aws.greengrass#", `{"_errorCode":"x#ServiceError"}`, "ServiceError", `{"_errorCode":"x#ServiceError"}`},
		{"long text", "aws.greengrass#ServiceError", strings.Repeat("x", 5000), "ServiceError", strings.Repeat("x", 1024)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := &eventrpc.Message{Type: eventrpc.ApplicationError, Payload: []byte(test.body)}
			if test.model != "" {
				m.SetText(eventrpc.HeaderModelType, test.model)
			}
			if d := cmp.Diff(&Error{"Op", test.code, test.message}, newError("Op", m)); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	full := &Error{"UpdateState", ServiceError, "away"}
	if got := full.Error(); got != "UpdateState: ServiceError: away" {
		t.Error(got)
	}
	if got := (&Error{"UpdateState", ServiceError, ""}).Error(); got != "UpdateState: ServiceError" {
		t.Error(got)
	}
	wrapped := fmt.Errorf("state: %w", full)
	if !IsCode(wrapped, ServiceError) || IsCode(wrapped, ConflictError) || IsCode(errors.New(ServiceError), ServiceError) || IsCode(nil, ServiceError) {
		t.Error("IsCode")
	}
}

func FuzzError(f *testing.F) {
	for _, v := range vectors(f) {
		if m := v.message(f); m.Type == eventrpc.ApplicationError {
			f.Add(m.Text(eventrpc.HeaderModelType), m.Payload)
		}
	}
	f.Add("#", []byte(`{"_message":{}}`))
	f.Fuzz(func(t *testing.T, model string, body []byte) {
		m := &eventrpc.Message{Type: eventrpc.ApplicationError, Payload: body}
		m.SetText(eventrpc.HeaderModelType, model)
		e := newError("Op", m)
		if e.Code == "" && !strings.ContainsFunc(model, func(r rune) bool { return r == utf8.RuneError }) {
			t.Error("no code")
		}
		if len(e.Code) > maxErrorText || len(e.Message) > maxErrorText || !utf8.ValidString(e.Error()) {
			t.Errorf("error %q", e.Error())
		}
	})
}
