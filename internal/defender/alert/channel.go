package alert

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Type is a kind of channel.
type Type string

// The kinds of channels.
const (
	Webhook   Type = "webhook"   // the alert as it is, posted
	SNS       Type = "sns"       // the alert as it is, to a topic
	Slack     Type = "slack"     // a message for people
	Teams     Type = "teams"     // a message for people
	PagerDuty Type = "pagerduty" // an event, Events API v2
	OCSF      Type = "ocsf"      // a Detection Finding, posted
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
	Key     string            // routing key of PagerDuty; a secret
	// Severity is what its alerts are said to be, one of Severities; "" is not known.
	Severity string
	// Group is how long an alert waits for others of the same behavior, to go with
	// one message; 0 is that each has a message of its own.
	Group time.Duration
	Only  Filter
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

// CheckKey says whether this can be a routing key of PagerDuty.
func CheckKey(key string) error {
	if len(key) != 32 {
		return errors.New("want a routing key of the Events API v2, which has 32 characters")
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
