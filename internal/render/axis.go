package render

import (
	"math"
	"slices"
	"time"
)

// valueAxis is a range of values whose ends and ticks are round.
type valueAxis struct {
	min, max, step float64
}

// axis covers all values and the thresholds. It begins at zero unless the
// values lie far from it. A threshold of more than twenty times the largest
// value would press the line to the ground: it is left out, and the plot says
// so.
func (p Plot) axis(ticks int) valueAxis {
	low, high, found := p.bounds()
	if !found {
		low, high = 0, 0
	}
	for _, t := range p.Thresholds {
		if finite(t.Value) && (high == 0 || t.Value <= 20*high) {
			low, high = min(low, t.Value), max(high, t.Value)
		}
	}
	if low > 0 && low < 0.7*high {
		low = 0
	}
	// Values too close to each other for round ticks are one value.
	if high-low <= 1e-9*max(math.Abs(high), math.Abs(low)) || high-low < 1e-290 {
		switch {
		case high > 1e-290:
			low = 0
		case low < -1e-290:
			high = 0
		default:
			low, high = 0, 1
		}
	}
	step := niceStep((high-low)/float64(ticks), p.Unit != "")
	return valueAxis{min: math.Floor(low/step) * step, max: math.Ceil(high/step-1e-9) * step, step: step}
}

// finite reports whether a value can be drawn: it is a number, and differences
// of two such numbers do not overflow.
func finite(v float64) bool { return math.Abs(v) <= 1e300 }

// niceStep is the smallest of 1, 2, 2.5, 5 times a power of ten that is not
// less than rough; at least 1 for what is counted.
func niceStep(rough float64, whole bool) float64 {
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= rough*(1-1e-9) {
			step = m * power
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	return step
}

func (a valueAxis) ticks() []float64 {
	var ticks []float64
	for i := 0; i <= int(math.Round((a.max-a.min)/a.step)); i++ {
		ticks = append(ticks, a.min+float64(i)*a.step)
	}
	return ticks
}

// includes reports whether a value is on the axis.
func (a valueAxis) includes(v float64) bool { return v >= a.min && v <= a.max }

// timeSteps are the distances between ticks of time, in minutes.
var timeSteps = []int{1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440, 365 * 1440}

// timeTicks returns at most n+1 round times of the zone within the period, and
// the layout to write them in.
func timeTicks(from, to time.Time, zone *time.Location, n int) (ticks []time.Time, layout string) {
	from, to = from.In(zone), to.In(zone)
	minutes := to.Sub(from).Minutes()
	i, _ := slices.BinarySearchFunc(timeSteps, minutes/float64(n), func(step int, rough float64) int {
		if float64(step) < rough {
			return -1
		}
		return 1
	})
	step := timeSteps[min(i, len(timeSteps)-1)]
	layout = "15:04"
	if step >= 1440 {
		layout = "2 Jan"
	}
	y, m, d := from.Date()
	for k := 0; ; k++ {
		// time.Date carries minutes over days and knows the zone's changes.
		t := time.Date(y, m, d, 0, k*step, 0, 0, zone)
		if t.After(to) {
			return ticks, layout
		}
		if !t.Before(from) {
			ticks = append(ticks, t)
		}
	}
}

// step is the expected distance of points; zero when there are fewer than two.
func (s Series) step() time.Duration {
	if s.Step > 0 || len(s.Points) < 2 {
		return s.Step
	}
	distances := make([]time.Duration, 0, len(s.Points)-1)
	for i, p := range s.Points[1:] {
		distances = append(distances, p.Time.Sub(s.Points[i].Time))
	}
	slices.Sort(distances)
	return distances[len(distances)/2]
}

// runs splits the points at gaps and at values that are no numbers.
func (s Series) runs() [][]Point {
	step := s.step()
	var runs [][]Point
	var run []Point
	for _, p := range s.Points {
		if !finite(p.Value) {
			continue
		}
		if len(run) > 0 && p.Time.Sub(run[len(run)-1].Time) > step+step/2 {
			runs, run = append(runs, run), nil
		}
		run = append(run, p)
	}
	if len(run) > 0 {
		runs = append(runs, run)
	}
	return runs
}

// longest is the longest period that is drawn; a longer one is cut at its
// beginning. Values are kept for days.
const longest = 10 * 365 * 24 * time.Hour

// window is the plot's period: as given, or that of its points.
func (p Plot) window() (from, to time.Time) {
	from, to = p.From, p.To
	for _, s := range p.Series {
		if len(s.Points) == 0 {
			continue
		}
		if p.From.IsZero() && (from.IsZero() || s.Points[0].Time.Before(from)) {
			from = s.Points[0].Time
		}
		if p.To.IsZero() && s.Points[len(s.Points)-1].Time.After(to) {
			to = s.Points[len(s.Points)-1].Time
		}
	}
	switch length := to.Sub(from); {
	case length <= 0:
		to = from.Add(time.Hour)
	case length > longest:
		from = to.Add(-longest)
	}
	return from, to
}

// alarmed reports whether a time lies in a period of alarm.
func (p Plot) alarmed(t time.Time) bool {
	return slices.ContainsFunc(p.Alarms, func(s Span) bool { return s.contains(t) })
}

func (s Span) contains(t time.Time) bool {
	return !t.Before(s.From) && (s.To.IsZero() || !t.After(s.To))
}

// words says when an alarm was. A zero From is before what was read.
func (s Span) words(c clock) string {
	switch {
	case s.From.IsZero() && s.To.IsZero():
		return "in alarm"
	case s.From.IsZero():
		return "in alarm until " + c.full(s.To)
	case s.To.IsZero():
		return "in alarm since " + c.full(s.From)
	}
	return "in alarm " + c.period(s.From, s.To)
}

// empty reports whether there is nothing to draw.
func (p Plot) empty() bool {
	return !slices.ContainsFunc(p.Series, func(s Series) bool { return len(s.runs()) > 0 })
}

// bounds are the smallest and the largest value of a plot.
func (p Plot) bounds() (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for _, point := range s.Points {
			if finite(point.Value) {
				low, high, ok = min(low, point.Value), max(high, point.Value), true
			}
		}
	}
	return low, high, ok
}
