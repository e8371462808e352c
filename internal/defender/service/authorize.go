package service

import (
	"errors"
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/sigv4"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// signingNames are what clients sign for: AWS IoT, its data plane, and STS. AWS IoT
// has another name in older clients, such as the AWS CLI 2.9 of Debian 12.
var signingNames = []string{"iot", "iotdata", "sts", "execute-api"}

// authorize lets a call through that is signed with an access key whose role has
// the operation.
func (s *Service) authorize(r *awsrest.Request) error {
	if bears, err := s.bearsToken(r); bears || err != nil {
		return err
	}
	signature, err := sigv4.Parse(r.HTTP)
	if err == nil {
		r.CallerID = signature.KeyID
		err = signature.CheckScope(s.options.Region, signingNames...)
	}
	if err == nil {
		err = signature.CheckTime(s.now())
	}
	if err != nil {
		return unauthenticated(err)
	}
	var key *storedAccessKey
	if err := s.read(r.Context(), func(view *store.Reader) (err error) {
		key, err = tableAccessKeys.find(view, signature.KeyID)
		return err
	}); err != nil {
		return err
	}
	guess, now := guess{from: sourceOf(r.HTTP)}, s.now()
	if key != nil {
		guess.id = signature.KeyID
	}
	allowed := s.guesses.allowed(guess, now)
	switch {
	case key == nil: // no guess at its secret can be right
		err = sigv4.UnknownKey()
	case !allowed:
		// 403 as any other wrong signature; clients go by the type, and try again.
		return &awsrest.Error{Type: "ThrottlingException", Status: http.StatusForbidden, Message: "Rate exceeded: too many wrong signatures"}
	default:
		err = signature.Verify(r.HTTP, r.Body, key.Secret)
	}
	if err != nil {
		if allowed {
			s.guesses.failed(guess, now)
			s.log.Warn("call refused", "operation", r.Operation.Name, "from", guess.from, "access key", signature.KeyID, "reason", err)
		}
		return unauthenticated(err)
	}
	r.Caller = key.Name
	if !roleMay(key.Role, r.Operation.Access) {
		return s.denied(key.Name, key.Role, r.Operation)
	}
	return nil
}

// unauthenticated is the API's error of a signature that isn't right.
func unauthenticated(err error) error {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return &awsrest.Error{Type: e.Code, Status: http.StatusForbidden, Message: e.Message}
	}
	return err
}
