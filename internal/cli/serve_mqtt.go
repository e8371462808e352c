package cli

import (
	"context"
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

// listen has the server listen for MQTT, if it is to.
func (o *mqttOptions) listen(ctx context.Context, s *server.Server, console *console) error {
	if o.address == "" {
		return nil
	}
	url, err := s.ListenMQTT(ctx, o.address)
	if err != nil {
		return fmt.Errorf("--mqtt: %w", err)
	}
	console.line("serve", "listening on "+url)
	return nil
}
