package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// maxCertificates is how many certificates a thing may have: while it gets a new one
	// it has two.
	maxCertificates = 4
	// maxCertificatePem is the length of certificatePem in AWS IoT's API.
	maxCertificatePem = 65536
)

// storedCertificate is a certificate by which a thing is known. Of the certificate itself
// only its SHA-256 is kept, as the key: AWS IoT's certificate id.
type storedCertificate struct {
	Thing   string    `json:"thing"`
	Created time.Time `json:"created"`
}

// CertificateID is the SHA-256 of a certificate in hexadecimal, as AWS IoT names it.
func CertificateID(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// ThingOfCertificate returns the thing that is known by a certificate; "" when none is.
// Whoever asks has seen that the peer has the certificate's key.
func (s *Service) ThingOfCertificate(ctx context.Context, id string) (thing string, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		stored, err := tableCertificates.find(view, id)
		if stored != nil {
			thing = stored.Thing
		}
		return err
	})
	return thing, err
}

// parseCertificate reads the one certificate of a text.
func parseCertificate(text string) (*x509.Certificate, error) {
	if len(text) > maxCertificatePem {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(text), maxCertificatePem)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("not PEM")
	case block.Type != "CERTIFICATE":
		return nil, fmt.Errorf("%.40q in PEM, want CERTIFICATE", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("more than one block of PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// registerThingCertificate has a thing known by a certificate from now on, beside those that
// it has. The thing is created when there is none of the name. A certificate is of one
// thing.
func (s *Service) registerThingCertificate(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	var in struct {
		PEM *string `json:"certificatePem"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.PEM == nil {
		return nil, awsrest.Missing("certificatePem")
	}
	certificate, err := parseCertificate(*in.PEM)
	if err != nil {
		return nil, awsrest.Invalid("certificatePem is no certificate: " + awsrest.Clip(err.Error()))
	}
	if certificate.NotAfter.Before(s.now()) {
		return nil, awsrest.Invalid("the certificate has expired at " + certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	id := CertificateID(certificate)
	err = s.write(r.Context(), func(tx *store.Tx) error { return s.addCertificate(tx, name, id) })
	if err != nil {
		return nil, err
	}
	s.log.Info("certificate registered", "thing", name, "certificate", id)
	return struct {
		Name string `json:"thingName"`
		ARN  string `json:"thingArn"`
		ID   string `json:"certificateId"`
	}{name, s.thingARN(name), id}, nil
}

func (s *Service) addCertificate(tx *store.Tx, thing, id string) error {
	there, err := tableCertificates.findForUpdate(tx, id)
	switch {
	case err != nil:
		return err
	case there != nil && there.Thing == thing:
		return nil
	case there != nil:
		return awsrest.AlreadyExists("The certificate is of thing "+there.Thing, there.Thing, s.thingARN(there.Thing))
	}
	// The thing's row is written in any case: of two certificates that come at once, one is
	// counted after the other.
	stored, err := tableThings.findForUpdate(tx, thing)
	if err != nil {
		return err
	}
	if stored == nil && s.options.Registry != nil {
		return awsrest.NotFound(fmt.Sprintf("Thing %s not found in %s", thing, s.options.Registry.Status().Source))
	}
	if stored == nil {
		stored = &storedThing{ID: awsrest.NewID(), Version: 1, Created: s.now()}
		if err := s.thingCreated(tx, thing); err != nil {
			return err
		}
	}
	if err := tableThings.Put(tx, thing, *stored); err != nil {
		return err
	}
	n := 0
	for _, err := range tableThingCertificates.keysAfter(&tx.Reader, thing+"\x00", "") {
		if err != nil {
			return err
		}
		n++
	}
	if n >= maxCertificates {
		return awsrest.LimitExceeded(fmt.Sprintf("Thing %s has %d certificates, which is as many as there can be: delete one first", thing, n))
	}
	if err := tableThingCertificates.Put(tx, pairKey(thing, id), struct{}{}); err != nil {
		return err
	}
	return tableCertificates.Put(tx, id, storedCertificate{Thing: thing, Created: s.now()})
}

// dropCertificates has a thing not known by any certificate any more.
func dropCertificates(tx *store.Tx, thing string) error {
	for id, err := range tableThingCertificates.keysAfter(&tx.Reader, thing+"\x00", "") {
		if err != nil {
			return err
		}
		if err := tableCertificates.Delete(tx, id); err != nil {
			return err
		}
	}
	return tableThingCertificates.deletePrefix(tx, thing+"\x00")
}

// listThingCertificates lists the ids of the certificates by which a thing is known.
func (s *Service) listThingCertificates(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	return answerList(s, r, "certificateIds", func(view *store.Reader, after string, yield func(string, string) bool) error {
		if _, err := getThing(view, name); err != nil {
			return err
		}
		for id, err := range tableThingCertificates.keysAfter(view, name+"\x00", after) {
			if err != nil {
				return err
			}
			if !yield(id, id) {
				break
			}
		}
		return nil
	})
}

// deleteThingCertificate has a thing not known by a certificate any more. One that isn't
// there is deleted already.
func (s *Service) deleteThingCertificate(r *awsrest.Request) (any, error) {
	name, id := r.Name("thingName"), r.Name("certificateId")
	err := s.write(r.Context(), func(tx *store.Tx) error {
		there, err := tableCertificates.findForUpdate(tx, id)
		if err != nil {
			return err
		}
		if there == nil || there.Thing != name {
			return nil
		}
		if err := tableThingCertificates.Delete(tx, pairKey(name, id)); err != nil {
			return err
		}
		return tableCertificates.Delete(tx, id)
	})
	return struct{}{}, err
}
