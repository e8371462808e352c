package server

import (
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/scrape"
)

// metrics are the figures of a service and of its certificate.
func (s *Server) metrics(of *service.Service) service.Scrape {
	var extra []scrape.Extra
	if s.certificate != nil {
		extra = append(extra, scrape.Extra{
			Name: "tls_certificate_not_after_timestamp_seconds", Help: "When the TLS certificate that is used ends.",
			Value: func() float64 { return float64(s.certificate.notAfter().Unix()) },
		})
	}
	return service.Scrape{ContentType: scrape.ContentType, Text: scrape.Text(of, extra...)}
}

// WithMetricsToken lets callers of /metrics through who have the bearer token that is
// in the file.
func WithMetricsToken(path string) Option {
	return func(_ *Server, o *service.Options) { o.MetricsToken = path }
}
