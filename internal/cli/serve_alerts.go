package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/settings"
)

// alertOptions say where alerts are sent.
type alertOptions struct {
	webhook  string
	topics   []string
	channels []alert.Channel // of the configuration file
}

func (o *alertOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.webhook, "webhook", "", "URL that every alert is posted to as well, as JSON; on the command line one on loopback, as others can see it there")
	flags.StringSliceVar(&o.topics, "sns", nil, "ARN of an SNS topic that profiles may name as alert target; its name may end with * (default none)")
	// The error is for flags that don't exist.
	_ = flags.SetAnnotation("webhook", settings.Secret, nil)
}

// check returns what is wrong with the flags. visible says that --webhook is on the
// command line, which all users of the machine may see.
func (o *alertOptions) check(visible bool) error {
	if err := alert.Topics(o.topics).Check(); err != nil {
		return usageError{fmt.Errorf("--sns: %w", err)}
	}
	if o.webhook == "" {
		return nil
	}
	if err := alert.CheckURL(o.webhook); err != nil {
		return usageError{fmt.Errorf("--webhook: %w", err)}
	}
	if visible && !onLoopback(o.webhook) {
		return usageError{errors.New("--webhook: the URL of a webhook is a secret, and every user of this machine can see the command line: give it to 'defenderctl serve' as DEFENDERCTL_WEBHOOK, or as a channel in the file of --config; only URLs on loopback are taken here")}
	}
	for _, c := range o.channels {
		if c.Name == string(alert.Webhook) {
			return usageError{fmt.Errorf("--webhook is the channel of the name %s, which the configuration file has too", c.Name)}
		}
	}
	return nil
}

// onLoopback reports whether a URL can mean this machine only, by its host.
func onLoopback(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// set has a service send alerts so.
func (o *alertOptions) set(to *service.Options) {
	to.Topics, to.Channels = o.topics, o.all()
	for i := range to.Channels {
		to.Log.Info("alerts are sent to a channel", "channel", to.Channels[i].Shown())
	}
}

// all are the channels, that of --webhook among them.
func (o *alertOptions) all() []alert.Channel {
	if o.webhook == "" {
		return o.channels
	}
	return append([]alert.Channel{alert.PlainWebhook(o.webhook)}, o.channels...)
}
