package web

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/openid/openidtest"
	"github.com/device-defender/device-defender/internal/render"
)

// guarded is a world with a login.
type guarded struct {
	*servicetest.World
	t     *testing.T
	admin aws.Credentials
}

func newGuarded(t *testing.T, provider *openid.Provider) *guarded {
	t.Helper()
	data := ""
	g := &guarded{t: t}
	g.World = servicetest.NewWorld(t, time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC), func(o *service.Options) {
		o.Authentication, data = true, o.Data
		o.Pages = Pages(slog.New(slog.NewTextHandler(t.Output(), nil)), provider)
		if provider != nil {
			o.OpenID = provider.Fingerprint()
		}
	})
	text, err := os.ReadFile(filepath.Join(data, "admin-credentials"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`= (\S+)`).FindAllSubmatch(text, -1)
	g.admin = aws.Credentials{AccessKeyID: string(found[0][1]), SecretAccessKey: string(found[1][1])}
	return g
}

// call calls an operation as the administrator.
func (g *guarded) call(method, path, body string) []byte {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(g.t.Context(), g.admin, r, hex.EncodeToString(hash[:]), "iot", "us-east-1", g.Now()); err != nil {
		g.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		g.t.Fatalf("%s %s: %s %s", method, path, answer.Status, text)
	}
	return text
}

// create makes an access key.
func (g *guarded) create(name, role string) aws.Credentials {
	g.t.Helper()
	return g.key("/access-keys/"+name, `{"role":"`+role+`"}`)
}

// rotate gives an access key another secret.
func (g *guarded) rotate(name string) aws.Credentials {
	g.t.Helper()
	return g.key("/access-keys/"+name+"/rotate", "")
}

func (g *guarded) key(path, body string) aws.Credentials {
	g.t.Helper()
	var key struct {
		ID     string `json:"accessKeyId"`
		Secret string `json:"secretAccessKey"`
	}
	if err := json.Unmarshal(g.call("POST", path, body), &key); err != nil {
		g.t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}
}

// reader is somebody with a browser without scripts.
type reader struct {
	*guarded
	client *http.Client
}

func (g *guarded) reader() *reader {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &reader{g, &http.Client{Jar: jar}}
}

// open opens an address of the service, and returns where it led to.
func (r *reader) open(path string) (at string, status int, page string) {
	r.t.Helper()
	answer, err := r.client.Get(r.URL + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.read(answer)
}

func (r *reader) read(answer *http.Response) (at string, status int, page string) {
	r.t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	page, _, _ = strings.Cut(string(body), "<script>")
	_, page, _ = strings.Cut(page, "</style>")
	return answer.Request.URL.RequestURI(), answer.StatusCode, page
}

// send sends a form of a page.
func (r *reader) send(path string, form url.Values) (at string, status int, page string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", r.URL)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.read(answer)
}

func (r *reader) login(by aws.Credentials, to string) (at string, status int, page string) {
	r.t.Helper()
	return r.send(render.LoginPath, url.Values{"key": {by.AccessKeyID}, "secret": {by.SecretAccessKey}, "to": {to}})
}

// Each role sees the pages that the documentation says, and who is not logged in sees
// the login.
func TestRolesAndPages(t *testing.T) {
	g := newGuarded(t, nil)
	g.call("POST", "/security-profiles/P", "")
	g.Report("a", 10)
	paths := []string{render.OverviewPath, render.ThingLink("a"), render.MetricLink("a", "aws:all-packets-out", "", ""), render.ProfileLink("P"), render.AuditPath}
	for role, statuses := range map[string][]int{
		"viewer":   {200, 200, 200, 200, 403},
		"operator": {200, 200, 200, 200, 403},
		"admin":    {200, 200, 200, 200, 200},
		"ingest":   nil,
		"":         nil,
	} {
		r := g.reader()
		if role != "" {
			_, status, page := r.login(g.create(role+"-key", role), "")
			if want := map[bool]int{true: 403, false: 200}[role == "ingest"]; status != want {
				t.Errorf("login as %s: %d %s", role, status, page)
			}
		}
		for i, path := range paths {
			at, status, page := r.open(path)
			if statuses == nil {
				if want := render.LoginLink(path); at != want || status != 200 || !strings.Contains(page, "<h1>Log in</h1>") {
					t.Errorf("%q opens %s: %s %d, want %s", role, path, at, status, want)
				}
				continue
			}
			if at != path || status != statuses[i] {
				t.Errorf("%s opens %s: %s %d, want %d", role, path, at, status, statuses[i])
			}
			if who := "<bdi>" + role + "-key</bdi>, " + role; !strings.Contains(page, who) || !strings.Contains(page, `action="/logout"`) {
				t.Errorf("%s: the page %s does not say who is logged in", role, path)
			}
			if path == render.OverviewPath && strings.Contains(page, render.AuditPath) != (role == "admin") {
				t.Errorf("%s: a wrong link to the audit log", role)
			}
		}
	}
}

// A reader logs in, comes to the page that was asked for, and logs out.
func TestLoginAndLogout(t *testing.T) {
	g := newGuarded(t, nil)
	g.Report("a", 10)
	ana := g.create("ana", "viewer")
	r := g.reader()
	path := render.ThingLink("a") + "&period=7d"
	at, _, page := r.open(path)
	if at != render.LoginLink(path) || !strings.Contains(page, `name="to" value="/live/thing?name=a&amp;period=7d"`) {
		t.Errorf("%s: %s", at, page)
	}
	wrong := ana
	wrong.SecretAccessKey = "guess"
	if _, status, page := r.login(wrong, path); status != 403 || !strings.Contains(page, "The access key or its secret is wrong.") || strings.Contains(page, "guess") || !strings.Contains(page, "period=7d") {
		t.Errorf("a wrong secret: %d %s", status, page)
	}
	if at, status, _ := r.login(ana, path); at != path || status != 200 {
		t.Errorf("after the login at %s, %d", at, status)
	}
	if at, _, _ := r.open(render.LoginLink(path)); at != path {
		t.Errorf("the login of who is logged in leads to %s", at)
	}
	if at, status, page := r.send(render.LogoutPath, nil); at != render.LoginPath || status != 200 || strings.Contains(page, "ana") {
		t.Errorf("after the logout at %s, %d", at, status)
	}
	if at, _, _ := r.open(path); at != render.LoginLink(path) {
		t.Errorf("after the logout %s", at)
	}
	// With a huge form nobody logs in.
	if _, status, _ := r.send(render.LoginPath, url.Values{"key": {ana.AccessKeyID}, "secret": {ana.SecretAccessKey}, "x": {strings.Repeat("x", 1<<20)}}); status != 400 {
		t.Errorf("a huge form: %d", status)
	}
	list, _, err := g.Service.AuditEvents(t.Context(), service.AuditFilter{User: "ana"}, 10)
	if err != nil || len(list) != 2 || list[0].Operation != "Logout" || list[1].Operation != "Login" {
		t.Errorf("%+v, %v", list, err)
	}
}

// Pages with forms say where these may be sent, and that their requests may say so.
func TestLoginHeaders(t *testing.T) {
	g := newGuarded(t, nil)
	answer, err := http.Get(g.URL + render.LoginPath)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	policy := answer.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %s, want %s", policy, want)
		}
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// After the login a reader comes to a page of the service, whatever the form says.
func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/live/thing?name=a%26b&period=7d": "/live/thing?name=a%26b&period=7d",
		"/live/audit":                      "/live/audit",
		"/":                                "/", "": "/", "//evil.example/live/": "/", "https://evil.example/live/x": "/", `/\evil.example`: "/", `\\evil.example`: "/",
		"/live/events": "/", "/logout": "/", "/login": "/", "/things": "/", "javascript:alert(1)": "/", "live/thing": "/", "/live/\r\nx": "/", "/live/%zz": "/",
		"///evil.example": "/", "/live/../login": "/live/../login", "http:/live/x": "/", "/live/thing#x": "/live/thing", "/live/" + strings.Repeat("x", 3000): "/",
	} {
		if got := localPath(to); got != want {
			t.Errorf("%.40q: %q, want %q", to, got, want)
		}
	}
}

// An open page hears nothing more when its session has ended.
func TestEventsEndWithTheSession(t *testing.T) {
	g := newGuarded(t, nil)
	r := g.reader()
	r.login(g.create("ana", "viewer"), "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+render.EventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() || lines.Text() != ": listening" {
		t.Fatalf("%q", lines.Text())
	}
	g.call("POST", "/access-keys/ana/rotate", "")
	for lines.Scan() {
		if lines.Text() != "" {
			t.Errorf("heard %q", lines.Text())
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() != nil {
		t.Error("the stream did not end")
	}
}

// Two who read the first page at once have each their own.
func TestSharedPageOfTwo(t *testing.T) {
	g := newGuarded(t, nil)
	readers := map[string]*reader{"ana": g.reader(), "ben": g.reader()}
	for name, r := range readers {
		r.login(g.create(name, "viewer"), "")
	}
	done := make(chan string)
	for name, r := range readers {
		go func() {
			for range 20 {
				answer, err := r.client.Get(g.URL + render.OverviewPath)
				if err != nil {
					done <- err.Error()
					return
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || !strings.Contains(string(body), "<bdi>"+name+"</bdi>, viewer") {
					done <- name + " has another page"
					return
				}
			}
			done <- ""
		}()
	}
	for range readers {
		if problem := <-done; problem != "" {
			t.Error(problem)
		}
	}
}

// People log in at a provider, and have the role of their groups.
func TestOpenIDLogin(t *testing.T) {
	idp := openidtest.New(t)
	g := newGuarded(t, newOpenID(t, idp))
	g.Report("a", 10)
	path := render.ThingLink("a")

	idp.Down = true
	r := g.reader()
	if _, status, page := r.open(render.OpenIDLink(path)); status != 503 || !strings.Contains(page, "can&#39;t be reached") || !strings.Contains(page, `name="secret"`) {
		t.Errorf("without the provider: %d %s", status, page)
	}
	if _, status, _ := r.login(g.admin, path); status != 200 {
		t.Errorf("by an access key without the provider: %d", status)
	}
	idp.Down = false
	g = newGuarded(t, newOpenID(t, idp))
	g.Report("a", 10)

	r = g.reader()
	_, _, page := r.open(path)
	if link := `href="` + strings.ReplaceAll(render.OpenIDLink(path), "&", "&amp;") + `"`; !strings.Contains(page, link) || !strings.Contains(page, strings.TrimPrefix(idp.URL, "http://")) {
		t.Errorf("the login has no %s: %s", link, page)
	}
	idp.Claims = map[string]any{"sub": "1", "email": "ana@example.com", "email_verified": true, "groups": []string{"staff"}}
	at, status, page := r.open(render.OpenIDLink(path))
	if at != path || status != 200 || !strings.Contains(page, "<bdi>ana@example.com</bdi>, viewer") {
		t.Errorf("%s %d %s", at, status, page)
	}
	if _, status, _ := r.open(render.AuditPath); status != 403 {
		t.Errorf("a viewer reads the audit log: %d", status)
	}
	idp.Claims["groups"] = []string{"ops", "staff"}
	other := g.reader()
	if at, status, page := other.open(render.OpenIDLink(render.AuditPath)); at != render.AuditPath || status != 200 || !strings.Contains(page, "openIdSubject") {
		t.Errorf("%s %d %s", at, status, page)
	}
	idp.Claims["groups"] = []string{"guests"}
	nobody := g.reader()
	if _, status, page := nobody.open(render.OpenIDLink(path)); status != 403 || !strings.Contains(page, "none of your groups has a role here") {
		t.Errorf("without a role: %d %s", status, page)
	}
	if at, _, _ := nobody.open(path); at != render.LoginLink(path) {
		t.Errorf("without a role at %s", at)
	}
	idp.Deny = true
	if _, status, page := nobody.open(render.OpenIDLink(path)); status != 403 || !strings.Contains(page, "did not confirm") {
		t.Errorf("denied: %d %s", status, page)
	}
	idp.Deny, idp.Claims["groups"] = false, []string{"ops"}

	// An answer that another browser brings is worth nothing, and neither is one that
	// comes twice.
	victim, attacker := g.reader(), g.reader()
	begun := ""
	attacker.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == render.CallbackPath {
			begun = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	attacker.open(render.OpenIDLink(path))
	if _, status, page := victim.open(begun); begun == "" || status != 400 || !strings.Contains(page, "not begun in this browser") {
		t.Errorf("another browser: %d %s", status, page)
	}
	attacker.client.CheckRedirect = nil
	if at, status, _ := attacker.open(begun); at != path || status != 200 {
		t.Errorf("the browser that began: %s %d", at, status)
	}
	if _, status, _ := attacker.open(begun); status != 400 {
		t.Errorf("twice: %d", status)
	}
}

func newOpenID(t *testing.T, idp *openidtest.Provider) *openid.Provider {
	t.Helper()
	provider, err := openid.New(openid.Options{
		Issuer: idp.URL, ClientID: openidtest.ClientID, Secret: openidtest.Secret,
		Grants: []openid.Grant{{Role: "admin", Group: "ops"}, {Role: "viewer", Group: "staff"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return provider
}
