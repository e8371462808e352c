package mqtt

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/service"
)

// Authority is certificate authorities whose certificates name things: whoever has one
// and its key is that thing. The operator says so, and of which part of a certificate the
// name is.
type Authority struct {
	roots   *x509.CertPool
	name    thingName
	revoked *revocations // nil: nothing is revoked
}

// LoadAuthority reads the authorities of a file in PEM. name says what of a certificate
// names the thing:
//
//	cn          the common name of its subject
//	dns         its one DNS name; with dns:.SUFFIX what is before the suffix
//	uri:PREFIX  what follows the prefix in its one URI that has it
//
// The file revoked, if there is one, has the SHA-256 of certificates that no longer count, one
// a line. It is read again when it changes.
func LoadAuthority(file, name, revoked string, log *slog.Logger) (*Authority, error) {
	a := &Authority{roots: x509.NewCertPool()}
	var err error
	if a.name, err = parseThingName(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if err := a.add(data); err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", file, err)
	}
	if revoked != "" {
		if a.revoked, err = loadRevocations(revoked, log); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// add adds the authorities of a file.
func (a *Authority) add(data []byte) error {
	found := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if !c.IsCA {
			return fmt.Errorf("%q is not a certificate of an authority", c.Subject)
		}
		a.roots.AddCert(c)
		found = true
	}
	if !found {
		return errors.New("no certificate in PEM")
	}
	return nil
}

// thing returns the thing that a certificate names, which the peer has shown with those
// between it and its authority, and whose key it has.
func (a *Authority) thing(shown []*x509.Certificate, now time.Time) (string, error) {
	leaf := shown[0]
	if leaf.IsCA {
		return "", errors.New("it is the certificate of an authority")
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	// One that is for servers only is of no thing.
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", err
	}
	if a.revoked != nil && !a.revoked.allows(chains, now) {
		return "", errors.New("it is revoked")
	}
	return a.name.of(leaf)
}

// allows reports whether a chain has no certificate that is revoked.
func (r *revocations) allows(chains [][]*x509.Certificate, now time.Time) bool {
	ids := r.current(now)
	for _, chain := range chains {
		revoked := false
		for _, c := range chain {
			revoked = revoked || ids[service.CertificateID(c)]
		}
		if !revoked {
			return true
		}
	}
	return false
}

// thingName says what of a certificate is the name of a thing.
type thingName struct {
	part string // cn, dns or uri
	mark string // suffix of dns, prefix of uri
}

func parseThingName(text string) (thingName, error) {
	part, mark, marked := strings.Cut(text, ":")
	switch {
	case part == "cn" && !marked, part == "dns" && (!marked || strings.HasPrefix(mark, ".")), part == "uri" && mark != "":
		return thingName{part, mark}, nil
	}
	return thingName{}, fmt.Errorf("name of a thing from %q, want cn, dns, dns:.SUFFIX or uri:PREFIX", text)
}

// of returns the thing that a certificate names. One that names two is of none.
func (n thingName) of(c *x509.Certificate) (string, error) {
	var names []string
	switch n.part {
	case "cn":
		names = append(names, c.Subject.CommonName)
	case "dns":
		for _, name := range c.DNSNames {
			if name, ok := strings.CutSuffix(name, n.mark); ok {
				names = append(names, name)
			}
		}
	case "uri":
		for _, uri := range c.URIs {
			if name, ok := strings.CutPrefix(uri.String(), n.mark); ok {
				names = append(names, name)
			}
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("%d names of things by %s, want one", len(names), n.part)
	}
	if err := profile.CheckName(names[0]); err != nil {
		return "", fmt.Errorf("name of a thing by %s: %w", n.part, err)
	}
	return names[0], nil
}

// parseRevocations reads SHA-256 of certificates, one a line, in hexadecimal with colons
// or without. What follows a # is a remark.
func parseRevocations(data []byte) (map[string]bool, error) {
	ids := map[string]bool{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text, _, _ := strings.Cut(string(line), "#")
		text = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
		if text == "" {
			continue
		}
		if len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("line %d is not a SHA-256 in hexadecimal", n)
		}
		ids[text] = true
	}
	return ids, nil
}
