package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/ingest/mqtt"
	"github.com/device-defender/device-defender/internal/server"
)

// mqttOptions are the flags of serve for MQTT.
type mqttOptions struct {
	address string
	ca      string
	caName  string
	revoked string
}

func (o *mqttOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.address, "mqtt", "", "address and port to take reports on by MQTT, such as :8883; beyond loopback with --tls-certificate (default none)")
	flags.StringVar(&o.ca, "mqtt-ca", "", "file of certificate authorities, PEM: a certificate of theirs names its thing, which need not be registered")
	flags.StringVar(&o.caName, "mqtt-ca-name", "cn", "what of such a certificate is the thing's name: cn, dns, dns:.SUFFIX or uri:PREFIX")
	flags.StringVar(&o.revoked, "mqtt-ca-revoked", "", "file with the SHA-256 of such certificates that no longer count, one a line; it is read again when it changes")
}

// authority reads what --mqtt-ca names; nil if nothing.
func (o *mqttOptions) authority(log *slog.Logger) (*mqtt.Authority, error) {
	if o.ca == "" {
		return nil, nil
	}
	return mqtt.LoadAuthority(o.ca, o.caName, o.revoked, log)
}

// check returns what is wrong with the flags by themselves.
func (o *mqttOptions) check(secure bool) error {
	switch {
	case o.ca != "" && (o.address == "" || !secure):
		return usageError{errors.New("--mqtt-ca is for --mqtt with --tls-certificate: without TLS clients show no certificate")}
	case o.revoked != "" && o.ca == "":
		return usageError{errors.New("--mqtt-ca-revoked is for certificates of --mqtt-ca; a registered one ends by 'defenderctl thing delete'")}
	}
	return nil
}

// listen has the server listen for MQTT, if it is to.
func (o *mqttOptions) listen(ctx context.Context, s *server.Server, console *console) error {
	if o.address == "" {
		return nil
	}
	authority, err := o.authority(console.logger("serve", slog.LevelInfo))
	if err != nil {
		return fmt.Errorf("--mqtt-ca: %w", err)
	}
	url, err := s.ListenMQTT(ctx, o.address, authority)
	if err != nil {
		return fmt.Errorf("--mqtt: %w", err)
	}
	console.line("serve", "listening on "+url)
	return nil
}
