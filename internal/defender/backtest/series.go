package backtest

import (
	"cmp"
	"math"
	"slices"
)

// rules are what a number of a behavior is held to, beside the threshold.
type rules struct {
	less             bool // the normal is less
	toAlarm, toClear uint8
}

// outcome is what came of datapoints.
type outcome struct {
	alarms     int
	inAlarm    int64
	datapoints int64
}

// limits are what is not excessive.
type limits struct {
	alarms float64 // of all things together
}

func (l limits) excessive(o outcome) bool {
	return float64(o.alarms) > l.alarms+1e-9 || float64(o.inAlarm) > mostInAlarm*float64(o.datapoints)
}

// simulate counts the alarms of datapoints that violate or not.
func (r rules) simulate(series [][]float64, violates func(float64) bool) (o outcome) {
	for _, values := range series {
		var s step
		for _, v := range values {
			if math.IsNaN(v) {
				s = 0
				continue
			}
			was := s
			s = s.next(violates(v), r)
			o.count(was, s, 1)
			o.datapoints++
		}
	}
	return o
}

// count adds or takes away what a datapoint makes.
func (o *outcome) count(before, after step, n int) {
	if after&alarmed != 0 {
		o.inAlarm += int64(n)
		if before&alarmed == 0 {
			o.alarms += n
		}
	}
}

// step is how a thing stands after a datapoint: in alarm or not, and how many
// datapoints there were in a row towards the opposite.
type step uint8

const (
	alarmed  step = 1 << 6
	counting step = 1<<6 - 1
)

func (s step) next(violates bool, r rules) step {
	n := uint8(s&counting) + 1
	switch inAlarm := s&alarmed != 0; {
	case violates && inAlarm:
		return alarmed
	case violates && n >= r.toAlarm:
		return alarmed
	case violates:
		return step(n)
	case inAlarm && n < r.toClear:
		return alarmed | step(n)
	}
	return 0
}

// boundary is a threshold between two observed values: the most extreme one
// that still conforms and the next one, which violates (infinite if none).
type boundary struct {
	conforms, violates float64
	outcome            outcome
}

// tightest returns, of the thresholds from the loosest on, the last before the
// first excessive one. It reports false without datapoints.
//
// Thresholds are tried from the loosest on. Each makes a few datapoints more
// violate; only what follows these in their series changes, and only as far as
// it makes a difference. As a tighter threshold never takes a thing out of
// alarm, a datapoint changes a few times at most, and all thresholds together
// cost little more than one.
func (r rules) tightest(series [][]float64, l limits) (boundary, bool) {
	type point struct {
		value  float64
		series int32
		index  int32
	}
	var points []point
	steps := make([][]step, len(series))
	violating := make([][]bool, len(series))
	for i, values := range series {
		steps[i], violating[i] = make([]step, len(values)), make([]bool, len(values))
		for k, v := range values {
			if !math.IsNaN(v) {
				points = append(points, point{v, int32(i), int32(k)})
			}
		}
	}
	if len(points) == 0 {
		return boundary{}, false
	}
	slices.SortFunc(points, func(a, b point) int {
		if r.less {
			return cmp.Compare(b.value, a.value)
		}
		return cmp.Compare(a.value, b.value)
	})
	best := boundary{violates: math.Inf(1)}
	if !r.less {
		best.violates = math.Inf(-1)
	}
	best.outcome.datapoints = int64(len(points))
	o := best.outcome
	for at := 0; at < len(points); {
		value := points[at].value
		best.conforms, best.outcome = value, o
		for ; at < len(points) && points[at].value == value; at++ {
			p := points[at]
			violating[p.series][p.index] = true
			r.again(series[p.series], steps[p.series], violating[p.series], int(p.index), &o)
		}
		if l.excessive(o) {
			break
		}
		best.violates = value
	}
	return best, true
}

// again recomputes the steps of a series from an index on, and stops at the
// first that is unchanged.
func (r rules) again(values []float64, steps []step, violating []bool, from int, o *outcome) {
	var before, was step // as it stands now, and as it stood
	if from > 0 {
		before = steps[from-1]
		was = before
	}
	for k := from; k < len(values); k++ {
		old, s := steps[k], step(0)
		if !math.IsNaN(values[k]) {
			s = before.next(violating[k], r)
			o.count(was, old, -1)
			o.count(before, s, 1)
		}
		if s == old {
			return
		}
		steps[k], before, was = s, s, old
	}
}
