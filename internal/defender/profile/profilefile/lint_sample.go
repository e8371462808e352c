package profilefile

import (
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

func sampleViolates(l *linter, b subject) {
	for _, sample := range l.context.Samples {
		v, ok := sample.Values[b.Metric]
		if !ok || b.MetricDimension != nil {
			continue
		}
		norm, err := profile.NewNorm(b.criteria, b.metric.Kind)
		if err != nil || b.metric.Delta {
			continue
		}
		switch conforms, known := norm.Conforms(v); {
		case conforms || !known:
		case norm.Kind().List():
			offending := norm.Offending(v)
			l.warn(b.value(norm.Kind()), fmt.Sprintf("%s: %s", sample.Name, offence(b, offending)), remedy(b, offending))
		default:
			l.warn(b.value(norm.Kind()), fmt.Sprintf("%s: %s, and normal is %s", sample.Name, profile.Quantity(v, b.metric), profile.Expectation(*b.Behavior, b.metric)),
				"a threshold that this thing keeps")
		}
	}
}

// offence says what of a sample is not normal.
func offence(b subject, offending profile.Value) string {
	what := b.metric.Title + " has"
	switch b.Metric {
	case destinations:
		what = "there are connections to"
	case "aws:listening-tcp-ports":
		what = "the host listens on TCP"
	case "aws:listening-udp-ports":
		what = "the host listens on UDP"
	}
	return what + " " + few(offending, b.metric) + ", which the behavior forbids"
}

// remedy says how the behavior would allow it.
func remedy(b subject, offending profile.Value) string {
	if b.criteria.ComparisonOperator.Excludes() {
		return few(offending, b.metric) + " not in the list, or not on the host"
	}
	return few(offending, b.metric) + " in the list, or not on the host"
}

// few returns the first elements of a list.
func few(v profile.Value, m profile.Metric) string {
	const most = 8
	rest := v.Len() - most
	v.CIDRs, v.Ports = v.CIDRs[:min(most, len(v.CIDRs))], v.Ports[:min(most, len(v.Ports))]
	v.Numbers, v.Strings = v.Numbers[:min(most, len(v.Numbers))], v.Strings[:min(most, len(v.Strings))]
	text := profile.FormatValue(v, m)
	if rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func unreportedMetric(l *linter, p *profile.Profile) {
	for _, u := range p.Uses() {
		metric, known := profile.MetricOf(u.Name, l.registry)
		if known && metric.Side == profile.CloudSide || !known && profile.IsAWS(u.Name) {
			continue
		}
		l.within(u)
		var as []string
		reported, kept := false, false
		for _, sample := range l.context.Samples {
			v, ok := sample.Values[u.Name]
			if !ok {
				continue
			}
			reported = true
			if !known || v.Kind() == metric.Kind {
				kept = true
			} else {
				as = append(as, sample.Name)
			}
		}
		switch {
		case !reported:
			message := fmt.Sprintf("%s is in none of the %d sample reports", u.Name, len(l.context.Samples))
			if len(l.context.Samples) == 1 {
				message = fmt.Sprintf("%s is not in %s", u.Name, l.context.Samples[0].Name)
			}
			l.warn(u.Path, message, "a metric that the agent reports")
		case !kept:
			l.warn(u.Path, fmt.Sprintf("%s is registered as %s, and is of another type in %s: Detect keeps no value", u.Name, l.registry.CustomMetrics[u.Name], as[0]),
				"the type that is reported")
		}
	}
}
