// Package openid lets an OpenID Connect provider say who somebody is: Authorization
// Code with PKCE, state and nonce, and the groups of the ID token as roles.
//
// The provider is asked for its configuration when somebody logs in for the first
// time, and again until it answers. So a service starts without it.
package openid

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// DefaultClaim is the claim that has groups unless another is named.
const DefaultClaim = "groups"

// Grant gives a role to the members of a group.
type Grant struct{ Role, Group string }

// Options say which provider there is, and what its groups may do.
type Options struct {
	Issuer   string // URL
	ClientID string
	Secret   string // "" is a public client
	Claim    string // that has the groups; default DefaultClaim
	// Grants are in the order of their worth: somebody has the role of the first that
	// fits.
	Grants []Grant
	Now    func() time.Time // default time.Now
	Client *http.Client     // default: one with bounds
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	options Options
	host    string
	client  *http.Client

	exchanges  chan struct{} // has a token for each code that is being exchanged
	slot       chan struct{} // has the token of who asks for the configuration
	discovered *oidc.Provider
	failed     time.Time // when the last try failed
	failure    error
}

// New returns a provider, which is not asked for anything yet.
func New(o Options) (*Provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("issuer %q, want a URL such as https://id.example.com/realms/fleet", o.Issuer)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("issuer %q, want https", o.Issuer)
	}
	switch {
	case o.ClientID == "":
		return nil, errors.New("no client id")
	case len(o.Grants) == 0:
		return nil, errors.New("no group has a role, so nobody could log in")
	}
	if o.Claim == "" {
		o.Claim = DefaultClaim
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{options: o, host: u.Host, client: o.Client, exchanges: make(chan struct{}, maxExchanges), slot: make(chan struct{}, 1)}
	if p.client == nil {
		p.client = newClient()
	}
	return p, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Host is the provider's host, for people.
func (p *Provider) Host() string { return p.host }

// Fingerprint is the same for the same provider, client and roles. Whoever logged in
// by another configuration may have another role by this one.
func (p *Provider) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", p.options.Issuer, p.options.ClientID, p.options.Claim)
	grants := slices.Clone(p.options.Grants)
	for _, g := range grants {
		fmt.Fprintf(h, " %q %q", g.Role, g.Group)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
