package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var (
	// ErrUnreachable says that the provider does not answer.
	ErrUnreachable = errors.New("the OpenID provider can't be reached")
	// ErrOther says that the answer is not to the login that this browser began.
	ErrOther = errors.New("not the login that was begun")
)

// Attempt is a login that was begun. It belongs to the browser, and to nobody else.
type Attempt struct {
	State    string `json:"state"`    // comes back with the answer: it is to this attempt
	Nonce    string `json:"nonce"`    // comes back in the ID token: it is for this attempt
	Verifier string `json:"verifier"` // of PKCE: without it the code is worth nothing
}

// Person is somebody whom the provider vouches for.
type Person struct {
	Subject string // as the provider knows them
	Name    string // for people
	Role    string // "" is none
}

// Begin begins a login, and returns the address at the provider to send the browser
// to. The provider sends it to callback.
func (p *Provider) Begin(ctx context.Context, callback string) (address string, a Attempt, err error) {
	provider, err := p.provider(ctx)
	if err != nil {
		return "", a, err
	}
	a = Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	config := p.config(provider, callback)
	return config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), a, nil
}

// config is the configuration for the provider. Groups are a scope of their own at
// some, and unknown to others.
func (p *Provider) config(provider *oidc.Provider, callback string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	var about struct {
		Scopes []string `json:"scopes_supported"`
	}
	if provider.Claims(&about) == nil && slices.Contains(about.Scopes, p.options.Claim) && !slices.Contains(scopes, p.options.Claim) {
		scopes = append(scopes, p.options.Claim)
	}
	return &oauth2.Config{ClientID: p.options.ClientID, ClientSecret: p.options.Secret, Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: scopes}
}

// End ends a login by what the provider had the browser bring.
func (p *Provider) End(ctx context.Context, callback string, a Attempt, answer url.Values) (Person, error) {
	state := answer.Get("state")
	if a.State == "" || a.Nonce == "" || a.Verifier == "" || subtle.ConstantTimeCompare([]byte(state), []byte(a.State)) != 1 {
		return Person{}, ErrOther
	}
	// RFC 9207: an answer of another provider is not taken for one of this.
	if issuer := answer.Get("iss"); issuer != "" && issuer != p.options.Issuer {
		return Person{}, fmt.Errorf("the answer is of issuer %.200q, want %s", issuer, p.options.Issuer)
	}
	if code := answer.Get("error"); code != "" {
		return Person{}, fmt.Errorf("the provider answers %.100q: %.400q", code, answer.Get("error_description"))
	}
	provider, err := p.provider(ctx)
	if err != nil {
		return Person{}, err
	}
	select {
	case p.exchanges <- struct{}{}:
		defer func() { <-p.exchanges }()
	case <-ctx.Done():
		return Person{}, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.client)
	config := p.config(provider, callback)
	token, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < http.StatusInternalServerError {
			return Person{}, fmt.Errorf("the provider refuses the code: %s %.100q", refused.Response.Status, refused.ErrorCode)
		}
		return Person{}, fmt.Errorf("%w: exchanging the code: %w", ErrUnreachable, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Person{}, errors.New("the provider's answer has no ID token")
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: p.options.ClientID, Now: p.options.Now}).Verify(ctx, raw)
	if err != nil {
		return Person{}, fmt.Errorf("verifying the ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(a.Nonce)) != 1 {
		return Person{}, fmt.Errorf("%w: the ID token has another nonce", ErrOther)
	}
	return p.person(verified)
}

// person is who the ID token is of.
func (p *Provider) person(token *oidc.IDToken) (Person, error) {
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return Person{}, fmt.Errorf("reading the ID token: %w", err)
	}
	person := Person{Subject: token.Subject, Name: token.Subject}
	// A claim that is of another type is not there.
	text := func(claim string) (value string) {
		_ = json.Unmarshal(claims[claim], &value)
		return value
	}
	var verified bool
	_ = json.Unmarshal(claims["email_verified"], &verified)
	if email := text("email"); email != "" && verified {
		person.Name = email
	} else if name := text("preferred_username"); name != "" {
		person.Name = name
	}
	groups := groupsOf(claims[p.options.Claim])
	for _, g := range p.options.Grants {
		if slices.Contains(groups, g.Group) {
			person.Role = g.Role
			break
		}
	}
	return person, nil
}

// groupsOf are the groups of a claim: a list, or one by itself.
func groupsOf(claim json.RawMessage) []string {
	var list []any
	if json.Unmarshal(claim, &list) != nil {
		var one string
		if json.Unmarshal(claim, &one) != nil {
			return nil
		}
		return []string{one}
	}
	var groups []string
	for _, member := range list {
		if text, ok := member.(string); ok {
			groups = append(groups, text)
		}
	}
	return groups
}
