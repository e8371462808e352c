package cloud

import (
	"context"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Backup writes a copy of everything that a service of ours keeps. It can be of any
// length: only ctx bounds the time.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	client := c.config.HTTPClient
	if patient, ok := client.(*awshttp.BuildableClient); ok {
		client = patient.WithTimeout(0)
	}
	answer, err := c.call(ctx, client, http.MethodGet, "/backup", nil)
	if err == nil {
		defer answer.Body.Close()
		_, err = io.Copy(w, answer.Body)
	}
	return c.failed("back up", err)
}
