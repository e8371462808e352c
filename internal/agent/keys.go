package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/spelling"
)

// key is one configuration key.
type key struct {
	name     string
	synonyms []string
	// set reads the value into the configuration, or notes why not and returns
	// false. Nil for keys of older generations that mean nothing here.
	set func(r *reader, name string, value any) bool
	// keep copies the setting from the last good configuration.
	keep func(to *Config, from Config)
	// get returns the setting as set takes it.
	get func(c Config) any
	// nested marks the Lambda's parameters, which hold keys of ours inside.
	nested bool
}

// keys are all keys, in the order of the README's table. The synonyms are
// those of AWS's Python component, of its Lambda and of the V1 connector.
var keys = []*key{
	{
		name: "SampleIntervalSeconds", synonyms: []string{"SAMPLE_INTERVAL_SECONDS"},
		set:  (*reader).sampleInterval,
		keep: func(to *Config, from Config) { to.SampleInterval = from.SampleInterval },
		get:  func(c Config) any { return c.SampleInterval.Seconds() },
	},
	{
		name: "PublishRetryCount", synonyms: []string{"GG_DD_PUB_RETRY_COUNT"},
		set:  (*reader).publishRetryCount,
		keep: func(to *Config, from Config) { to.PublishRetryCount = from.PublishRetryCount },
		get:  func(c Config) any { return float64(c.PublishRetryCount) },
	},
	{
		name: "ProcPath", synonyms: []string{"PROCFS_PATH", "ProcDestinationPath"},
		set:  (*reader).procPath,
		keep: func(to *Config, from Config) { to.ProcPath = from.ProcPath },
		get:  func(c Config) any { return c.ProcPath },
	},
	{
		name: "ReportFormat", set: (*reader).reportFormat,
		keep: func(to *Config, from Config) { to.Encoding.Format = from.Encoding.Format },
		get:  func(c Config) any { return c.Encoding.Format.String() },
	},
	{
		name: "ReportNames", set: (*reader).reportNames,
		keep: func(to *Config, from Config) { to.Encoding.Names = from.Encoding.Names },
		get:  func(c Config) any { return c.Encoding.Names.String() },
	},
	{
		name: "ReportTopic", set: (*reader).reportTopic,
		keep: func(to *Config, from Config) { to.ReportTopic = from.ReportTopic },
		get:  func(c Config) any { return c.ReportTopic },
	},
	{
		name: "ReportQoS", set: (*reader).reportQoS,
		keep: func(to *Config, from Config) { to.ReportQoS = from.ReportQoS },
		get:  func(c Config) any { return float64(c.ReportQoS) },
	},
	{
		name: "Interfaces", set: (*reader).interfaces,
		keep: func(to *Config, from Config) { to.Metrics.Interfaces = from.Metrics.Interfaces },
		get: func(c Config) any {
			return map[string]any{"Include": words(c.Metrics.Interfaces.Include), "Exclude": words(c.Metrics.Interfaces.Exclude)}
		},
	},
	{
		name: "IncludeLoopback", set: (*reader).includeLoopback,
		keep: func(to *Config, from Config) { to.Metrics.IncludeLoopback = from.Metrics.IncludeLoopback },
		get:  func(c Config) any { return c.Metrics.IncludeLoopback },
	},
	{
		name: "IncludeHalfClosed", set: (*reader).includeHalfClosed,
		keep: func(to *Config, from Config) { to.Metrics.IncludeHalfClosed = from.Metrics.IncludeHalfClosed },
		get:  func(c Config) any { return c.Metrics.IncludeHalfClosed },
	},
	{
		name: "MaxListItems", set: (*reader).maxListItems,
		keep: func(to *Config, from Config) { to.Metrics.MaxListItems = from.Metrics.MaxListItems },
		get:  func(c Config) any { return float64(c.Metrics.MaxListItems) },
	},
	{
		name: "CustomMetrics", set: (*reader).customMetrics,
		keep: func(to *Config, from Config) { to.Metrics.Custom = from.Metrics.Custom },
		get:  func(c Config) any { return customDocument(c.Metrics.Custom) },
	},
	{
		name: "LogLevel", set: (*reader).logLevel,
		keep: func(to *Config, from Config) { to.LogLevel = from.LogLevel },
		get:  func(c Config) any { return strings.ToLower(c.LogLevel.String()) },
	},
	{
		name: "ValidateDeployments", set: (*reader).validateDeployments,
		keep: func(to *Config, from Config) { to.ValidateDeployments = from.ValidateDeployments },
		get:  func(c Config) any { return c.ValidateDeployments },
	},
	{name: "accessControl"},
	{name: "UseInstaller"},
	{name: "ProcDestinationPath-ResourceId"},
	{name: "lambdaParams", synonyms: []string{"lambdaExecutionParameters"}, nested: true},
	{name: "containerMode"},
	{name: "containerParams"},
	{name: "pubsubTopics"},
}

func lookup(name string) *key {
	for _, k := range keys {
		if strings.EqualFold(name, k.name) || slices.ContainsFunc(k.synonyms, func(s string) bool { return strings.EqualFold(name, s) }) {
			return k
		}
	}
	return nil
}

// unset reports whether a value stands for none: nucleus lite delivers a YAML
// null as the string "null".
func unset(v any) bool { return v == nil || v == "null" }

// suggest names the known key nearest to an unknown one. Names are capped, as
// anything may stand in a configuration.
func suggest(name string) string {
	best, distance := "", len(name)/2+1
	name = strings.ToLower(name[:min(len(name), 64)])
	for _, k := range keys {
		if d := spelling.Distance(name, strings.ToLower(k.name)); k.set != nil && d < distance {
			best, distance = k.name, d
		}
	}
	if best == "" {
		return "it has no effect"
	}
	return fmt.Sprintf("did you mean %s?", best)
}

// Document returns the configuration as a deployment would write it. To parse it
// gives the configuration again.
func (c Config) Document() map[string]any {
	document := make(map[string]any)
	for _, k := range keys {
		if k.get != nil {
			document[k.name] = k.get(c)
		}
	}
	return document
}

// inEffect shows the setting that a key, or a path into one, has.
func (c Config) inEffect(path string) string {
	name, rest, _ := strings.Cut(path, ".")
	member, _, _ := strings.Cut(rest, ".")
	k := lookup(name)
	if k == nil || k.get == nil {
		return "nothing"
	}
	value := k.get(c)
	if members, ok := value.(map[string]any); ok && member != "" {
		value = members[member]
	}
	return quote(value)
}

// readableNames are the names that a configuration can have settings under.
func readableNames() []string {
	var names []string
	for _, k := range keys {
		if k.set != nil || k.nested {
			names = append(append(names, k.name), k.synonyms...)
		}
	}
	return names
}

// words is a list of strings as JSON has it.
func words(list []string) []any {
	values := make([]any, len(list))
	for i, w := range list {
		values[i] = w
	}
	return values
}

// ConfigurationKeys returns the names of the keys that mean something, in the
// order of the README's table.
func ConfigurationKeys() []string {
	var names []string
	for _, k := range keys {
		if k.set != nil {
			names = append(names, k.name)
		}
	}
	return names
}
