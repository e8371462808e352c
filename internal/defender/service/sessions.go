package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// sessionIdle is how long a session lasts without a page that is open, and
	// sessionLife how long in any case.
	sessionIdle = time.Hour
	sessionLife = 12 * time.Hour
	// sessionTouch is how often it is written that a session is used.
	sessionTouch = time.Minute
	// maxSessions bounds the sessions of all, and maxUserSessions those of one user,
	// of which the oldest gives way.
	maxSessions     = 10_000
	maxUserSessions = 16
)

// storedSession is a login to the pages. Its key is the SHA-256 of the token that the
// browser has, so whoever reads the database can't take it over.
type storedSession struct {
	User    string    `json:"user"`
	KeyID   string    `json:"key,omitempty"`    // the access key; without it the session is over
	Role    string    `json:"role,omitempty"`   // of one without an access key
	OpenID  string    `json:"openid,omitempty"` // the configuration of OpenID Connect by which it is
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

// over reports whether the session has ended by the time. A clock that was set
// back far does not make it longer.
func (v *storedSession) over(now time.Time) bool {
	return now.Sub(v.Created) >= sessionLife || now.Sub(v.Used) >= sessionIdle || v.Created.Sub(now) > time.Minute
}

// newSessionToken makes a token of 256 random bits.
func newSessionToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func sessionID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// findSession returns who visits by a session, and the session; nil when it is over.
func (s *Service) findSession(ctx context.Context, id string) (visitor *Visitor, session *storedSession, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		visitor, session = nil, nil
		found, err := tableSessions.find(view, id)
		if err != nil || found == nil || found.over(s.now()) {
			return err
		}
		role := found.Role
		switch {
		case found.KeyID != "":
			key, err := tableAccessKeys.find(view, found.KeyID)
			if err != nil || key == nil {
				return err
			}
			role = key.Role
		case found.OpenID != s.options.OpenID:
			return nil
		}
		if roleMay(role, awsrest.Read) {
			visitor, session = &Visitor{Name: found.User, Role: role, session: id}, found
		}
		return nil
	})
	return visitor, session, err
}

// touch has a session last longer, as it is used. Pages are not told: they show
// nothing of it.
func (s *Service) touch(ctx context.Context, id string, session *storedSession) {
	now := s.now()
	if now.Sub(session.Used) < sessionTouch {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		current, err := tableSessions.findForUpdate(tx, id)
		if err != nil || current == nil {
			return err
		}
		current.Used = now
		return tableSessions.Put(tx, id, *current)
	})
	if err != nil && ctx.Err() == nil {
		s.log.Error("keeping a session failed", "user", session.User, "error", err)
	}
}

// putSession begins a session, and returns its token.
func (s *Service) putSession(tx *store.Tx, session storedSession) (token string, err error) {
	if _, err := bump(tx, metaSessions); err != nil { // of two at once, one counts the other
		return "", err
	}
	now := s.now()
	session.Created, session.Used = now, now
	total, own, oldest := 0, 0, store.Entry[storedSession]{}
	for entry, err := range tableSessions.rowsAfter(&tx.Reader, "", "") {
		if err != nil {
			return "", err
		}
		if entry.Value.over(now) {
			if err := tableSessions.Delete(tx, entry.Key); err != nil {
				return "", err
			}
			continue
		}
		total++
		if entry.Value.User == session.User && entry.Value.OpenID == session.OpenID {
			if own == 0 || entry.Value.Used.Before(oldest.Value.Used) {
				oldest = entry
			}
			own++
		}
	}
	switch {
	case own >= maxUserSessions:
		if err := tableSessions.Delete(tx, oldest.Key); err != nil {
			return "", err
		}
	case total >= maxSessions:
		return "", &LoginError{Code: "LimitExceededException", Status: 503, Message: "Too many people are logged in. Try again later."}
	}
	token = newSessionToken()
	return token, tableSessions.Put(tx, sessionID(token), session)
}

// dropSessions deletes the sessions that are over.
func (s *Service) dropSessions(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		for entry, err := range tableSessions.rowsAfter(&tx.Reader, "", "") {
			if err != nil {
				return err
			}
			if entry.Value.over(s.now()) {
				if err := tableSessions.Delete(tx, entry.Key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
