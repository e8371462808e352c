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
}

// Base are the datapoints that another one is compared with.
type Base struct {
	Histogram *Histogram
	From      int32 // the oldest of their windows
}

// Window returns the window that a time is in.
func (k BaselineKey) Window(t time.Time) int32 { return k.window(t.UnixNano()) }

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
	var base *Base
	merged := false // or it is a histogram of the caller
	for at, h := range newestFirst {
		switch {
		case at >= window || h.count == 0:
			continue
		case int64(at) < oldest, base != nil && at < base.From && base.Histogram.count >= enoughBaseline:
			return base
		case base == nil:
			base = &Base{h, at}
			continue
		case !merged:
			all := new(Histogram)
			all.Merge(base.Histogram)
			base.Histogram, merged = all, true
		}
		base.Histogram.Merge(h)
		base.From = at
	}
	return base
}

// lacks reports whether a window is too old to be in the base.
func (b *Base) lacks(window int32) bool { return b == nil || window < b.From }

// contribution is one datapoint of a thing in a baseline.
type contribution struct {
	value  float64
	window int32
}

// percentile returns the percentile of the datapoints without the thing's own,
// unless too few would be left. It reports false when there are too few
// datapoints.
func (b *Base) percentile(rank int64, own []contribution, window int32) (float64, bool) {
	if b == nil || b.Histogram.count < minBaseline {
		return 0, false
	}
	var out [maxLeftOut]float64
	left := out[:0]
	for _, c := range own {
		if c.window >= b.From && c.window < window && len(left) < maxLeftOut {
			left = append(left, c.value)
		}
	}
	if b.Histogram.count-int64(len(left)) < minBaseline {
		left = nil
	}
	return b.Histogram.Percentile(rank, left), true
}
