package profile

import (
	"errors"
	"fmt"
	"time"
)

// Norm is a compiled criterion: it says which values of a metric are normal.
// There is one type for each way in which criteria say it.
type Norm interface {
	// Kind is that of the values to judge.
	Kind() Kind
	// Conforms reports whether a value is normal. That is not known of a value
	// of another kind or that cannot be read, nor from the value itself where it
	// is compared with those of other things.
	Conforms(v Value) (conforms, known bool)
	// Offending returns the elements of a list that are not normal, in their
	// order. It is the zero Value for a number.
	Offending(v Value) Value
	// String is the same for norms that judge alike, whatever the order in
	// which their documents list a set.
	String() string
}

// NewNorm compiles criteria for values of a kind. The kind "", of a metric
// whose type is not known, is that of the value in the criteria.
func NewNorm(c *Criteria, kind Kind) (Norm, error) {
	switch {
	case c == nil:
		return nil, errors.New("there are no criteria")
	case c.MLDetectionConfig != nil:
		return nil, errors.New("ML Detect needs AWS's models")
	case kind == "":
		kind = c.Value.Kind()
	}
	comparison, ok := c.ComparisonOperator.Comparison()
	switch {
	case !ok:
		return newSetNorm(c, kind)
	case kind.List():
		return nil, fmt.Errorf("operator %s is for numbers, %s are a list", c.ComparisonOperator, kind)
	case c.StatisticalThreshold != nil:
		return newStatisticalNorm(c.StatisticalThreshold, comparison, kind)
	}
	return newStaticNorm(c.Value, comparison, kind)
}

// Compiled is a behavior made ready to be evaluated.
type Compiled struct {
	Ref              MetricRef
	Norm             Norm
	Duration         time.Duration // over which is accumulated; 0 makes every measurement a datapoint
	ToAlarm, ToClear uint8         // datapoints in a row
}

// Compile makes the behavior ready for values of a kind, as NewNorm does.
func (b *Behavior) Compile(kind Kind) (Compiled, error) {
	norm, err := NewNorm(b.Criteria, kind)
	if err != nil {
		return Compiled{}, err
	}
	c := Compiled{Ref: b.Ref(), Norm: norm, Duration: b.Criteria.Duration()}
	c.ToAlarm, c.ToClear = b.Criteria.Datapoints()
	return c, nil
}

// String is the same for behaviors that are evaluated alike: they may differ in
// their names, in the order of a set and in defaults that are written out.
// States are stored under a hash of it: if it changes, stored alarms end.
func (c Compiled) String() string {
	return fmt.Sprintf("%v, %v, in %v, %d to alarm, %d to clear", c.Ref, c.Norm, c.Duration, c.ToAlarm, c.ToClear)
}

// Duration returns durationSeconds, 0 when there is none.
func (c *Criteria) Duration() time.Duration {
	if c == nil || c.DurationSeconds == nil {
		return 0
	}
	return time.Duration(*c.DurationSeconds) * time.Second
}

// Datapoints returns how many datapoints in a row raise an alarm and clear it.
func (c *Criteria) Datapoints() (toAlarm, toClear uint8) {
	if c == nil {
		return 1, 1
	}
	number := func(n *int32) uint8 {
		if n == nil {
			return 1
		}
		return uint8(min(max(*n, 1), 10))
	}
	return number(c.ConsecutiveDatapointsToAlarm), number(c.ConsecutiveDatapointsToClear)
}
