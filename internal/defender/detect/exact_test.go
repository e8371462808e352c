package detect

import (
	"math"
	"slices"
	"testing"
)

// exact are the exact datapoints of a baseline, which the histograms are held
// to.
type exact map[int32][]float64

// before returns the sorted datapoints that window is compared with: those of
// the latest window before it that has any and, while they are not enough, those
// of the windows before that.
func (x exact) before(k BaselineKey, window int32) []float64 {
	var base []float64
	for at := window - 1; at > window-int32(maxSilence/k.Span) && len(base) < enoughBaseline; at-- {
		base = append(base, x[at]...)
	}
	slices.Sort(base)
	return base
}

// exactPercentile returns the smallest of the sorted datapoints that at least the
// percentage of all these are at or below, without those that are left out.
func exactPercentile(base []float64, rank int64, left []float64) float64 {
	n := int64(len(base) - len(left))
	i := max((rank*n+9999)/10000, 1) - 1
	slices.Sort(left)
	at := 0 // index in base of an element of left; equal ones follow each other
	for k, v := range left {
		if k == 0 || v != left[k-1] {
			at, _ = slices.BinarySearch(base, v)
		} else {
			at++
		}
		if int64(at) <= i {
			i++
		}
	}
	return base[i]
}

// checked are baselines that are compared with the exact ones.
type checked struct {
	t testing.TB
	memory
	exact map[BaselineKey]exact
}

func newChecked(t testing.TB) *checked { return &checked{t, memory{}, map[BaselineKey]exact{}} }

func (c *checked) Add(key BaselineKey, window int32, value float64) {
	c.memory.Add(key, window, value)
	if c.exact[key] == nil {
		c.exact[key] = exact{}
	}
	c.exact[key][window] = append(c.exact[key][window], value)
}

func (c *checked) Before(key BaselineKey, window int32) *Base {
	base, want := c.memory.Before(key, window), c.exact[key].before(key, window)
	switch {
	case base == nil:
		if len(want) > 0 {
			c.t.Errorf("no datapoints before window %d, want %d", window, len(want))
		}
	case base.histogram.Count() != int64(len(want)):
		c.t.Errorf("%d datapoints before window %d, want %d", base.histogram.Count(), window, len(want))
	default:
		checkPercentile(c.t, want, int64(key.Rank), nil, base.limit)
	}
	return base
}

// checkPercentile holds a percentile to the package comment: it was measured, and
// is at most 1 % above the exact one.
func checkPercentile(t testing.TB, base []float64, rank int64, left []float64, got float64) {
	t.Helper()
	want := exactPercentile(base, rank, left)
	if got < want || got-want >= 0.01*math.Abs(want) && got != want || !slices.Contains(base, got) {
		t.Errorf("percentile %d of %d datapoints without %v is %v, want %v", rank, len(base), left, got, want)
	}
}
