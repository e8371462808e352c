package cloud

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"
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
