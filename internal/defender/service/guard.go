package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/effect"
)

const (
	maxHeader         = 16 << 10 // bytes of a request's header
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 15 * time.Second // where no operation reads the body, see pacedBody
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 5 * time.Second
)

// Listen listens on a host and port. The service doesn't ask who is calling,
// so that the host has to be a loopback address, or a name of nothing but
// loopback addresses; any other is an error. Port 0 takes a free one.
func Listen(ctx context.Context, listen string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: want a loopback host and a port, such as 127.0.0.1:8787: %w", listen, err)
	}
	const why = "callers are not authenticated, want a loopback address, such as 127.0.0.1"
	if host == "" {
		return nil, fmt.Errorf("listening on %q: no host means every interface; %s", listen, why)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", listen, err)
	}
	for _, addr := range addrs {
		if !addr.Unmap().IsLoopback() {
			return nil, fmt.Errorf("listening on %q: %s is not a loopback address; %s", listen, addr.Unmap(), why)
		}
	}
	// A name may resolve to another address the next time: listen on what was
	// checked. IPv4 first, as clients that are given a name try it at least.
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return a.Unmap().Compare(b.Unmap()) })
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", net.JoinHostPort(addrs[0].Unmap().String(), port))
}

// endKey is the key of the context that ends with [Service.Serve], among the
// values of a request's context.
type endKey struct{}

// endsWithServe has a handler's requests end with Serve, unlike others, which are
// finished: a stream of events has no end of its own.
func endsWithServe(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if end, served := r.Context().Value(endKey{}).(context.Context); served {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(end, cancel)()
			r = r.WithContext(ctx)
		}
		handler.ServeHTTP(w, r)
	})
}

// Serve serves the API to the listener, which has to be on a loopback address,
// until ctx ends; requests that are running then are finished. It closes the
// listener.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		l.Close()
		return fmt.Errorf("serving on %v: not a loopback address, and callers are not authenticated", l.Addr())
	}
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         stateChanged,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), endKey{}, ctx)
		},
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(deadline) != nil {
			server.Close()
		}
	})
	err := server.Serve(newConnections(l, maxConnections))
	if stop() { // ctx has not ended: the listener failed
		server.Close()
		return fmt.Errorf("serving on %v: %w", l.Addr(), err)
	}
	<-stopped
	return nil
}

// guard lets a request through to the operations when it comes neither from a
// web page of another origin nor by a name that isn't this machine's, and
// answers what is no operation as the API does.
func (s *Service) guard(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began(w, r)
		header := w.Header()
		header.Set("X-Amzn-RequestId", newID())
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set(effect.Header, s.without())
		header.Set("Date", s.now().Format(http.TimeFormat)) // the service's time, which may be another
		if err := checkCaller(r); err != nil {
			header.Set("Connection", "close") // without waiting for the body
			s.log.Warn("request refused", "host", clip(r.Host), "origin", clip(r.Header.Get("Origin")), "reason", err)
			writeError(w, &apiError{Type: "AccessDeniedException", Status: http.StatusForbidden, Message: err.Error()})
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" || !isClean(r.URL.EscapedPath()) {
			writeError(w, unknownOperation(w, r, mux))
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

// unknownOperation is the error of a method and path that aren't an operation
// of this service; they may well be one of AWS IoT.
func unknownOperation(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) error {
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
	return &apiError{Type: "UnknownOperationException", Status: status, Message: fmt.Sprintf(
		"%s %s is no operation of this service, which has those of AWS IoT Device Defender Detect and the things, thing groups and tags that they need",
		clip(r.Method), clip(r.URL.Path))}
}

// checkCaller refuses what a web page in a browser of this machine can send.
// It could send requests that change something without being able to read the
// answer (cross-site request forgery), and reads the answers as well when its
// own name is made to resolve to a loopback address (DNS rebinding).
func checkCaller(r *http.Request) error {
	if err := checkHost(r); err != nil {
		return err
	}
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !strings.EqualFold(origins[0], "http://"+r.Host) {
		return fmt.Errorf("requests of pages from %q are refused", clip(strings.Join(origins, ", ")))
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return nil
	default:
		return fmt.Errorf("%s requests of pages are refused", clip(site))
	}
}

// checkHost checks that the caller knows the service by a loopback name and,
// where the connection's is known, by its port.
func checkHost(r *http.Request) error {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil { // without a port
		host, port = strings.Trim(r.Host, "[]"), "80"
	}
	if addr, err := netip.ParseAddr(host); !strings.EqualFold(host, "localhost") && (err != nil || !addr.Unmap().IsLoopback()) {
		return fmt.Errorf("host %q is not a loopback name or address: call the service as 127.0.0.1 or localhost", clip(r.Host))
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if ok && fmt.Sprint(local.Port) != port {
		return fmt.Errorf("host %q has not the service's port %d", clip(r.Host), local.Port)
	}
	return nil
}

// checkContentType checks the type of a body. A page of another origin may send
// text, forms and bodies without a type as they are, and has to ask before
// it sends any other type.
func checkContentType(r *http.Request, want []string) error {
	if want == nil {
		want = []string{"application/json"}
	}
	text := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(text)
	if errors.Is(err, mime.ErrInvalidMediaParameter) {
		err = nil
	}
	if err != nil || !slices.Contains(want, mediaType) {
		return &apiError{Type: "UnsupportedMediaTypeException", Status: http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("Content-Type %q, want %s", clip(text), strings.Join(want, " or "))}
	}
	return nil
}
