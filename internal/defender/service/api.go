package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// maxBody is the most bytes of a request's body. A profile at every quota has
// about a tenth of that.
const maxBody = 1 << 20

// request is one call of an operation.
type request struct {
	http   *http.Request
	op     *operation
	values url.Values // of the query; each parameter is one that the operation has, and is given once
	body   []byte     // at most maxBody bytes, read before the operation runs
}

// ctx is the context of the call.
func (r *request) ctx() context.Context { return r.http.Context() }

// name returns the path member.
func (r *request) name(member string) string { return r.http.PathValue(member) }

// checkedName returns the path member when it's a name by AWS's pattern, as
// names of profiles, things, groups, custom metrics and dimensions are.
func (r *request) checkedName(member string) (string, error) {
	name := r.name(member)
	return name, checkName(member, name)
}

// query returns the query parameter, "" when absent.
func (r *request) query(parameter string) string { return r.values.Get(parameter) }

// queryRequired returns the query parameter, which the operation needs.
func (r *request) queryRequired(parameter string) (string, error) {
	value := r.query(parameter)
	if value == "" {
		return "", missing(parameter)
	}
	return value, nil
}

// queryName returns the query parameter when it is a name or absent.
func (r *request) queryName(parameter string) (string, error) {
	value := r.query(parameter)
	if value == "" && !r.values.Has(parameter) {
		return "", nil
	}
	return value, checkName(parameter, value)
}

// queryBool returns the query parameter; nil when it is absent.
func (r *request) queryBool(parameter string) (*bool, error) {
	switch value := r.query(parameter); {
	case !r.values.Has(parameter):
		return nil, nil
	case value == "true":
		return new(true), nil
	case value == "false":
		return new(false), nil
	default:
		return nil, constraint(parameter, value, "Member must be true or false")
	}
}

// queryVersion returns expectedVersion; nil when it is absent.
func (r *request) queryVersion() (*int64, error) {
	const parameter = "expectedVersion"
	if !r.values.Has(parameter) {
		return nil, nil
	}
	version, err := strconv.ParseInt(r.query(parameter), 10, 64)
	if err != nil {
		return nil, constraint(parameter, r.query(parameter), "Member must be an integer")
	}
	return &version, nil
}

// queryTime returns the query parameter, which the operation needs: RFC 3339,
// as the SDKs write times in queries.
func (r *request) queryTime(parameter string) (time.Time, error) {
	value, err := r.queryRequired(parameter)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, constraint(parameter, value, "Member must be a time as 2026-01-02T15:04:05.000Z")
	}
	return t.UTC(), nil
}

// queryOneOf returns the query parameter, which is absent or one of the values.
func (r *request) queryOneOf(parameter string, values ...string) (string, error) {
	value := r.query(parameter)
	if !r.values.Has(parameter) {
		return "", nil
	}
	return value, checkOneOf(parameter, value, values...)
}

// decode reads the body, which may be absent when nothing in it is required.
func (r *request) decode(into any) error {
	body := r.body
	if len(body) == 0 {
		body = []byte("{}")
	}
	return decodeStrict(body, into)
}

// checkQuery refuses parameters that the operation doesn't have or that are
// given twice: one that is misspelt would be without effect, unnoticed.
func (r *request) checkQuery() error {
	values, err := url.ParseQuery(r.http.URL.RawQuery)
	if err != nil {
		return invalidRequest("the query string is malformed: " + err.Error())
	}
	known := r.op.query
	if r.op.page > 0 {
		known = append(slices.Clip(known), "maxResults", "nextToken")
	}
	for parameter, given := range values {
		switch {
		case strings.HasPrefix(parameter, "X-Amz-"): // a signature in the query
		case !slices.Contains(known, parameter):
			return invalidRequest(fmt.Sprintf("%s has no query parameter %q", r.op.name, clip(parameter)))
		case len(given) > 1:
			return invalidRequest(fmt.Sprintf("query parameter %q is given %d times", parameter, len(given)))
		}
	}
	r.values = values
	return nil
}

// readBody reads the body. Its type has to be one that a web page can't send
// to another origin without being asked for leave first, which is refused.
func (r *request) readBody(w http.ResponseWriter) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.http.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if err != nil {
		w.Header().Set("Connection", "close") // the answer waits for the rest of the body otherwise
	}
	switch {
	case errors.As(err, &tooLarge):
		return &apiError{Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("the body has more than %d bytes", maxBody)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &apiError{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout, Message: "the body comes too slowly"}
	case err != nil:
		return invalidRequest("reading the body: " + err.Error())
	}
	if len(body) > 0 {
		if !r.op.hasBody() {
			return invalidRequest(r.op.name + " has no body")
		}
		if err := checkContentType(r.http, r.op.contentTypes); err != nil {
			return err
		}
	}
	r.body = body
	return nil
}

// answer is what an operation returns that doesn't answer with JSON.
type answer struct {
	status      int
	contentType string
	body        []byte
}

// Handler returns the AWS IoT API of the service: see the table of operations
// in the package comment. It answers to loopback names and addresses only, and
// not to pages of other origins.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, op := range allOperations() {
		mux.HandleFunc(op.method+" "+op.path, s.serveOperation(op))
	}
	if s.options.Pages != nil {
		pages := endsWithServe(s.options.Pages(s))
		mux.Handle("GET /{$}", pages)
		mux.Handle("GET /live/", pages)
	}
	return s.guard(mux)
}

// serveOperation returns the handler of one operation.
func (s *Service) serveOperation(op operation) http.HandlerFunc {
	limit := rate.Inf
	if s.options.Throttle && op.tps > 0 {
		limit = rate.Limit(op.tps)
	}
	limiter := rate.NewLimiter(limit, op.tps)
	return func(w http.ResponseWriter, httpRequest *http.Request) {
		r := &request{http: httpRequest, op: &op}
		result, err := s.call(w, r, limiter)
		if err != nil {
			s.logError(r, err)
			op.fail(w, err)
			return
		}
		if a, ok := result.(*answer); ok {
			w.Header().Set("Content-Type", a.contentType)
			w.WriteHeader(a.status)
			w.Write(a.body)
			return
		}
		writeJSON(w, http.StatusOK, result)
	}
}

// call runs the operation. One that panics is logged and answered as any
// other failure: its transaction has been rolled back.
func (s *Service) call(w http.ResponseWriter, r *request, limiter *rate.Limiter) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if !limiter.AllowN(s.options.Now(), 1) {
		return nil, &apiError{Type: "ThrottlingException", Status: http.StatusBadRequest, Message: "Rate exceeded"}
	}
	if err := r.readBody(w); err != nil {
		return nil, err
	}
	if err := r.checkQuery(); err != nil {
		return nil, err
	}
	return r.op.handle(s, r)
}

// logError logs an operation that failed. Errors of the caller are of use to
// the caller, who gets them; ours are said here alone.
func (s *Service) logError(r *request, err error) {
	level := slog.LevelDebug
	var e *apiError
	if !errors.As(err, &e) && r.ctx().Err() == nil { // the caller may have gone
		level = slog.LevelError
	}
	s.log.Log(r.http.Context(), level, "operation failed", "operation", r.op.name, "path", r.http.URL.Path, "error", err)
}

// fail writes an error as the operation's protocol does.
func (op *operation) fail(w http.ResponseWriter, err error) {
	if op.writeError != nil {
		op.writeError(w, asAPIError(err))
		return
	}
	writeError(w, err)
}

// apiError is an error of the AWS IoT API: its type, as in the header
// X-Amzn-ErrorType, and its HTTP status.
type apiError struct {
	Type    string `json:"-"`
	Status  int    `json:"-"`
	Message string `json:"message"`
	// ResourceID and ResourceARN are members of ResourceAlreadyExistsException.
	ResourceID  string `json:"resourceId,omitempty"`
	ResourceARN string `json:"resourceArn,omitempty"`
}

func (e *apiError) Error() string { return e.Type + ": " + e.Message }

func invalidRequest(message string) error {
	return &apiError{Type: "InvalidRequestException", Status: http.StatusBadRequest, Message: message}
}

func notFound(message string) error {
	return &apiError{Type: "ResourceNotFoundException", Status: http.StatusNotFound, Message: message}
}

func versionConflict(message string) error {
	return &apiError{Type: "VersionConflictException", Status: http.StatusConflict, Message: message}
}

func limitExceeded(message string) error {
	return &apiError{Type: "LimitExceededException", Status: http.StatusGone, Message: message}
}

func alreadyExists(message, id, arn string) error {
	return &apiError{Type: "ResourceAlreadyExistsException", Status: http.StatusConflict, Message: message, ResourceID: id, ResourceARN: arn}
}

// constraint says in AWS's words that a member's value is not as it must be.
func constraint(member, value, must string) error {
	return invalidRequest(fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", clip(value), member, must))
}

// missing says in AWS's words that a required member is absent.
func missing(member string) error {
	return invalidRequest(fmt.Sprintf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member))
}

// checkName checks a name by AWS's pattern [a-zA-Z0-9:_-]{1,128}.
func checkName(member, name string) error {
	if profile.CheckName(name) != nil {
		return constraint(member, name, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9:_-]+")
	}
	return nil
}

// checkOneOf checks the value of an enum.
func checkOneOf(member, value string, values ...string) error {
	if !slices.Contains(values, value) {
		return constraint(member, value, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
	return nil
}

// checkProblems turns what is wrong with a document into one error.
func checkProblems(problems []profile.Problem) error {
	const shown = 10
	var texts []string
	for _, p := range problems {
		if p.Severity == profile.Error {
			texts = append(texts, problemText(p))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	more := ""
	if n := len(texts) - shown; n > 0 {
		texts, more = texts[:shown], fmt.Sprintf(" (and %d more)", n)
	}
	return invalidRequest(strings.Join(texts, ". ") + more)
}

func problemText(p profile.Problem) string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Want != "" {
		text += ", want " + p.Want
	}
	return clip(text)
}

// clip bounds what is repeated of a request in an answer.
func clip(text string) string {
	const most = 1024
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// epoch is a time as the API writes it in bodies: seconds since 1970 with
// milliseconds as a fraction.
type epoch time.Time

func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', -1, 64), nil
}

// maxEpoch is the last second that RFC 3339 can write.
const maxEpoch = 253402300799

func (e *epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < -maxEpoch || seconds > maxEpoch {
		return fmt.Errorf("%s is not a time in seconds since 1970", clip(string(data)))
	}
	*e = epoch(time.UnixMilli(int64(seconds * 1000)).UTC())
	return nil
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

// asAPIError returns the error as the API tells it: one of our own is an
// internal failure.
func asAPIError(err error) *apiError {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{Type: "InternalFailureException", Status: http.StatusInternalServerError, Message: "internal failure, see the service's log"}
	}
	return e
}

func writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	w.Header().Set("X-Amzn-ErrorType", e.Type)
	writeJSON(w, e.Status, e)
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
