package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

const (
	// pageTimeout is how long the reading for one page may take.
	pageTimeout = 30 * time.Second
	// maxPages is how many pages are made at once: each asks the service for
	// many things, and others have questions too.
	maxPages = 4
)

// Pages returns what makes the pages of a service, for [service.Options].
func Pages(log *slog.Logger) func(*service.Service) http.Handler {
	return func(s *service.Service) http.Handler {
		p := &pages{service: s, log: log, slots: make(chan struct{}, maxPages)}
		mux := http.NewServeMux()
		mux.Handle(render.OverviewPath+"{$}", p.page(overview))
		mux.Handle(render.ThingPath, p.page(thing))
		mux.Handle(render.MetricPath, p.page(metric))
		mux.Handle(render.ProfilePath, p.page(securityProfile))
		mux.Handle(render.ViolationPath, p.page(violation))
		mux.HandleFunc(render.EventsPath, p.events)
		mux.Handle("/", p.page(func(context.Context, *request) (writePage, error) {
			return nil, missing("There is no page of this address.")
		}))
		return secure(mux)
	}
}

// secure sets the headers that all answers have.
func secure(next http.Handler) http.Handler {
	policy := render.Policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// pages makes the pages of one service.
type pages struct {
	service *service.Service
	log     *slog.Logger
	slots   chan struct{} // holds one token for each page that is being made

	mu     sync.Mutex
	client *cloud.Client // made by the first request
}

// request is a page that somebody wants.
type request struct {
	*http.Request
	service *service.Service
	client  *cloud.Client
	now     time.Time // the service's, in this machine's zone
	about   render.About
}

// query is a parameter of the page's address.
func (r *request) query(name string) string { return r.URL.Query().Get(name) }

// writePage writes a page that has been read.
type writePage func(*bytes.Buffer) error

// missing says that there is nothing to make a page of.
type missing string

func (m missing) Error() string { return string(m) }

// page returns the handler of a page.
func (p *pages) page(read func(context.Context, *request) (writePage, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		ctx, cancel := context.WithTimeout(hr.Context(), pageTimeout)
		defer cancel()
		r := &request{Request: hr, service: p.service, now: p.service.Now().Local()}
		r.about = render.About{Live: true, Made: r.now, Zone: r.now.Location()}
		var body bytes.Buffer
		status := http.StatusOK
		if err := p.make(ctx, r, &body, read); err != nil {
			body.Reset()
			status = p.failed(r, &body, err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		w.Write(body.Bytes())
	})
}

// make reads and writes a page.
func (p *pages) make(ctx context.Context, r *request, body *bytes.Buffer, read func(context.Context, *request) (writePage, error)) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if r.client, err = p.connect(r.Request); err != nil {
		return err
	}
	r.about.Source = r.client.Source()
	write, err := read(ctx, r)
	if err != nil {
		return err
	}
	return write(body)
}

// connect returns a client of the endpoint that the request came to.
func (p *pages) connect(r *http.Request) (*cloud.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		return p.client, nil
	}
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return nil, errors.New("the request came by no connection")
	}
	// The client outlives this request.
	client, err := cloud.Connect(context.WithoutCancel(r.Context()), cloud.Options{EndpointURL: "http://" + addr.String()})
	if err != nil {
		return nil, fmt.Errorf("connecting to the service: %w", err)
	}
	p.client = client
	return client, nil
}

// failed writes a page that says why there is no other, and returns its status.
func (p *pages) failed(r *request, body *bytes.Buffer, err error) int {
	status, title := http.StatusInternalServerError, "This page could not be made"
	var none missing
	var notFound *types.ResourceNotFoundException
	var invalid *types.InvalidRequestException
	var throttled *types.ThrottlingException // with service.Options.Throttle
	switch {
	case errors.As(err, &none), errors.As(err, &notFound):
		status, title = http.StatusNotFound, "Not found"
	case errors.As(err, &invalid):
		status, title = http.StatusBadRequest, "Not a page"
	case r.Context().Err() != nil: // nobody waits for it
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &throttled):
		status, title = http.StatusServiceUnavailable, "The service is too busy for this page"
	default:
		p.log.Error("a page could not be made", "path", r.URL.Path, "error", err)
	}
	if err := render.WriteNoticeHTML(body, r.about, title, err.Error()); err != nil {
		p.log.Error("a notice could not be made", "error", err)
	}
	return status
}
