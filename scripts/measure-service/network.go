//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// network measures reports over TLS: by HTTPS, then by MQTT with a certificate for
// each thing, and the memory of connections by MQTT.
func network(path, dir string, add func(row, format string, value float64)) (err error) {
	certificate, key, err := writeCertificate(dir)
	if err != nil {
		return err
	}
	p, err := start(path, dir, "--tls-certificate", certificate, "--tls-key", key, "--mqtt", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(certificate)
	if err != nil {
		return err
	}
	roots.AppendCertsFromPEM(text)
	p.secure(&tls.Config{RootCAs: roots})
	if err := errors.Join(p.attach("Fleet", fleetProfile()), p.register(*things)); err != nil {
		return err
	}
	own, err := p.certificates(max(*things, *mqttConnections))
	if err != nil {
		return err
	}
	byMQTT := func(i int) (sender, error) {
		config := p.tls.Clone()
		config.Certificates = []tls.Certificate{own[i]}
		return dialMQTT(p.mqtt, config, uint64(i), thingName(i))
	}
	for _, way := range []struct {
		name string
		dial func(i int) (sender, error)
	}{{"HTTPS", p.dial}, {"MQTT over TLS", byMQTT}} {
		things := *things
		if way.name != "HTTPS" {
			things = min(things, *clients) // a connection reports for its own thing
		}
		if err := p.loadBy(way.name, way.dial, things, add); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return p.idle(byMQTT, add)
}

func (p *process) loadBy(name string, dial func(i int) (sender, error), things int, add func(row, format string, value float64)) error {
	s, err := newSwarm(dial, *clients, 0, things, newPayloads(5, false))
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.round(1); err != nil {
		return err
	}
	title := func(what string) string { return fmt.Sprintf("%s; by %s, %d things", what, name, things) }
	_, _, _, err = p.load(s, title, add)
	return err
}

// idle opens connections by MQTT, each of which has reported.
func (p *process) idle(dial func(i int) (sender, error), add func(row, format string, value float64)) error {
	const field = "VmRSS:"
	before, err := memory(p.cmd.Process.Pid, field)
	if err != nil {
		return err
	}
	s, err := newSwarm(dial, *mqttConnections, 0, *mqttConnections, newPayloads(5, false))
	if err != nil {
		return err
	}
	defer s.close()
	for i := range s.rounds {
		s.rounds[i] = 1 << 20 // after what was reported before
	}
	if err := s.round(1); err != nil {
		return err
	}
	after, err := memory(p.cmd.Process.Pid, field)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("; %d connections by MQTT over TLS", len(s.clients))
	add("resident memory, MB"+title, "%.0f", after)
	add("KB more for each connection"+title, "%.0f", (after-before)*1024/float64(len(s.clients)))
	return nil
}

// secure has the client speak TLS.
func (p *process) secure(config *tls.Config) {
	p.tls = config
	p.transport.TLSClientConfig = config
}

// certificates makes one for each of n things, and registers it.
func (p *process) certificates(n int) ([]tls.Certificate, error) {
	pairs := make([]tls.Certificate, n)
	for i := range pairs {
		pair, text, err := newCertificate(thingName(i))
		if err != nil {
			return nil, err
		}
		pairs[i] = pair
		if err := p.call("POST", "/things/"+thingName(i)+"/certificates", object{"certificatePem": string(text)}, nil); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// newCertificate makes a certificate that signs itself, also as PEM.
func newCertificate(name string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// writeCertificate makes files for --tls-certificate and --tls-key.
func writeCertificate(dir string) (certificate, key string, err error) {
	pair, text, err := newCertificate("service")
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	return certificate, key, errors.Join(
		os.WriteFile(certificate, text, 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
}
