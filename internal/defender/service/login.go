package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// LoginError says why somebody is not logged in.
type LoginError struct {
	Code    string // in the audit log
	Status  int
	Message string
}

func (e *LoginError) Error() string { return e.Message }

// wrongKey is the same for a wrong secret and for a key that there is not.
func wrongKey() error {
	return &LoginError{Code: "InvalidCredentials", Status: http.StatusForbidden, Message: "The access key or its secret is wrong."}
}

// LogIn begins a session of who has the access key, and gives the browser its cookie.
// Guesses are slowed as those of signatures.
func (s *Service) LogIn(w http.ResponseWriter, r *http.Request, keyID, secret string) error {
	e := s.loginEntry(r, storedAudit{KeyID: clip(keyID, maxAuditID)})
	token, err := s.logIn(withEntry(r.Context(), e), r, e, keyID, secret)
	return s.loggedIn(w, r, e, token, err)
}

func (s *Service) logIn(ctx context.Context, r *http.Request, e *auditEntry, keyID, secret string) (token string, err error) {
	var key *storedAccessKey
	if keyID != "" && len(keyID) <= store.MaxKey {
		if err := s.read(ctx, func(view *store.Reader) (err error) {
			key, err = tableAccessKeys.find(view, keyID)
			return err
		}); err != nil {
			return "", err
		}
	}
	guess, now := guess{from: sourceOf(r)}, s.now()
	if key != nil {
		guess.id = keyID
	}
	if !s.guesses.allowed(guess, now) {
		return "", &LoginError{Code: "ThrottlingException", Status: http.StatusTooManyRequests, Message: "Too many wrong attempts. Try again in a few seconds."}
	}
	if key == nil || !sameSecret(secret, key.Secret) {
		s.guesses.failed(guess, now)
		s.log.Warn("login refused", "from", guess.from, "access key", e.row.KeyID)
		return "", wrongKey()
	}
	e.row.User = key.Name
	if !roleMay(key.Role, awsrest.Read) {
		return "", &LoginError{Code: "AccessDeniedException", Status: http.StatusForbidden, Message: "This access key has the role " + key.Role + ", which has no pages."}
	}
	err = s.write(ctx, func(tx *store.Tx) (err error) {
		// It may have been rotated since it was read.
		if again, err := tableAccessKeys.findForUpdate(tx, keyID); err != nil {
			return err
		} else if again == nil {
			return wrongKey()
		}
		token, err = s.putSession(tx, storedSession{User: key.Name, KeyID: keyID})
		return err
	})
	return token, err
}

// sameSecret compares in a time that tells nothing of either.
func sameSecret(a, b string) bool {
	sumA, sumB := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(sumA[:], sumB[:]) == 1
}

// Person is somebody whom an OpenID provider vouches for.
type Person struct {
	Subject string // as the provider knows them
	Name    string
	Role    string // "" is none
}

// LogInPerson begins a session of a person, as LogIn does.
func (s *Service) LogInPerson(w http.ResponseWriter, r *http.Request, p Person) error {
	parameters, err := json.Marshal(map[string]string{"openIdSubject": clip(p.Subject, maxAuditText), "role": p.Role})
	if err != nil {
		return err
	}
	name := clip(p.Name, maxAuditText)
	if checkName("", name) == nil { // nobody is taken for the holder of an access key
		name = "openid:" + name
	}
	e := s.loginEntry(r, storedAudit{User: name, Parameters: string(parameters)})
	token := ""
	if roleMay(p.Role, awsrest.Read) && s.options.OpenID != "" {
		err = s.write(withEntry(r.Context(), e), func(tx *store.Tx) (err error) {
			token, err = s.putSession(tx, storedSession{User: name, Role: p.Role, OpenID: s.options.OpenID})
			return err
		})
	} else {
		err = &LoginError{Code: "AccessDeniedException", Status: http.StatusForbidden, Message: "You are logged in as " + name + " at your provider, and none of your groups has a role here. Ask the operator of this service."}
	}
	return s.loggedIn(w, r, e, token, err)
}

// LoginRefused has a login in the audit log that failed elsewhere.
func (s *Service) LoginRefused(r *http.Request, refused *LoginError) {
	e := s.loginEntry(r, storedAudit{})
	e.row.Status, e.row.Error = refused.Status, refused.Code
	s.record(r.Context(), e)
}

// LogOut ends the session of who visits, if there is one, and takes the cookie back.
func (s *Service) LogOut(w http.ResponseWriter, r *http.Request) error {
	setSessionCookie(w, r, "")
	visitor := VisitorOf(r.Context())
	if visitor == nil {
		return nil
	}
	e := newEntry(s.now(), storedAudit{User: visitor.Name, From: addressOf(r), Operation: "Logout", Path: r.URL.Path})
	return s.write(withEntry(r.Context(), e), func(tx *store.Tx) error { return tableSessions.Delete(tx, visitor.session) })
}

func (s *Service) loginEntry(r *http.Request, row storedAudit) *auditEntry {
	row.From, row.Operation, row.Path = addressOf(r), "Login", r.URL.Path
	return newEntry(s.now(), row)
}

// loggedIn ends a login.
func (s *Service) loggedIn(w http.ResponseWriter, r *http.Request, e *auditEntry, token string, err error) error {
	if err != nil {
		e.row.Status, e.row.Error = http.StatusInternalServerError, "InternalFailureException"
		if refused, ok := errors.AsType[*LoginError](err); ok {
			e.row.Status, e.row.Error = refused.Status, refused.Code
		}
		s.record(r.Context(), e)
		return err
	}
	s.log.Info("logged in", "user", e.row.User, "from", e.row.From)
	setSessionCookie(w, r, token)
	return nil
}
