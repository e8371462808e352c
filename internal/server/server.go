// Package server puts together the Detect-compatible service as people use it:
// the service of package service with its database, its API and the pages of
// package web on an address, and the devices whose reports it takes.
//
// The parts have different lives. [Open] opens the database, and [Server.Listen]
// takes the address, so what is wrong with either is known before anything runs.
// [Server.Attach] puts the service behind the topics of a stand-in core. [Server.Run]
// serves and does what is due by the time until its context ends.
//
// A core that ends tells the service that its connection is gone. So whoever has
// cores runs them in the function of [Server.While]: the server outlives it, and
// closes the database last. If the server fails, the function's context ends.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/registry"
	"github.com/device-defender/device-defender/internal/web"
)

// Server is a service that is open. It is run once, or closed.
type Server struct {
	*service.Service
	intake  *ingest.Intake
	log     *slog.Logger
	sources []source
	// ruleMessages takes what rules of AWS IoT hand over, by all ways.
	ruleMessages *ingest.Rules
	queues       int           // of SQS that are sources
	listener     net.Listener  // nil: it is reached by its Handler only
	certificate  *Certificate  // nil: no TLS
	beyond       bool          // other machines may be served
	problem      error         // with an option
	registry     *registry.AWS // nil: the service's own
	openid       *openid.Provider
}

// Option is a part that not every server has.
type Option func(*Server, *service.Options)

// WithCertificate has the API served over TLS.
func WithCertificate(c *Certificate) Option {
	return func(s *Server, o *service.Options) {
		s.certificate, s.beyond = c, o.Authentication
		o.TLS, o.Host = c.Config(), c.Host
	}
}

// WithRegistry has things and groups be those of another registry.
func WithRegistry(a *registry.AWS) Option {
	return func(s *Server, o *service.Options) { s.registry, o.Registry = a, a }
}

// WithOpenID has people log in to the pages at an OpenID provider, too.
func WithOpenID(p *openid.Provider) Option {
	return func(s *Server, o *service.Options) { s.openid, o.OpenID = p, p.Fingerprint() }
}

// Open opens a service that has pages.
func Open(o service.Options, with ...Option) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{}
	o.Metrics = s.metrics
	for _, option := range with {
		option(s, &o)
	}
	if s.problem != nil {
		return nil, s.problem
	}
	o.Pages = web.Pages(o.Log, s.openid)
	var err error
	if s.Service, err = service.Open(o); err != nil {
		return nil, err
	}
	s.intake, s.log = ingest.New(s.Service, o.Log), o.Log
	if s.registry == nil {
		s.intake.EnrollBy(s.Enroll)
	}
	s.ruleMessages = ingest.NewRules(s.intake, s.Service)
	return s, nil
}

// Intake is the way in for sources of reports.
func (s *Server) Intake() *ingest.Intake { return s.intake }

// Listen takes an address for the API and the pages, which are served once the
// server runs. It must be a loopback one, unless there are TLS and authentication.
func (s *Server) Listen(ctx context.Context, address string) (err error) {
	listen := awsrest.Listen
	if s.beyond {
		listen = awsrest.ListenBeyond
	}
	s.listener, err = listen(ctx, address)
	return err
}

// URL is where the API and the pages are.
func (s *Server) URL() string {
	if s.certificate != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Close closes a server that is not run.
func (s *Server) Close() error {
	var err error
	if s.listener != nil {
		err = s.listener.Close()
	}
	for _, source := range s.sources {
		err = errors.Join(err, source.Close())
	}
	return errors.Join(err, s.Service.Close())
}

// Run serves until ctx ends, then closes the service.
func (s *Server) Run(ctx context.Context) error {
	return s.While(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
}

// While serves until do returns, then closes the service. The context of do ends
// with ctx, or when the server fails.
func (s *Server) While(ctx context.Context, do func(context.Context) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	doing, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := []func() error{func() error { return s.Service.Run(serving) }}
	if s.listener != nil {
		parts = append(parts, func() error { return s.Serve(serving, s.listener) })
	}
	for _, source := range s.sources {
		parts = append(parts, func() error { return source.Serve(serving) })
	}
	if s.registry != nil {
		parts = append(parts, func() error { return s.registry.Run(serving, s.Service) })
	}
	if s.certificate != nil {
		parts = append(parts, func() error {
			s.certificate.watch(serving)
			return nil
		})
	}
	errs := make([]error, len(parts))
	var wait sync.WaitGroup
	for i, part := range parts {
		wait.Go(func() {
			defer stop() // one does not go on without the other
			defer cancel()
			errs[i] = part()
		})
	}
	err := do(doing)
	stop()
	wait.Wait()
	return errors.Join(err, errors.Join(errs...), s.Service.Close())
}
