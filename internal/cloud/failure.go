package cloud

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// failed says what could not be done, and in AWS's words why. It returns nil
// for nil.
func (c *Client) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	if c.Local && errors.Is(err, errRefused) {
		return fmt.Errorf("%s: nothing answers at %s: is 'defenderctl serve' running?", what, c.endpoint)
	}
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = explain(strings.ToLower(operation.Service())+":"+operation.Operation(), err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// failure is what AWS answered, without the layers of the SDK around it.
type failure struct {
	code, message string
	missing       string // action of IAM that the caller may not do; usually ""
	err           error
}

func (f *failure) Error() string {
	text := f.code
	if f.message != "" {
		text += ": " + f.message
	}
	if f.missing != "" {
		text += " (needs the permission " + f.missing + ")"
	}
	return text
}

func (f *failure) Unwrap() error { return f.err }

// denials are the codes of AWS's services for callers that may not.
var denials = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedException", "AuthorizationError"}

// deniedAction finds the action in the message, which knows best: a call can
// need the permission for another, as iam:PassRole.
var deniedAction = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`)

// explain says an error of an API call plainly. The action is the one of IAM
// that the call needs. It returns nil for nil.
func explain(action string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return noAnswer(err)
	}
	f := &failure{code: api.ErrorCode(), message: api.ErrorMessage(), err: err}
	if f.message == "UnknownError" { // the SDK's word for none
		f.message = ""
	}
	if slices.Contains(denials, f.code) {
		f.missing = action
		if m := deniedAction.FindStringSubmatch(f.message); m != nil {
			f.missing = m[1]
		}
	}
	return f
}

// noAnswer says plainly why a call has no answer of AWS, neither good nor bad.
func noAnswer(err error) error {
	var sending *smithyhttp.RequestSendError
	var decoding *smithy.DeserializationError
	var response *smithyhttp.ResponseError
	var operation *smithy.OperationError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &sending):
		return sending.Err
	case errors.As(err, &decoding) && errors.As(err, &response):
		return fmt.Errorf("what answered is not AWS IoT or does not speak as it does: HTTP status %d, %w", response.HTTPStatusCode(), decoding.Err)
	case errors.As(err, &operation):
		return operation.Unwrap()
	}
	return err
}

// isConflict reports whether somebody has changed what was to be changed.
func isConflict(err error) bool {
	var conflict *types.VersionConflictException
	return errors.As(err, &conflict)
}

// isThere reports whether somebody has created what was to be created.
func isThere(err error) bool {
	var there *types.ResourceAlreadyExistsException
	return errors.As(err, &there)
}
