package agent

import (
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/metrics"
)

func (r *reader) sampleInterval(name string, value any) bool {
	least := int(r.parser.MinInterval / time.Second)
	most := int(MaxSampleInterval / time.Second)
	seconds, ok := integer(value)
	if !ok || seconds < least || seconds > most {
		return r.invalid(name, value, fmt.Sprintf("%d to %d seconds", least, most))
	}
	r.config.SampleInterval = time.Duration(seconds) * time.Second
	return true
}

func (r *reader) publishRetryCount(name string, value any) bool {
	n, ok := integer(value)
	if !ok || n < 0 || n > MaxPublishRetryCount {
		return r.invalid(name, value, fmt.Sprintf("0 to %d", MaxPublishRetryCount))
	}
	r.config.PublishRetryCount = n
	return true
}

func (r *reader) procPath(name string, value any) bool {
	s, ok := text(value)
	if !ok || !path.IsAbs(s) {
		return r.invalid(name, value, `an absolute path such as "/proc"`)
	}
	r.config.ProcPath = path.Clean(s)
	return true
}

func (r *reader) reportFormat(name string, value any) bool {
	s, _ := text(value)
	format, err := report.ParseFormat(strings.ToLower(s))
	if err != nil {
		return r.invalid(name, value, `"json" or "cbor"`)
	}
	r.config.Encoding.Format = format
	return true
}

func (r *reader) reportNames(name string, value any) bool {
	s, _ := text(value)
	names, err := report.ParseNames(strings.ToLower(s))
	if err != nil {
		return r.invalid(name, value, `"long" or "short"`)
	}
	r.config.Encoding.Names = names
	return true
}

func (r *reader) reportTopic(name string, value any) bool {
	s, ok := text(value)
	expanded := expandTopic(s, "thing")
	if !ok || s != "" && greengrass.CheckTopic(expanded) != nil || strings.ContainsAny(expanded, "{}") {
		return r.invalid(name, value, `a topic without wildcards, such as "$aws/rules/my_rule/{thing}", or ""`)
	}
	r.config.ReportTopic = s
	return true
}

func (r *reader) reportQoS(name string, value any) bool {
	n, ok := integer(value)
	if !ok || n < 0 || n > 1 {
		return r.invalid(name, value, "0 or 1")
	}
	r.config.ReportQoS = n
	return true
}

func (r *reader) validateDeployments(name string, value any) bool {
	b, ok := boolean(value)
	if !ok {
		return r.invalid(name, value, "true or false")
	}
	r.config.ValidateDeployments = b
	return true
}

func (r *reader) interfaces(name string, value any) bool {
	object, ok := value.(map[string]any)
	if !ok {
		return r.invalid(name, value, `{"Include": [...], "Exclude": [...]}`)
	}
	var filter metrics.Filter
	for _, part := range slices.Sorted(maps.Keys(object)) {
		value := object[part]
		words, ok := list(value)
		if unset(value) {
			words, ok = nil, true
		}
		switch {
		case !ok:
			return r.invalid(name+"."+part, value, `a list of interface names, which may hold * and ?`)
		case strings.EqualFold(part, "Include"):
			filter.Include = words
		case strings.EqualFold(part, "Exclude"):
			filter.Exclude = words
		default:
			r.problems = append(r.problems, Problem{Key: name + "." + part, Value: value, Want: "Interfaces takes Include and Exclude"})
		}
	}
	if err := filter.Check(); err != nil {
		return r.invalid(name, value, "well-formed patterns: "+err.Error())
	}
	r.config.Metrics.Interfaces = filter
	return true
}

func (r *reader) includeLoopback(name string, value any) bool {
	b, ok := boolean(value)
	if !ok {
		return r.invalid(name, value, "true or false")
	}
	r.config.Metrics.IncludeLoopback = b
	return true
}

func (r *reader) includeHalfClosed(name string, value any) bool {
	b, ok := boolean(value)
	if !ok {
		return r.invalid(name, value, "true or false")
	}
	r.config.Metrics.IncludeHalfClosed = b
	return true
}

func (r *reader) maxListItems(name string, value any) bool {
	n, ok := integer(value)
	if !ok || n < 1 || n > MaxListItems {
		return r.invalid(name, value, fmt.Sprintf("1 to %d", MaxListItems))
	}
	r.config.Metrics.MaxListItems = n
	return true
}

// levels are slog's, by the names that the configuration takes.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func (r *reader) logLevel(name string, value any) bool {
	s, _ := text(value)
	level, ok := levels[strings.ToLower(s)]
	if !ok {
		return r.invalid(name, value, `"debug", "info", "warn" or "error"`)
	}
	r.config.LogLevel = level
	return true
}

// expandTopic puts the thing's name into a report topic.
func expandTopic(topic, thing string) string { return strings.ReplaceAll(topic, "{thing}", thing) }
