package profile

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/spelling"
)

// Durations are the values of durationSeconds.
var Durations = []int32{300, 600, 900, 1800, 3600}

// Statistics are the values of statistic.
var Statistics = []string{"p0", "p0.1", "p0.01", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100"}

// StatisticPercent returns the percentage of a statistic: 99.9 of p99.9.
func StatisticPercent(statistic string) (float64, bool) {
	if !slices.Contains(Statistics, statistic) {
		return 0, false
	}
	percent, err := strconv.ParseFloat(statistic[1:], 64)
	return percent, err == nil
}

func (c *checker) behavior(path string, b *Behavior) {
	c.name(JoinPath(path, "name"), b.Name)
	metric, known := c.metric(JoinPath(path, "metric"), b.Metric)
	if b.MetricDimension != nil {
		c.dimension(JoinPath(path, "metricDimension"), b.MetricDimension, metric, known)
	}
	if b.Criteria == nil {
		c.required(JoinPath(path, "criteria"), "what is normal of the metric")
		return
	}
	c.criteria(JoinPath(path, "criteria"), b.Criteria, metric, known)
}

// metric checks the name of a metric and returns its model. What is not known
// of it, as of a custom metric that may be registered elsewhere, is left zero
// and known is false.
func (c *checker) metric(path, name string) (m Metric, known bool) {
	if name == "" {
		c.required(path, "a metric, such as aws:all-bytes-out")
		return m, false
	}
	m, known = MetricOf(name, c.registry)
	if known {
		return m, true
	}
	unknown := fmt.Sprintf("metric %q is unknown", name)
	switch {
	case IsAWS(name):
		c.fail(path, "unknown-metric", unknown, spelling.Suggest(name, MetricNames()))
		return m, false
	case !namePattern.MatchString(name):
		c.fail(path, "name", fmt.Sprintf("metric %q is not the name of a metric", name), wantName)
		return m, false
	case c.registry.CustomMetrics != nil && !c.registry.Open:
		if _, registered := c.registry.CustomMetrics[name]; registered {
			break // of a type that is not known
		}
		names := slices.Sorted(slices.Values(slices.AppendSeq(MetricNames(), maps.Keys(c.registry.CustomMetrics))))
		want := "a registered custom metric, or one of AWS's, which begin with aws:"
		if slices.Contains(names, "aws:"+name) {
			want = strconv.Quote("aws:" + name)
		} else if meant := spelling.Nearest(name, names); meant != "" {
			want = strconv.Quote(meant)
		}
		c.fail(path, "unknown-metric", unknown, want)
	}
	return Metric{Name: name, Side: Custom, Title: name}, false
}

func (c *checker) dimension(path string, d *MetricDimension, metric Metric, known bool) {
	name := JoinPath(path, "dimensionName")
	c.name(name, d.DimensionName)
	if dimensions := c.registry.Dimensions; dimensions != nil && !c.registry.Open && namePattern.MatchString(d.DimensionName) && !dimensions[d.DimensionName] {
		want := "a registered dimension"
		if meant := spelling.Nearest(d.DimensionName, slices.Sorted(maps.Keys(dimensions))); meant != "" {
			want = strconv.Quote(meant)
		}
		c.fail(name, "unknown-dimension", fmt.Sprintf("dimension %q is unknown", d.DimensionName), want)
	}
	if d.Operator != "" {
		c.oneOf(JoinPath(path, "operator"), "dimension", d.Operator, "IN", "NOT_IN")
	}
	switch {
	case metric.Side == Custom:
		c.fail(path, "dimension", fmt.Sprintf("custom metric %s cannot be narrowed by a dimension", metric.Name), "no metricDimension")
	case known && metric.Side == DeviceSide:
		c.fail(path, "dimension", fmt.Sprintf("%s is measured on the device and cannot be narrowed by a dimension", metric.Name), "no metricDimension")
	case known && !metric.Dimension:
		c.fail(path, "dimension", fmt.Sprintf("%s cannot be narrowed by a dimension", metric.Name), "no metricDimension")
	}
}

func (c *checker) criteria(path string, k *Criteria, metric Metric, known bool) {
	var given []string
	if k.Value != nil {
		given = append(given, "value")
	}
	if k.StatisticalThreshold != nil {
		given = append(given, "statisticalThreshold")
	}
	if k.MLDetectionConfig != nil {
		given = append(given, "mlDetectionConfig")
	}
	switch len(given) {
	case 0:
		c.fail(path, "threshold", "nothing says what is normal", "one of value, statisticalThreshold and mlDetectionConfig")
	case 1:
	default:
		c.fail(path, "threshold", "both "+strings.Join(given, " and ")+" say what is normal", "one of them")
	}
	if k.ComparisonOperator != "" || k.Value != nil || k.StatisticalThreshold != nil {
		c.operator(JoinPath(path, "comparisonOperator"), k, metric, known)
	}
	if k.Value != nil {
		c.value(JoinPath(path, "value"), k, metric, known)
	}
	c.duration(JoinPath(path, "durationSeconds"), k, metric, known)
	if k.StatisticalThreshold != nil {
		c.statistic(JoinPath(path, "statisticalThreshold"), k, metric, known)
	}
	if k.MLDetectionConfig != nil {
		c.model(JoinPath(path, "mlDetectionConfig"), k.MLDetectionConfig, metric, known)
	}
	c.consecutive(JoinPath(path, "consecutiveDatapointsToAlarm"), k.ConsecutiveDatapointsToAlarm)
	c.consecutive(JoinPath(path, "consecutiveDatapointsToClear"), k.ConsecutiveDatapointsToClear)
}

// operators returns all that the kind of value can be compared by.
func (k Kind) operators() []Operator {
	switch k {
	case CIDRs:
		return cidrSet
	case Ports:
		return portSet
	case Numbers, Strings:
		return set
	}
	return comparisons
}

// allOperators are those of the API.
var allOperators = slices.Concat(comparisons, cidrSet, portSet, set)

func (c *checker) operator(path string, k *Criteria, metric Metric, known bool) {
	allowed := metric.Operators
	if !known {
		// The value tells the kind of a metric that is not known.
		allowed = allOperators
		if kind := k.Value.Kind(); kind != "" {
			allowed = kind.operators()
		} else if k.StatisticalThreshold != nil {
			allowed = comparisons
		}
	}
	switch op := k.ComparisonOperator; {
	case op == "":
		c.required(path, spelling.Alternatives(allowed))
	case slices.Contains(allowed, op):
	case !slices.Contains(allOperators, op):
		words := make([]string, len(allowed))
		for i, o := range allowed {
			words[i] = string(o)
		}
		c.fail(path, "operator", fmt.Sprintf("comparisonOperator %q is unknown", op), spelling.Suggest(string(op), words))
	case known:
		c.fail(path, "operator", fmt.Sprintf("comparisonOperator %s does not fit %s", op, metric.Name), spelling.Alternatives(allowed))
	default:
		c.fail(path, "operator", fmt.Sprintf("comparisonOperator %s does not fit the value", op), spelling.Alternatives(allowed))
	}
}

func (c *checker) value(path string, k *Criteria, metric Metric, known bool) {
	given := k.Value.Kinds()
	want := "one of number, numbers, strings and cidrs"
	if known {
		want = string(metric.Kind)
	}
	switch {
	case len(given) == 0:
		c.fail(path, "required", "value is empty", want)
	case len(given) > 1:
		c.fail(path, "value", fmt.Sprintf("value has %d members", len(given)), want)
	case known && given[0] != metric.Kind:
		c.fail(JoinPath(path, string(given[0])), "value", fmt.Sprintf("value.%s does not fit %s", given[0], metric.Name), want)
	case !known && metric.Side == Custom && (given[0] == Count || given[0] == Ports):
		c.fail(JoinPath(path, string(given[0])), "value", fmt.Sprintf("value.%s does not fit a custom metric", given[0]), want)
	}
	if n := k.Value.Count; n != nil && *n < 0 {
		c.fail(JoinPath(path, "count"), "value", fmt.Sprintf("count %d is negative", *n), "0 or more")
	}
	if n := k.Value.Number; n != nil && (math.IsNaN(*n) || math.IsInf(*n, 0)) {
		c.fail(JoinPath(path, "number"), "value", "number is not finite", "a number")
	}
	for i, port := range k.Value.Ports {
		if port < 0 || port > 65535 {
			c.fail(IndexPath(JoinPath(path, "ports"), i), "value", fmt.Sprintf("port %d is out of range", port), "0 to 65535")
		}
	}
	for i, n := range k.Value.Numbers {
		if math.IsNaN(n) || math.IsInf(n, 0) {
			c.fail(IndexPath(JoinPath(path, "numbers"), i), "value", "number is not finite", "a number")
		}
	}
	for i, text := range k.Value.CIDRs {
		c.cidr(IndexPath(JoinPath(path, "cidrs"), i), text)
	}
}

var cidrPattern = regexp.MustCompile(`^[a-fA-F0-9:./]{2,43}$`)

func (c *checker) cidr(path, text string) {
	if _, err := netip.ParsePrefix(text); err == nil && cidrPattern.MatchString(text) {
		return
	}
	want := "a range as 10.0.0.0/8 or fd00::/8, or an address"
	address, bits, slash := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	switch {
	case err == nil && addr.Zone() == "" && !slash && cidrPattern.MatchString(text):
		return
	case err == nil && addr.Zone() == "" && slash:
		want = fmt.Sprintf("a prefix length of 0 to %d, without leading zeros, in place of %q", addr.BitLen(), bits)
	}
	c.fail(path, "cidr", fmt.Sprintf("%q is not a range of addresses", text), want)
}

func (c *checker) duration(path string, k *Criteria, metric Metric, known bool) {
	if k.DurationSeconds == nil {
		if k.StatisticalThreshold != nil && (!known || metric.Duration) {
			c.required(path, spelling.Alternatives(Durations)+": a percentile is of what devices measure in that time")
		}
		return
	}
	d := *k.DurationSeconds
	switch {
	case known && !metric.Duration || !known && k.Value.Kind().List():
		what := "a list"
		if known {
			what = metric.Name
		}
		c.fail(path, "duration", fmt.Sprintf("durationSeconds %d does not fit %s", d, what), "no durationSeconds")
	case !slices.Contains(Durations, d):
		c.fail(path, "duration", fmt.Sprintf("durationSeconds %d is not one of Detect's", d), spelling.Alternatives(Durations))
	}
}

func (c *checker) statistic(path string, k *Criteria, metric Metric, known bool) {
	switch statistic := k.StatisticalThreshold.Statistic; {
	case statistic == "":
		c.required(JoinPath(path, "statistic"), spelling.Alternatives(Statistics))
	case !slices.Contains(Statistics, statistic):
		c.fail(JoinPath(path, "statistic"), "statistic", fmt.Sprintf("statistic %q is not one of Detect's", statistic), spelling.Alternatives(Statistics))
	}
	if known && !metric.Duration {
		c.fail(path, "statistic", "there are no percentiles of "+metric.Name, "value")
	}
}

func (c *checker) model(path string, ml *MLDetectionConfig, metric Metric, known bool) {
	c.oneOf(JoinPath(path, "confidenceLevel"), "ml", ml.ConfidenceLevel, "LOW", "MEDIUM", "HIGH")
	switch {
	case known && metric.Side == Custom && !metric.ML:
		c.fail(path, "ml", fmt.Sprintf("%s is not of type number, and ML Detect models no other custom metric", metric.Name), "value")
	case known && !metric.ML:
		c.fail(path, "ml", "ML Detect does not model "+metric.Name, "value")
	}
}

// consecutive words its message as AWS does: it's the one that is known.
func (c *checker) consecutive(path string, n *int32) {
	if n != nil && (*n < 1 || *n > 10) {
		c.fail(path, "consecutive-datapoints", fmt.Sprintf("%s %d should be in range[1,10]", LastKey(path), *n), "1 to 10")
	}
}
