package cli

import (
	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/server"
)

// metricsOptions are the flags of serve for /metrics.
type metricsOptions struct {
	token string
}

func (o *metricsOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.token, "metrics-token-file", "", "file with a bearer token that lets Prometheus read /metrics where calls have to be signed")
}

// parts are what a server has by the flags.
func (o *metricsOptions) parts() ([]server.Option, error) {
	if o.token == "" {
		return nil, nil
	}
	if _, err := service.ReadMetricsToken(o.token); err != nil {
		return nil, usageError{err}
	}
	return []server.Option{server.WithMetricsToken(o.token)}, nil
}
