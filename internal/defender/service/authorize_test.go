package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/device-defender/device-defender/internal/memdir"
)

// guarded is a service with authentication, and its first access key.
type guarded struct {
	*Service
	handler http.Handler
	admin   aws.Credentials
}

func openGuarded(t *testing.T, o Options) *guarded {
	t.Helper()
	if o.Data == "" {
		o.Data = memdir.New(t)
	}
	o.Authentication = true
	g := &guarded{Service: openService(t, o)}
	g.handler, g.admin = g.Handler(), readCredentials(t, o.Data)
	return g
}

// readCredentials reads the file of the first access key.
func readCredentials(t *testing.T, data string) aws.Credentials {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "admin-credentials"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`^\[default\]\naws_access_key_id = (\S+)\naws_secret_access_key = (\S+)\n$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("admin-credentials is not a credentials file: %q", text)
	}
	return aws.Credentials{AccessKeyID: string(found[1]), SecretAccessKey: string(found[2])}
}

// call sends a request, signed by AWS's SDK; without credentials it isn't signed.
func (g *guarded) call(t *testing.T, by aws.Credentials, method, path string, header http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8787"+path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	if by.AccessKeyID != "" {
		hash := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), by, r, hex.EncodeToString(hash[:]), "iot", "us-east-1", g.now()); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w
}

// create makes an access key.
func (g *guarded) create(t *testing.T, name, role string) aws.Credentials {
	t.Helper()
	w := g.call(t, g.admin, "POST", "/access-keys/"+name, jsonBody, `{"role":"`+role+`"}`)
	return credentialsOf(t, w)
}

func credentialsOf(t *testing.T, w *httptest.ResponseRecorder) aws.Credentials {
	t.Helper()
	var out struct {
		ID     string `json:"accessKeyId"`
		Secret string `json:"secretAccessKey"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 || out.ID == "" || out.Secret == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return aws.Credentials{AccessKeyID: out.ID, SecretAccessKey: out.Secret}
}

// failure is the status and error type of an answer.
func failure(w *httptest.ResponseRecorder) string {
	kind := w.Header().Get("X-Amzn-ErrorType")
	if found := regexp.MustCompile(`<Code>(\w+)</Code>`).FindSubmatch(w.Body.Bytes()); found != nil {
		kind = string(found[1]) // of STS
	}
	return fmt.Sprint(w.Code, " ", kind)
}

// Each role may call the operations that the documentation says, and nobody else
// any.
func TestRolesAndOperations(t *testing.T) {
	g := openGuarded(t, Options{MinReportInterval: -1})
	keys := map[string]aws.Credentials{}
	for _, role := range Roles() {
		keys[role] = g.create(t, role+"-key", role)
	}
	if !slices.Equal(Roles(), []string{"viewer", "operator", "admin", "ingest"}) {
		t.Errorf("roles %v", Roles())
	}
	wrong := keys["admin"]
	wrong.SecretAccessKey += "x"
	session := keys["admin"]
	session.SessionToken = "token"
	strangers := map[string]struct {
		by        aws.Credentials
		want, sts string
	}{
		"unsigned":    {aws.Credentials{}, "403 MissingAuthenticationTokenException", "403 MissingAuthenticationToken"},
		"unknown key": {aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "x"}, "403 UnrecognizedClientException", "403 InvalidClientTokenId"},
		"a session":   {session, "403 UnrecognizedClientException", "403 InvalidClientTokenId"},
		"wrong key":   {wrong, "403 InvalidSignatureException", "403 SignatureDoesNotMatch"},
	}
	members := regexp.MustCompile(`\{\w+\}`)
	for _, op := range g.operations() {
		path, header, body := strings.TrimSuffix(op.Path, "{$}"), http.Header{}, ""
		path = members.ReplaceAllString(strings.Replace(path, "{format}", "json", 1), "a")
		if op.HasBody() {
			header, body = jsonBody, `{}`
		}
		sts := op.Name == "GetCallerIdentity"
		if sts {
			header, body = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "Action=GetCallerIdentity&Version=2011-06-15"
		}
		// As in the documentation, not by the level that the operation has.
		may := []string{"viewer", "operator", "admin", "ingest"}
		switch acts := op.Method != "GET" && strings.Contains(op.Name, "MitigationAction"); {
		case op.Name == "DescribeEndpoint" || sts:
		case op.Name == "report" || op.Name == "Publish":
			may = []string{"admin", "ingest"}
		case acts || strings.Contains(op.Name, "AccessKey") || slices.Contains(administrators, op.Name):
			may = []string{"admin"}
		case op.Method == "GET" || op.Name == "ValidateSecurityProfileBehaviors":
			may = []string{"viewer", "operator", "admin"}
		default:
			may = []string{"operator", "admin"}
		}
		for role, by := range keys {
			got := failure(g.call(t, by, op.Method, path, header, body))
			denied := got == "403 AccessDeniedException"
			if denied == slices.Contains(may, role) || strings.HasPrefix(got, "403") && !denied {
				t.Errorf("%s as %s: %s", op.Name, role, got)
			}
		}
		g.guesses.made = nil
		for name, stranger := range strangers {
			want := stranger.want
			if sts {
				want = stranger.sts
			}
			if got := failure(g.call(t, stranger.by, op.Method, path, header, body)); got != want {
				t.Errorf("%s by %s: %s, want %s", op.Name, name, got, want)
			}
			if name == "unsigned" { // whatever else is wrong with it
				if got := failure(g.call(t, stranger.by, op.Method, path, http.Header{"Content-Type": {"text/plain"}}, "x")); got != want {
					t.Errorf("%s by %s, malformed: %s, want %s", op.Name, name, got, want)
				}
			}
		}
	}
}

// Who calls is in the answer of STS.
func TestCallerIdentity(t *testing.T) {
	g := openGuarded(t, Options{})
	w := g.call(t, g.create(t, "ana", "viewer"), "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "Action=GetCallerIdentity&Version=2011-06-15")
	if !strings.Contains(w.Body.String(), "<Arn>arn:aws:iam::123456789012:user/ana</Arn>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The first start makes an access key, in a file that only its owner can read; the
// log tells where it is. Later starts make none, also when the file is gone.
func TestFirstAccessKey(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "admin-credentials")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	open := func() *guarded {
		return openGuarded(t, Options{Data: folder, Log: slog.New(slog.NewTextHandler(&log, nil))})
	}
	g := open()
	first := g.admin
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v; want a file of mode 0600", info.Mode(), err)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("the secret was written through a link")
	}
	if text := log.String(); !strings.Contains(text, path) || strings.Contains(text, first.SecretAccessKey) {
		t.Errorf("log: %s", text)
	}
	g.Close()
	g = open()
	if g.admin != first {
		t.Error("the second start made another key")
	}
	if w := g.call(t, first, "GET", "/things", nil, ""); w.Code != 200 {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	g.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	openService(t, Options{Data: folder, Authentication: true})
	if _, err := os.Stat(path); err == nil {
		t.Error("a start without the file made another key")
	}
}

// Access keys are made, listed, rotated and deleted; a secret is told once, and is
// in no log.
func TestAccessKeys(t *testing.T) {
	var log bytes.Buffer
	g := openGuarded(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	works := func(by aws.Credentials, want string) {
		t.Helper()
		if got := failure(g.call(t, by, "GET", "/things", nil, "")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	says := func(w *httptest.ResponseRecorder, status int, text string) {
		t.Helper()
		if w.Code != status || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%d %s, want %d with %q", w.Code, w.Body, status, text)
		}
	}
	old := g.create(t, "ana", "viewer")
	works(old, "200 ")
	says(g.call(t, g.admin, "POST", "/access-keys/ana", jsonBody, `{"role":"viewer"}`), 409, "already exists")
	says(g.call(t, g.admin, "POST", "/access-keys/b", jsonBody, `{"role":"root"}`), 400, "[viewer, operator, admin, ingest]")
	says(g.call(t, g.admin, "POST", "/access-keys/b", jsonBody, `{}`), 400, "Value null at 'role'")
	says(g.call(t, g.admin, "POST", "/access-keys/b%20c", jsonBody, `{"role":"viewer"}`), 400, "accessKeyName")
	renewed := credentialsOf(t, g.call(t, g.admin, "POST", "/access-keys/ana/rotate", nil, ""))
	works(old, "403 UnrecognizedClientException")
	works(renewed, "200 ")
	list := g.call(t, g.admin, "GET", "/access-keys", nil, "")
	says(list, 200, renewed.AccessKeyID)
	if strings.Contains(list.Body.String(), renewed.SecretAccessKey) || strings.Contains(list.Body.String(), old.AccessKeyID) {
		t.Errorf("the list: %s", list.Body)
	}
	says(g.call(t, g.admin, "DELETE", "/access-keys/ana", nil, ""), 200, "{}")
	works(renewed, "403 UnrecognizedClientException")
	says(g.call(t, g.admin, "DELETE", "/access-keys/ana", nil, ""), 404, "Access key ana not found")
	says(g.call(t, g.admin, "POST", "/access-keys/ana/rotate", nil, ""), 404, "Access key ana not found")
	says(g.call(t, g.admin, "DELETE", "/access-keys/admin", nil, ""), 400, "the only access key of the role admin")
	works(g.admin, "200 ")
	second := g.create(t, "second", "admin")
	says(g.call(t, second, "DELETE", "/access-keys/admin", nil, ""), 200, "{}")
	works(g.admin, "403 UnrecognizedClientException")
	for _, secret := range []string{old.SecretAccessKey, renewed.SecretAccessKey, second.SecretAccessKey, g.admin.SecretAccessKey} {
		if strings.Contains(log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// Without authentication there are no access keys, for anybody could make one for
// the day when there is.
func TestNoAccessKeysWithoutAuthentication(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/access-keys/ana", `{"role":"admin"}`},
		{"POST", "/access-keys/ana/rotate", ""},
		{"DELETE", "/access-keys/ana", ""},
		{"GET", "/access-keys", ""},
	} {
		w := send(t, handler, call.method, call.path, jsonBody, call.body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "without authentication") {
			t.Errorf("%s %s: %d %s", call.method, call.path, w.Code, w.Body)
		}
	}
}

// What is not of the API: health is told to anybody, the pages to those who are logged
// in.
func TestPagesAndHealth(t *testing.T) {
	page := func(*Service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("secrets of the fleet")) })
	}
	g := openGuarded(t, Options{Pages: page})
	for path, status := range map[string]int{"/": 303, "/live/": 303, "/live/thing?name=a": 303, "/healthz": 200, "/readyz": 200} {
		w := g.call(t, aws.Credentials{}, "GET", path, nil, "")
		if w.Code != status || strings.Contains(w.Body.String(), "secrets") {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, status)
		}
	}
	g.Close()
	if w := g.call(t, aws.Credentials{}, "GET", "/readyz", nil, ""); w.Code != 503 {
		t.Errorf("/readyz without a database: %d %s", w.Code, w.Body)
	}
}

// Who tries secrets is slowed down; others are not, nor the same from elsewhere.
func TestGuessing(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	g := openGuarded(t, Options{Now: func() time.Time { return clock }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ana, ben := g.create(t, "ana", "viewer"), g.create(t, "ben", "viewer")
	wrong := ana
	wrong.SecretAccessKey = "guess"
	try := func(by aws.Credentials, want string) {
		t.Helper()
		if got := failure(g.call(t, by, "GET", "/things", nil, "")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for range guessBurst {
		try(wrong, "403 InvalidSignatureException")
	}
	try(wrong, "403 ThrottlingException")
	try(ana, "403 ThrottlingException") // or guesses could be told apart
	try(ben, "200 ")
	try(aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "x"}, "403 UnrecognizedClientException")
	clock = clock.Add(guessPause)
	try(ana, "200 ")
	try(wrong, "403 InvalidSignatureException")
	try(wrong, "403 ThrottlingException")
	// There is no secret of a key that there is not: it is not slowed, but logged no
	// more.
	unknown := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "x"}
	for range 2 * guessBurst {
		try(unknown, "403 UnrecognizedClientException")
	}
	if n := strings.Count(log.String(), unknown.AccessKeyID); n > guessBurst+1 { // and one that time gave back
		t.Errorf("unknown keys are logged %d times", n)
	}
}

func TestGuessesAreBounded(t *testing.T) {
	var g guesses
	now := time.Now()
	first := guess{from: netip.MustParseAddr("192.0.2.1")}
	for i := range 3 * maxGuesses {
		g.failed(guess{from: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}, now.Add(time.Duration(i)))
		for range guessBurst {
			g.failed(first, now.Add(time.Duration(i)))
		}
	}
	if len(g.made) > maxGuesses {
		t.Errorf("%d are kept", len(g.made))
	}
	if g.allowed(first, now.Add(3*maxGuesses)) {
		t.Error("what goes on is forgotten")
	}
}

func TestSourceOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1",
		"[2001:db8:1:2:3::4]:1": "2001:db8:1:2::", "[fe80::1%eth0]:1": "fe80::",
	} {
		if got := sourceOf(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
