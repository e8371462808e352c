package backtest

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// trial is a change of an excessive behavior that is tried out.
type trial struct {
	what     string // "" only collects values
	behavior *Behavior
	of       *tally // the behavior as it is
	doc      profile.Behavior
	elements []string
	limits   limits
}

func (t *trial) plan(number int) *plan {
	p := &plan{name: fmt.Sprintf("trial-%d", number), targets: t.of.plan.targets}
	p.add(t.doc).keeps = t.what == ""
	return p
}

// What a suggestion changes.
const (
	asOperator    = "operator"
	asThreshold   = "threshold"
	asStatistic   = "statistic"
	asConsecutive = "consecutive"
	asElements    = "elements"
)

// trialsOf returns what to try of a behavior. What can be told from only the values
// of its datapoints is not tried: the first trial collects these, and
// the others are in the order in which they are suggested.
func trialsOf(b *Behavior, of *tally, o Options) []*trial {
	c := b.Definition.Criteria
	var trials []*trial
	add := func(what string, change func(c *profile.Criteria), elements ...string) {
		t := &trial{what: what, behavior: b, of: of, doc: b.Definition, elements: elements, limits: limits{b.ThingWeeks * o.MaxAlarmsPerWeek}}
		t.doc.Criteria = new(*c)
		change(t.doc.Criteria)
		trials = append(trials, t)
	}
	if !of.list && c.StatisticalThreshold == nil {
		add("", func(*profile.Criteria) {})
		return trials
	}
	if opposite, ok := b.opposite(); ok {
		add(asOperator, func(c *profile.Criteria) { c.ComparisonOperator = opposite })
	}
	if of.list {
		all := of.offenders()
		for _, n := range []int{1, 2, 3, 5, 10, 20, 50, 100, 200, 500, profile.MaxValueElements} {
			elements := all[:min(n, len(all))]
			add(asElements, func(c *profile.Criteria) { c.Value = changedSet(c, elements) }, elements...)
			if n >= len(all) {
				break
			}
		}
	} else {
		for _, looser := range looserStatistics(c.StatisticalThreshold.Statistic, rulesOf(c).less) {
			add(asStatistic, func(c *profile.Criteria) {
				c.StatisticalThreshold = &profile.StatisticalThreshold{Statistic: looser}
			})
		}
		add("", func(c *profile.Criteria) {
			c.StatisticalThreshold, c.Value = nil, new(profile.NumberValue(b.Model.Kind, 0))
		})
	}
	for _, n := range []int32{2, 3, 5, 10} {
		if n > int32(rulesOf(c).toAlarm) {
			add(asConsecutive, func(c *profile.Criteria) { c.ConsecutiveDatapointsToAlarm = &n })
		}
	}
	return trials
}

// opposite returns the operator that is met where the behavior's own is not,
// if more than half of its datapoints violate.
func (b *Behavior) opposite() (profile.Operator, bool) {
	opposite := b.Definition.Criteria.ComparisonOperator.Opposite()
	return opposite, 2*b.Violating > b.Datapoints && slices.Contains(b.Model.Operators, opposite)
}

// looserStatistics are the percentiles that fewer datapoints violate, the
// nearest first.
func looserStatistics(than string, less bool) []string {
	percent, _ := profile.StatisticPercent(than)
	of := func(s string) float64 { p, _ := profile.StatisticPercent(s); return p }
	looser := slices.DeleteFunc(slices.Clone(profile.Statistics), func(s string) bool {
		return less == (of(s) <= percent) || of(s) == percent
	})
	slices.SortFunc(looser, func(a, b string) int { return cmp.Compare(math.Abs(of(a)-percent), math.Abs(of(b)-percent)) })
	return looser
}

// conclude makes suggestions of what came of the trial.
func (t *trial) conclude(came *tally) {
	if t.what != "" {
		t.suggest(t.what, t.doc.Criteria, outcome{came.alarms, came.inAlarm, came.datapoints})
		return
	}
	var series [][]float64
	for _, thing := range slices.Sorted(maps.Keys(came.things)) {
		series = append(series, came.things[thing].values)
	}
	c := t.behavior.Definition.Criteria
	if c.StatisticalThreshold == nil {
		if opposite, ok := t.behavior.opposite(); ok {
			turned := *c
			turned.ComparisonOperator = opposite
			t.suggest(asOperator, &turned, simulate(series, &turned))
		}
	}
	fixed := *t.doc.Criteria
	if o, ok := t.fix(series, &fixed); ok {
		t.suggest(asThreshold, &fixed, o)
	}
	if c.StatisticalThreshold == nil {
		for n := int32(rulesOf(c).toAlarm) + 1; n <= 10; n++ {
			longer := *c
			longer.ConsecutiveDatapointsToAlarm = &n
			t.suggest(asConsecutive, &longer, simulate(series, &longer))
		}
	}
}

// suggest suggests a change, unless it is excessive or there is one of its
// sort. Where the operator is the wrong way around, nothing else is suggested.
func (t *trial) suggest(what string, c *profile.Criteria, o outcome) {
	b := t.behavior
	has := slices.ContainsFunc(b.Suggestions, func(s Suggestion) bool { return s.What == what || s.What == asOperator })
	if has || o.datapoints == 0 || t.limits.excessive(o) {
		return
	}
	changed := t.doc
	changed.Criteria = c
	b.Suggestions = append(b.Suggestions, Suggestion{
		What: what, Criteria: *c, Expected: profile.Expectation(changed, b.Model), Alarms: o.alarms, InAlarm: share(o.inAlarm, o.datapoints), Elements: t.elements,
	})
}

func rulesOf(c *profile.Criteria) rules {
	comparison, _ := c.ComparisonOperator.Comparison()
	toAlarm, toClear := c.Datapoints()
	return rules{comparison.Less, toAlarm, toClear}
}

// simulate counts the alarms of a fixed threshold.
func simulate(series [][]float64, c *profile.Criteria) outcome {
	limit, _ := c.Value.Scalar()
	comparison, _ := c.ComparisonOperator.Comparison()
	return rulesOf(c).simulate(series, func(v float64) bool { return !comparison.Met(v, limit) })
}

// fix puts the tightest number into the criteria that is not excessive. It
// reports false when there is none.
func (t *trial) fix(series [][]float64, c *profile.Criteria) (outcome, bool) {
	best, ok := rulesOf(c).tightest(series, t.limits)
	n := best.conforms
	switch whole := t.behavior.Model.Kind == profile.Count; {
	case c.ComparisonOperator == profile.LessThan && whole:
		n++
	case c.ComparisonOperator == profile.LessThan:
		n = between(best.conforms, best.violates)
	case c.ComparisonOperator == profile.GreaterThan && whole:
		n--
		ok = ok && n >= 0 // nothing is less than none
	case c.ComparisonOperator == profile.GreaterThan:
		n = -between(-best.conforms, -best.violates)
	}
	c.Value = new(profile.NumberValue(t.behavior.Model.Kind, n))
	return best.outcome, ok
}

// between returns the number with the fewest digits, but at least three, that
// is above low and at most high.
func between(low, high float64) float64 {
	for digits := 2; digits < 17; digits++ {
		n, err := strconv.ParseFloat(strconv.FormatFloat(low, 'e', digits, 64), 64)
		if err == nil && n <= low {
			// Rounded down: the next number with this many digits.
			magnitude := 0.0
			if low != 0 {
				magnitude = math.Floor(math.Log10(math.Abs(low)))
			}
			n, err = strconv.ParseFloat(strconv.FormatFloat(n+math.Pow(10, magnitude-float64(digits)), 'e', digits, 64), 64)
		}
		if err == nil && n > low && n <= high && !math.IsInf(n, 0) {
			return n
		}
	}
	return math.Nextafter(low, math.Inf(1))
}

func share(part, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// offenders returns the elements that should not have been there, those that
// come most often first.
func (t *tally) offenders() []string {
	elements := slices.Sorted(maps.Keys(t.offending))
	slices.SortStableFunc(elements, func(a, b string) int { return cmp.Compare(t.offending[b], t.offending[a]) })
	return elements
}
