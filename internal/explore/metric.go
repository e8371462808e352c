package explore

import (
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

// KnownMetric is what the program knows of a metric without asking for it.
func KnownMetric(name string) profile.Metric {
	if m, ok := profile.FindMetric(name); ok {
		return m
	}
	return profile.Metric{Name: name, Title: name, Side: profile.Custom}
}

// Metric returns the values of a metric as a plot or as a set; the kind of
// the values decides, and without any that of the metric.
func Metric(values *cloud.MetricValues, from, to time.Time) (*render.Plot, *render.SetHistory) {
	m := values.Metric
	title := m.Title
	if d := values.Dimension; d != nil {
		title += " on topics of " + d.DimensionName
		if d.Operator == "NOT_IN" {
			title = m.Title + " on topics outside " + d.DimensionName
		}
	}
	var series render.Series
	set := &render.SetHistory{Title: title, Metric: m.Name}
	for _, v := range values.Values {
		if n, ok := Number(v.Value); ok {
			series.Points = append(series.Points, render.Point{Time: v.Time, Value: n})
		} else if list := Members(v.Value); list != nil {
			set.Points = append(set.Points, render.SetPoint{Time: v.Time, Members: list})
		}
	}
	if len(set.Points) > 0 || len(series.Points) == 0 && isSet(m) {
		return nil, set
	}
	return &render.Plot{Title: title, Metric: m.Name, Unit: m.Unit, Series: []render.Series{series}, From: from, To: to}, nil
}

// MetricLink is the address of a live page of the values.
func MetricLink(thing string, values *cloud.MetricValues) string {
	d := values.Dimension
	if d == nil {
		d = &profile.MetricDimension{}
	}
	return render.MetricLink(thing, values.Metric.Name, d.DimensionName, d.Operator)
}

// isSet reports whether the metric's values are lists.
func isSet(m profile.Metric) bool {
	return m.Kind != "" && m.Kind != profile.Count && m.Kind != profile.Number
}

// Number is a value as a number.
func Number(v profile.Value) (float64, bool) {
	switch {
	case v.Count != nil:
		return float64(*v.Count), true
	case v.Number != nil:
		return *v.Number, true
	}
	return 0, false
}

// Members are the elements of a value that is a list; nil when it's none.
func Members(v profile.Value) []string {
	switch {
	case v.CIDRs != nil:
		return v.CIDRs
	case v.Strings != nil:
		return v.Strings
	case v.Ports != nil:
		return texts(v.Ports, func(p int32) string { return strconv.Itoa(int(p)) })
	case v.Numbers != nil:
		return texts(v.Numbers, func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) })
	}
	return nil
}

func texts[T any](list []T, of func(T) string) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = of(e)
	}
	return out
}
