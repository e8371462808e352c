package openid_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/openid/openidtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const callback = "https://defender.example/login/callback"

var grants = []openid.Grant{{Role: "admin", Group: "ops"}, {Role: "operator", Group: "field"}, {Role: "viewer", Group: "staff"}}

func newProvider(t *testing.T, issuer string, change ...func(*openid.Options)) *openid.Provider {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := openid.Options{Issuer: issuer, ClientID: openidtest.ClientID, Secret: openidtest.Secret, Grants: grants, Client: &http.Client{Transport: transport}}
	for _, change := range change {
		change(&o)
	}
	p, err := openid.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// browse follows the address at the provider, and returns what it sends back.
func browse(t *testing.T, address string) url.Values {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	back, err := answer.Location()
	if err != nil || !strings.HasPrefix(back.String(), callback+"?") {
		t.Fatalf("%s: back to %v, %v", answer.Status, back, err)
	}
	return back.Query()
}

// login is a login as it should be, but for what change does.
func login(t *testing.T, p *openid.Provider, change func(*openid.Attempt, url.Values)) (openid.Person, error) {
	t.Helper()
	address, attempt, err := p.Begin(t.Context(), callback)
	if err != nil {
		return openid.Person{}, err
	}
	answer := browse(t, address)
	if change != nil {
		change(&attempt, answer)
	}
	return p.End(t.Context(), callback, attempt, answer)
}

// Groups are roles, the first that fits.
func TestRoles(t *testing.T) {
	idp := openidtest.New(t)
	for groups, want := range map[string]string{
		`["staff","ops"]`: "admin", `["field"]`: "operator", `["staff","x"]`: "viewer", `["x"]`: "", `[]`: "", `null`: "", `"ops"`: "admin", `[1,{"ops":"ops"}]`: "", `{"ops":1}`: "", `["OPS","ops "]`: "",
	} {
		idp.Claims = map[string]any{"sub": "248289761001", "groups": raw(groups)}
		person, err := login(t, newProvider(t, idp.URL), nil)
		if err != nil || person != (openid.Person{Subject: "248289761001", Name: "248289761001", Role: want}) {
			t.Errorf("groups %s: %+v, %v; want %q", groups, person, err, want)
		}
	}
	// By a claim of another name.
	idp.Claims = map[string]any{"sub": "1", "https://example.com/roles": []string{"ops"}}
	p := newProvider(t, idp.URL, func(o *openid.Options) { o.Claim = "https://example.com/roles" })
	if person, err := login(t, p, nil); err != nil || person.Role != "admin" {
		t.Errorf("%+v, %v", person, err)
	}
}

type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// A name is for people: the address if the provider has checked it, else what they
// like to be called.
func TestNames(t *testing.T) {
	idp := openidtest.New(t)
	for want, claims := range map[string]map[string]any{
		"ana@example.com": {"email": "ana@example.com", "email_verified": true, "preferred_username": "ana"},
		"ana":             {"email": "boss@example.com", "preferred_username": "ana"},
		"1":               {"email": "boss@example.com", "email_verified": "false"},
	} {
		claims["sub"] = "1"
		idp.Claims = claims
		if person, err := login(t, newProvider(t, idp.URL), nil); err != nil || person.Name != want {
			t.Errorf("%v: %+v, %v; want %s", claims, person, err, want)
		}
	}
}

// An answer counts only if it is to this attempt, and the token is what it has to be.
func TestForgedAnswers(t *testing.T) {
	idp := openidtest.New(t)
	first, other := idp.Key, *idp.Key
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other = *stranger
	for name, test := range map[string]struct {
		change func(*openid.Attempt, url.Values)
		token  func(map[string]any)
		key    *rsa.PrivateKey
		is     error
	}{
		"another state":    {change: func(_ *openid.Attempt, a url.Values) { a.Set("state", "x") }, is: openid.ErrOther},
		"no state":         {change: func(_ *openid.Attempt, a url.Values) { a.Del("state") }, is: openid.ErrOther},
		"no attempt":       {change: func(at *openid.Attempt, a url.Values) { *at = openid.Attempt{}; a.Set("state", "") }, is: openid.ErrOther},
		"another browser":  {change: func(at *openid.Attempt, _ url.Values) { at.Nonce = "x" }, is: openid.ErrOther},
		"another verifier": {change: func(at *openid.Attempt, _ url.Values) { at.Verifier = strings.Repeat("x", 43) }},
		"another code":     {change: func(_ *openid.Attempt, a url.Values) { a.Set("code", "x") }},
		"another provider": {change: func(_ *openid.Attempt, a url.Values) { a.Set("iss", "https://evil.example") }},
		"denied":           {change: func(_ *openid.Attempt, a url.Values) { a.Set("error", "access_denied") }},
		"another nonce":    {token: func(c map[string]any) { c["nonce"] = "x" }, is: openid.ErrOther},
		"no nonce":         {token: func(c map[string]any) { delete(c, "nonce") }, is: openid.ErrOther},
		"another client":   {token: func(c map[string]any) { c["aud"] = "another" }},
		"another issuer":   {token: func(c map[string]any) { c["iss"] = "https://evil.example" }},
		"an old token":     {token: func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }},
		"another key":      {key: &other},
	} {
		idp.Change, idp.Key = test.token, first
		if test.key != nil {
			idp.Key = test.key
		}
		person, err := login(t, newProvider(t, idp.URL), test.change)
		if err == nil || person != (openid.Person{}) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %+v, %v", name, person, err)
		}
	}
	idp.Change, idp.Key = nil, first
	// A code is good for once.
	p := newProvider(t, idp.URL)
	address, attempt, err := p.Begin(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	answer := browse(t, address)
	if _, err := p.End(t.Context(), callback, attempt, answer); err != nil {
		t.Fatal(err)
	}
	if _, err := p.End(t.Context(), callback, attempt, answer); err == nil {
		t.Error("the same code twice")
	}
	if _, err := login(t, newProvider(t, idp.URL, func(o *openid.Options) { o.Secret = "wrong" }), nil); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong secret: %v", err)
	}
}

// A provider that is down is asked again, though not by each who wants to log in.
func TestProviderIsDown(t *testing.T) {
	idp := openidtest.New(t)
	clock := time.Now()
	p := newProvider(t, idp.URL, func(o *openid.Options) { o.Now = func() time.Time { return clock } })
	idp.Down = true
	if _, err := login(t, p, nil); !errors.Is(err, openid.ErrUnreachable) {
		t.Errorf("down: %v", err)
	}
	idp.Down = false
	if _, err := login(t, p, nil); !errors.Is(err, openid.ErrUnreachable) {
		t.Errorf("at once: %v", err)
	}
	clock = clock.Add(5 * time.Second)
	if _, err := login(t, p, nil); err != nil {
		t.Errorf("later: %v", err)
	}
	// Who waits no longer costs nothing.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	idp.Down = true
	if _, _, err := newProvider(t, idp.URL).Begin(ctx, callback); err == nil {
		t.Error("a login that nobody waits for")
	}
}

// An answer without an end is not read to its end.
func TestHugeAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	p := newProvider(t, server.URL, func(o *openid.Options) { o.Client = nil })
	if _, _, err := p.Begin(t.Context(), callback); !errors.Is(err, openid.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	fine := openid.Options{Issuer: "https://id.example.com", ClientID: "c", Grants: grants}
	for want, change := range map[string]func(*openid.Options){
		"want https":        func(o *openid.Options) { o.Issuer = "http://id.example.com" },
		"want a URL":        func(o *openid.Options) { o.Issuer = "id.example.com" },
		"want a URL such":   func(o *openid.Options) { o.Issuer = "https://u:p@id.example.com" },
		"no client id":      func(o *openid.Options) { o.ClientID = "" },
		"no group has a ro": func(o *openid.Options) { o.Grants = nil },
	} {
		o := fine
		change(&o)
		if _, err := openid.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	seen := map[string]string{}
	for name, change := range map[string]func(*openid.Options){
		"": func(*openid.Options) {}, "issuer": func(o *openid.Options) { o.Issuer += "/x" }, "client": func(o *openid.Options) { o.ClientID = "d" },
		"claim": func(o *openid.Options) { o.Claim = "roles" }, "grants": func(o *openid.Options) { o.Grants = grants[:2] },
	} {
		o := fine
		change(&o)
		p, err := openid.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[p.Fingerprint()]; twice {
			t.Errorf("%q and %q have one fingerprint", name, other)
		}
		seen[p.Fingerprint()] = name
	}
	if p, _ := openid.New(fine); fmt.Sprint(p.Host()) != "id.example.com" {
		t.Errorf("host %s", p.Host())
	}
}
