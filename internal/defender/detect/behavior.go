package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// amount is a measurement to compare: a count, or the bits of a number.
type amount int64

// behavior is a behavior made ready.
type behavior struct {
	profile.Compiled
	profile string
	doc     *profile.Behavior
	text    []byte // doc as JSON
	mark    uint64 // tells it from every behavior that is evaluated differently
	mark01  uint64 // by which version 0.1 told it
	metric  profile.Metric

	duration int64 // nanoseconds

	// Of Norm, that which its type has.
	compare    profile.Comparison // of the next two
	static     *profile.StaticNorm
	percentile *BaselineKey
	set        *profile.SetNorm
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
	b := &behavior{profile: profileName, doc: own, text: text, metric: m, mark01: mark01(profileName, own, m)}
	if b.Compiled, err = own.Compile(m.Kind); err != nil {
		return nil, "", fmt.Errorf("behavior %q: %w", own.Name, err)
	}
	b.duration = int64(b.Duration)
	switch n := b.Norm.(type) {
	case *profile.StaticNorm:
		b.static, b.compare = n, n.Comparison
	case *profile.StatisticalNorm:
		b.percentile, b.compare = &BaselineKey{Span: cmp.Or(b.Duration, reportInterval), Rank: int32(n.Percent*100 + 0.5)}, n.Comparison
	case *profile.SetNorm:
		b.set = n
	default:
		return nil, fmt.Sprintf("the engine has no way to evaluate %v", n), nil
	}
	b.mark = hash(strings.Join([]string{profileName, own.Name, b.Compiled.String()}, "\x00"))
	if b.percentile != nil {
		b.percentile.Mark = b.mark
	}
	return b, "", nil
}

// mark01 is what version 0.1 saved a behavior's state under: the hash of the
// document as it was written, without what makes no difference to evaluation.
func mark01(profileName string, doc *profile.Behavior, m profile.Metric) uint64 {
	evaluated := *doc
	evaluated.SuppressAlerts, evaluated.ExportMetric = nil, nil
	text, _ := json.Marshal([]any{profileName, evaluated, m.Kind})
	return hash(string(text))
}

func hash(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
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
	case b.metric.Kind == profile.Number && (b.float(v) > b.float(sum)) == b.compare.Less:
		return v
	case b.metric.Kind == profile.Count && (v > sum) == b.compare.Less:
		return v
	}
	return sum
}

// met reports whether the measurement is normal, given a static threshold.
func (b *behavior) met(v amount) bool {
	if b.metric.Kind == profile.Number {
		return b.static.ConformsNumber(b.float(v))
	}
	return b.static.ConformsCount(int64(v))
}

// odd counts the elements of a list that are not as they should be.
func (b *behavior) odd(m *Measurement) (odd, length int) {
	if b.metric.Kind != profile.CIDRs {
		return b.set.Offending(m.Value).Len(), m.Value.Len()
	}
	return b.set.CountOffending(m.addrs), len(m.addrs)
}

// value is a number as the metric's value.
func (b *behavior) value(v amount) *profile.Value {
	if b.metric.Kind == profile.Number {
		return &profile.Value{Number: new(b.float(v))}
	}
	return &profile.Value{Count: new(int64(v))}
}

// maxEventElements is the longest list in an event.
const maxEventElements = 1000
