package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/registry"
	"github.com/device-defender/device-defender/internal/server"
)

// registryOptions are the flags of serve that say where things and groups are registered.
type registryOptions struct {
	kind     string
	endpoint string
	region   string
	profile  string
}

func (o *registryOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kind, "registry", "local", "where things and groups are: local, or aws, which is AWS IoT with the credentials of this process")
	flags.StringVar(&o.endpoint, "registry-endpoint", "", "endpoint of AWS IoT for --registry aws (default $AWS_ENDPOINT_URL_IOT, unless that is this service, or AWS's own)")
	flags.StringVar(&o.region, "registry-region", "", "AWS region for --registry aws (default $AWS_REGION, or the AWS profile's)")
	flags.StringVar(&o.profile, "registry-profile", "", "AWS profile for --registry aws (default $AWS_PROFILE)")
}

// parts are what a server that listens at an address has by the flags.
func (o *registryOptions) parts(ctx context.Context, listen string, authentication bool, log *slog.Logger) ([]server.Option, error) {
	switch {
	case o.kind == "local" && o.endpoint+o.region+o.profile == "":
		return nil, nil
	case o.kind == "local":
		return nil, usageError{errors.New("--registry-endpoint, --registry-region and --registry-profile are for --registry aws")}
	case o.kind != "aws":
		return nil, usageError{fmt.Errorf("--registry %q, want local or aws", o.kind)}
	}
	options := cloud.Options{Profile: o.profile, Region: o.region, EndpointURL: o.endpoint}
	if err := options.Check(); err != nil {
		return nil, usageError{fmt.Errorf("--registry-endpoint: %w", err)}
	}
	if o.endpoint != "" && isListener(o.endpoint, listen) {
		return nil, usageError{fmt.Errorf("--registry-endpoint %s is this service itself", o.endpoint)}
	}
	options.NotEndpoint = func(url string) bool {
		own := isListener(url, listen)
		if own {
			log.Info("the registry is AWS's own endpoint, as the environment's is this service", "endpoint", url)
		}
		return own
	}
	client, err := cloud.Connect(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("--registry aws: %w", err)
	}
	if !authentication {
		log.Warn("without --auth on, every user of this machine can have things moved to groups of the registry", "registry", client.Source())
	}
	return []server.Option{server.WithRegistry(registry.New(client, log))}, nil
}

// isListener reports whether a URL is that of an address on this machine which is listened
// to: the port is the same, and the host is loopback or what is listened to.
func isListener(endpoint, listen string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	there := u.Port()
	if there == "" {
		there = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
	return there == port && (loopback || strings.EqualFold(u.Hostname(), host))
}
