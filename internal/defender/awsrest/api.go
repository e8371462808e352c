package awsrest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// API is a table of operations and what is common to them. It isn't changed once
// it serves.
type API struct {
	Operations []Operation
	// Authorize returns why a call is refused; nil is that it is not. It may read
	// the whole request. It is required: see [Everybody].
	Authorize func(*Request) error
	// Answered is told of each call before it is answered; the error is nil when it
	// succeeded. May be nil.
	Answered func(*Request, *Error)
	// Authenticates says that Authorize knows who calls. Only then, and with TLS,
	// other machines are served.
	Authenticates bool
	// TLS has the API served over TLS; nil is that it isn't. Its certificate is got
	// by GetCertificate.
	TLS *tls.Config
	// Host reports whether the service is called so, as its certificate says; nil
	// is that it is not. It is asked for names and addresses that come over TLS,
	// apart from those of loopback.
	Host func(host string) bool
	// Open are patterns of http.ServeMux and what anybody may ask by any name, such
	// as whether the service is there.
	Open map[string]http.Handler
	// Members check what paths have in place of members, by the member's name.
	Members map[string]func(member, value string) error
	// Throttle holds callers to the quotas of calls per second.
	Throttle bool
	// Unknown goes on, after the method and path that are no operation, with what
	// there is.
	Unknown string
	// Pages are patterns of http.ServeMux and what is for people there, behind the
	// same guard as operations; Authorize isn't asked. A page that streams sets its
	// own write deadline (http.ResponseController), and ends with Serve.
	Pages map[string]http.Handler
	// Header adds to the header of every answer. May be nil.
	Header func(http.Header)
	Now    func() time.Time // of quotas and the header Date; required
	Log    *slog.Logger     // required
}

// Handler returns the API without its server. It answers to loopback names and
// addresses and to those that Host knows, and not to pages of other origins. As http.ServeMux does, it
// panics on operations that can't be, such as one without an access level.
func (a *API) Handler() http.Handler {
	if a.Authorize == nil {
		panic("awsrest: nobody authorizes calls")
	}
	mux := http.NewServeMux()
	for _, op := range a.Operations {
		if op.Access < Public || op.Access > Admin {
			panic("awsrest: operation " + op.Name + " has no access level")
		}
		mux.HandleFunc(op.Method+" "+op.Path, a.serve(&op))
	}
	pages := http.NewServeMux()
	for pattern, page := range a.Pages {
		mux.Handle(pattern, endsWithServe(page))
		pages.Handle(pattern, page)
	}
	open := http.NewServeMux()
	for pattern, handler := range a.Open {
		open.Handle(pattern, handler)
	}
	return a.guard(mux, pages, open)
}

// serve returns the handler of one operation.
func (a *API) serve(op *Operation) http.HandlerFunc {
	limit := rate.Inf
	if a.Throttle && op.TPS > 0 {
		limit = rate.Limit(op.TPS)
	}
	limiter := rate.NewLimiter(limit, op.TPS)
	return func(w http.ResponseWriter, httpRequest *http.Request) {
		r := &Request{HTTP: httpRequest, Operation: op}
		result, err := a.call(w, r, limiter)
		if a.Answered != nil {
			a.Answered(r, answered(err))
		}
		if err != nil {
			a.logError(r, err)
			if op.Error == nil {
				writeError(w, err)
				return
			}
			result = op.Error(toError(err))
		}
		if answer, ok := result.(*Answer); ok {
			if answer.Stream != nil {
				a.stream(w, r, answer)
				return
			}
			answer.write(w)
			return
		}
		writeJSON(w, http.StatusOK, result)
	}
}

// answered is the error that the caller sees, nil if there is none.
func answered(err error) *Error {
	if err == nil {
		return nil
	}
	return toError(err)
}

// call runs the operation. One that panics is logged and answered as any other
// failure.
func (a *API) call(w http.ResponseWriter, r *Request, limiter *rate.Limiter) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := r.readBody(w); err != nil {
		return nil, err
	}
	if err := a.Authorize(r); err != nil {
		return nil, err
	}
	if err := r.checkBody(); err != nil {
		return nil, err
	}
	if !limiter.AllowN(a.Now(), 1) {
		return nil, &Error{Type: "ThrottlingException", Status: http.StatusBadRequest, Message: "Rate exceeded"}
	}
	if err := r.readQuery(); err != nil {
		return nil, err
	}
	for member, check := range a.Members {
		if value := r.Name(member); value != "" { // never empty where the path has it
			if err := check(member, value); err != nil {
				return nil, err
			}
		}
	}
	return r.Operation.Handle(r)
}

// logError logs an operation that failed. Errors of the caller are of use to the
// caller, who gets them; ours are said only here.
func (a *API) logError(r *Request, err error) {
	level := slog.LevelDebug
	if _, ok := errors.AsType[*Error](err); !ok && r.Context().Err() == nil { // the caller may have gone
		level = slog.LevelError
	}
	a.Log.Log(r.Context(), level, "operation failed", "operation", r.Operation.Name, "path", r.HTTP.URL.Path, "error", err)
}

// guard lets a request through to the operations when it comes neither from a
// web page of another origin nor by a name that isn't the service's, and
// answers what is no operation as the API does.
func (a *API) guard(mux, pages, open *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began(w, r)
		header := w.Header()
		header.Set("X-Amzn-RequestId", NewID())
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Date", a.Now().UTC().Format(http.TimeFormat)) // the API's time, which may be another
		if a.Header != nil {
			a.Header(header)
		}
		if handler, pattern := open.Handler(r); pattern != "" {
			handler.ServeHTTP(w, r)
			return
		}
		if err := a.checkCaller(r, pages); err != nil {
			header.Set("Connection", "close") // without waiting for the body
			a.Log.Warn("request refused", "host", Clip(r.Host), "origin", Clip(r.Header.Get("Origin")), "reason", err)
			writeError(w, &Error{Type: "AccessDeniedException", Status: http.StatusForbidden, Message: err.Error()})
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" || !isClean(r.URL.EscapedPath()) {
			writeError(w, a.unknown(w, r, mux))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isClean reports whether the path is one that http.ServeMux doesn't redirect.
func isClean(escaped string) bool {
	clean := path.Clean(escaped)
	return strings.HasPrefix(escaped, "/") && (clean == escaped || clean+"/" == escaped)
}

// unknown is the error of a method and path that aren't an operation of this API;
// they may well be one of AWS.
func (a *API) unknown(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) error {
	status := http.StatusNotFound
	var allowed []string
	for _, method := range []string{"DELETE", "GET", "PATCH", "POST", "PUT"} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); pattern != "" && isClean(r.URL.EscapedPath()) {
			allowed = append(allowed, method)
		}
	}
	if allowed != nil {
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", strings.Join(allowed, ", "))
	}
	return &Error{Type: "UnknownOperationException", Status: status,
		Message: fmt.Sprintf("%s %s is no operation of this service, %s", Clip(r.Method), Clip(r.URL.Path), a.Unknown)}
}
