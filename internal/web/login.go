package web

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

// maxLogin bounds the body of a login, and maxTo what is kept of where a reader
// wanted to go.
const (
	maxLogin = 8 << 10
	maxTo    = 2 << 10
)

// localPath returns where to go after the login: a page of this service, "/" unless
// it is one.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || len(to) > maxTo || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/live/") || u.Path == render.EventsPath {
		return render.OverviewPath
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// loginForm is the page of the login.
func (p *pages) loginForm(w http.ResponseWriter, r *http.Request) {
	to := localPath(r.URL.Query().Get("to"))
	if service.VisitorOf(r.Context()) != nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	p.writeLogin(w, r, http.StatusOK, render.Login{To: to})
}

// login takes what the form sends.
func (p *pages) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		p.writeLogin(w, r, http.StatusBadRequest, render.Login{To: render.OverviewPath, Problem: "The form could not be read."})
		return
	}
	to := localPath(r.PostForm.Get("to"))
	err := p.service.LogIn(w, r, strings.TrimSpace(r.PostForm.Get("key")), strings.TrimSpace(r.PostForm.Get("secret")))
	p.loggedIn(w, r, to, err)
}

// loggedIn answers a login: it leads on, or says what was wrong.
func (p *pages) loggedIn(w http.ResponseWriter, r *http.Request, to string, err error) {
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	status, problem := http.StatusInternalServerError, "The login failed, see the service's log."
	if refused, ok := errors.AsType[*service.LoginError](err); ok {
		status, problem = refused.Status, refused.Message
	} else {
		p.log.Error("a login failed", "error", err)
	}
	p.writeLogin(w, r, status, render.Login{To: to, Problem: problem})
}

// logout ends the session.
func (p *pages) logout(w http.ResponseWriter, r *http.Request) {
	if err := p.service.LogOut(w, r); err != nil {
		p.log.Error("a logout failed", "error", err)
		p.writeLogin(w, r, http.StatusInternalServerError, render.Login{To: render.OverviewPath, Problem: "The session could not be ended, see the service's log."})
		return
	}
	http.Redirect(w, r, render.LoginPath, http.StatusSeeOther)
}

// writeLogin writes the page of the login.
func (p *pages) writeLogin(w http.ResponseWriter, r *http.Request, status int, page render.Login) {
	now := p.service.Now().Local()
	page.About = render.About{Source: origin(r), Made: now, Zone: now.Location(), Forms: true}
	if p.openid != nil {
		page.OpenID = p.openid.Host()
	}
	var body bytes.Buffer
	if err := render.WriteLoginHTML(&body, page); err != nil {
		p.log.Error("the page of the login could not be made", "error", err)
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}
