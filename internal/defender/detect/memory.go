package detect

import (
	"iter"
	"slices"
)

// memory has baselines for one Engine.
type memory map[BaselineKey]*fleetWindows

// fleetWindows are the windows of one baseline that are still of use.
type fleetWindows struct {
	windows []fleetWindow // by index
	base    *Base         // of window baseOf; made again if that is 0
	baseOf  int32
}

type fleetWindow struct {
	index     int32
	histogram *Histogram
}

func (m memory) of(key BaselineKey) *fleetWindows {
	f := m[key]
	if f == nil {
		f = &fleetWindows{}
		m[key] = f
	}
	return f
}

// find returns where the window is, or would be.
func (f *fleetWindows) find(window int32) (int, bool) {
	if n := len(f.windows); n > 0 && f.windows[n-1].index == window {
		return n - 1, true
	}
	return slices.BinarySearchFunc(f.windows, window, func(w fleetWindow, index int32) int { return int(w.index) - int(index) })
}

func (m memory) Add(key BaselineKey, window int32, value float64) {
	f := m.of(key)
	i, found := f.find(window)
	if !found {
		f.windows = slices.Insert(f.windows, i, fleetWindow{window, &Histogram{}})
	}
	f.windows[i].histogram.Add(value)
	if window < f.baseOf {
		f.baseOf = 0
	}
}

func (m memory) Before(key BaselineKey, window int32) *Base {
	f := m.of(key)
	if f.baseOf == window {
		return f.base
	}
	f.base, f.baseOf = key.Gather(window, f.newestFirst()), window
	// What is not used now is never used again, as time only goes on.
	if n := len(f.windows); f.base != nil && (n == 0 || f.windows[n-1].index <= window) {
		old, _ := f.find(f.base.from)
		f.windows = slices.Delete(f.windows, 0, old)
	}
	return f.base
}

func (f *fleetWindows) newestFirst() iter.Seq2[int32, *Histogram] {
	return func(yield func(int32, *Histogram) bool) {
		for _, w := range slices.Backward(f.windows) {
			if !yield(w.index, w.histogram) {
				return
			}
		}
	}
}
