package awsrest

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Operation is one operation of an API.
type Operation struct {
	Name   string
	Method string
	Path   string // a pattern of http.ServeMux
	Access Access
	// Handle returns what is answered as JSON, or an [*Answer].
	Handle func(*Request) (any, error)

	Query          []string // the query parameters that it has, beside those of pages
	MaxResults     int      // the largest maxResults; 0 when the operation has no pages
	DefaultResults int      // maxResults when it is absent; 0 is MaxResults
	TPS            int      // the quota of calls per second, for API.Throttle; 0 is none

	NoBody       bool                 // a POST, PUT or PATCH without one
	ContentTypes []string             // of bodies; nil is only JSON, see AnyType
	Error        func(*Error) *Answer // how an error is answered; nil is as JSON
}

// AnyType is the content types of an operation whose body is bytes to the API: of any
// type, or none, as AWS's SDKs send such bodies. Web pages of other origins can send it
// without asking, and are kept out by their Origin only.
var AnyType = []string{"*/*"}

// HasBody reports whether requests have a body, which may be empty.
func (op *Operation) HasBody() bool {
	return !op.NoBody && op.Method != http.MethodGet && op.Method != http.MethodDelete
}

// Access is what a caller has to be allowed to call an operation. Levels do not
// include each other. The zero value is none of them.
type Access int

const (
	// Public tells how to reach the service and who calls, and nothing of what it
	// keeps.
	Public Access = iota + 1
	// Read changes nothing.
	Read
	// Write changes what the service keeps.
	Write
	// Report is what a device says of itself.
	Report
	// Admin has the service act on devices, or says how it would.
	Admin
)

// Everybody authorizes every call.
func Everybody(*Request) error { return nil }

// Answer is what an operation returns that doesn't answer with JSON.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
	// Stream writes a body of any length. Its context ends with that of the request
	// or with Serve. After an error the caller sees an answer that is cut off.
	Stream func(ctx context.Context, w io.Writer) error
}

func (a *Answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.ContentType)
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// stream writes the body of a stream. Each part of it has as long as other answers
// have as a whole.
func (a *API) stream(w http.ResponseWriter, r *Request, answer *Answer) {
	w.Header().Set("Content-Type", answer.ContentType)
	w.WriteHeader(answer.Status)
	ctx, cancel := untilServeEnds(r.HTTP)
	defer cancel()
	if err := answer.Stream(ctx, &pacedWriter{w, http.NewResponseController(w)}); err != nil {
		a.logError(r, err)
		panic(http.ErrAbortHandler)
	}
}

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	// Without a connection, as in tests of handlers, there is no deadline.
	_ = w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(p)
}
