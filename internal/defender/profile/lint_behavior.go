package profile

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// wantOperator turns a comparison around.
var wantOperator = map[Operator]Operator{
	LessThan: GreaterThanEquals, LessThanEquals: GreaterThan,
	GreaterThan: LessThanEquals, GreaterThanEquals: LessThan,
}

// The percentiles at which an operator is taken to be inverted: beyond them
// what would be normal is what few measurements are.
const (
	highPercent = 90
	lowPercent  = 10
)

func invertedOperator(l *linter, b subject) {
	op := b.criteria.ComparisonOperator
	above := op == GreaterThan || op == GreaterThanEquals
	below := op == LessThan || op == LessThanEquals
	if !above && !below {
		return
	}
	turned := wantOperator[op]
	if percent, ok := b.percent(); ok {
		if above && percent >= highPercent || below && percent <= lowPercent {
			l.warn(b.operator(), fmt.Sprintf("%q says that it is normal to have %s: nearly every measurement is an alarm",
				op, Expectation(*b.Behavior, b.metric)), fmt.Sprintf("%q, as a behavior states what is normal", turned))
		}
		return
	}
	n, _, ok := b.threshold()
	if !ok || !above || !b.known || b.metric.Kind != Count {
		return
	}
	if op == GreaterThanEquals && n == 0 || floor(op, n) && isTraffic(b.metric) {
		return // always met, or a sign of life
	}
	l.warn(b.operator(), fmt.Sprintf("%q says that it is normal to have %s: anything less is an alarm",
		op, Expectation(*b.Behavior, b.metric)), fmt.Sprintf("%q, as a behavior states what is normal", turned))
}

// floor reports whether the comparison demands just that there is anything.
func floor(op Operator, n float64) bool {
	return op == GreaterThan && n == 0 || op == GreaterThanEquals && n == 1
}

// isTraffic reports whether a thing that is well has some of the metric.
func isTraffic(m Metric) bool {
	switch m.Unit {
	case "bytes", "packets", "messages":
		return m.Delta
	}
	return false
}

func alwaysViolated(l *linter, b subject) {
	op, v := b.criteria.ComparisonOperator, b.criteria.Value
	if v == nil {
		return
	}
	if n, path, ok := b.threshold(); ok && v.Count != nil && op == LessThan && n == 0 {
		l.warn(path, "a count is never less than 0: every measurement is an alarm", "a count above 0, or \"less-than-equals\"")
	}
	switch op {
	case NotInCIDRSet:
		all4, all6 := coversAll(v.CIDRs)
		if all4 || all6 {
			l.warn(b.value(CIDRs), fmt.Sprintf("the list has all addresses of %s: each of them is an alarm", families(all4, all6)), "the ranges that must not occur")
		}
	case InCIDRSet:
		// Single addresses too: the report's own connection is one.
		if v.CIDRs != nil && len(v.CIDRs) == 0 && b.Metric == destinations {
			l.warn(b.value(CIDRs), "the list is empty: the connection over which the report travels is an alarm", "the ranges that are normal")
		}
	}
}

func alwaysMet(l *linter, b subject) {
	op, v := b.criteria.ComparisonOperator, b.criteria.Value
	if v == nil {
		return
	}
	if n, path, ok := b.threshold(); ok && v.Count != nil && op == GreaterThanEquals && n == 0 {
		l.warn(path, "a count is always at least 0: there is never an alarm", "a limit with \"less-than-equals\"")
	}
	switch op {
	case InCIDRSet:
		if all4, all6 := coversAll(v.CIDRs); all4 && all6 {
			l.warn(b.value(CIDRs), "the list has all addresses of IPv4 and IPv6: there is never an alarm", "the ranges that are normal")
		}
	case NotInCIDRSet, NotInPortSet, NotInSet:
		if kinds := v.kinds(); len(kinds) == 1 && v.elements() == 0 {
			l.warn(b.value(kinds[0]), "the list is empty: there is never an alarm", "what must not occur")
		}
	}
}

func families(v4, v6 bool) string {
	switch {
	case v4 && v6:
		return "IPv4 and IPv6"
	case v4:
		return "IPv4"
	}
	return "IPv6"
}

// coversAll reports whether the ranges together are all of IPv4 and all of
// IPv6. Only one that is all by itself, or two halves, are looked for.
func coversAll(cidrs []string) (v4, v6 bool) {
	half := map[netip.Prefix]bool{}
	for _, p := range prefixes(cidrs) {
		if p.Bits() == 0 {
			v4, v6 = v4 || p.Addr().Is4(), v6 || p.Addr().Is6()
		}
		half[p] = true
	}
	both := func(a, b string) bool { return half[netip.MustParsePrefix(a)] && half[netip.MustParsePrefix(b)] }
	return v4 || both("0.0.0.0/1", "128.0.0.0/1"), v6 || both("::/1", "8000::/1")
}

// enoughThings returns how many measurements it takes for the percentile to be
// anything but their greatest or least.
func enoughThings(percent float64) int {
	tail := min(percent, 100-percent)
	if tail == 0 {
		return 2 // p0 and p100 are the least and the greatest by definition
	}
	// 99.99 is not exact in binary: 100 / 0.01 must not become 10001.
	return int(math.Ceil(100/tail - 1e-6))
}

func percentileFewThings(l *linter, b subject) {
	percent, ok := b.percent()
	if !ok {
		return
	}
	things, enough := l.context.Things, enoughThings(percent)
	path := b.path + ".criteria.statisticalThreshold"
	statistic := b.criteria.StatisticalThreshold.Statistic
	switch {
	case things >= enough:
	case things == 1:
		l.warn(path, statistic+" is of all things together, and there is one: it is compared with itself", "a fixed value")
	default:
		extreme := "greatest"
		if percent < 50 {
			extreme = "least"
		}
		l.warn(path, fmt.Sprintf("with %s things %s is the %s of their measurements", group(fmt.Sprint(things)), statistic, extreme),
			fmt.Sprintf("%s things or more, or a fixed value", group(fmt.Sprint(enough))))
	}
}

func percentileNegative(l *linter, b subject) {
	if _, ok := b.percent(); ok && b.metric.Side == Custom {
		l.warn(b.path+".criteria.statisticalThreshold",
			fmt.Sprintf("there is no percentile of %s if it can be negative", b.Metric), "a fixed value, or a metric that never is negative")
	}
}

func singleDatapoint(l *linter, b subject) {
	percent, ok := b.percent()
	if !ok || percent < 99 || percent == 100 || !b.metric.Delta || b.metric.Side != DeviceSide {
		return
	}
	if n := b.criteria.ConsecutiveDatapointsToAlarm; n != nil && *n > 1 {
		return
	}
	l.warn(b.path+".criteria.consecutiveDatapointsToAlarm",
		fmt.Sprintf("one datapoint above %s of %s is enough for an alarm, and some thing always is", b.criteria.StatisticalThreshold.Statistic, noun(b.metric)),
		"2 or more")
}

func noDuration(l *linter, b subject) {
	if n, path, ok := b.threshold(); ok && b.metric.Delta && b.criteria.DurationSeconds == nil {
		l.warn(path, fmt.Sprintf("%s are compared with %s without a durationSeconds: the threshold is for whatever time is between two reports",
			noun(b.metric), group(fmt.Sprint(int64(n)))), "durationSeconds of "+alternatives(Durations))
	}
}

func durationBelowInterval(l *linter, b subject) {
	d := b.criteria.DurationSeconds
	if d == nil || b.metric.Side == CloudSide || !slices.Contains(Durations, *d) {
		return
	}
	duration, interval := time.Duration(*d)*time.Second, l.context.Interval
	if duration >= interval {
		return
	}
	want := "an interval of " + durationWords(*d) + " or less"
	for _, longer := range Durations {
		if time.Duration(longer)*time.Second >= interval {
			want = fmt.Sprintf("%d or more, or %s", longer, want)
			break
		}
	}
	l.warn(b.path+".criteria.durationSeconds", fmt.Sprintf("durationSeconds %d is less than the time between two reports, %s: most periods have no data", *d, durationWords(int32(interval/time.Second))), want)
}

const destinations = "aws:destination-ip-addresses"

var (
	loopbacks = []string{"127.0.0.0/8", "::1/128"}
	privates  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
)

func localAddresses(l *linter, b subject) {
	v := b.criteria.Value
	if b.Metric != destinations || b.criteria.ComparisonOperator != InCIDRSet || v == nil || len(v.CIDRs) == 0 {
		return
	}
	allowed := prefixes(v.CIDRs)
	overlaps := func(text string) bool {
		p := netip.MustParsePrefix(text)
		return slices.ContainsFunc(allowed, p.Overlaps)
	}
	var missing []string
	for _, text := range loopbacks {
		if !overlaps(text) {
			missing = append(missing, text)
		}
	}
	if !slices.ContainsFunc(privates, overlaps) {
		missing = append(missing, privates...)
	}
	if len(missing) > 0 {
		l.warn(b.value(CIDRs), "connections within the device and its own network are reported too, and are not in the list",
			strings.Join(missing, ", ")+" as far as they are normal")
	}
}

func hostBits(l *linter, b subject) {
	if b.criteria.Value == nil {
		return
	}
	for i, text := range b.criteria.Value.CIDRs {
		p, err := netip.ParsePrefix(text)
		if err == nil && p != p.Masked() {
			l.warn(at(b.value(CIDRs), i), fmt.Sprintf("%s has bits beyond its first %d: it is the range %v", text, p.Bits(), p.Masked()),
				fmt.Sprintf("%v, or %v for the address only", p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen())))
		}
	}
}

func redundantElement(l *linter, b subject) {
	v := b.criteria.Value
	if v == nil || v.elements() > MaxValueElements { // which is an error, and too many to compare each with each
		return
	}
	repeated(l, b.value(Ports), v.Ports)
	repeated(l, b.value(Numbers), v.Numbers)
	repeated(l, b.value(Strings), v.Strings)
	ranges := make([]netip.Prefix, len(v.CIDRs))
	for i, text := range v.CIDRs {
		if p := prefixes([]string{text}); len(p) == 1 {
			ranges[i] = p[0]
		}
	}
	for i, p := range ranges {
		for j, other := range ranges {
			// Of two that are the same, the later one is too many.
			if i == j || !p.IsValid() || !inside(p, other) || p == other && i < j {
				continue
			}
			message := fmt.Sprintf("%s is inside %s", v.CIDRs[i], v.CIDRs[j])
			if p == other {
				message = v.CIDRs[i] + " is there twice"
			}
			l.warn(at(b.value(CIDRs), i), message, "each address once")
			break
		}
	}
}

// inside reports whether all of p is in the other range.
func inside(p, other netip.Prefix) bool {
	return other.IsValid() && other.Bits() <= p.Bits() && other.Contains(p.Addr())
}

// repeated warns of elements that are there before.
func repeated[T comparable](l *linter, path string, list []T) {
	seen := map[T]bool{}
	for i, e := range list {
		if seen[e] {
			l.warn(at(path, i), fmt.Sprintf("%v is there twice", e), "each element once")
		}
		seen[e] = true
	}
}

// What a model of ML Detect is trained on.
const (
	modelDatapoints = 25_000
	modelDays       = 14
)

func mlFewDatapoints(l *linter, b subject) {
	if b.criteria.MLDetectionConfig == nil {
		return
	}
	interval := l.context.Interval
	if interval < 5*time.Minute || b.metric.Side == CloudSide {
		interval = 5 * time.Minute // a datapoint's shortest time
	}
	each := int64(modelDays * 24 * time.Hour / interval)
	if got := each * int64(l.context.Things); got < modelDatapoints {
		enough := (modelDatapoints + max(each, 1) - 1) / max(each, 1)
		l.warn(b.path+".criteria.mlDetectionConfig", fmt.Sprintf("%s make %s datapoints of %s in 14 days, and a model takes 25,000",
			counted(l.context.Things, "thing"), group(fmt.Sprint(got)), noun(b.metric)),
			fmt.Sprintf("%s things or more, or a fixed value", group(fmt.Sprint(enough))))
	}
}

func suppressed(l *linter, b subject) {
	if b.SuppressAlerts != nil && *b.SuppressAlerts {
		l.warn(b.path+".suppressAlerts", "the behavior's alarms are listed by the API and the console, and sent to nobody", "")
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return group(fmt.Sprint(n)) + " " + what + "s"
}
