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
	},
	{
		name: "PublishRetryCount", synonyms: []string{"GG_DD_PUB_RETRY_COUNT"},
		set:  (*reader).publishRetryCount,
		keep: func(to *Config, from Config) { to.PublishRetryCount = from.PublishRetryCount },
	},
	{
		name: "ProcPath", synonyms: []string{"PROCFS_PATH", "ProcDestinationPath"},
		set:  (*reader).procPath,
		keep: func(to *Config, from Config) { to.ProcPath = from.ProcPath },
	},
	{
		name: "ReportFormat", set: (*reader).reportFormat,
		keep: func(to *Config, from Config) { to.Encoding.Format = from.Encoding.Format },
	},
	{
		name: "ReportNames", set: (*reader).reportNames,
		keep: func(to *Config, from Config) { to.Encoding.Names = from.Encoding.Names },
	},
	{
		name: "ReportTopic", set: (*reader).reportTopic,
		keep: func(to *Config, from Config) { to.ReportTopic = from.ReportTopic },
	},
	{
		name: "Interfaces", set: (*reader).interfaces,
		keep: func(to *Config, from Config) { to.Metrics.Interfaces = from.Metrics.Interfaces },
	},
	{
		name: "IncludeLoopback", set: (*reader).includeLoopback,
		keep: func(to *Config, from Config) { to.Metrics.IncludeLoopback = from.Metrics.IncludeLoopback },
	},
	{
		name: "IncludeHalfClosed", set: (*reader).includeHalfClosed,
		keep: func(to *Config, from Config) { to.Metrics.IncludeHalfClosed = from.Metrics.IncludeHalfClosed },
	},
	{
		name: "MaxListItems", set: (*reader).maxListItems,
		keep: func(to *Config, from Config) { to.Metrics.MaxListItems = from.Metrics.MaxListItems },
	},
	{
		name: "CustomMetrics", set: (*reader).customMetrics,
		keep: func(to *Config, from Config) { to.Metrics.Custom = from.Metrics.Custom },
	},
	{
		name: "LogLevel", set: (*reader).logLevel,
		keep: func(to *Config, from Config) { to.LogLevel = from.LogLevel },
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
