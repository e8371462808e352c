package detect

import (
	"testing"
	"time"
)

// TestGather: a datapoint is compared with the latest window that has any, and
// with those before it while there are fewer than a hundred, but two days old.
// Several histograms may be of one window.
func TestGather(t *testing.T) {
	type row struct {
		window     int32
		datapoints int
	}
	key := BaselineKey{Span: time.Hour, Rank: 10000}
	for _, c := range []struct {
		name     string
		rows     []row
		want     int64
		from     int32
		ofCaller bool // the only histogram is not copied
	}{
		{"nothing", nil, 0, 0, false},
		{"only the window itself and one after it", []row{{1001, 200}, {1000, 200}}, 0, 0, false},
		{"the latest is enough", []row{{1000, 9}, {999, 100}, {998, 50}}, 100, 999, true},
		{"it is enough with what several have", []row{{999, 60}, {999, 30}, {999, 20}, {998, 50}}, 110, 999, false},
		{"all of a window are taken", []row{{999, 100}, {999, 30}, {998, 50}}, 130, 999, false},
		{"small windows", []row{{999, 50}, {998, 0}, {990, 49}, {989, 1}, {980, 5}}, 100, 989, false},
		{"two days", []row{{999, 5}, {953, 6}, {952, 7}}, 11, 953, false},
	} {
		var first *Histogram
		base := key.Gather(1000, func(yield func(int32, *Histogram) bool) {
			for _, r := range c.rows {
				h := &Histogram{}
				for range r.datapoints {
					h.Add(float64(r.window))
				}
				if r.window == 999 && first == nil {
					first = h
				}
				if !yield(r.window, h) {
					return
				}
			}
		})
		if base == nil {
			base = &Base{histogram: &Histogram{}}
		}
		if base.histogram.Count() != c.want || base.from != c.from || (base.histogram == first) != c.ofCaller {
			t.Errorf("%s: %d datapoints from window %d on, want %d from %d", c.name, base.histogram.Count(), base.from, c.want, c.from)
		}
		if c.want > 0 && base.limit != 999 {
			t.Errorf("%s: p100 is %v, want that of the latest window, 999", c.name, base.limit)
		}
	}
}

// TestBaselineKey: windows begin at multiples of their length.
func TestBaselineKey(t *testing.T) {
	key := BaselineKey{Span: 15 * time.Minute}
	for second, want := range map[int]int{0: 0, 1: 0, 899: 0, 900: 900, 86399: 85500} {
		if got := key.Time(key.window(after(second).UnixNano())); !got.Equal(after(want)) {
			t.Errorf("the window of %v began at %v, want %v", after(second), got, after(want))
		}
	}
}
