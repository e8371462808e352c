package alert

import (
	"maps"
	"slices"
	"time"
)

// kind is what a type of channel is made of.
type kind struct {
	keys     []string // of the configuration, besides type and only
	required []string // of these
	defaults Channel
	// format makes what is posted of the alerts of a group, or of one. Nil: the alert
	// goes as it is.
	format func(c *Channel, list []*Alert) (any, error)
}

var kinds = map[Type]kind{
	Webhook:   {keys: []string{"url", "secret", "headers"}, required: []string{"url"}},
	SNS:       {keys: []string{"topic"}, required: []string{"topic"}},
	Slack:     {keys: []string{"url", "group"}, required: []string{"url"}, defaults: Channel{Group: defaultGroup}, format: slackMessage},
	Teams:     {keys: []string{"url", "group"}, required: []string{"url"}, defaults: Channel{Group: defaultGroup}, format: teamsMessage},
	PagerDuty: {keys: []string{"key", "url", "severity"}, required: []string{"key"}, defaults: Channel{URL: pagerDutyURL}, format: pagerDutyMessage},
	OCSF:      {keys: []string{"url", "secret", "headers", "severity"}, required: []string{"url"}, format: ocsfMessage},
}

// How long people's channels wait for alerts of the same behavior, unless told
// otherwise and at most. A restart of the service begins the wait again.
const (
	defaultGroup = 30 * time.Second
	MaxGroup     = time.Hour
)

// Types lists the types of channels.
func Types() (types []string) {
	for _, t := range slices.Sorted(maps.Keys(kinds)) {
		types = append(types, string(t))
	}
	return types
}

// Keys lists what a channel of the type can have besides type and only, and what of
// it it has to have.
func Keys(t Type) (keys, required []string) { return kinds[t].keys, kinds[t].required }

// Defaults is a channel of which nothing but its name and type is said.
func Defaults(name string, t Type) Channel {
	c := kinds[t].defaults
	c.Name, c.Type = name, t
	return c
}
