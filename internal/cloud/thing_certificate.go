package cloud

import (
	"context"
	"net/http"
	"net/url"
)

// RegisterThingCertificate has a thing known by a certificate in PEM, and returns the
// certificate's id. It is an operation of a service of ours.
func (c *Client) RegisterThingCertificate(ctx context.Context, thing, certificate string) (id string, err error) {
	var out struct {
		ID string `json:"certificateId"`
	}
	err = c.ask(ctx, http.MethodPost, "/things/"+url.PathEscape(thing)+"/certificates", map[string]string{"certificatePem": certificate}, &out)
	return out.ID, c.failed("register the certificate of thing "+thing, err)
}
