package localcore

import (
	"encoding/base64"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// namespace precedes every operation and shape name on the wire.
const namespace = "aws.greengrass#"

// request is one operation asked for by a component. Its methods read the
// members of the JSON object by their exact names; a member of the wrong type
// makes the request malformed, which each operation refuses in its own words.
// JSON null is absence to the Java nucleus and a wrong type to lite.
type request struct {
	core      *Core
	conn      *connection
	stream    int32
	operation string // as on the wire
	object    map[string]any
	malformed *bool // set by reading a member of the wrong type
}

// component is who asks.
func (r *request) component() *Component { return r.conn.component }

// member returns the value of a member as a T and whether it is there.
func member[T any](r *request, name string) (T, bool) {
	var zero T
	v, ok := r.object[name]
	if !ok || v == nil && !r.core.lite() {
		return zero, false
	}
	t, ok := v.(T)
	if !ok {
		*r.malformed = true
	}
	return t, ok
}

func (r *request) text(name string) string {
	s, _ := member[string](r, name)
	return s
}

// inner returns the request as seen from inside one of its members, and
// whether that is there.
func (r *request) inner(name string) (*request, bool) {
	object, ok := member[map[string]any](r, name)
	in := *r
	in.object = object
	return &in, ok
}

// has reports whether a member is there, be it null.
func (r *request) has(name string) bool {
	_, ok := r.object[name]
	return ok
}

// texts returns a list of strings.
func (r *request) texts(name string) []string {
	list, _ := member[[]any](r, name)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			*r.malformed = true
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

// blob returns the bytes of a base64 member, and whether it is there. What is
// not base64 makes the request malformed.
func (r *request) blob(name string) ([]byte, bool) {
	s, ok := member[string](r, name)
	if !ok {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		*r.malformed = true
	}
	return b, err == nil
}

// badParameters is how most operations refuse a malformed request.
func (r *request) badParameters() *refusal {
	if r.core.lite() {
		return refuse(greengrass.ServiceError, "Received invalid parameters.")
	}
	return internalServerError
}
