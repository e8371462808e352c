package alert

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Type is a kind of channel.
type Type string

// The kinds of channels.
const (
	Webhook Type = "webhook" // the alert as it is, posted
	SNS     Type = "sns"     // the alert as it is, to a topic
)

// Channel is where alerts are sent besides the SNS topics of profiles.
type Channel struct {
	Name string // names it in the outbox, too
	Type Type
	URL  string // often a secret
	// Secret signs what is posted; see Sign. "" is no signature.
	Secret  string
	Headers map[string]string // what is sent besides; often secrets
	Topic   string            // ARN of the SNS topic
	Only    Filter
}

// PlainWebhook is a channel that every alert is posted to as it is.
func PlainWebhook(url string) Channel { return Channel{Name: string(Webhook), Type: Webhook, URL: url} }

// channelName has no colon: topics have them, and both name targets of the outbox.
var channelName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`)

// CheckName says whether a channel can have the name.
func CheckName(name string) error {
	if !channelName.MatchString(name) {
		return errors.New("want the name of a channel: up to 64 letters, digits, - and _")
	}
	return nil
}

// Check says what is wrong with the channel.
func (c *Channel) Check() error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if c.Type == SNS {
		return CheckTopic(c.Topic)
	}
	if err := CheckURL(c.URL); err != nil {
		return fmt.Errorf("channel %s: %w", c.Name, err)
	}
	return nil
}

// CheckURL says whether alerts can be posted to the URL.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL") // url.Error quotes it
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want a URL with http or https")
	case u.Host == "":
		return errors.New("the URL has no host")
	}
	return nil
}

// Masked is a URL as it may be shown: often its path or its user is a secret.
func Masked(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "..."
	}
	masked := u.Scheme + "://" + u.Host
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		masked += "/..."
	}
	return masked
}

// Shown is the channel as it may stand in a log.
func (c *Channel) Shown() string {
	if c.Type == SNS {
		return c.Name + " (" + c.Topic + ")"
	}
	return fmt.Sprintf("%s (%s at %s)", c.Name, c.Type, Masked(c.URL))
}
