package detect

import (
	"slices"
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
	// maxFleetWindow is how many datapoints a window takes.
	maxFleetWindow = 1 << 20
)

// contribution is one datapoint of a thing in a baseline.
type contribution struct {
	value  float64
	window int32
}

// baseline is what all things under one statistical behavior measured: the
// datapoints of the window under way and of the windows compared with.
type baseline struct {
	span int64 // of a window, in nanoseconds
	rank int64 // the percentile in hundredths of a percent
	// floor is the oldest window that is still of use.
	floor   int32
	windows []fleetWindow // by index

	// base are the datapoints before window baseOf, sorted, and from its
	// first window on.
	base   []float64
	baseOf int32 // 0 when base must be rebuilt
	from   int32
}

type fleetWindow struct {
	index  int32
	sorted bool
	values []float64
}

func newBaseline(span time.Duration, percent float64) *baseline {
	return &baseline{span: int64(span), rank: int64(percent*100 + 0.5)}
}

func (p *baseline) window(at int64) int32 { return int32(at / p.span) }

// find returns where the window is, or would be.
func (p *baseline) find(window int32) (int, bool) {
	if n := len(p.windows); n > 0 && p.windows[n-1].index == window {
		return n - 1, true
	}
	return slices.BinarySearchFunc(p.windows, window, func(w fleetWindow, index int32) int { return int(w.index) - int(index) })
}

// add takes in a datapoint. It reports false when the window is over and done
// with, or full.
func (p *baseline) add(window int32, value float64) bool {
	if window < p.floor {
		return false
	}
	i, found := p.find(window)
	if !found {
		p.windows = slices.Insert(p.windows, i, fleetWindow{index: window})
	}
	w := &p.windows[i]
	if len(w.values) >= maxFleetWindow {
		return false
	}
	if window < p.baseOf {
		p.baseOf = 0
	}
	w.values, w.sorted = append(w.values, value), false
	return true
}

// remove takes a datapoint out again.
func (p *baseline) remove(window int32, value float64) {
	i, found := p.find(window)
	if !found {
		return
	}
	w := &p.windows[i]
	if k := slices.Index(w.values, value); k >= 0 {
		w.values = slices.Delete(w.values, k, k+1)
		if window < p.baseOf {
			p.baseOf = 0
		}
	}
	if len(w.values) == 0 {
		p.windows = slices.Delete(p.windows, i, i+1)
	}
}

// before gathers the datapoints that window is compared with: those of the
// latest window before it that has any and, while they are not enough, those
// of the windows before that.
func (p *baseline) before(window int32) []float64 {
	if p.baseOf == window {
		return p.base
	}
	end, _ := p.find(window)
	// A datapoint is younger than two days wherever in the window it was made.
	oldest := int64(window) - int64(maxSilence)/p.span + 1
	begin, n := end, 0
	for begin > 0 && n < enoughBaseline && int64(p.windows[begin-1].index) >= oldest {
		begin--
		n += len(p.windows[begin].values)
	}
	used := p.windows[begin:end]
	for i := range used {
		if !used[i].sorted {
			slices.Sort(used[i].values)
			used[i].sorted = true
		}
	}
	p.from = window
	if len(used) > 0 {
		p.from = used[0].index
	}
	if len(used) == 1 {
		p.base = used[0].values
	} else {
		p.base = make([]float64, 0, n)
		for _, w := range used {
			p.base = append(p.base, w.values...)
		}
		slices.Sort(p.base)
	}
	p.baseOf = window
	// What is not used now is never used again, as time only goes on.
	if end == len(p.windows) || p.windows[end].index == window && end == len(p.windows)-1 {
		p.raise(p.from)
	}
	return p.base
}

// raise forgets the windows before floor, if they are not forgotten yet.
func (p *baseline) raise(floor int32) {
	if floor <= p.floor {
		return
	}
	p.floor = floor
	n, _ := p.find(floor)
	p.windows = slices.Delete(p.windows, 0, n)
	if p.from < floor {
		p.baseOf = 0
	}
}

// percentile returns the smallest datapoint before window that at least the
// percentage of all these are at or below. The thing's own datapoints since a
// window are left out, unless too few would be left. It reports false when
// there are too few datapoints.
func (p *baseline) percentile(window int32, own []contribution, since int32) (float64, bool) {
	base := p.before(window)
	n := int64(len(base))
	if n < minBaseline {
		return 0, false
	}
	var out [maxLeftOut]float64
	left := out[:0]
	for _, c := range own {
		if c.window >= since && c.window >= p.from && c.window < window && len(left) < maxLeftOut {
			left = append(left, c.value)
		}
	}
	if n-int64(len(left)) < minBaseline {
		left = nil
	}
	n -= int64(len(left))
	// i is the index of the nearest rank among the n that stay. Those of left
	// are in base too, at ascending indexes as both are sorted: each at or
	// before i moves the one that is meant one place further.
	i := max((p.rank*n+9999)/10000, 1) - 1
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
	return base[i], true
}

// maxLeftOut is more than a thing's datapoints in a baseline can be: enough
// but one in small windows, and one full window.
const maxLeftOut = enoughBaseline + maxPerWindow
