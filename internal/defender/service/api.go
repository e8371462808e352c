package service

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// api is the AWS IoT API of the service, with the pages beside it.
func (s *Service) api() *awsrest.API {
	a := &awsrest.API{
		Operations: s.operations(),
		Authorize:  s.recorded(awsrest.Everybody),
		Answered:   s.recordAnswer,
		Members: map[string]func(member, value string) error{
			"securityProfileName": checkName, "metricName": checkName, "name": checkName, "thingName": checkName, "thingGroupName": checkName,
			"accessKeyName": checkName,
			"certificateId": checkCertificateID,
			"actionName":    checkID, "taskId": checkID, "channelName": checkID, "violationId": checkViolationID,
		},
		TLS:      s.options.TLS,
		Host:     s.options.Host,
		Open:     s.open(),
		Throttle: s.options.Throttle,
		Unknown:  "which has those of AWS IoT Device Defender Detect and the things, thing groups and tags that they need",
		Header:   func(h http.Header) { h.Set(effect.Header, s.without()) },
		Now:      s.now,
		Log:      s.log,
	}
	if s.options.Authentication {
		a.Authorize, a.Authenticates = s.recorded(s.authorize), true
	}
	if s.options.Pages != nil {
		pages := s.options.Pages(s)
		if s.options.Authentication {
			pages = s.guardPages(pages)
		}
		a.Pages = map[string]http.Handler{}
		for _, pattern := range pagePatterns(s.options.Authentication) {
			a.Pages[pattern] = pages
		}
	}
	return a
}

// open is what anybody may ask, or asks whom by itself.
func (s *Service) open() map[string]http.Handler {
	open := s.health()
	maps.Copy(open, s.options.Open)
	return open
}

// Handler returns the API of the service without its server: see the table of
// operations in the package comment.
func (s *Service) Handler() http.Handler { return s.api().Handler() }

// Serve serves the API to a listener of [awsrest.Listen] until ctx ends, and
// closes it: see [awsrest.API.Serve].
func (s *Service) Serve(ctx context.Context, l net.Listener) error { return s.api().Serve(ctx, l) }

// checkName checks a name by AWS's pattern [a-zA-Z0-9:_-]{1,128}, as names of
// profiles, things, groups, custom metrics and dimensions are.
func checkName(member, name string) error {
	if profile.CheckName(name) != nil {
		return awsrest.Constraint(member, name, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9:_-]+")
	}
	return nil
}

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// checkID checks the name of a mitigation action, or the id of a task.
func checkID(member, id string) error {
	if !idPattern.MatchString(id) {
		return awsrest.Constraint(member, id, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9_-]+")
	}
	return nil
}

var certificateID = regexp.MustCompile(`^[a-f0-9]{64}$`)

// checkCertificateID checks the SHA-256 of a certificate.
func checkCertificateID(member, id string) error {
	if !certificateID.MatchString(id) {
		return awsrest.Constraint(member, id, "Member must have 64 characters and satisfy regular expression pattern: [a-f0-9]+")
	}
	return nil
}

// queryName returns the query parameter when it is a name or absent.
func queryName(r *awsrest.Request, parameter string) (string, error) {
	if !r.Has(parameter) {
		return "", nil
	}
	name := r.Query(parameter)
	return name, checkName(parameter, name)
}

// checkProblems turns what is wrong with a document into one error.
func checkProblems(problems []profile.Problem) error {
	const shown = 10
	var texts []string
	for _, p := range problems {
		if p.Severity == profile.Error {
			texts = append(texts, problemText(p))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	more := ""
	if n := len(texts) - shown; n > 0 {
		texts, more = texts[:shown], fmt.Sprintf(" (and %d more)", n)
	}
	return awsrest.Invalid(strings.Join(texts, ". ") + more)
}

func problemText(p profile.Problem) string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Want != "" {
		text += ", want " + p.Want
	}
	return awsrest.Clip(text)
}
