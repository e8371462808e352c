package cloud

import (
	"context"
	"net/http"
	"net/url"
)

// ChannelTest is what came of a test of a channel for alerts.
type ChannelTest struct {
	Channel   string `json:"channel"` // as it may be shown
	Delivered bool   `json:"delivered"`
	Answer    string `json:"answer,omitempty"` // what the receiver said
	Error     string `json:"error,omitempty"`
}

// TestChannel has a service of ours send a test to one of its channels.
func (c *Client) TestChannel(ctx context.Context, name string) (ChannelTest, error) {
	var test ChannelTest
	err := c.ask(ctx, http.MethodPost, "/alert-channels/"+url.PathEscape(name)+"/test", nil, &test)
	return test, c.failed("test channel "+name, err)
}
