package profile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Offending returns the elements of a measured list that are not as the
// behavior wants them, and false when the behavior is not about a list.
func Offending(b Behavior, v Value) (Value, bool) {
	if b.Criteria == nil || b.Criteria.Value == nil {
		return Value{}, false
	}
	want := *b.Criteria.Value
	// An element breaks not-in-... by being in the set, and in-... by not.
	offends := func(in bool) bool { return in == strings.HasPrefix(string(b.Criteria.ComparisonOperator), "not-in-") }
	switch b.Criteria.ComparisonOperator {
	case InCIDRSet, NotInCIDRSet:
		set := prefixes(want.CIDRs)
		return Value{CIDRs: keep(v.CIDRs, func(text string) bool {
			measured := prefixes([]string{text})
			return len(measured) == 1 && offends(slices.ContainsFunc(set, func(p netip.Prefix) bool { return inside(measured[0], p) }))
		})}, true
	case InPortSet, NotInPortSet:
		return Value{Ports: keep(v.Ports, func(p int32) bool { return offends(slices.Contains(want.Ports, p)) })}, true
	case InSet, NotInSet:
		return Value{
			Numbers: keep(v.Numbers, func(n float64) bool { return offends(slices.Contains(want.Numbers, n)) }),
			Strings: keep(v.Strings, func(s string) bool { return offends(slices.Contains(want.Strings, s)) }),
		}, true
	}
	return Value{}, false
}

// keep returns the elements for which ok holds; nil stays nil.
func keep[T any](list []T, ok func(T) bool) []T {
	if list == nil {
		return nil
	}
	kept := []T{}
	for _, e := range list {
		if ok(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// prefixes reads ranges of addresses; one without a length is an address.
// IPv4 in IPv6 is IPv4. What cannot be read is left out.
func prefixes(cidrs []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range cidrs {
		if p, err := netip.ParsePrefix(text); err == nil {
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap().WithZone("")
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}

func sampleViolates(l *linter, b subject) {
	for _, sample := range l.context.Samples {
		v, ok := sample.Values[b.Metric]
		if !ok || b.MetricDimension != nil {
			continue
		}
		if offending, list := Offending(*b.Behavior, v); list {
			kinds := b.criteria.Value.kinds()
			if offending.elements() == 0 || len(kinds) != 1 {
				continue
			}
			l.warn(b.value(kinds[0]), fmt.Sprintf("%s: %s", sample.Name, offence(b, offending)), remedy(b, offending))
			continue
		}
		if n, path, ok := b.threshold(); ok && !b.metric.Delta {
			measured, ok := v.Scalar()
			if ok && !compare(measured, b.criteria.ComparisonOperator, n) {
				l.warn(path, fmt.Sprintf("%s: %s, and normal is %s", sample.Name, quantity(v, b.metric), Expectation(*b.Behavior, b.metric)),
					"a threshold that this thing keeps")
			}
		}
	}
}

// offence says what of a sample is not normal.
func offence(b subject, offending Value) string {
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
func remedy(b subject, offending Value) string {
	if strings.HasPrefix(string(b.criteria.ComparisonOperator), "not-in-") {
		return few(offending, b.metric) + " not in the list, or not on the host"
	}
	return few(offending, b.metric) + " in the list, or not on the host"
}

// few returns the first elements of a list.
func few(v Value, m Metric) string {
	const most = 8
	rest := v.elements() - most
	v.CIDRs, v.Ports = v.CIDRs[:min(most, len(v.CIDRs))], v.Ports[:min(most, len(v.Ports))]
	v.Numbers, v.Strings = v.Numbers[:min(most, len(v.Numbers))], v.Strings[:min(most, len(v.Strings))]
	text := FormatValue(v, m)
	if rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// compare reports whether the measurement is normal.
func compare(measured float64, op Operator, threshold float64) bool {
	switch op {
	case LessThan:
		return measured < threshold
	case LessThanEquals:
		return measured <= threshold
	case GreaterThan:
		return measured > threshold
	case GreaterThanEquals:
		return measured >= threshold
	}
	return true
}

func unreportedMetric(l *linter, p *Profile) {
	for _, u := range p.uses() {
		metric, known := MetricOf(u.metric, l.registry)
		if known && metric.Side == CloudSide || !known && IsAWS(u.metric) {
			continue
		}
		l.within(u)
		var as []string
		reported, kept := false, false
		for _, sample := range l.context.Samples {
			v, ok := sample.Values[u.metric]
			if !ok {
				continue
			}
			reported = true
			kinds := v.kinds()
			if !known || len(kinds) == 1 && kinds[0] == metric.Kind {
				kept = true
			} else {
				as = append(as, sample.Name)
			}
		}
		switch {
		case !reported:
			message := fmt.Sprintf("%s is in none of the %d sample reports", u.metric, len(l.context.Samples))
			if len(l.context.Samples) == 1 {
				message = fmt.Sprintf("%s is not in %s", u.metric, l.context.Samples[0].Name)
			}
			l.warn(u.path, message, "a metric that the agent reports")
		case !kept:
			l.warn(u.path, fmt.Sprintf("%s is registered as %s, and is of another type in %s: Detect keeps no value", u.metric, l.registry.CustomMetrics[u.metric], as[0]),
				"the type that is reported")
		}
	}
}
