package explore

import (
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

// ViolationPage is everything about a violation.
func ViolationPage(s *cloud.Surroundings, percentile *cloud.Percentile, about render.About) render.ViolationPage {
	v := s.Violation
	about.Notes = append(about.Notes, s.Notes...)
	page := render.ViolationPage{Violation: Violation(v, s.Metric)}
	alarms := []render.Span{{From: v.Started, To: v.Ended}}
	if v.Started.IsZero() {
		alarms[0].From = s.From
	}
	for _, e := range v.Events {
		event := render.Event{Time: e.Time, Type: render.State(e.Type)}
		if e.Value != nil {
			event.Value = profile.FormatValue(*e.Value, s.Metric)
			if e.Type == finding.InAlarm {
				event.Value = profile.ValueText(v.Behavior, *e.Value, s.Metric)
			}
		}
		page.Timeline = append(page.Timeline, event)
	}
	from := FirstValue(append([]*finding.MetricValues{s.Values}, s.Context...), s.From)
	if plot, set := Metric(s.Values, from, s.To); plot != nil {
		plot.Alarms, plot.Link = alarms, MetricLink(v.Thing, s.Values)
		plot.Thresholds, about.Notes = thresholds(v.Behavior, percentile, about.Notes)
		page.Plot = plot
	} else if set != nil {
		set.NewSince, set.Link = s.NewSince, MetricLink(v.Thing, s.Values)
		page.Sets = append(page.Sets, *set)
	}
	for _, values := range s.Context {
		plot, set := Metric(values, from, s.To)
		if plot != nil {
			plot.Alarms, plot.Link = alarms, MetricLink(v.Thing, values)
			page.Context = append(page.Context, *plot)
		}
		if set != nil {
			set.NewSince, set.Link = s.NewSince, MetricLink(v.Thing, values)
			page.Sets = append(page.Sets, *set)
		}
	}
	page.About = about
	return page
}

// FirstValue returns the time of the first value, or from if there is none, so
// that the time before a thing's first report is not drawn as a gap.
func FirstValue(list []*finding.MetricValues, from time.Time) time.Time {
	var first time.Time
	for _, values := range list {
		if len(values.Values) > 0 && (first.IsZero() || values.Values[0].Time.Before(first)) {
			first = values.Values[0].Time
		}
	}
	if first.IsZero() {
		return from
	}
	return first
}

// thresholds are the lines of a behavior's plot, and a note when AWS does not
// tell where the line is.
func thresholds(b profile.Behavior, percentile *cloud.Percentile, notes []string) ([]render.Threshold, []string) {
	c := b.Criteria
	switch {
	case percentile != nil:
		label := fmt.Sprintf("%s before the alarm, estimated from %d datapoints", percentile.Statistic, percentile.Datapoints)
		return []render.Threshold{{Label: label, Value: percentile.Value}}, notes
	case c != nil && c.MLDetectionConfig != nil:
		return nil, append(notes, "AWS does not tell what its model expects: the plot has no threshold")
	case c != nil && c.Value != nil:
		if n, ok := c.Value.Scalar(); ok {
			return []render.Threshold{{Label: "limit", Value: n}}, notes
		}
	}
	return nil, notes
}
