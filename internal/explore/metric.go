package explore

import (
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/render"
)

// Metric returns the values of a metric as a plot or as a set; the kind of
// the values decides, and without any that of the metric.
func Metric(values *finding.MetricValues, from, to time.Time) (*render.Plot, *render.SetHistory) {
	m := values.Metric
	title := m.Title + values.Ref().Topics()
	var series render.Series
	set := &render.SetHistory{Title: title, Metric: m.Name}
	for _, v := range values.Values {
		if n, ok := v.Value.Scalar(); ok {
			series.Points = append(series.Points, render.Point{Time: v.Time, Value: n})
		} else if list := v.Value.Elements(); list != nil {
			point := render.SetPoint{Time: v.Time, Members: list}
			if v.Cut != nil {
				point.Cut = v.Cut.String()
			}
			set.Points = append(set.Points, point)
		}
	}
	if len(set.Points) > 0 || len(series.Points) == 0 && m.Kind.List() {
		return nil, set
	}
	return &render.Plot{Title: title, Metric: m.Name, Unit: m.Unit, Series: []render.Series{series}, From: from, To: to}, nil
}

// MetricLink is the address of a live page of the values.
func MetricLink(thing string, values *finding.MetricValues) string {
	ref := values.Ref()
	return render.MetricLink(thing, ref.Name, ref.Dimension, ref.Operator())
}
