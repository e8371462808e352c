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
	"net/url"
	"slices"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// AccessKey is an access key of a service of ours.
type AccessKey struct {
	Name    string
	ID      string
	Role    string
	Created time.Time
	Secret  string // only of one that is new
}

// accessKey is an AccessKey as the service has it.
type accessKey struct {
	Name    string  `json:"accessKeyName"`
	ID      string  `json:"accessKeyId"`
	Role    string  `json:"role"`
	Created float64 `json:"creationDate"` // seconds since 1970
	Secret  string  `json:"secretAccessKey"`
}

func (k accessKey) plain() AccessKey {
	return AccessKey{k.Name, k.ID, k.Role, time.UnixMilli(int64(k.Created * 1000)), k.Secret}
}

// CreateAccessKey makes an access key.
func (c *Client) CreateAccessKey(ctx context.Context, name, role string) (AccessKey, error) {
	var key accessKey
	err := c.ask(ctx, http.MethodPost, accessKeyPath(name), map[string]string{"role": role}, &key)
	return key.plain(), c.failed("create access key "+name, err)
}

// RotateAccessKey makes a new id and secret for an access key. The old ones are
// refused from then on.
func (c *Client) RotateAccessKey(ctx context.Context, name string) (AccessKey, error) {
	var key accessKey
	err := c.ask(ctx, http.MethodPost, accessKeyPath(name)+"/rotate", nil, &key)
	return key.plain(), c.failed("rotate access key "+name, err)
}

// DeleteAccessKey deletes an access key.
func (c *Client) DeleteAccessKey(ctx context.Context, name string) error {
	return c.failed("delete access key "+name, c.ask(ctx, http.MethodDelete, accessKeyPath(name), nil, nil))
}

// AccessKeys returns all access keys, by name.
func (c *Client) AccessKeys(ctx context.Context) ([]AccessKey, error) {
	var list []AccessKey
	for token := ""; ; {
		query := url.Values{"maxResults": {"250"}}
		if token != "" {
			query.Set("nextToken", token)
		}
		var page struct {
			Keys []accessKey `json:"accessKeys"`
			Next string      `json:"nextToken"`
		}
		if err := c.ask(ctx, http.MethodGet, "/access-keys?"+query.Encode(), nil, &page); err != nil {
			return nil, c.failed("list the access keys", err)
		}
		for _, key := range page.Keys {
			list = append(list, key.plain())
		}
		if page.Next == "" || page.Next == token {
			break
		}
		token = page.Next
	}
	slices.SortFunc(list, func(a, b AccessKey) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func accessKeyPath(name string) string { return "/access-keys/" + url.PathEscape(name) }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// ask calls an operation of a service of ours that AWS IoT does not have.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	switch {
	case c.endpoint == "":
		return errors.New("AWS has other means for this, it is an operation of 'defenderctl serve': give --local, --endpoint-url or AWS_ENDPOINT_URL_IOT")
	case !c.Local && !strings.HasPrefix(c.endpoint, "https://"):
		return fmt.Errorf("%s is neither https nor on this machine, and the answer may have a secret", c.endpoint)
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(hash[:]), "iot", c.Region, time.Now()); err != nil {
		return err
	}
	answer, err := c.config.HTTPClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		var e struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &e) // the code says enough where there is no message
		return &failure{code: cmp.Or(answer.Header.Get("X-Amzn-ErrorType"), answer.Status), message: e.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("what answered does not speak as 'defenderctl serve' does: %w", err)
	}
	return nil
}
