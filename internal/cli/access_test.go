package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// writeCertificate makes a certificate for this machine that signs itself, and its
// key.
func writeCertificate(t *testing.T, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccess has the life of access keys, at a service that other machines reach.
func TestAccess(t *testing.T) {
	defer goleak.VerifyNone(t)
	folder := t.TempDir()
	certificate, key, data := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), filepath.Join(folder, "data")
	writeCertificate(t, certificate, key)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newScreen()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"serve", "--listen", "0.0.0.0:0", "--tls-certificate", certificate, "--tls-key", key, "--data", data}, strings.NewReader(""), log, log)
	}()
	log.until(t, "listening on https://", 1)
	port := regexp.MustCompile(`listening on https://0\.0\.0\.0:(\d+)`).FindStringSubmatch(log.String())[1]

	t.Setenv("AWS_ENDPOINT_URL_IOT", "https://127.0.0.1:"+port)
	t.Setenv("AWS_CA_BUNDLE", certificate)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	use := func(file string) { t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file) }
	run := func(want int, says string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		got := Main(t.Context(), args, strings.NewReader(""), &out, &errs)
		if got != want || !strings.Contains(out.String()+errs.String(), says) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s%s", args, got, want, says, out.String(), errs.String())
		}
		return out.String()
	}
	use(filepath.Join(folder, "none"))
	run(1, "UnrecognizedClientException", "profile", "list")
	use(filepath.Join(data, "admin-credentials"))
	run(0, "no security profile", "profile", "list")
	run(2, "role", "access", "create", "ana")
	run(1, "enum value set: [viewer, operator, admin, ingest]", "access", "create", "ana", "--role", "root")
	made := run(0, "[default]", "access", "create", "ana", "--role", "viewer")
	secret := regexp.MustCompile(`(?s)^\[default\]\naws_access_key_id = DDAK[A-Z2-7]{16}\naws_secret_access_key = (\S{40})\n$`).FindStringSubmatch(made)
	if secret == nil {
		t.Fatalf("access create: %q", made)
	}
	run(1, "already exists", "access", "create", "ana", "--role", "viewer")
	if list := run(0, "ana", "access", "list"); strings.Contains(list, secret[1]) || !strings.Contains(list, "admin") {
		t.Errorf("access list: %s", list)
	}
	ana := filepath.Join(folder, "ana-credentials")
	if err := os.WriteFile(ana, []byte(made), 0o600); err != nil {
		t.Fatal(err)
	}
	use(ana)
	run(0, "no security profile", "profile", "list")
	run(1, "not authorized to perform: iot:ListAccessKeys because its access key has the role viewer", "access", "list")
	use(filepath.Join(data, "admin-credentials"))
	renewed := run(0, "secretAccessKey", "access", "rotate", "ana", "--output", "json")
	if strings.Contains(renewed, secret[1]) {
		t.Error("rotated to the same secret")
	}
	use(ana)
	run(1, "UnrecognizedClientException", "profile", "list")
	use(filepath.Join(data, "admin-credentials"))
	run(0, "ana deleted", "access", "delete", "ana")
	run(1, "Access key ana not found", "access", "delete", "ana")
	run(1, "the only access key of the role admin", "access", "delete", "admin")
	changes := run(0, "RotateAccessKey", "audit", "--since", "1h", "--user", "admin", "--output", "json")
	for _, want := range []string{`"operation": "CreateAccessKey"`, `"path": "/access-keys/ana"`, `"sourceAddress": "127.0.0.1"`, `"error": "ResourceNotFoundException"`} {
		if !strings.Contains(changes, want) {
			t.Errorf("audit has no %s: %s", want, changes)
		}
	}
	if strings.Contains(changes, secret[1]) {
		t.Error("a secret is in the audit log")
	}
	run(0, "AccessDeniedException", "audit", "--user", "ana")
	run(0, "earlier entries", "audit", "--most", "1")
	run(0, "no entry", "audit", "--user", "nobody")
	run(2, "--most", "audit", "--most", "0")

	cancel()
	if c := <-code; c != 0 {
		t.Errorf("serve: exit code %d: %s", c, log)
	}
	text, err := os.ReadFile(filepath.Join(data, "admin-credentials"))
	if err != nil {
		t.Fatal(err)
	}
	admin := regexp.MustCompile(`aws_secret_access_key = (\S+)`).FindSubmatch(text)
	for _, s := range []string{secret[1], string(admin[1])} {
		if strings.Contains(log.String(), s) {
			t.Error("a secret is in the log")
		}
	}
	if !strings.Contains(log.String(), filepath.Join(data, "admin-credentials")) {
		t.Errorf("the log doesn't say where the first access key is: %s", log)
	}
}
