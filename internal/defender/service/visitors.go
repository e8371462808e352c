package service

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// Visitor is who looks at the pages, where callers are authenticated.
type Visitor struct {
	Name string
	Role string

	session string // its id
}

// MayAudit reports whether the visitor may read the audit log.
func (v *Visitor) MayAudit() bool { return roleMay(v.Role, awsrest.Admin) }

type visitorKey struct{}

// VisitorOf returns who is logged in, by the context of a page's request; nil where
// nobody is, as there is no authentication or it is the page of the login.
func VisitorOf(ctx context.Context) *Visitor {
	v, _ := ctx.Value(visitorKey{}).(*Visitor)
	return v
}

// Authenticates reports whether callers are authenticated: pages are for those who
// are logged in then.
func (s *Service) Authenticates() bool { return s.options.Authentication }

// Visits reports whether the visitor of a context is still one: the session is
// neither over nor ended. Without authentication everybody is.
func (s *Service) Visits(ctx context.Context) (bool, error) {
	v := VisitorOf(ctx)
	if v == nil {
		return !s.options.Authentication, nil
	}
	still, session, err := s.findSession(ctx, v.session)
	if err != nil || still == nil {
		return false, err
	}
	s.touch(ctx, v.session, session)
	return true, nil
}

// guardPages has pages shown to those who are logged in, and sends others to the
// login. Its own pages and the end of a session are for anybody. What changes
// something has to come from a page of the service.
func (s *Service) guardPages(pages http.Handler) http.Handler {
	guarded := func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(sessionCookie(r)); err == nil && len(c.Value) <= 64 {
			id := sessionID(c.Value)
			visitor, session, err := s.findSession(r.Context(), id)
			if err != nil {
				s.log.Error("reading a session failed", "error", err)
				http.Error(w, "the database can't be read", http.StatusServiceUnavailable)
				return
			}
			if visitor != nil {
				s.touch(r.Context(), id, session)
				r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, visitor))
			}
		}
		if VisitorOf(r.Context()) == nil && !forAnybody(r.URL.Path) {
			askToLogIn(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	}
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(guarded))
}

// pagePatterns are what pages are below, with a login or without.
func pagePatterns(login bool) []string {
	patterns := []string{"GET /{$}", "GET /live/"}
	if login {
		patterns = append(patterns, "GET /login", "POST /login", "GET /login/", "POST /logout")
	}
	return patterns
}

func forAnybody(path string) bool {
	return path == "/login" || strings.HasPrefix(path, "/login/") || path == "/logout"
}

// askToLogIn sends a reader to the login, and says so to a script.
func askToLogIn(w http.ResponseWriter, r *http.Request) {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		http.Error(w, "log in again", http.StatusUnauthorized)
		return
	}
	to := url.URL{Path: "/login"}
	if r.URL.RequestURI() != "/" {
		to.RawQuery = url.Values{"to": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// sessionCookie is the name of the cookie. A browser takes one of the prefix __Host-
// only over TLS and from this very host: no other can put one in its place.
func sessionCookie(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-defender-session"
	}
	return "defender-session"
}

// setSessionCookie gives the browser the token of a session; "" takes it back.
func setSessionCookie(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{
		Name: sessionCookie(r), Value: token, Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
