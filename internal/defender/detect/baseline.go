package detect

import (
	"iter"
	"time"
)

const (
	// minBaseline is the fewest datapoints that have a percentile.
	minBaseline = 10
	// enoughBaseline is how many datapoints a baseline wants before it stops
	// at the latest window.
	enoughBaseline = 100
	// maxPerWindow is how many datapoints of one thing count in one window.
	maxPerWindow = 16
	// maxLeftOut is more than the datapoints of a thing that a baseline can
	// have: those of small windows, one full window, and the one under way.
	maxLeftOut = enoughBaseline + 2*maxPerWindow
)

// Baselines are what all things measured under statistical behaviors. It is all
// that crosses things. What Add is told need not be seen by Before at once, and
// may come from several evaluations that do not know of each other: the
// histograms of a window are merged.
//
// An implementation keeps its errors to itself until the evaluation is over. It
// may delete what is older than two days.
type Baselines interface {
	// Before returns what a datapoint in a window is compared with; see
	// [BaselineKey.Gather]. It is not modified.
	Before(key BaselineKey, window int32) *Base
	// Add adds a datapoint to a window.
	Add(key BaselineKey, window int32, value float64)
}

// BaselineKey tells a statistical behavior from all others.
type BaselineKey struct {
	Mark uint64        // see Event
	Span time.Duration // of its windows
	Rank int32         // its percentile, in hundredths of a percent
}

// Base are the datapoints that those of one window are compared with. It does
// not change, unless a histogram does that it was gathered from.
type Base struct {
	histogram *Histogram
	from      int32   // the oldest of their windows
	limit     float64 // the percentile of all
}

// window returns the window that a time is in.
func (k BaselineKey) window(at int64) int32 { return int32(at / int64(k.Span)) }

// Time returns when a window begins.
func (k BaselineKey) Time(window int32) time.Time { return timeOf(int64(window) * int64(k.Span)) }

// Gather merges the histograms that a window is compared with: those of the
// latest window before it that has any and, while they are not enough, those of
// the windows before that, none older than two days. It returns nil if there
// are none. They come from the newest window to the oldest, and several may be
// of one window; those of the window itself and of later ones are passed over.
func (k BaselineKey) Gather(window int32, newestFirst iter.Seq2[int32, *Histogram]) *Base {
	// A datapoint is younger than two days wherever in the window it was made.
	oldest := int64(window) - int64(maxSilence/k.Span) + 1
	base := Base{histogram: new(Histogram)}
	merged := false // or it is a histogram of the caller
	for at, h := range newestFirst {
		if at >= window || h.count == 0 {
			continue
		}
		if n := base.histogram.count; int64(at) < oldest || n >= enoughBaseline && at < base.from {
			break
		} else if n == 0 {
			base.histogram = h
		} else {
			if !merged {
				base.histogram, merged = base.histogram.clone(), true
			}
			base.histogram.Merge(h)
		}
		base.from = at
	}
	if base.histogram.count == 0 {
		return nil
	}
	base.limit = base.histogram.Percentile(k.Rank, nil)
	return &base
}

// lacks reports whether a window is too old to be in the base.
func (b *Base) lacks(window int32) bool { return b == nil || window < b.from }

// contribution is one datapoint of a thing in a baseline.
type contribution struct {
	value  float64
	window int32
}

// percentile returns the percentile of the datapoints without the thing's own,
// unless too few would be left. It reports false when there are too few
// datapoints.
func (k BaselineKey) percentile(b *Base, own []contribution, window int32) (float64, bool) {
	if b == nil || b.histogram.count < minBaseline {
		return 0, false
	}
	var out [maxLeftOut]float64
	left := out[:0]
	for _, c := range own {
		if c.window >= b.from && c.window < window && len(left) < maxLeftOut {
			left = append(left, c.value)
		}
	}
	if len(left) == 0 || b.histogram.count-int64(len(left)) < minBaseline {
		return b.limit, true
	}
	return b.histogram.Percentile(k.Rank, left), true
}
