package awsrest

import (
	"context"
	"crypto/tls"
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

// Listen listens on a host and port of this machine only: the host has to be a
// loopback address, or a name of nothing but loopback addresses; any other is
// an error. Port 0 takes a free one.
func Listen(ctx context.Context, listen string) (net.Listener, error) {
	const why = "callers are not authenticated, want a loopback address, such as 127.0.0.1"
	host, port, addrs, err := resolve(ctx, listen)
	if err != nil {
		return nil, err
	}
	if host == "" {
		return nil, fmt.Errorf("listening on %q: no host means every interface; %s", listen, why)
	}
	if other, found := beyondLoopback(addrs); found {
		return nil, fmt.Errorf("listening on %q: %s is not a loopback address; %s", listen, other, why)
	}
	return listenOn(ctx, addrs, port)
}

// ListenBeyond listens on a host and port, which other machines may reach; no host
// is every interface. An API serves it only with TLS and authentication.
func ListenBeyond(ctx context.Context, listen string) (net.Listener, error) {
	host, port, addrs, err := resolve(ctx, listen)
	if err != nil {
		return nil, err
	}
	if host == "" {
		var config net.ListenConfig
		return config.Listen(ctx, "tcp", listen)
	}
	return listenOn(ctx, addrs, port)
}

// IsLoopback reports whether [Listen] listens on the host and port.
func IsLoopback(ctx context.Context, listen string) (bool, error) {
	host, _, addrs, err := resolve(ctx, listen)
	if err != nil {
		return false, err
	}
	_, found := beyondLoopback(addrs)
	return host != "" && !found, nil
}

// resolve splits the address, and finds those of its host, if it has one.
func resolve(ctx context.Context, listen string) (host, port string, addrs []netip.Addr, err error) {
	host, port, err = net.SplitHostPort(listen)
	if err != nil {
		return "", "", nil, fmt.Errorf("listening on %q: want a host and a port, such as 127.0.0.1:8787: %w", listen, err)
	}
	if host == "" {
		return host, port, nil, nil
	}
	addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", "", nil, fmt.Errorf("listening on %q: %w", listen, err)
	}
	return host, port, addrs, nil
}

// beyondLoopback returns the first address that is not a loopback one.
func beyondLoopback(addrs []netip.Addr) (other netip.Addr, found bool) {
	for _, addr := range addrs {
		if !addr.Unmap().IsLoopback() {
			return addr.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// listenOn listens on the first address. A name may resolve to another the next
// time: listen on what was checked. IPv4 first, as clients that are given a name
// try it at least.
func listenOn(ctx context.Context, addrs []netip.Addr, port string) (net.Listener, error) {
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return a.Unmap().Compare(b.Unmap()) })
	var config net.ListenConfig
	network, addr := "tcp", addrs[0].Unmap()
	if addr.Is4() {
		network = "tcp4" // 0.0.0.0 is IPv6 as well otherwise
	}
	return config.Listen(ctx, network, net.JoinHostPort(addr.String(), port))
}

// endKey is the key of the context that ends with [API.Serve], among the
// values of a request's context.
type endKey struct{}

// endsWithServe has a handler's requests end with Serve, unlike others, which are
// finished: a stream of events has no end of its own.
func endsWithServe(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := untilServeEnds(r)
		defer cancel()
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// untilServeEnds returns the context of a request, which ends with Serve as well.
func untilServeEnds(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	end, served := r.Context().Value(endKey{}).(context.Context)
	if !served {
		return ctx, cancel
	}
	stop := context.AfterFunc(end, cancel)
	return ctx, func() { stop(); cancel() }
}

// Serve serves the API to the listener until ctx ends; requests that are running
// then are finished. It closes the listener. One that is not on a loopback address
// is an error, unless callers are authenticated and there is TLS.
func (a *API) Serve(ctx context.Context, l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); (!ok || !addr.IP.IsLoopback()) && (!a.Authenticates || a.TLS == nil) {
		l.Close()
		return fmt.Errorf("serving on %v: not a loopback address, and callers are not authenticated, or not over TLS", l.Addr())
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
	served := net.Listener(newConnections(l, maxConnections))
	if a.TLS != nil {
		served = tls.NewListener(served, a.TLS)
	}
	err := server.Serve(served)
	if stop() { // ctx has not ended: the listener failed
		server.Close()
		return fmt.Errorf("serving on %v: %w", l.Addr(), err)
	}
	<-stopped
	return nil
}
