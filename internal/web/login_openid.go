package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/openid"
	"github.com/device-defender/device-defender/internal/render"
)

// attemptLife is how long a login at the provider may take.
const attemptLife = 10 * time.Minute

// attempt is a login that is under way at the provider. The browser has it in a
// cookie: so only the browser that began a login can end it, and strangers who begin
// any number cost no memory.
type attempt struct {
	openid.Attempt
	To string `json:"to"`
}

func attemptCookie(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-defender-login"
	}
	return "defender-login"
}

// setAttempt gives the browser the cookie; nil takes it back.
func setAttempt(w http.ResponseWriter, r *http.Request, a *attempt) error {
	c := &http.Cookie{Name: attemptCookie(r), Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode}
	if a != nil {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		c.Value, c.MaxAge = base64.RawURLEncoding.EncodeToString(text), int(attemptLife/time.Second)
	}
	http.SetCookie(w, c)
	return nil
}

// attemptOf returns the login that the browser has begun.
func attemptOf(r *http.Request) (a attempt, ok bool) {
	c, err := r.Cookie(attemptCookie(r))
	if err != nil {
		return a, false
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	return a, err == nil && json.Unmarshal(text, &a) == nil
}

// openIDBegin sends the browser to the provider.
func (p *pages) openIDBegin(w http.ResponseWriter, r *http.Request) {
	a := attempt{To: localPath(r.URL.Query().Get("to"))}
	address, begun, err := p.openid.Begin(r.Context(), origin(r)+render.CallbackPath)
	if err == nil {
		a.Attempt = begun
		err = setAttempt(w, r, &a)
	}
	if err != nil {
		p.loggedIn(w, r, a.To, p.openIDError(r, err))
		return
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// openIDEnd is where the provider sends the browser back.
func (p *pages) openIDEnd(w http.ResponseWriter, r *http.Request) {
	a, ok := attemptOf(r)
	if !ok {
		p.loggedIn(w, r, render.OverviewPath, p.openIDError(r, openid.ErrOther))
		return
	}
	if err := setAttempt(w, r, nil); err != nil { // it is good for once
		p.loggedIn(w, r, render.OverviewPath, err)
		return
	}
	person, err := p.openid.End(r.Context(), origin(r)+render.CallbackPath, a.Attempt, r.URL.Query())
	if err != nil {
		err = p.openIDError(r, err)
	} else {
		err = p.service.LogInPerson(w, r, service.Person(person))
	}
	p.loggedIn(w, r, localPath(a.To), err)
}

// mostOfReason is how much is logged of a text that is the provider's.
const mostOfReason = 500

// openIDError is what a reader is told of a login that failed at the provider. The
// log has more, once a second at most: anybody can cause such an error.
func (p *pages) openIDError(r *http.Request, err error) error {
	p.refused.Do(func() {
		p.log.Warn("a login at the OpenID provider failed", "from", r.RemoteAddr, "error", render.Clean(err.Error(), mostOfReason))
	})
	refused := &service.LoginError{Code: "LoginNotConfirmed", Status: http.StatusForbidden, Message: "The provider did not confirm the login. Begin it again, or ask the operator of this service."}
	switch {
	case errors.Is(err, openid.ErrUnreachable):
		refused = &service.LoginError{Code: "ServiceUnavailableException", Status: http.StatusServiceUnavailable, Message: "The provider of logins can't be reached. Try again in a few seconds, or log in with an access key."}
	case errors.Is(err, openid.ErrOther):
		refused = &service.LoginError{Code: "LoginNotBegun", Status: http.StatusBadRequest, Message: "This login was not begun in this browser, or took too long. Begin it again."}
	}
	p.service.LoginRefused(r, refused)
	return refused
}
