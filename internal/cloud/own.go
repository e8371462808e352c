package cloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// ErrNotOurs is of an operation that 'defenderctl serve' has and AWS IoT has not.
var ErrNotOurs = errors.New("AWS IoT has no such operation, 'defenderctl serve' has: give its --endpoint-url, or --local")

// maxOwnAnswer bounds what is read of an answer.
const maxOwnAnswer = 1 << 20

// own calls an operation that AWS's SDK does not know. It is signed as those that it
// knows.
func (c *Client) own(ctx context.Context, method, path string, in, out any) error {
	if c.endpoint == "" {
		return ErrNotOurs
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("no AWS credentials: %w", err)
	}
	digest := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(digest[:]), "iot", c.Region, time.Now()); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	answer, err := c.config.HTTPClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxOwnAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(data, &said) // what is no JSON has no message
		code := answer.Header.Get("X-Amzn-ErrorType")
		if code == "" {
			code = answer.Status
		}
		return &failure{code: code, message: said.Message}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// RegisterThingCertificate has a thing known by a certificate in PEM, and returns the
// certificate's id.
func (c *Client) RegisterThingCertificate(ctx context.Context, thing, certificate string) (id string, err error) {
	in := struct {
		PEM string `json:"certificatePem"`
	}{certificate}
	var out struct {
		ID string `json:"certificateId"`
	}
	err = c.own(ctx, http.MethodPost, "/things/"+url.PathEscape(thing)+"/certificates", in, &out)
	return out.ID, c.failed("register the certificate of thing "+thing, err)
}
