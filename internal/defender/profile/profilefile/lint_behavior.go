package profilefile

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// The percentiles at which an operator is taken to be inverted: beyond them
// what would be normal is what few measurements are.
const (
	highPercent = 90
	lowPercent  = 10
)

func invertedOperator(l *linter, b subject) {
	op := b.criteria.ComparisonOperator
	comparison, ok := op.Comparison()
	if !ok {
		return
	}
	above, below := !comparison.Less, comparison.Less
	turned := op.Opposite()
	if percent, ok := b.percent(); ok {
		if above && percent >= highPercent || below && percent <= lowPercent {
			l.warn(b.operator(), fmt.Sprintf("%q says that it is normal to have %s: nearly every measurement is an alarm",
				op, profile.Expectation(*b.Behavior, b.metric)), fmt.Sprintf("%q, as a behavior states what is normal", turned))
		}
		return
	}
	n, _, ok := b.threshold()
	if !ok || !above || !b.known || b.metric.Kind != profile.Count {
		return
	}
	if op == profile.GreaterThanEquals && n == 0 || floor(op, n) && isTraffic(b.metric) {
		return // always met, or a sign of life
	}
	l.warn(b.operator(), fmt.Sprintf("%q says that it is normal to have %s: anything less is an alarm",
		op, profile.Expectation(*b.Behavior, b.metric)), fmt.Sprintf("%q, as a behavior states what is normal", turned))
}

// floor reports whether the comparison demands just that there is anything.
func floor(op profile.Operator, n float64) bool {
	return op == profile.GreaterThan && n == 0 || op == profile.GreaterThanEquals && n == 1
}

// isTraffic reports whether a thing that is well has some of the metric.
func isTraffic(m profile.Metric) bool {
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
	if n, path, ok := b.threshold(); ok && v.Count != nil && op == profile.LessThan && n == 0 {
		l.warn(path, "a count is never less than 0: every measurement is an alarm", "a count above 0, or \"less-than-equals\"")
	}
	switch op {
	case profile.NotInCIDRSet:
		all4, all6 := coversAll(v.CIDRs)
		if all4 || all6 {
			l.warn(b.value(profile.CIDRs), fmt.Sprintf("the list has all addresses of %s: each of them is an alarm", families(all4, all6)), "the ranges that must not occur")
		}
	case profile.InCIDRSet:
		// Single addresses too: the report's own connection is one.
		if v.CIDRs != nil && len(v.CIDRs) == 0 && b.Metric == destinations {
			l.warn(b.value(profile.CIDRs), "the list is empty: the connection over which the report travels is an alarm", "the ranges that are normal")
		}
	}
}

func alwaysMet(l *linter, b subject) {
	op, v := b.criteria.ComparisonOperator, b.criteria.Value
	if v == nil {
		return
	}
	if n, path, ok := b.threshold(); ok && v.Count != nil && op == profile.GreaterThanEquals && n == 0 {
		l.warn(path, "a count is always at least 0: there is never an alarm", "a limit with \"less-than-equals\"")
	}
	switch op {
	case profile.InCIDRSet:
		if all4, all6 := coversAll(v.CIDRs); all4 && all6 {
			l.warn(b.value(profile.CIDRs), "the list has all addresses of IPv4 and IPv6: there is never an alarm", "the ranges that are normal")
		}
	case profile.NotInCIDRSet, profile.NotInPortSet, profile.NotInSet:
		if kind := v.Kind(); kind != "" && v.Len() == 0 {
			l.warn(b.value(kind), "the list is empty: there is never an alarm", "what must not occur")
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
// IPv6.
func coversAll(cidrs []string) (v4, v6 bool) {
	set := profile.NewAddressSet(ranges(cidrs)...)
	return set.Contains(addresses("0.0.0.0/0")), set.Contains(addresses("::/0"))
}

// addresses returns a range that is known to be one.
func addresses(text string) profile.AddressRange {
	r, err := profile.ParseAddressRange(text)
	if err != nil {
		panic(err)
	}
	return r
}

// ranges reads ranges of addresses. Those that cannot be read are left out.
func ranges(cidrs []string) (list []profile.AddressRange) {
	for _, text := range cidrs {
		if r, err := profile.ParseAddressRange(text); err == nil {
			list = append(list, r)
		}
	}
	return list
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
		l.warn(path, fmt.Sprintf("with %s things %s is the %s of their measurements", profile.GroupDigits(fmt.Sprint(things)), statistic, extreme),
			fmt.Sprintf("%s things or more, or a fixed value", profile.GroupDigits(fmt.Sprint(enough))))
	}
}

func percentileNegative(l *linter, b subject) {
	if _, ok := b.percent(); ok && b.metric.Side == profile.Custom {
		l.warn(b.path+".criteria.statisticalThreshold",
			fmt.Sprintf("there is no percentile of %s if it can be negative", b.Metric), "a fixed value, or a metric that never is negative")
	}
}

func singleDatapoint(l *linter, b subject) {
	percent, ok := b.percent()
	if !ok || percent < 99 || percent == 100 || !b.metric.Delta || b.metric.Side != profile.DeviceSide {
		return
	}
	if toAlarm, _ := b.criteria.Datapoints(); toAlarm > 1 {
		return
	}
	l.warn(b.path+".criteria.consecutiveDatapointsToAlarm",
		fmt.Sprintf("one datapoint above %s of %s is enough for an alarm, and some thing always is", b.criteria.StatisticalThreshold.Statistic, profile.Noun(b.metric)),
		"2 or more")
}

func noDuration(l *linter, b subject) {
	n, path, ok := b.threshold()
	if !ok || b.criteria.DurationSeconds != nil || b.metric.Kind != profile.Count || !b.metric.Duration || b.metric.Momentary {
		return
	}
	message := fmt.Sprintf("%s are compared with %s without a durationSeconds, which AWS may refuse", profile.Noun(b.metric), profile.GroupDigits(fmt.Sprint(int64(n))))
	if b.metric.Delta {
		message += ": the threshold is for whatever time is between two reports"
	}
	l.warn(path, message, "durationSeconds of "+spelling.Alternatives(profile.Durations))
}

func durationBelowInterval(l *linter, b subject) {
	d := b.criteria.DurationSeconds
	if d == nil || b.metric.Side == profile.CloudSide || !slices.Contains(profile.Durations, *d) {
		return
	}
	duration, interval := time.Duration(*d)*time.Second, l.context.Interval
	if duration >= interval {
		return
	}
	want := "an interval of " + profile.DurationWords(*d) + " or less"
	for _, longer := range profile.Durations {
		if time.Duration(longer)*time.Second >= interval {
			want = fmt.Sprintf("%d or more, or %s", longer, want)
			break
		}
	}
	l.warn(b.path+".criteria.durationSeconds", fmt.Sprintf("durationSeconds %d is less than the time between two reports, %s: most periods have no data", *d, profile.DurationWords(int32(interval/time.Second))), want)
}

const destinations = "aws:destination-ip-addresses"

var (
	loopbacks = []string{"127.0.0.0/8", "::1/128"}
	privates  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
)

func localAddresses(l *linter, b subject) {
	v := b.criteria.Value
	if b.Metric != destinations || b.criteria.ComparisonOperator != profile.InCIDRSet || v == nil || len(v.CIDRs) == 0 {
		return
	}
	allowed := profile.NewAddressSet(ranges(v.CIDRs)...)
	overlaps := func(text string) bool { return allowed.Overlaps(addresses(text)) }
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
		l.warn(b.value(profile.CIDRs), "connections within the device and its own network are reported too, and are not in the list",
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
			l.warn(profile.IndexPath(b.value(profile.CIDRs), i), fmt.Sprintf("%s has bits beyond its first %d: it is the range %v", text, p.Bits(), p.Masked()),
				fmt.Sprintf("%v, or %v for the address only", p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen())))
		}
	}
}

func redundantElement(l *linter, b subject) {
	v := b.criteria.Value
	if v == nil || v.Len() > profile.MaxValueElements { // which is an error, and too many to compare each with each
		return
	}
	kind := v.Kind()
	if !kind.List() {
		return
	}
	elements := v.Elements()
	for i, text := range elements {
		message := ""
		if slices.Contains(elements[:i], text) {
			message = text + " is there twice"
		} else if kind == profile.CIDRs {
			message = within(elements, i)
		}
		if message != "" {
			l.warn(profile.IndexPath(b.value(kind), i), message, "each element once")
		}
	}
}

// within says which other range the i-th one lies in, "" if in none.
func within(cidrs []string, i int) string {
	r, err := profile.ParseAddressRange(cidrs[i])
	if err != nil {
		return ""
	}
	for j, text := range cidrs {
		other, err := profile.ParseAddressRange(text)
		// Of two that are the same, the later one is too many.
		switch {
		case err != nil || i == j || !other.Contains(r) || r == other && i < j:
		case r == other:
			return cidrs[i] + " is there twice"
		default:
			return cidrs[i] + " is inside " + text
		}
	}
	return ""
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
	if interval < 5*time.Minute || b.metric.Side == profile.CloudSide {
		interval = 5 * time.Minute // a datapoint's shortest time
	}
	each := int64(modelDays * 24 * time.Hour / interval)
	if got := each * int64(l.context.Things); got < modelDatapoints {
		enough := (modelDatapoints + max(each, 1) - 1) / max(each, 1)
		l.warn(b.path+".criteria.mlDetectionConfig", fmt.Sprintf("%s make %s datapoints of %s in 14 days, and a model takes 25,000",
			counted(l.context.Things, "thing"), profile.GroupDigits(fmt.Sprint(got)), profile.Noun(b.metric)),
			fmt.Sprintf("%s things or more, or a fixed value", profile.GroupDigits(fmt.Sprint(enough))))
	}
}

func suppressed(l *linter, b subject) {
	if b.Suppressed() {
		l.warn(b.path+".suppressAlerts", "the behavior's alarms are listed by the API and the console, and sent to nobody", "")
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return profile.GroupDigits(fmt.Sprint(n)) + " " + what + "s"
}
