package server

import (
	"maps"
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/ingest/rulehttp"
)

// RulesPath is where rules of AWS IoT post to, with [WithRules].
const RulesPath = rulehttp.Path

// WithRules has rules of AWS IoT post reports to the API's address, with this secret in a header.
// Their destinations are confirmed if they are of one of the accounts.
func WithRules(secret string, accounts []string) Option {
	return func(s *Server, o *service.Options) {
		// The service is not open yet: its way in is looked up when something comes.
		posts, err := rulehttp.Handlers(rulehttp.Options{Rules: s.posted, Secret: secret, Accounts: accounts, Log: o.Log})
		if err != nil {
			s.problem = err
			return
		}
		if o.Open == nil {
			o.Open = map[string]http.Handler{}
		}
		maps.Copy(o.Open, posts)
		o.CloudConnections = true
	}
}

// posted is the way in for messages that rules post.
func (s *Server) posted() *ingest.Rules { return s.ruleMessages.By(s.Tally("rule")) }
