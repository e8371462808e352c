package cli

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/settings"
	"github.com/device-defender/device-defender/internal/spelling"
)

// field reads a key of a channel.
type field = func(settings.Node) error

// parseChannels reads the channels of a configuration file, by name.
func parseChannels(n settings.Node, secrets *settings.Reader) ([]alert.Channel, error) {
	var channels []alert.Channel
	err := n.Each(func(name string, value settings.Node) error {
		c := alert.Channel{Name: name}
		if err := alert.CheckName(name); err != nil {
			return value.Errorf("%v", err)
		}
		if err := parseChannel(value, secrets, &c); err != nil {
			return err
		}
		if err := c.Check(); err != nil {
			return value.Errorf("%v", err)
		}
		channels = append(channels, c)
		return nil
	})
	return channels, err
}

// parseChannel reads one. Which keys it may have depends on its type, and all that is
// wrong is in the error.
func parseChannel(n settings.Node, secrets *settings.Reader, c *alert.Channel) error {
	// The type is looked for first, wherever it is.
	if err := n.Each(func(key string, value settings.Node) error {
		if key != "type" {
			return nil
		}
		text, err := value.Text()
		if err != nil {
			return err
		}
		if !slices.Contains(alert.Types(), text) {
			return value.Errorf("unknown type %q, want %s", text, spelling.Suggest(text, alert.Types()))
		}
		c.Type = alert.Type(text)
		return nil
	}); err != nil {
		return err
	}
	if c.Type == "" {
		return n.Errorf("type is missing, want %s", spelling.Alternatives(alert.Types()))
	}
	*c = alert.Defaults(c.Name, c.Type)
	all := channelFields(secrets, c)
	fields := map[string]field{"type": func(settings.Node) error { return nil }, "only": all["only"]}
	keys, required := alert.Keys(c.Type)
	given := map[string]bool{}
	for _, key := range keys {
		fields[key] = func(n settings.Node) error {
			given[key] = true
			return all[key](n)
		}
	}
	errs := []error{n.Fields(fields)}
	for _, key := range required {
		if !given[key] {
			errs = append(errs, n.Errorf("%s is missing, which a channel of type %s needs", key, c.Type))
		}
	}
	return errors.Join(errs...)
}

// channelFields read all keys that a channel can have.
func channelFields(secrets *settings.Reader, c *alert.Channel) map[string]field {
	secret := func(to *string, check func(string) error) field {
		return func(n settings.Node) (err error) {
			if *to, err = secrets.Secret(n); err != nil {
				return err
			}
			if err := check(*to); err != nil {
				return n.Errorf("%v", err)
			}
			return nil
		}
	}
	return map[string]field{
		"url":    secret(&c.URL, alert.CheckURL),
		"secret": secret(&c.Secret, alert.CheckSecret),
		"key":    secret(&c.Key, alert.CheckKey),
		"severity": func(n settings.Node) (err error) {
			if c.Severity, err = n.Text(); err == nil && !slices.Contains(alert.Severities, c.Severity) {
				err = n.Errorf("want %s", spelling.Alternatives(alert.Severities))
			}
			return err
		},
		"group": func(n settings.Node) (err error) {
			if c.Group, err = n.Duration(); err == nil && c.Group > alert.MaxGroup {
				err = n.Errorf("want at most %v", alert.MaxGroup)
			}
			return err
		},
		"headers": func(n settings.Node) error {
			c.Headers = map[string]string{}
			return n.Each(func(name string, value settings.Node) error {
				var text string
				if err := secret(&text, alert.CheckHeader)(value); err != nil {
					return err
				}
				name = http.CanonicalHeaderKey(name)
				if err := alert.CheckHeaderName(name); err != nil {
					return value.Errorf("%v", err)
				}
				c.Headers[name] = text
				return nil
			})
		},
		"topic": func(n settings.Node) (err error) {
			if c.Topic, err = n.Text(); err == nil && !alert.IsTopic(c.Topic) {
				err = n.Errorf("want the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:alarms")
			}
			return err
		},
		"only": func(n settings.Node) error { return parseFilter(n, &c.Only) },
	}
}

// parseFilter reads which alerts a channel gets.
func parseFilter(n settings.Node, f *alert.Filter) error {
	list := func(to *[]string, check func(string) error) field {
		return func(n settings.Node) (err error) {
			if *to, err = n.Texts(); err != nil {
				return err
			}
			for _, text := range *to {
				if err := check(text); err != nil {
					return n.Errorf("%v", err)
				}
			}
			return nil
		}
	}
	event := func(text string) error {
		if !slices.Contains(alert.EventTypes, text) {
			return errors.New("want " + spelling.Suggest(text, alert.EventTypes))
		}
		return nil
	}
	return n.Fields(map[string]field{
		"profiles":  list(&f.Profiles, alert.CheckPattern),
		"behaviors": list(&f.Behaviors, alert.CheckPattern),
		"things":    list(&f.Things, alert.CheckPattern),
		"groups":    list(&f.Groups, alert.CheckPattern),
		"events":    list(&f.Events, event),
	})
}

// shownChannel is a channel as --check-config shows it: without secrets.
func shownChannel(c *alert.Channel) map[string]any {
	shown := map[string]any{"type": string(c.Type)}
	if c.URL != "" {
		shown["url"] = alert.Masked(c.URL)
	}
	for name, secret := range map[string]string{"secret": c.Secret, "key": c.Key} {
		if secret != "" {
			shown[name] = masked
		}
	}
	if c.Severity != "" {
		shown["severity"] = c.Severity
	}
	if c.Group > 0 {
		shown["group"] = c.Group.String()
	}
	if c.Topic != "" {
		shown["topic"] = c.Topic
	}
	if len(c.Headers) > 0 {
		shown["headers"] = strings.Join(slices.Sorted(maps.Keys(c.Headers)), ", ") + ": " + masked
	}
	only := map[string]any{}
	for name, list := range map[string][]string{
		"profiles": c.Only.Profiles, "behaviors": c.Only.Behaviors, "things": c.Only.Things, "groups": c.Only.Groups, "events": c.Only.Events,
	} {
		if len(list) > 0 {
			only[name] = list
		}
	}
	if len(only) > 0 {
		shown["only"] = only
	}
	return shown
}
