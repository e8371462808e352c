package cli

import (
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/settings"
)

// A channel that a configuration file has is complete, whatever else is in the file.
func FuzzParseChannels(f *testing.F) {
	for _, seed := range []string{
		"a: {type: webhook, url: http://x, headers: {A: b}}", "a: {type: slack, url: http://x, group: 1s, only: {events: in-alarm}}", "a: {type: pagerduty, key: 00000000000000000000000000000000, severity: low}",
		"a: {type: sns, topic: arn:aws:sns:eu-west-1:123456789012:t}", "a: b", "a: {type: [x]}", "a: {type: webhook, type: slack}", "a: {type: webhook, url: {env: X}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := settings.Parse("f", strings.NewReader(text))
		if err != nil || strings.Contains(text, "file") { // which would be read
			return
		}
		channels, err := parseChannels(n, &settings.Reader{Lookup: func(string) (string, bool) { return "", false }})
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, c := range channels {
			if err := c.Check(); err != nil || names[c.Name] {
				t.Errorf("%+v: %v", c, err)
			}
			names[c.Name] = true
			if _, required := alert.Keys(c.Type); required == nil {
				t.Errorf("%+v", c)
			}
			shownChannel(&c)
		}
	})
}
