package backtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

func TestTightest(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		rules  rules
		alarms float64
		series [][]float64
		want   boundary
	}{
		{"no alarm", rules{true, 1, 1}, 0, [][]float64{{1, 5, 2}}, boundary{5, math.Inf(1), outcome{0, 0, 3}}},
		// A tenth of the 20 datapoints in alarm is not too much, and 9 and 8
		// in a row are one alarm.
		{"one alarm", rules{true, 1, 1}, 1, [][]float64{{1, 1, 1, 1, 9, 8, 1, 1, 1, 1, 1, 1, 1, 7, 1, 1, 1, 1, 1, 1}}, boundary{7, 8, outcome{1, 2, 20}}},
		// Two datapoints in a row: single ones do no harm.
		{"two to alarm", rules{true, 2, 1}, 0, [][]float64{{1, 9, 1, 8, 1, 7, 7, 1}, {1, 1, 6, 1}}, boundary{7, 8, outcome{0, 0, 12}}},
		// Silence between them ends the row.
		{"silence", rules{true, 2, 1}, 0, [][]float64{{1, 9, nan, 8, 1, 2, 3}}, boundary{2, 3, outcome{0, 0, 6}}},
		{"more is normal", rules{false, 1, 1}, 1, [][]float64{{50, 50, 50, 50, 50, 3, 50, 50, 50, 50, 20, 50}}, boundary{20, 3, outcome{1, 1, 12}}},
		// Three alarms at 9 are too many though one endless alarm at 1 is not.
		{"many, then few", rules{true, 1, 1}, 1, [][]float64{{9, 1, 9, 1, 9, 1}}, boundary{9, math.Inf(1), outcome{0, 0, 6}}},
	} {
		got, ok := c.rules.tightest(c.series, limits{c.alarms})
		if !ok || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, ok, c.want)
		}
	}
	if _, ok := (rules{true, 1, 1}).tightest([][]float64{nil, {nan}}, limits{1}); ok {
		t.Error("a threshold of nothing")
	}
}

// The threshold is the one that is found by trying them all, one after the
// other from the loosest on.
func TestTightestByTrying(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		r := rules{random.IntN(2) == 0, uint8(1 + random.IntN(3)), uint8(1 + random.IntN(3))}
		l := limits{float64(random.IntN(4))}
		series := make([][]float64, 1+random.IntN(3))
		var values []float64
		for i := range series {
			for range 1 + random.IntN(60) {
				v := float64(int(random.ExpFloat64() * 5))
				if random.IntN(30) == 0 {
					v = math.NaN()
				} else {
					values = append(values, v)
				}
				series[i] = append(series[i], v)
			}
		}
		if len(values) == 0 {
			continue
		}
		slices.Sort(values)
		if r.less {
			slices.Reverse(values)
		}
		var want boundary
		for _, limit := range slices.Compact(values) {
			o := r.simulate(series, func(v float64) bool { return v != limit && (v > limit) == r.less })
			if l.excessive(o) {
				break
			}
			want.conforms, want.outcome = limit, o
		}
		got, ok := r.tightest(series, l)
		if !ok || got.conforms != want.conforms || got.outcome != want.outcome {
			t.Fatalf("%+v %+v %v: %+v, want %+v", r, l, series, got, want)
		}
	}
}

// What is suggested is not excessive when the engine evaluates it, and the
// next tighter number is.
func TestSuggestionHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		var lines string
		for _, thing := range []string{"a", "b"} {
			values := make([]int64, 500)
			for i := range values {
				values[i] = int64(random.ExpFloat64() * 100)
			}
			lines += counts(t, thing, "aws:all-packets-out", values...)
		}
		rec := recording(t, lines)
		s := set(t, packets)
		b := &s.Profiles[0].Behaviors[0]
		*b.Criteria.Value.Count = 150
		operator := []profile.Operator{profile.LessThan, profile.LessThanEquals}[random.IntN(2)]
		b.Criteria.ComparisonOperator = operator
		options := Options{MaxAlarmsPerWeek: 3}
		evaluate := func() Behavior {
			r, err := Run(t.Context(), s.Profiles, s.Registry(), rec, options)
			if err != nil {
				t.Fatal(err)
			}
			return r.Behaviors[0]
		}
		before := evaluate()
		if !before.Excessive || len(before.Suggestions) == 0 || before.Suggestions[0].What != asThreshold {
			t.Fatalf("%+v", before)
		}
		suggested := before.Suggestions[0]
		*b.Criteria.Value.Count = *suggested.Criteria.Value.Count
		if after := evaluate(); after.Excessive || after.Alarms != suggested.Alarms || after.InAlarm != suggested.InAlarm {
			t.Errorf("%s %d: %+v, want %+v", operator, *suggested.Criteria.Value.Count, after, suggested)
		}
		// The next value measured below it.
		for n := *suggested.Criteria.Value.Count; ; {
			if n--; n < 0 {
				t.Fatal("nothing is excessive")
			}
			*b.Criteria.Value.Count = n
			if after := evaluate(); after.Excessive {
				break
			} else if after.Alarms != suggested.Alarms || after.InAlarm != suggested.InAlarm {
				t.Errorf("%s %d would do, but %d was suggested", operator, n, *suggested.Criteria.Value.Count)
				break
			}
		}
	}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct{ low, high, want float64 }{
		{5, 7, 5.01}, {5, 5.001, 5.001}, {1234, math.Inf(1), 1240}, {0, 1, 0.01}, {-3, -2, -2.99}, {9.99, math.Inf(1), 10}, {math.MaxFloat64, math.Inf(1), math.Inf(1)},
	} {
		if got := between(c.low, c.high); got != c.want {
			t.Errorf("between %v and %v: %v, want %v", c.low, c.high, got, c.want)
		}
	}
}
