package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/device-defender/device-defender/internal/ingest/mqtt"
)

// source is a way in for reports beside the API.
type source interface {
	Serve(ctx context.Context) error
	Close() error
}

// ListenMQTT takes an address for MQTT, which is served once the server runs. config has the
// server's certificate; nil is without TLS, on loopback only. The service should be opened
// with CloudEvents.
func (s *Server) ListenMQTT(ctx context.Context, address string, config *tls.Config) (net.Addr, error) {
	m, err := mqtt.Listen(ctx, address, mqtt.Options{Intake: s.intake, TLS: config, Registry: s.Service, Now: s.Now, Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("MQTT: %w", err)
	}
	s.sources = append(s.sources, m)
	return m.Addr(), nil
}
