package finding

import (
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// MetricValues are the values of one metric of one thing.
type MetricValues struct {
	Metric    profile.Metric
	Dimension *profile.MetricDimension // nil is none
	Values    []TimedValue             // in order of time
}

// Ref returns which metric they are of.
func (v *MetricValues) Ref() profile.MetricRef {
	return profile.RefOf(v.Metric.Name, v.Dimension)
}

// TimedValue is one value.
type TimedValue struct {
	Time  time.Time
	Value profile.Value
	Cut   *profile.Cut // of a list that does not have all entries; AWS does not tell
}
