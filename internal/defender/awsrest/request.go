package awsrest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody is the most bytes of a request's body. A security profile at every quota
// has about a tenth of that.
const maxBody = 1 << 20

// likelyBody is more than nearly all bodies have: there is room for as much before
// a body is read, if its length is known.
const likelyBody = 16 << 10

// Request is one call of an operation.
type Request struct {
	HTTP      *http.Request // without its body
	Operation *Operation
	Body      []byte // at most 1 MB
	Caller    string // who calls, set by Authorize; "" is nobody in particular
	CallerID  string // of the credentials that the caller gave, which may be wrong

	values url.Values // of the query; each parameter is one that the operation has, and is given once
}

// Context is the context of the call.
func (r *Request) Context() context.Context { return r.HTTP.Context() }

// Name returns the member that the path has; "" if it has none of the name.
func (r *Request) Name(member string) string { return r.HTTP.PathValue(member) }

// Decode reads the JSON body into the struct that into points to, see the package
// comment. The body may be absent.
func (r *Request) Decode(into any) error {
	body := r.Body
	if len(body) == 0 {
		body = []byte("{}")
	}
	return decodeStrict(body, into)
}

// Has reports whether the query parameter is given, which may be empty.
func (r *Request) Has(parameter string) bool { return r.values.Has(parameter) }

// Query returns the query parameter, "" when absent.
func (r *Request) Query(parameter string) string { return r.values.Get(parameter) }

// QueryRequired returns the query parameter, which the operation needs.
func (r *Request) QueryRequired(parameter string) (string, error) {
	value := r.Query(parameter)
	if value == "" {
		return "", Missing(parameter)
	}
	return value, nil
}

// QueryBool returns the query parameter; nil when it is absent.
func (r *Request) QueryBool(parameter string) (*bool, error) {
	switch value := r.Query(parameter); {
	case !r.Has(parameter):
		return nil, nil
	case value == "true":
		return new(true), nil
	case value == "false":
		return new(false), nil
	default:
		return nil, Constraint(parameter, value, "Member must be true or false")
	}
}

// QueryInt returns the query parameter; nil when it is absent.
func (r *Request) QueryInt(parameter string) (*int64, error) {
	if !r.Has(parameter) {
		return nil, nil
	}
	n, err := strconv.ParseInt(r.Query(parameter), 10, 64)
	if err != nil {
		return nil, Constraint(parameter, r.Query(parameter), "Member must be an integer")
	}
	return &n, nil
}

// QueryTime returns the query parameter, which the operation needs: RFC 3339,
// as the SDKs write times in queries.
func (r *Request) QueryTime(parameter string) (time.Time, error) {
	value, err := r.QueryRequired(parameter)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, Constraint(parameter, value, "Member must be a time such as 2026-01-02T15:04:05.000Z")
	}
	return t.UTC(), nil
}

// QueryOneOf returns the query parameter, which is absent or one of the values.
func (r *Request) QueryOneOf(parameter string, values ...string) (string, error) {
	value := r.Query(parameter)
	if !r.Has(parameter) {
		return "", nil
	}
	return value, CheckOneOf(parameter, value, values...)
}

// readQuery refuses parameters that the operation doesn't have or that are given
// twice.
func (r *Request) readQuery() error {
	values, err := url.ParseQuery(r.HTTP.URL.RawQuery)
	if err != nil {
		return Invalid("the query string is malformed: " + Clip(err.Error()))
	}
	known := r.Operation.Query
	if r.Operation.MaxResults > 0 {
		known = append(slices.Clip(known), "maxResults", "nextToken")
	}
	for parameter, given := range values {
		switch {
		case strings.HasPrefix(parameter, "X-Amz-"): // a signature in the query
		case !slices.Contains(known, parameter):
			return Invalid(fmt.Sprintf("%s has no query parameter %q", r.Operation.Name, Clip(parameter)))
		case len(given) > 1:
			return Invalid(fmt.Sprintf("query parameter %q is given %d times", parameter, len(given)))
		}
	}
	r.values = values
	return nil
}

// readBody reads the body.
func (r *Request) readBody(w http.ResponseWriter) error {
	var body bytes.Buffer
	if n := r.HTTP.ContentLength; n > 0 { // a claim: it is believed as far as it costs little
		body.Grow(int(min(n, likelyBody)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.HTTP.Body, maxBody))
	if err != nil {
		w.Header().Set("Connection", "close") // the answer waits for the rest of the body otherwise
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &Error{Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("the body has more than %d bytes", maxBody)}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout, Message: "the body comes too slowly"}
	case err != nil:
		return Invalid("reading the body: " + err.Error())
	}
	r.Body = body.Bytes()
	return nil
}

// checkBody refuses a body that the operation does not have, or of another type.
func (r *Request) checkBody() error {
	if len(r.Body) == 0 {
		return nil
	}
	if !r.Operation.HasBody() {
		return Invalid(r.Operation.Name + " has no body")
	}
	return checkContentType(r.HTTP, r.Operation.ContentTypes)
}
