package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/render"
)

const (
	// pageTimeout is how long the reading for one page may take.
	pageTimeout = 30 * time.Second
	// maxPages is how many pages are made at once, for the service has more to do.
	maxPages = 4
)

// Pages returns what makes the pages of a service, for [service.Options]. An OpenID
// provider, if there is one, is a second way to log in.
func Pages(log *slog.Logger, provider *openid.Provider) func(*service.Service) http.Handler {
	return func(s *service.Service) http.Handler {
		p := &pages{service: s, log: log, openid: provider, refused: rate.Sometimes{Interval: time.Second}, slots: make(chan struct{}, maxPages)}
		mux := http.NewServeMux()
		mux.Handle(render.OverviewPath+"{$}", handler(newShared(func(ctx context.Context, r *http.Request) answer { return p.answer(ctx, r, overview) }).page))
		mux.Handle(render.ThingPath, p.page(thing))
		mux.Handle(render.MetricPath, p.page(metric))
		mux.Handle(render.ProfilePath, p.page(securityProfile))
		mux.Handle(render.ViolationPath, p.page(violation))
		mux.Handle(render.AuditPath, p.page(audit))
		mux.HandleFunc(render.EventsPath, p.events)
		mux.HandleFunc("GET "+render.LoginPath, p.loginForm)
		mux.HandleFunc("POST "+render.LoginPath, p.login)
		mux.HandleFunc("POST "+render.LogoutPath, p.logout)
		if provider != nil {
			mux.HandleFunc("GET "+render.OpenIDPath, p.openIDBegin)
			mux.HandleFunc("GET "+render.CallbackPath, p.openIDEnd)
		}
		mux.Handle("/", p.page(func(context.Context, *request) (writePage, error) {
			return nil, finding.NotFound("There is no page of this address.")
		}))
		return secure(mux, s.Authenticates())
	}
}

// secure sets the headers that all answers have.
func secure(next http.Handler, forms bool) http.Handler {
	policy, referrer := render.Policy(forms), render.Referrer(forms)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", referrer)
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
	openid  *openid.Provider // nil: there is none
	refused rate.Sometimes   // what is logged of logins that fail there
	slots   chan struct{}    // holds one token for each page that is being made
}

// request is a page that somebody wants.
type request struct {
	*http.Request
	service *service.Service
	now     time.Time // the service's, in this machine's zone
	about   render.About
}

// query is a parameter of the page's address.
func (r *request) query(name string) string { return r.URL.Query().Get(name) }

// writePage writes a page that has been read.
type writePage func(*bytes.Buffer) error

// readPage reads what a page shows.
type readPage func(context.Context, *request) (writePage, error)

// page returns the handler of a page.
func (p *pages) page(read readPage) http.Handler {
	return handler(func(ctx context.Context, r *http.Request) answer { return p.answer(ctx, r, read) })
}

func handler(get func(context.Context, *http.Request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := get(r.Context(), r)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		w.Write(a.body)
	})
}

// answer makes a page, or one that says why there is none.
func (p *pages) answer(ctx context.Context, hr *http.Request, read readPage) answer {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	r := &request{Request: hr.WithContext(ctx), service: p.service, now: p.service.Now().Local()}
	r.about = render.About{Source: origin(hr), Live: true, Made: r.now, Zone: r.now.Location(), Forms: p.service.Authenticates()}
	if v := service.VisitorOf(ctx); v != nil {
		r.about.Visitor = &render.Visitor{Name: v.Name, Role: v.Role}
	}
	var body bytes.Buffer
	status := http.StatusOK
	if err := p.make(ctx, r, &body, read); err != nil {
		body.Reset()
		status = p.failed(r, &body, err)
	}
	return answer{status, body.Bytes()}
}

// origin is the address of the service as the reader knows it.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// make reads and writes a page.
func (p *pages) make(ctx context.Context, r *request, body *bytes.Buffer, read readPage) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	write, err := read(ctx, r)
	if err != nil {
		return err
	}
	return write(body)
}

// failed writes a page that says why there is no other, and returns its status.
func (p *pages) failed(r *request, body *bytes.Buffer, err error) int {
	status, title, text := http.StatusInternalServerError, "This page could not be made", err.Error()
	var ambiguous *finding.AmbiguousError
	switch {
	case errors.Is(err, finding.ErrNotFound), errors.As(err, &ambiguous):
		status, title = http.StatusNotFound, "Not found"
	case errors.Is(err, errNotAllowed):
		status, title, text = http.StatusForbidden, "Not for your role", "Only administrators may see this page."
	case errors.Is(err, context.Canceled): // nobody waits for it
	case errors.Is(err, context.DeadlineExceeded):
		status, title = http.StatusServiceUnavailable, "The service is too busy for this page"
	default:
		p.log.Error("a page could not be made", "path", r.URL.Path, "error", err)
	}
	if err := render.WriteNoticeHTML(body, r.about, title, text); err != nil {
		p.log.Error("a notice could not be made", "error", err)
	}
	return status
}
