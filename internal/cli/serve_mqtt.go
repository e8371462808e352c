package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/server"
)

// mqttOptions are the flags of serve for MQTT.
type mqttOptions struct {
	address string
}

func (o *mqttOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.address, "mqtt", "", "address and port to take reports on by MQTT, such as :8883; beyond loopback with --tls-certificate (default none)")
}

// listen has the server listen for MQTT, if it is to. config is nil without TLS.
func (o *mqttOptions) listen(ctx context.Context, s *server.Server, config *tls.Config, console *console) error {
	if o.address == "" {
		return nil
	}
	address, err := s.ListenMQTT(ctx, o.address, config)
	if err != nil {
		return fmt.Errorf("--mqtt: %w", err)
	}
	scheme := "mqtt"
	if config != nil {
		scheme = "mqtts"
	}
	console.line("serve", fmt.Sprintf("listening on %s://%s", scheme, address))
	return nil
}

// tlsOptions are the flags for the service's certificate.
type tlsOptions struct {
	certificate, key string
}

func (o *tlsOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.certificate, "tls-certificate", "", "file of the service's certificate chain for MQTT, in PEM")
	flags.StringVar(&o.key, "tls-key", "", "file of the key of --tls-certificate, in PEM")
}

// config is nil without a certificate.
func (o *tlsOptions) config() (*tls.Config, error) {
	switch {
	case (o.certificate == "") != (o.key == ""):
		return nil, usageError{errors.New("--tls-certificate and --tls-key want each other")}
	case o.certificate == "":
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
