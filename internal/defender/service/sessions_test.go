package service

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// visitorPages says who visits; its login takes key and secret.
func visitorPages(s *Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if v := VisitorOf(r.Context()); v != nil {
			fmt.Fprint(w, v.Name, " ", v.Role, " ", v.MayAudit())
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		err := s.LogIn(w, r, r.PostFormValue("key"), r.PostFormValue("secret"))
		if r.PostFormValue("subject") != "" {
			err = s.LogInPerson(w, r, Person{r.PostFormValue("subject"), cmp.Or(r.PostFormValue("name"), "ana@example.com"), r.PostFormValue("role")})
		}
		if err != nil {
			refused, _ := errors.AsType[*LoginError](err)
			http.Error(w, err.Error(), refused.Status)
		}
	})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) {
		if err := s.LogOut(httptest.NewRecorder(), r); err != nil {
			panic(err)
		}
	})
	return mux
}

// visit asks for a page with a cookie, as a browser does.
func (g *guarded) visit(t *testing.T, method, path string, cookie *http.Cookie, form url.Values, set ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8787"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != nil {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
	for _, set := range set {
		set(r)
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return w
}

// login logs in with an access key.
func (g *guarded) login(t *testing.T, by aws.Credentials) *http.Cookie {
	t.Helper()
	w := g.visit(t, "POST", "/login", nil, url.Values{"key": {by.AccessKeyID}, "secret": {by.SecretAccessKey}})
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 {
		t.Fatalf("login: %d %s %v", w.Code, w.Body, cookies)
	}
	return cookies[0]
}

// shows asks for a page as a visitor, who is "" when it is refused.
func (g *guarded) shows(t *testing.T, cookie *http.Cookie, want string) {
	t.Helper()
	w := g.visit(t, "GET", "/live/thing?name=a", cookie, nil)
	status := 200
	if want == "" {
		status = 303
	}
	if w.Code != status || status == 200 && w.Body.String() != want {
		t.Errorf("%d %q, want %d %q", w.Code, w.Body, status, want)
	}
}

// Who has the secret of a key that may read is logged in, and nobody else.
func TestLogin(t *testing.T) {
	g := openGuarded(t, Options{Pages: visitorPages})
	for role, want := range map[string]string{"viewer": "v viewer false", "operator": "o operator false", "admin": "a admin true"} {
		cookie := g.login(t, g.create(t, role[:1], role))
		if cookie.Name != "defender-session" || !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("cookie %+v", cookie)
		}
		g.shows(t, cookie, want)
		g.shows(t, &http.Cookie{Name: cookie.Name, Value: cookie.Value[1:] + "x"}, "")
		g.shows(t, &http.Cookie{Name: "__Host-defender-session", Value: cookie.Value}, "") // it is not over TLS
	}
	ingest := g.create(t, "gateway", "ingest")
	for name, test := range map[string]struct {
		key, secret string
		status      int
	}{
		"a role without pages": {ingest.AccessKeyID, ingest.SecretAccessKey, 403},
		"a wrong secret":       {g.admin.AccessKeyID, g.admin.SecretAccessKey + "x", 403},
		"no secret":            {g.admin.AccessKeyID, "", 403},
		"no key":               {"", "", 403},
		"an unknown key":       {"DDAKAAAAAAAAAAAAAAAA", g.admin.SecretAccessKey, 403},
		"a huge key":           {strings.Repeat("k", 5000), "x", 403},
	} {
		w := g.visit(t, "POST", "/login", nil, url.Values{"key": {test.key}, "secret": {test.secret}})
		if w.Code != test.status || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.status)
		}
	}
	// Over TLS the cookie is of this host only, and never sent in clear.
	w := g.visit(t, "POST", "/login", nil, url.Values{"key": {g.admin.AccessKeyID}, "secret": {g.admin.SecretAccessKey}}, func(r *http.Request) { r.TLS = &tls.ConnectionState{} })
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "__Host-defender-session" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].Path != "/" || c[0].Domain != "" {
		t.Errorf("over TLS: %v", c)
	}
	wantLines(t, g.events(t, AuditFilter{Operation: "Login", User: "gateway"}), "gateway 192.0.2.1 Login /login 403 AccessDeniedException")
	wantLines(t, g.events(t, AuditFilter{Operation: "Login", User: "a"}), "a 192.0.2.1 Login /login 200")
	if n := len(slices.DeleteFunc(g.events(t, AuditFilter{Operation: "Login"}), func(line string) bool { return !strings.Contains(line, "InvalidCredentials") })); n != 5 {
		t.Errorf("%d wrong logins are in the log, want 5", n)
	}
}

// A session ends, one way or another.
func TestSessionEnds(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	g := openGuarded(t, Options{Pages: visitorPages, Now: func() time.Time { return clock }})
	for name, end := range map[string]func(by aws.Credentials, c *http.Cookie){
		"logout":      func(_ aws.Credentials, c *http.Cookie) { g.visit(t, "POST", "/logout", c, nil) },
		"key rotated": func(aws.Credentials, *http.Cookie) { g.call(t, g.admin, "POST", "/access-keys/ana/rotate", nil, "") },
		"key deleted": func(aws.Credentials, *http.Cookie) { g.call(t, g.admin, "DELETE", "/access-keys/ana", nil, "") },
		"idle":        func(aws.Credentials, *http.Cookie) { clock = clock.Add(time.Hour) },
		"twelve hours": func(_ aws.Credentials, c *http.Cookie) {
			for range 24 * 12 {
				clock = clock.Add(150 * time.Second)
				g.visit(t, "GET", "/", c, nil)
			}
		},
		"a clock set back": func(aws.Credentials, *http.Cookie) { clock = clock.Add(-4 * time.Hour) },
	} {
		by := g.create(t, "ana", "viewer")
		other := g.login(t, g.admin)
		cookie := g.login(t, by)
		for range 3 { // it lasts while it is used
			clock = clock.Add(50 * time.Minute)
			g.shows(t, cookie, "ana viewer false")
			g.shows(t, other, "admin admin true")
		}
		end(by, cookie)
		t.Run(name, func(t *testing.T) { g.shows(t, cookie, "") })
		if name == "logout" || strings.HasPrefix(name, "key") {
			g.shows(t, other, "admin admin true")
		}
		g.call(t, g.admin, "DELETE", "/access-keys/ana", nil, "")
	}
}

// A session outlives a restart. The database has not what the browser has, and
// forgets what is over.
func TestSessionsAreKept(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	folder := t.TempDir()
	open := func() *guarded {
		return openGuarded(t, Options{Data: folder, Pages: visitorPages, Now: func() time.Time { return clock }})
	}
	g := open()
	cookie := g.login(t, g.admin)
	g.Close()
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), cookie.Value) {
			t.Errorf("the token is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g = open()
	g.shows(t, cookie, "admin admin true")
	rows := func() (n int) {
		t.Helper()
		if err := g.read(t.Context(), func(view *store.Reader) (err error) {
			n, err = tableSessions.count(view)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 * maxUserSessions {
		clock = clock.Add(time.Second)
		g.login(t, g.admin)
	}
	if n := rows(); n != maxUserSessions {
		t.Errorf("%d sessions of one user, want %d", n, maxUserSessions)
	}
	g.shows(t, cookie, "") // the oldest gave way
	clock = clock.Add(sessionLife)
	if err := g.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := rows(); n != 0 {
		t.Errorf("%d sessions are left that are over", n)
	}
}

// Guesses at the form are slowed as those of signatures are, and count as the same.
func TestLoginGuessing(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	g := openGuarded(t, Options{Pages: visitorPages, Now: func() time.Time { return clock }})
	try := func(secret string, want int) {
		t.Helper()
		w := g.visit(t, "POST", "/login", nil, url.Values{"key": {g.admin.AccessKeyID}, "secret": {secret}})
		if w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	for range guessBurst {
		try("guess", 403)
	}
	try("guess", 429)
	try(g.admin.SecretAccessKey, 429) // or guesses could be told apart
	if got := failure(g.call(t, g.admin, "GET", "/things", nil, "")); got != "403 ThrottlingException" {
		t.Errorf("signed: %s", got)
	}
	clock = clock.Add(guessPause)
	try(g.admin.SecretAccessKey, 200)
}

// People of an OpenID provider have the role that it gives them, as long as it is the
// one that is configured.
func TestPeople(t *testing.T) {
	folder := t.TempDir()
	open := func(configuration string) *guarded {
		return openGuarded(t, Options{Data: folder, Pages: visitorPages, OpenID: configuration})
	}
	g := open("first")
	for role, status := range map[string]int{"viewer": 200, "operator": 200, "admin": 200, "ingest": 403, "": 403, "root": 403} {
		w := g.visit(t, "POST", "/login", nil, url.Values{"subject": {"248289761001"}, "role": {role}})
		if w.Code != status {
			t.Errorf("role %q: %d %s, want %d", role, w.Code, w.Body, status)
		}
	}
	w := g.visit(t, "POST", "/login", nil, url.Values{"subject": {"248289761001"}, "role": {"operator"}})
	cookie := w.Result().Cookies()[0]
	g.shows(t, cookie, "ana@example.com operator false")
	w = g.visit(t, "POST", "/login", nil, url.Values{"subject": {"248289761002"}, "name": {"admin"}, "role": {"viewer"}})
	g.shows(t, w.Result().Cookies()[0], "openid:admin viewer false") // not the access key of that name
	list, _, err := g.AuditEvents(t.Context(), AuditFilter{User: "ana@example.com"}, 1)
	if err != nil || len(list) != 1 || list[0].Parameters != `{"openIdSubject":"248289761001","role":"operator"}` {
		t.Errorf("%+v, %v", list, err)
	}
	for _, configuration := range []string{"second", ""} {
		g.Close()
		g = open(configuration)
		g.shows(t, cookie, "")
	}
}

// Links from other sites open, and nothing else comes in from there.
func TestPagesFromOtherSites(t *testing.T) {
	g := openGuarded(t, Options{Pages: visitorPages})
	cookie := g.login(t, g.admin)
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	link := header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	for name, test := range map[string]struct {
		method, path string
		set          func(*http.Request)
		want         int
	}{
		"a link":               {"GET", "/live/thing?name=a", link, 200},
		"a link to the first":  {"GET", "/", link, 200},
		"a frame":              {"GET", "/live/thing?name=a", header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), 403},
		"a script's request":   {"GET", "/live/thing?name=a", header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"), 403},
		"an image":             {"GET", "/live/thing?name=a", header("Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"), 403},
		"a link to the API":    {"GET", "/things", link, 403},
		"a form of another":    {"POST", "/logout", header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), 403},
		"a form, old browser":  {"POST", "/logout", header("Origin", "https://evil.example"), 403},
		"a form without site":  {"POST", "/logout", header("Origin", "null"), 403},
		"a form of the login":  {"POST", "/login", header("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), 403},
		"another name of ours": {"GET", "/", func(r *http.Request) { link(r); r.Host = "evil.example:8787" }, 403},
	} {
		if w := g.visit(t, test.method, test.path, cookie, nil, test.set); w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.want)
		}
	}
	g.shows(t, cookie, "admin admin true") // nobody logged it out
	if w := g.visit(t, "POST", "/logout", cookie, nil, header("Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8787")); w.Code != 200 {
		t.Errorf("a form of ours: %d %s", w.Code, w.Body)
	}
	g.shows(t, cookie, "")

	// Who is not logged in is sent to the login, and a script is told so.
	w := g.visit(t, "GET", "/live/thing?name=a%26b", nil, nil, link)
	if got := w.Header().Get("Location"); w.Code != 303 || got != "/login?to=%2Flive%2Fthing%3Fname%3Da%2526b" {
		t.Errorf("%d to %s", w.Code, got)
	}
	w = g.visit(t, "GET", "/live/events", nil, nil, header("Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"))
	if w.Code != 401 {
		t.Errorf("a script: %d", w.Code)
	}

	// Without authentication there is no login, and links are refused as before.
	handler := openService(t, Options{Pages: visitorPages}).Handler()
	for path, want := range map[string]int{"/login": 404, "/logout": 404, "/": 403} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8787"+path, nil)
		if path == "/" {
			link(r)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("without authentication %s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}
