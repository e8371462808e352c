package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookAgain is how often the files are looked at when nobody connects.
const lookAgain = 10 * time.Second

// Certificate is a TLS certificate with its key, from files. When the files
// change, the next connection has what is in them then.
type Certificate struct {
	certificate, key string
	log              *slog.Logger

	mu      sync.Mutex // guards the rest
	pair    *tls.Certificate
	looked  [2]os.FileInfo // the files when they were last looked at; nil: a file was not there
	problem string         // with them then, so that it is said once
}

// LoadCertificate reads a certificate, with those between it and its authority
// behind it, and its private key. Both files are PEM.
func LoadCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certificate: certificate, key: key, log: log}
	looked := c.look()
	pair, err := c.read()
	if err != nil {
		return nil, err
	}
	c.pair, c.looked = pair, looked
	return c, nil
}

func (c *Certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS certificate %s and its key %s: %w", c.certificate, c.key, err)
	}
	return &pair, nil
}

func (c *Certificate) look() (files [2]os.FileInfo) {
	for i, name := range []string{c.certificate, c.key} {
		if info, err := os.Stat(name); err == nil {
			files[i] = info
		}
	}
	return files
}

// current returns the certificate that is in the files. If they have none that can
// be used, as between the writing of one and the other, it is the last that could.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	looked := c.look()
	if sameFile(looked[0], c.looked[0]) && sameFile(looked[1], c.looked[1]) {
		return c.pair
	}
	c.looked = looked
	pair, err := c.read()
	switch {
	case err == nil:
		c.pair, c.problem = pair, ""
		c.log.Info("TLS certificate read again", "file", c.certificate, "valid until", pair.Leaf.NotAfter)
	case err.Error() != c.problem:
		c.problem = err.Error()
		c.log.Error("the new TLS certificate cannot be used, the old one is kept", "error", err)
	}
	return c.pair
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Config is for servers that use the certificate. They speak HTTP/1.1.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

// Host reports whether the certificate is for the name or address.
func (c *Certificate) Host(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Leaf.VerifyHostname(host) == nil
}

// notAfter is when the certificate ends.
func (c *Certificate) notAfter() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Leaf.NotAfter
}

// watch looks at the files until ctx ends, so that a certificate that cannot be used
// is said without a connection.
func (c *Certificate) watch(ctx context.Context) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.current()
		case <-ctx.Done():
			return
		}
	}
}
