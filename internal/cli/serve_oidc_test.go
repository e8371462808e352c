package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/openid/openidtest"
)

// TestServeLogin logs in at a service over TLS, by an access key and at a provider
// that is down when the service starts.
func TestServeLogin(t *testing.T) {
	defer goleak.VerifyNone(t)
	idp := openidtest.New(t)
	defer idp.Close()
	idp.Claims["groups"], idp.Down = []string{"staff", "the ops"}, true
	folder := t.TempDir()
	certificate, key, secret, data := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), filepath.Join(folder, "secret"), filepath.Join(folder, "data")
	writeCertificate(t, certificate, key)
	if err := os.WriteFile(secret, []byte(openidtest.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newScreen()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{
			"serve", "--listen", "127.0.0.1:0", "--auth", "on", "--tls-certificate", certificate, "--tls-key", key, "--data", data,
			"--oidc-issuer", idp.URL, "--oidc-client-id", openidtest.ClientID, "--oidc-client-secret-file", secret,
			"--oidc-role", "viewer=staff", "--oidc-role", "admin=the ops",
		}, strings.NewReader(""), log, log)
	}()
	log.until(t, "listening on https://", 1)
	address := regexp.MustCompile(`https://127\.0\.0\.1:\d+`).FindString(log.String())

	roots, text := x509.NewCertPool(), readFile(t, certificate)
	roots.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	newClient := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Transport: transport, Jar: jar}
	}
	read := func(answer *http.Response, err error) (string, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Request.URL.Path, string(body)
	}

	ana := newClient()
	if at, page := read(ana.Get(address + "/login/oidc")); at != "/login/oidc" || !strings.Contains(page, "can&#39;t be reached") {
		t.Errorf("without the provider at %s: %s", at, page)
	}
	credentials := regexp.MustCompile(`= (\S+)`).FindAllSubmatch(readFile(t, filepath.Join(data, "admin-credentials")), -1)
	form := url.Values{"key": {string(credentials[0][1])}, "secret": {string(credentials[1][1])}, "to": {"/live/audit"}}
	if at, page := read(ana.PostForm(address+"/login", form)); at != "/live/audit" || !strings.Contains(page, "<bdi>admin</bdi>, admin") {
		t.Errorf("by an access key at %s: %s", at, page)
	}
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if cookies := ana.Jar.Cookies(base); len(cookies) != 1 || cookies[0].Name != "__Host-defender-session" {
		t.Errorf("cookies %v", cookies)
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("serve: exit code %d: %s", c, log)
	}
	for _, s := range []string{string(credentials[1][1]), openidtest.Secret, ana.Jar.Cookies(base)[0].Value} {
		if strings.Contains(log.String(), s) {
			t.Error("a secret is in the log")
		}
	}

	// A session outlives a restart, with the same configuration; the provider is up.
	idp.Down = false
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go func() {
		code <- Main(ctx, []string{
			"serve", "--listen", base.Host, "--auth", "on", "--tls-certificate", certificate, "--tls-key", key, "--data", data,
			"--oidc-issuer", idp.URL, "--oidc-client-id", openidtest.ClientID, "--oidc-client-secret-file", secret,
			"--oidc-role", "viewer=staff", "--oidc-role", "admin=the ops",
		}, strings.NewReader(""), log, log)
	}()
	log.until(t, "listening on https://", 2)
	if at, page := read(ana.Get(address + "/live/audit")); at != "/live/audit" || !strings.Contains(page, "<bdi>admin</bdi>, admin") {
		t.Errorf("after a restart at %s: %s", at, page)
	}
	ben := newClient()
	if at, page := read(ben.Get(address + "/login/oidc?to=%2Flive%2Faudit")); at != "/live/audit" || !strings.Contains(page, "<bdi>openid:248289761001</bdi>, admin") {
		t.Errorf("at the provider at %s: %s", at, page)
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("serve: exit code %d: %s", c, log)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestServeOIDCUsage has wrong flags say what is wrong.
func TestServeOIDCUsage(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const issuer = "--oidc-issuer=https://id.example.com"
	for want, args := range map[string][]string{
		"--auth on":                           {"--auth", "auto", issuer},
		"--oidc-client-id is missing":         {issuer},
		"--oidc-role is missing":              {issuer, "--oidc-client-id=c"},
		`--oidc-role "root=x"`:                {issuer, "--oidc-client-id=c", "--oidc-role=root=x"},
		`--oidc-role "ingest=x"`:              {issuer, "--oidc-client-id=c", "--oidc-role=ingest=x"},
		`--oidc-role "admin="`:                {issuer, "--oidc-client-id=c", "--oidc-role=admin="},
		`--oidc-role "admin"`:                 {issuer, "--oidc-client-id=c", "--oidc-role=admin"},
		"want https":                          {"--oidc-issuer=http://id.example.com", "--oidc-client-id=c", "--oidc-role=admin=x"},
		"no such file":                        {issuer, "--oidc-client-id=c", "--oidc-role=admin=x", "--oidc-client-secret-file=nosuch"},
		"want a secret":                       {issuer, "--oidc-client-id=c", "--oidc-role=admin=x", "--oidc-client-secret-file=" + empty},
		"--oidc-issuer is missing, and the o": {"--oidc-role=admin=x"},
	} {
		var out bytes.Buffer
		code := Main(t.Context(), append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--auth", "on"}, args...), strings.NewReader(""), &out, &out)
		if code == 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%v: exit code %d, %s; want %s", args, code, out.String(), want)
		}
	}
}
