package server

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/device-defender/device-defender/internal/ingest/mqtt"
)

// source is a way in for reports beside the API.
type source interface {
	Serve(ctx context.Context) error
	Close() error
}

// ListenMQTT takes an address for MQTT, which is served once the server runs, and returns
// its URL. Without TLS it has to be a loopback one. The service should be opened with
// CloudEvents. The authority names things whose certificates are not registered; nil is none.
func (s *Server) ListenMQTT(ctx context.Context, address string, authority *mqtt.Authority) (string, error) {
	var config *tls.Config
	scheme := "mqtt://"
	if s.certificate != nil {
		config, scheme = s.certificate.Config(), "mqtts://"
	}
	m, err := mqtt.Listen(ctx, address, mqtt.Options{Intake: s.intake, TLS: config, Registry: s.Service, Authority: authority, Now: s.Now, Log: s.log})
	if err != nil {
		return "", fmt.Errorf("MQTT: %w", err)
	}
	s.sources = append(s.sources, m)
	return scheme + m.Addr().String(), nil
}
