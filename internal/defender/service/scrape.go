package service

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// Scrape is what Prometheus gets at /metrics.
type Scrape struct {
	ContentType string
	Text        func() ([]byte, error)
}

// metrics answers with the service's figures.
func (s *Service) metrics(*awsrest.Request) (any, error) {
	if s.scrape.Text == nil {
		return nil, awsrest.NotFound("This service has no /metrics")
	}
	text, err := s.scrape.Text()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	return &awsrest.Answer{Status: http.StatusOK, ContentType: s.scrape.ContentType, Body: text}, nil
}

// metricsOperation is the operation that the bearer token is for.
const metricsOperation = "Metrics"

// Length of tokens in bytes: too short ones can be guessed.
const (
	leastToken = 20
	mostToken  = 1024
)

// ReadMetricsToken reads the token of a file. It is read for each scrape, so it can
// be changed at any time.
func ReadMetricsToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the token for /metrics: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < leastToken || len(token) > mostToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the token for /metrics in %s has %d bytes, want one line of %d to %d without blanks", path, len(token), leastToken, mostToken)
	}
	return token, nil
}

// bearsToken reports whether a request for metrics has the bearer token. What has
// another one is refused, and not looked at as signed.
func (s *Service) bearsToken(r *awsrest.Request) (bears bool, err error) {
	const scheme = "Bearer "
	header := r.HTTP.Header.Get("Authorization")
	if r.Operation.Name != metricsOperation || s.options.MetricsToken == "" || len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return false, nil
	}
	want, err := ReadMetricsToken(s.options.MetricsToken)
	if err != nil {
		return false, err
	}
	is, should := sha256.Sum256([]byte(header[len(scheme):])), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(is[:], should[:]) != 1 {
		s.log.Warn("call refused", "operation", r.Operation.Name, "from", sourceOf(r.HTTP), "reason", "wrong bearer token")
		return false, &awsrest.Error{Type: "UnrecognizedClientException", Status: http.StatusForbidden, Message: "The bearer token is not valid"}
	}
	return true, nil
}
