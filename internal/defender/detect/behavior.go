package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// metricKey names a metric, and the dimension that narrows it if any.
type metricKey struct {
	metric    string
	dimension string
	notIn     bool
}

func newMetricKey(metric string, d *profile.MetricDimension) metricKey {
	key := metricKey{metric: metric}
	if d != nil {
		key.dimension, key.notIn = d.DimensionName, d.Operator == "NOT_IN"
	}
	return key
}

// metricDimension is the inverse of newMetricKey.
func (k metricKey) metricDimension() *profile.MetricDimension {
	if k.dimension == "" {
		return nil
	}
	operator := "IN"
	if k.notIn {
		operator = "NOT_IN"
	}
	return &profile.MetricDimension{DimensionName: k.dimension, Operator: operator}
}

// amount is a measurement to compare: a count, or the bits of a number.
type amount int64

// behavior is a behavior made ready.
type behavior struct {
	profile string
	doc     *profile.Behavior
	text    []byte // doc as JSON
	mark    uint64 // tells it from every behavior that is evaluated differently
	metric  profile.Metric
	key     metricKey
	gone    bool // no profile has it any more

	duration         int64 // nanoseconds; 0 makes every measurement a datapoint
	toAlarm, toClear uint8

	// For comparisons.
	less, equals bool
	limit        amount
	baseline     *baseline // instead of limit

	// For sets; which one, the metric's kind decides.
	in      bool
	addrs   addrSet
	ports   []int32
	numbers []float64
	strings []string
}

// compile makes a behavior ready, or says why it is not evaluated.
func compile(profileName string, doc profile.Behavior, registry profile.Registry) (*behavior, string, error) {
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, "", err
	}
	own := new(profile.Behavior)
	if err := json.Unmarshal(text, own); err != nil {
		return nil, "", err
	}
	c := own.Criteria
	switch {
	case own.Metric == "":
		return nil, "it has no metric", nil
	case c == nil:
		return nil, "it has no criteria", nil
	case c.MLDetectionConfig != nil:
		return nil, "ML Detect needs AWS's models", nil
	}
	m, found := profile.MetricOf(own.Metric, registry)
	if !found {
		return nil, "the type of its metric is not known", nil
	}
	b := &behavior{
		profile: profileName,
		doc:     own,
		text:    text,
		metric:  m,
		key:     newMetricKey(own.Metric, own.MetricDimension),
		toAlarm: datapoints(c.ConsecutiveDatapointsToAlarm),
		toClear: datapoints(c.ConsecutiveDatapointsToClear),
	}
	if c.DurationSeconds != nil {
		b.duration = int64(*c.DurationSeconds) * int64(time.Second)
	}
	if err := b.compileCriteria(c); err != nil {
		return nil, "", fmt.Errorf("behavior %q: %w", own.Name, err)
	}
	b.mark = mark(profileName, own, m)
	return b, "", nil
}

func datapoints(n *int32) uint8 {
	if n == nil {
		return 1
	}
	return uint8(min(max(*n, 1), 10))
}

// mark hashes all that evaluation depends on.
func mark(profileName string, doc *profile.Behavior, m profile.Metric) uint64 {
	evaluated := *doc
	evaluated.SuppressAlerts, evaluated.ExportMetric = nil, nil
	text, _ := json.Marshal([]any{profileName, evaluated, m.Kind})
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}

func (b *behavior) compileCriteria(c *profile.Criteria) error {
	switch op := c.ComparisonOperator; op {
	case profile.LessThan, profile.LessThanEquals, profile.GreaterThan, profile.GreaterThanEquals:
		b.less = op == profile.LessThan || op == profile.LessThanEquals
		b.equals = op == profile.LessThanEquals || op == profile.GreaterThanEquals
		return b.compileComparison(c)
	case profile.InCIDRSet, profile.InPortSet, profile.InSet:
		b.in = true
	case profile.NotInCIDRSet, profile.NotInPortSet, profile.NotInSet:
	default:
		return fmt.Errorf("operator %.64q is not one", op)
	}
	v := c.Value
	if v == nil {
		return fmt.Errorf("no set to compare with")
	}
	var err error
	switch b.metric.Kind {
	case profile.CIDRs:
		b.addrs, err = newAddrSet(v.CIDRs)
	case profile.Ports:
		b.ports = sorted(v.Ports)
	case profile.Numbers:
		b.numbers = sorted(v.Numbers)
	case profile.Strings:
		b.strings = sorted(v.Strings)
	default:
		err = fmt.Errorf("operator %s is for lists, metric %s is none", c.ComparisonOperator, b.metric.Name)
	}
	return err
}

func (b *behavior) compileComparison(c *profile.Criteria) error {
	if !b.scalar() {
		return fmt.Errorf("operator %s is for numbers, metric %s is a list", c.ComparisonOperator, b.metric.Name)
	}
	if s := c.StatisticalThreshold; s != nil {
		percent, ok := profile.StatisticPercent(s.Statistic)
		if !ok {
			return fmt.Errorf("statistic %.64q is not one", s.Statistic)
		}
		b.baseline = newBaseline(time.Duration(cmp.Or(b.duration, int64(reportInterval))), percent)
		return nil
	}
	switch v := c.Value; {
	case v != nil && b.metric.Kind == profile.Count && v.Count != nil:
		b.limit = amount(*v.Count)
	case v != nil && b.metric.Kind == profile.Number && v.Number != nil:
		b.limit = amount(math.Float64bits(*v.Number))
	default:
		return fmt.Errorf("no %s to compare with", b.metric.Kind)
	}
	return nil
}

func sorted[T int32 | float64 | string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// scalar reports whether the metric is one number, not a list.
func (b *behavior) scalar() bool {
	return b.metric.Kind == profile.Count || b.metric.Kind == profile.Number
}

func (b *behavior) float(v amount) float64 {
	if b.metric.Kind == profile.Number {
		return math.Float64frombits(uint64(v))
	}
	return float64(v)
}

// accumulate adds a measurement to those of the window: a delta to the sum; of
// others the one stays that is farther from what is normal.
func (b *behavior) accumulate(sum, v amount) amount {
	switch {
	case b.metric.Delta:
		if sum > math.MaxInt64-v {
			return math.MaxInt64
		}
		return sum + v
	case b.metric.Kind == profile.Number && (b.float(v) > b.float(sum)) == b.less:
		return v
	case b.metric.Kind == profile.Count && (v > sum) == b.less:
		return v
	}
	return sum
}

// met reports whether the measurement is normal, given a static threshold.
func (b *behavior) met(v amount) bool {
	if b.metric.Kind == profile.Number {
		return compare(b.less, b.equals, b.float(v), b.float(b.limit))
	}
	return compare(b.less, b.equals, v, b.limit)
}

func compare[T amount | float64](less, equals bool, v, limit T) bool {
	switch {
	case v == limit:
		return equals
	case less:
		return v < limit
	}
	return v > limit
}

// odd counts the elements of a list that are not as they should be.
func (b *behavior) odd(m *Measurement) (odd, length int) {
	switch v := &m.Value; b.metric.Kind {
	case profile.CIDRs:
		for _, a := range m.addrs {
			if b.addrs.contains(a) != b.in {
				odd++
			}
		}
		return odd, len(m.addrs)
	case profile.Ports:
		return countOdd(v.Ports, b.ports, b.in), len(v.Ports)
	case profile.Numbers:
		return countOdd(v.Numbers, b.numbers, b.in), len(v.Numbers)
	default:
		return countOdd(v.Strings, b.strings, b.in), len(v.Strings)
	}
}

func countOdd[T int32 | float64 | string](list, set []T, in bool) int {
	n := 0
	for _, v := range list {
		if contains(set, v) != in {
			n++
		}
	}
	return n
}

func contains[T int32 | float64 | string](set []T, v T) bool {
	_, found := slices.BinarySearch(set, v)
	return found
}

// value is a number as the metric's value.
func (b *behavior) value(v amount) *profile.Value {
	if b.metric.Kind == profile.Number {
		return &profile.Value{Number: new(b.float(v))}
	}
	return &profile.Value{Count: new(int64(v))}
}

// listValue is a copy of a list as the metric's value. Of a list that is too
// long to keep, the elements that are not as they should be come first.
func (b *behavior) listValue(m *Measurement) *profile.Value {
	var out profile.Value
	switch v := &m.Value; b.metric.Kind {
	case profile.CIDRs:
		i := -1
		out.CIDRs = bounded(v.CIDRs, func(string) bool { i++; return b.addrs.contains(m.addrs[i]) != b.in })
	case profile.Ports:
		out.Ports = bounded(v.Ports, func(p int32) bool { return contains(b.ports, p) != b.in })
	case profile.Numbers:
		out.Numbers = bounded(v.Numbers, func(n float64) bool { return contains(b.numbers, n) != b.in })
	case profile.Strings:
		out.Strings = bounded(v.Strings, func(s string) bool { return contains(b.strings, s) != b.in })
	}
	return &out
}

// maxEventElements is the longest list in an event.
const maxEventElements = 1000

func bounded[T any](list []T, odd func(T) bool) []T {
	if len(list) <= maxEventElements {
		return append(make([]T, 0, len(list)), list...)
	}
	var first, rest []T
	for _, v := range list {
		if odd(v) {
			first = append(first, v)
		} else if len(rest) < maxEventElements {
			rest = append(rest, v)
		}
	}
	return slices.Clone(append(first, rest...)[:maxEventElements])
}
