package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/chromedp/chromedp"

	bt "github.com/device-defender/device-defender/internal/browsertest"
	"github.com/device-defender/device-defender/internal/openid/openidtest"
	"github.com/device-defender/device-defender/internal/render"
)

// typeLogin fills in the form and sends it, with the keyboard only.
func typeLogin(tab bt.Tab, by aws.Credentials) {
	tab.Helper()
	bt.Eval[bool](tab, "document.querySelector('[name=key]').focus(); true")
	tab.Do(chromedp.KeyEvent(by.AccessKeyID+"\t"), chromedp.KeyEvent(by.SecretAccessKey+"\r"))
}

// look looks for faults of a page in each of the layouts, light and dark.
func look(t *testing.T, tab bt.Tab, axe, name string) {
	t.Helper()
	widths := []int{1100, 820, 360}
	for _, width := range widths {
		for _, scheme := range []string{"light", "dark"} {
			tab.Screen(width, scheme)
			if got := bt.Eval[int](tab, "document.documentElement.scrollWidth"); got > width {
				t.Errorf("%s is %d pixels wide on a screen of %d", name, got, width)
			}
			tab.Screenshot(fmt.Sprintf("web-%s-%d-%s", name, width, scheme))
		}
	}
	tab.Axe(axe)
	for _, width := range widths {
		tab.Screen(width, "light")
		for _, fault := range tab.Faults() {
			t.Errorf("%s, %d pixels, light: %s", name, width, fault)
		}
		tab.Screen(width, "dark")
		for _, fault := range tab.ColorFaults() {
			t.Errorf("%s, %d pixels, dark: %s", name, width, fault)
		}
	}
}

// TestLoginInBrowser logs in and out as readers do, coming from another site.
func TestLoginInBrowser(t *testing.T) {
	idp := openidtest.New(t)
	g := newGuarded(t, newOpenID(t, idp))
	g.Report("gateway-1", 10)
	ana := g.create("ana", "viewer")
	wrong := ana
	wrong.SecretAccessKey = "guess"
	path := render.ThingLink("gateway-1")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Chat</title><link rel="icon" href="data:,"><main><a href="%s">an alert</a></main>`, g.URL+path)
	}))
	t.Cleanup(site.Close)
	chat := strings.Replace(site.URL, "127.0.0.1", "localhost", 1)

	tab := bt.NewTab(t, bt.Start(t), "status of 403", "status of 401") // of a wrong secret, and of a session that has ended
	axe := bt.AxeCore(t)
	tab.Screen(1100, "light")
	tab.Open(chat)
	bt.Eval[bool](tab, "document.querySelector('a').click(), true")
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent === 'Log in'")
	look(t, tab, axe, "login")

	tab.Screen(1100, "light")
	typeLogin(tab, wrong)
	tab.Until("document.querySelector('[role=alert]') && document.querySelector('[role=alert]').textContent.includes('wrong')")
	look(t, tab, axe, "login-wrong")
	tab.Screen(1100, "light")
	typeLogin(tab, ana)
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent === 'gateway-1'")
	tab.UntilLive()
	tab.Expect("who is logged in", "document.querySelector('.who span').textContent", "ana, viewer")
	look(t, tab, axe, "logged-in")

	// Who is logged in comes from another site at once.
	tab.Open(chat)
	bt.Eval[bool](tab, "document.querySelector('a').click(), true")
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent === 'gateway-1'")

	// An open page goes to the login when its key is rotated, and comes back.
	tab.UntilLive()
	ana = g.rotate("ana")
	g.Pass(5 * time.Minute)
	g.Report("gateway-1", 20)
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent === 'Log in' || document.querySelector('.live').textContent !== 'live'")
	tab.Open(g.URL + path)
	tab.Until("document.querySelector('h1').textContent === 'Log in'")
	typeLogin(tab, ana)
	tab.Until("document.querySelector('.who')")
	bt.Eval[bool](tab, "document.querySelector('.who button').click(), true")
	tab.Until("location.pathname === '/login'")
	tab.Open(g.URL + path)
	tab.Until("document.querySelector('h1').textContent === 'Log in'")

	// At the provider, and to the audit log.
	idp.Claims = map[string]any{"sub": "1", "email": "eve@example.com", "email_verified": true, "groups": []string{"ops"}}
	bt.Eval[bool](tab, "document.querySelector('a[href^=\"/login/oidc\"]').click(), true")
	tab.Until("document.querySelector('.who')")
	tab.Expect("who is logged in", "document.querySelector('.who span').textContent", "eve@example.com, admin")
	tab.OpenLive(g.URL)
	bt.Eval[bool](tab, "document.querySelector('a[href=\"/live/audit\"]').click(), true")
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent === 'Audit log'")
	tab.UntilLive()
	look(t, tab, axe, "audit")
}
