package openid

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// askTimeout is how long the provider may take for an answer.
	askTimeout = 10 * time.Second
	// maxAnswer bounds what is read of one: its keys are the longest.
	maxAnswer = 1 << 20
	// discoveryPause is the time from one failed discovery to the next.
	discoveryPause = 5 * time.Second
	// maxExchanges is how many codes are exchanged at once: anybody can bring one.
	maxExchanges = 4
)

// newClient returns a client for answers of a bounded time and size.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{Timeout: askTimeout, Transport: bounded{transport}}
}

// bounded bounds what is read of answers.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = boundedBody{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}

type boundedBody struct {
	io.Reader
	io.Closer
}

// provider returns what the provider says of itself, which is asked until it answers.
// Of many who log in at once, one asks.
func (p *Provider) provider(ctx context.Context) (*oidc.Provider, error) {
	select {
	case p.slot <- struct{}{}:
		defer func() { <-p.slot }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	if p.discovered != nil {
		return p.discovered, nil
	}
	if now := p.options.Now(); p.failure != nil && now.Sub(p.failed) >= 0 && now.Sub(p.failed) < discoveryPause {
		return nil, p.failure
	}
	// The provider is kept, and asks for keys with the client of this context.
	discovered, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.options.Issuer)
	if err != nil {
		p.failed, p.failure = p.options.Now(), fmt.Errorf("%w: asking %s for its configuration: %w", ErrUnreachable, p.options.Issuer, err)
		return nil, p.failure
	}
	p.discovered = discovered
	return discovered, nil
}
