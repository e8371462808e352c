package mqtt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/service"
)

// issuer is a certificate authority.
type issuer struct {
	t *testing.T
	tls.Certificate
}

func newIssuer(t *testing.T, by *issuer) *issuer {
	ca := &issuer{t: t}
	ca.Certificate = ca.make(by, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "plant"}})
	return ca
}

// make makes a certificate, by itself or another.
func (*issuer) make(by *issuer, template *x509.Certificate) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := template, any(key)
	var chain [][]byte
	if by != nil {
		parent, signer, chain = by.Leaf, by.PrivateKey, by.Certificate.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key, Leaf: leaf}
}

// issue makes a device's certificate.
func (ca *issuer) issue(change func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	change(template)
	return ca.make(ca, template)
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

// file writes a file of a folder of the test.
func file(t *testing.T, folder, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func (ca *issuer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw})
}

// A certificate of the operator's authority is the thing that it names, and no other; the
// thing is registered by its first report. A certificate that is registered is the thing that
// the registry says.
func TestThingByItsAuthority(t *testing.T) {
	plant, stranger := newIssuer(t, nil), newIssuer(t, nil)
	line := newIssuer(t, plant)
	folder := t.TempDir()
	chained := line.issue(named("core-1"))
	first, other := plant.issue(named("core-1")), plant.issue(named("core-1"))
	revoked := file(t, folder, "revoked", []byte("# none yet\n"))
	authority, err := LoadAuthority(file(t, folder, "ca.pem", plant.pem()), "cn", revoked, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOf(t, true, nil, authority)
	const topic = "$aws/things/core-1/defender/metrics/json"
	for what, c := range map[string]tls.Certificate{
		"self-signed":          certificate(t, time.Now().Add(time.Hour)),
		"of another authority": stranger.issue(named("core-1")),
		"for servers only": plant.issue(func(c *x509.Certificate) {
			c.Subject.CommonName, c.ExtKeyUsage = "core-1", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"expired": plant.issue(func(c *x509.Certificate) {
			c.Subject.CommonName, c.NotBefore, c.NotAfter = "core-1", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
		"the authority itself": plant.Certificate,
		"without a name":       plant.issue(named("")),
		"no name of a thing":   plant.issue(named("core/1")),
		"without its chain":    {Certificate: chained.Certificate[:1], PrivateKey: chained.PrivateKey},
	} {
		if _, err := w.connect(t, options{version: 5, id: "core-1", certificate: &c}); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
	for _, version := range []int{3, 5} {
		d, err := w.connect(t, options{version: version, id: "any", certificate: &first})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.publish(topic, 1, reportOf(version)); err != nil {
			t.Error(err)
		}
		if err := d.publish("$aws/things/core-2/defender/metrics/json", 1, reportOf(version)); err == nil && len(w.service.Reports("core-2", 1)) > 0 {
			t.Error("reported as another thing")
		}
	}
	if state, ok, err := w.service.Thing(t.Context(), "core-1"); !ok || !state.Registered {
		t.Errorf("not registered: %+v, %v", state, err)
	}
	below := line.issue(named("core-3"))
	if _, err := w.connect(t, options{version: 5, id: "any", certificate: &below}); err != nil {
		t.Errorf("by an authority between: %v", err)
	}
	w.registry.set(other, "core-4")
	d, err := w.connect(t, options{version: 5, id: "any", certificate: &other})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.publish("$aws/things/core-4/defender/metrics/json", 1, reportOf(1)); err != nil {
		t.Errorf("a registered certificate is not what the registry says: %v", err)
	}

	// What is revoked ends at the next report of an open connection.
	d, err = w.connect(t, options{version: 5, id: "any", certificate: &first})
	if err != nil {
		t.Fatal(err)
	}
	file(t, folder, "revoked", []byte(service.CertificateID(first.Leaf)+" # stolen\n"+strings.ToUpper(service.CertificateID(line.Leaf))))
	authority.revoked.looked = time.Time{} // as a second later
	if err := d.publish(topic, 1, reportOf(9)); err == nil {
		t.Error("reported with a certificate that is revoked")
	}
	for what, c := range map[string]*tls.Certificate{"revoked": &first, "of an authority that is revoked": &below} {
		if _, err := w.connect(t, options{version: 5, id: "any", certificate: c}); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
}

func TestNamesOfThings(t *testing.T) {
	link := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "core-1"}, DNSNames: []string{"core-2.plant.example", "core-3.line.example"},
		URIs: []*url.URL{link("spiffe://plant/thing/core-4"), link("urn:x:1")},
	}
	for from, want := range map[string]string{
		"cn": "core-1", "dns:.plant.example": "core-2", "dns:.line.example": "core-3", "dns:.example": "", "dns": "",
		"uri:spiffe://plant/thing/": "core-4", "uri:spiffe://plant/": "", "uri:urn:x:": "1", "uri:nosuch": "",
	} {
		n, err := parseThingName(from)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n.of(c); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", from, got, err, want)
		}
	}
	for _, text := range []string{"", "CN", "cn:x", "dns:", "dns:x", "uri", "uri:", "email"} {
		if _, err := parseThingName(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// A list that cannot be read later does not let anybody in again.
func TestRevocationsAreKept(t *testing.T) {
	folder := t.TempDir()
	id := strings.Repeat("ab", 32)
	path := file(t, folder, "revoked", []byte("AB:"+id[2:]+"\r\n\n# end"))
	var log bytes.Buffer
	r, err := loadRevocations(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, text := range []string{"no fingerprint", strings.Repeat("g", 64)} {
		file(t, folder, "revoked", []byte(text))
		for range 3 {
			now = now.Add(2 * lookAgain)
			if !r.current(now)[id] {
				t.Errorf("with %q it is forgotten", text)
			}
		}
	}
	if n := strings.Count(log.String(), "the last list is kept"); n != 1 {
		t.Errorf("said %d times: %s", n, &log)
	}
	file(t, folder, "revoked", nil)
	if r.current(now.Add(lookAgain / 2))[id] != true || r.current(now.Add(2 * lookAgain))[id] {
		t.Error("the file is looked at once a second")
	}
}

func TestLoadAuthority(t *testing.T) {
	folder := t.TempDir()
	ca := newIssuer(t, nil)
	leaf := ca.issue(named("core-1"))
	good := file(t, folder, "ca.pem", ca.pem())
	for what, args := range map[string][3]string{
		"no file":         {folder + "/none", "cn", ""},
		"no PEM":          {file(t, folder, "text", []byte("x")), "cn", ""},
		"no authority":    {file(t, folder, "leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Leaf.Raw})), "cn", ""},
		"garbage":         {file(t, folder, "bad.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "cn", ""},
		"no such name":    {good, "serial", ""},
		"no revocations":  {good, "cn", folder + "/none"},
		"bad revocations": {good, "cn", file(t, folder, "revoked", []byte("x"))},
	} {
		if _, err := LoadAuthority(args[0], args[1], args[2], slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: loaded", what)
		}
	}
}

func FuzzParseRevocations(f *testing.F) {
	f.Add([]byte("# remark\n" + strings.Repeat("0f", 32) + "\n"))
	f.Add([]byte("0F:" + strings.Repeat("0f", 31) + " # x\r\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := parseRevocations(data)
		if err != nil && ids != nil {
			t.Error("a list and an error")
		}
		for id := range ids {
			if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
				t.Errorf("%q", id)
			}
		}
	})
}
