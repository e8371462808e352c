package cloud

import (
	"context"
	"net/http"
	"net/url"
)

func certificatesPath(thing string) string {
	return "/things/" + url.PathEscape(thing) + "/certificates"
}

// RegisterThingCertificate has a thing known by a certificate in PEM, and returns the
// certificate's id. It is an operation of a service of ours.
func (c *Client) RegisterThingCertificate(ctx context.Context, thing, certificate string) (id string, err error) {
	var out struct {
		ID string `json:"certificateId"`
	}
	err = c.ask(ctx, http.MethodPost, certificatesPath(thing), map[string]string{"certificatePem": certificate}, &out)
	return out.ID, c.failed("register the certificate of thing "+thing, err)
}

// thingCertificates returns the ids of the certificates by which a thing is known. There are
// few: one page has all.
func (c *Client) thingCertificates(ctx context.Context, thing string) ([]string, error) {
	var out struct {
		IDs []string `json:"certificateIds"`
	}
	err := c.ask(ctx, http.MethodGet, certificatesPath(thing), nil, &out)
	return out.IDs, c.failed("list the certificates of thing "+thing, err)
}
