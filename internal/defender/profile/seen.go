package profile

import "fmt"

// KnownMetric is what the program knows of a metric without asking for it.
func KnownMetric(name string) Metric {
	if m, ok := FindMetric(name); ok {
		return m
	}
	return Metric{Name: name, Title: name, Side: Custom}
}

// ValueText is a value of a behavior's metric in words.
func ValueText(b Behavior, value Value, metric Metric) string {
	all := FormatValue(value, metric)
	norm, err := NewNorm(b.Criteria, metric.Kind)
	if err != nil {
		return all
	}
	bad := norm.Offending(value)
	if some := bad.Len(); some > 0 && some < value.Len() {
		return fmt.Sprintf("%s (of %d)", FormatValue(bad, metric), value.Len())
	}
	return all
}
