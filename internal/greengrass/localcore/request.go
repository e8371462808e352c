package localcore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// namespace precedes every operation and shape name on the wire.
const namespace = "aws.greengrass#"

// request is one operation called by a component. Its methods read the members
// of the JSON object by their exact names; a member that the nucleus' JSON
// library cannot read makes the request malformed, which each operation refuses
// in its own words. JSON null means absent to the Java nucleus and a wrong type
// to lite.
type request struct {
	core      *Core
	conn      *connection
	stream    int32
	operation string // including the namespace
	object    map[string]any
	problem   *error // the first one; shared with what inner returns
}

func newRequest(c *Core, object map[string]any) *request {
	return &request{core: c, object: object, problem: new(error)}
}

// fail makes the request malformed. The first error wins.
func (r *request) fail(err error) {
	if *r.problem == nil {
		*r.problem = err
	}
}

func (r *request) malformed() bool { return *r.problem != nil }

// component is the one that calls.
func (r *request) component() *Component { return r.conn.component }

// member returns the value of a member as a T, and whether it is present.
func member[T any](r *request, name string) (T, bool) {
	var zero T
	v, ok := r.object[name]
	if !ok || v == nil && !r.core.lite() {
		return zero, false
	}
	t, ok := v.(T)
	if !ok {
		r.fail(fmt.Errorf("%s: JSON %T, want %T", name, v, zero))
	}
	return t, ok
}

// text returns a string.
func (r *request) text(name string) string {
	v, ok := r.object[name]
	if !ok {
		return ""
	}
	s, err := r.toText(v)
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
	return s
}

// toText reads a JSON value as a string. The Java nucleus' library, Gson, reads
// numbers and booleans as their text (run of 2.18: a numeric qos is accepted).
func (r *request) toText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		if !r.core.lite() {
			return "", nil
		}
	case bool:
		if !r.core.lite() {
			return strconv.FormatBool(v), nil
		}
	case int64:
		if !r.core.lite() {
			return strconv.FormatInt(v, 10), nil
		}
	case float64:
		if !r.core.lite() {
			return strconv.FormatFloat(v, 'g', -1, 64), nil
		}
	}
	return "", fmt.Errorf("JSON %T, want a string", v)
}

// integer returns a whole number, and whether it is present.
func (r *request) integer(name string) (int64, bool) {
	v, ok := r.object[name]
	switch v := v.(type) {
	case int64:
		return v, true
	case nil:
		return 0, false
	case float64: // Gson takes whole ones
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), true
		}
	}
	r.fail(fmt.Errorf("%s: %v, want a whole number", name, v))
	return 0, ok
}

// inner returns a view of the request inside one of its members, and whether
// that is present.
func (r *request) inner(name string) (*request, bool) {
	object, ok := member[map[string]any](r, name)
	in := *r
	in.object = object
	return &in, ok
}

// present reports whether a member is there and not null.
func (r *request) present(name string) bool { return r.object[name] != nil }

// has reports whether a member is present, even if it is null.
func (r *request) has(name string) bool {
	_, ok := r.object[name]
	return ok
}

// texts returns a list of strings.
func (r *request) texts(name string) []string {
	list, _ := member[[]any](r, name)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		if v == nil && !r.core.lite() {
			r.fail(errNullElement)
			return nil
		}
		s, err := r.toText(v)
		if err != nil {
			r.fail(fmt.Errorf("%s: %w", name, err))
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

// blob returns the bytes of a base64 member, and whether it is present. Invalid
// base64 makes the request malformed.
func (r *request) blob(name string) ([]byte, bool) {
	s, ok := member[string](r, name)
	if !ok {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
	return b, err == nil
}

// badParameters is how most operations refuse a malformed request.
func (r *request) badParameters() *refusal {
	switch {
	case r.core.lite():
		return refuse(greengrass.ServiceError, "Received invalid parameters.")
	case errors.Is(*r.problem, errNullElement):
		return refuse(greengrass.ServiceError, errNullElement.Error())
	}
	return internalServerError
}

// errNullElement is the Java nucleus' text for a null in a list (run of 2.18).
var errNullElement = errors.New("value is marked non-null but is null")
