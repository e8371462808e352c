package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/server"
)

// accessOptions are the flags of serve that say who may reach it, and how.
type accessOptions struct {
	certificate string
	key         string
	auth        string
}

func (o *accessOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.certificate, "tls-certificate", "", "file of the TLS certificate, PEM; it is read again when it changes")
	flags.StringVar(&o.key, "tls-key", "", "file of the certificate's private key, PEM")
	flags.StringVar(&o.auth, "auth", "auto", "whether calls have to be signed with an access key: on, off, or auto, which is on unless every listener is on loopback")
}

// check returns what is wrong with the flags by themselves.
func (o *accessOptions) check() error {
	switch o.auth {
	case "auto", "on", "off":
	default:
		return usageError{fmt.Errorf("--auth %q, want auto, on or off", o.auth)}
	}
	if (o.certificate == "") != (o.key == "") {
		return usageError{errors.New("--tls-certificate and --tls-key go together")}
	}
	return nil
}

// authentication decides whether callers are authenticated at these addresses.
func (o *accessOptions) authentication(ctx context.Context, listeners ...string) (bool, error) {
	if err := o.check(); err != nil {
		return false, err
	}
	on := o.auth == "on"
	for _, listen := range listeners {
		loopback, err := awsrest.IsLoopback(ctx, listen)
		switch {
		case err != nil:
			return false, err
		case loopback:
		case o.auth == "off":
			return false, usageError{fmt.Errorf("--auth off: other machines reach %q, and whoever does could read and change everything; without authentication, listen on a loopback address, such as %s", listen, defaultListen)}
		case o.certificate == "":
			return false, usageError{fmt.Errorf("%q is not a loopback address, so it is served over TLS only: give --tls-certificate and --tls-key", listen)}
		default:
			on = true
		}
	}
	return on, nil
}

// parts are what a server has by the flags.
func (o *accessOptions) parts(log *slog.Logger) ([]server.Option, error) {
	if o.certificate == "" {
		return nil, nil
	}
	c, err := server.LoadCertificate(o.certificate, o.key, log)
	if err != nil {
		return nil, err
	}
	return []server.Option{server.WithCertificate(c)}, nil
}
