package awsrest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

const (
	maxHeader         = 16 << 10 // bytes of a request's header
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 15 * time.Second // where no operation reads the body, see pacedBody
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 5 * time.Second
)

// Listen listens on a host and port. Callers are not authenticated, so that the
// host has to be a loopback address, or a name of nothing but
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

// endKey is the key of the context that ends with [API.Serve], among the
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
func (a *API) Serve(ctx context.Context, l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		l.Close()
		return fmt.Errorf("serving on %v: not a loopback address, and callers are not authenticated", l.Addr())
	}
	server := &http.Server{
		Handler:           a.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         stateChanged,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(a.Log.Handler(), slog.LevelWarn),
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
