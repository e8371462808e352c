package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/metrics"
)

// customMetrics adds to the default metrics; false takes one away. A metric
// with a fault is left out and does not cost the others.
func (r *reader) customMetrics(name string, value any) bool {
	object, ok := value.(map[string]any)
	if !ok {
		return r.invalid(name, value, `an object such as {"uptime": true}`)
	}
	sources := maps.Clone(r.parser.Defaults.Metrics.Custom)
	if sources == nil {
		sources = make(map[string]metrics.Source)
	}
	for _, metric := range slices.Sorted(maps.Keys(object)) {
		value, key := object[metric], name+"."+metric
		switch {
		case unset(value):
			continue
		case isOff(value):
			delete(sources, metric)
			continue
		}
		source, ok := r.source(key, metric, value)
		if !ok {
			source, ok = r.last.Metrics.Custom[metric]
		}
		if ok {
			sources[metric] = source
		}
	}
	if len(sources) > MaxCustomMetrics {
		return r.invalid(name, fmt.Sprintf("%d metrics", len(sources)), fmt.Sprintf("at most %d", MaxCustomMetrics))
	}
	r.config.Metrics.Custom = sources
	return true
}

// isOff reports whether a metric is switched off: by false, or where it is an
// object by {"Source": "off"}, or no File. On the Java nucleus an object must
// stay one: a leaf in its place can keep the nucleus from starting, and an object
// that was reset may be back after a restart (runs of 2.18; the replay of
// config.tlog in ConfigurationReader.java ignores the removal if it is faster than
// the event that sets the object's time).
func isOff(value any) bool {
	if object, ok := value.(map[string]any); ok {
		source, _ := text(member(object, "Source"))
		file, isText := text(member(object, "File"))
		_, hasFile := lookupMember(object, "File")
		return strings.EqualFold(source, off) || source == "" && hasFile && (file == "" && isText || unset(member(object, "File")))
	}
	on, isBool := boolean(value)
	return isBool && !on
}

// off is the source of a metric that is switched off.
const off = "off"

// source reads what feeds one custom metric: a built-in source, as its name,
// as {"Source": name}, or as true where the metric is named after it; or a
// file, as {"File": path, "Type": type}.
func (r *reader) source(key, metric string, value any) (metrics.Source, bool) {
	if err := report.CheckMetricName(metric); err != nil {
		return metrics.Source{}, r.invalid(key, value, err.Error())
	}
	if object, ok := value.(map[string]any); ok {
		r.checkMembers(key, object)
		if member(object, "File") != nil || member(object, "Type") != nil {
			return r.fileSource(key, object)
		}
		value = member(object, "Source")
	}
	name, _ := text(value)
	if on, _ := boolean(value); on {
		name = metric
	}
	source, ok := metrics.Builtin(name)
	if !ok {
		r.invalid(key, value, fmt.Sprintf(`true, false, one of %s, or {"File": "/path", "Type": "number"}`,
			strings.Join(metrics.Builtins(), ", ")))
	}
	return source, ok
}

// checkMembers notes members that mean nothing.
func (r *reader) checkMembers(key string, object map[string]any) {
	for name, value := range object {
		switch strings.ToLower(name) {
		case "source", "file", "type":
		default:
			r.problems = append(r.problems, Problem{Key: key + "." + name, Value: value, Want: "a custom metric takes Source, or File and Type"})
		}
	}
}

func (r *reader) fileSource(key string, object map[string]any) (metrics.Source, bool) {
	file, _ := text(member(object, "File"))
	if file == "" {
		return metrics.Source{}, r.invalid(key+".File", member(object, "File"), "the path of a file")
	}
	source := metrics.Source{File: file, Type: report.Number}
	if t := member(object, "Type"); !unset(t) {
		var ok bool
		if source.Type, ok = metricType(t); !ok {
			return metrics.Source{}, r.invalid(key+".Type", t, "number, number-list, string-list or ip-address-list")
		}
	}
	return source, true
}

// metricType takes the types as CreateCustomMetric and as reports spell them.
func metricType(v any) (report.MetricType, bool) {
	name, _ := text(v)
	switch strings.ToLower(name) {
	case "number":
		return report.Number, true
	case "number-list", "number_list":
		return report.NumberList, true
	case "string-list", "string_list":
		return report.StringList, true
	case "ip-address-list", "ip_list":
		return report.IPList, true
	}
	return 0, false
}

// customDocument writes the custom metrics as customMetrics reads them: those
// that are on by default and missing here are switched off.
func customDocument(custom map[string]metrics.Source) map[string]any {
	document := make(map[string]any, len(custom))
	for name := range DefaultConfig().Metrics.Custom {
		document[name] = false
	}
	for name, source := range custom {
		if source.Builtin != "" {
			document[name] = map[string]any{"Source": source.Builtin}
		} else {
			document[name] = map[string]any{"File": source.File, "Type": source.Type.String()}
		}
	}
	return document
}
