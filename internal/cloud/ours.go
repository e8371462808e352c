package cloud

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// ask calls an operation of a service of ours that AWS IoT does not have.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	answer, err := c.call(ctx, c.config.HTTPClient, method, path, in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("what answered does not speak as 'defenderctl serve' does: %w", err)
	}
	return nil
}

// call makes the call of ask. The answer's body is for the caller to close.
func (c *Client) call(ctx context.Context, client aws.HTTPClient, method, path string, in any) (*http.Response, error) {
	switch {
	case c.endpoint == "":
		return nil, errors.New("AWS has other means for this, it is an operation of 'defenderctl serve': give --local, --endpoint-url or AWS_ENDPOINT_URL_IOT")
	case !c.Local && !strings.HasPrefix(c.endpoint, "https://"):
		return nil, fmt.Errorf("%s is neither https nor on this machine, and the answer may have a secret", c.endpoint)
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(hash[:]), "iot", c.Region, time.Now()); err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	var e struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &e) // the code says enough where there is no message
	return nil, &failure{code: cmp.Or(answer.Header.Get("X-Amzn-ErrorType"), answer.Status), message: e.Message}
}
