package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Registry is another registry of things and groups, which the database mirrors. What it
// fails with may be a [RegistryError].
type Registry interface {
	// Add puts a thing into a group, and takes it out of dynamic groups for that if it has to
	// and may. Remove takes it out. Both are of no effect if it is so already.
	Add(ctx context.Context, thing, group string, overrideDynamic bool) error
	Remove(ctx context.Context, thing, group string) error
	// Stranger says that a thing reported that is not registered. It does not block.
	Stranger(thing string)
	// Status is how reading it goes.
	Status() RegistryStatus
}

// RegistryError is what another registry answered.
type RegistryError struct {
	Code, Message string
	Err           error
}

func (e *RegistryError) Error() string { return e.Code + ": " + e.Message }

func (e *RegistryError) Unwrap() error { return e.Err }

// RegistryStatus is how reading another registry goes.
type RegistryStatus struct {
	Source         string    // such as AWS IoT in eu-west-1
	Read           time.Time // the last time that succeeded; zero: never since the start
	Things, Groups int       // that there were
	Failed         time.Time // the last time that failed, if it is later; else zero
	Problem        string    // what failed then
}

// notice says it in a sentence.
func (s *RegistryStatus) notice() string {
	text := "things and groups are those of " + s.Source
	if s.Read.IsZero() {
		text += ", which was not read since the start"
	} else {
		text += fmt.Sprintf(", read at %s: %d things, %d groups", s.Read.UTC().Format(time.DateTime+" MST"), s.Things, s.Groups)
	}
	if !s.Failed.IsZero() {
		text += fmt.Sprintf("; reading it failed at %s: %s", s.Failed.UTC().Format(time.DateTime+" MST"), s.Problem)
	}
	return text
}

// local is the handler of an operation that changes the registry. Where that is elsewhere,
// it refuses to.
func (s *Service) local(handle func(*awsrest.Request) (any, error)) func(*awsrest.Request) (any, error) {
	if s.options.Registry == nil {
		return handle
	}
	return func(r *awsrest.Request) (any, error) {
		return nil, awsrest.Invalid("Things and groups are those of " + s.options.Registry.Status().Source + ": change them there. The service only moves things to groups and out of them.")
	}
}

// moving is the access level of what moves things. Where the registry is elsewhere, it is
// done there in the name of the operator, as mitigation is.
func (s *Service) moving() awsrest.Access {
	if s.options.Registry == nil {
		return awsrest.Write
	}
	return awsrest.Admin
}

// moveElsewhere takes a thing out of groups of another registry and puts it into others,
// there and then here. What was done before something failed stays.
func (s *Service) moveElsewhere(ctx context.Context, thing string, add, remove []string, overrideDynamic bool) error {
	var err error
	left, joined := []string(nil), []string(nil)
	for _, group := range remove {
		if err = s.options.Registry.Remove(ctx, thing, group); err != nil {
			break
		}
		left = append(left, group)
	}
	for _, group := range add {
		if err != nil {
			break
		}
		if err = s.options.Registry.Add(ctx, thing, group, overrideDynamic); err == nil {
			joined = append(joined, group)
		}
	}
	if len(left)+len(joined) > 0 {
		stored := s.write(ctx, func(tx *store.Tx) error { return s.mirrorMove(tx, thing, joined, left) })
		err = errors.Join(err, stored)
	}
	return answerOfRegistry(err)
}

// answerOfRegistry is what a client is told of another registry's failure.
func answerOfRegistry(err error) error {
	failed, ok := errors.AsType[*RegistryError](err)
	if !ok {
		return err
	}
	status := map[string]int{
		"ResourceNotFoundException": http.StatusNotFound, "InvalidRequestException": http.StatusBadRequest, "ThrottlingException": http.StatusTooManyRequests,
	}[failed.Code]
	if status == 0 {
		return &awsrest.Error{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable, Message: awsrest.Clip("the registry: " + failed.Error())}
	}
	return &awsrest.Error{Type: failed.Code, Status: status, Message: awsrest.Clip(failed.Message)}
}
