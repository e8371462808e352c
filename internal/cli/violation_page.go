package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

// violationView is a violation as pages and lists show it.
func violationView(v *cloud.Violation, metric profile.Metric) render.Violation {
	return render.Violation{
		ID: v.ID, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior.Name, Metric: v.Behavior.Metric,
		State: render.State(v.State()), Expected: profile.Expectation(v.Behavior, metric), Seen: seen(v, metric),
		Verification: v.Verification, VerificationNote: v.VerificationNote,
		Started: v.Started, LastSeen: v.LastSeen, Ended: v.Ended,
		Suppressed: v.Behavior.SuppressAlerts != nil && *v.Behavior.SuppressAlerts,
	}
}

// knownMetric is what the program knows of a metric without asking for it.
func knownMetric(name string) profile.Metric {
	if m, ok := profile.FindMetric(name); ok {
		return m
	}
	return profile.Metric{Name: name, Title: name, Side: profile.Custom}
}

// seen says what was not normal: of a list, the elements that should not be
// there; of a number in alarm that changed since, both.
func seen(v *cloud.Violation, metric profile.Metric) string {
	first := v.Value
	for _, e := range v.Events {
		if e.Type == cloud.InAlarm && e.Value != nil {
			first = e.Value
			break
		}
	}
	if first == nil {
		return ""
	}
	text := valueText(v.Behavior, *first, metric)
	if v.Value != nil {
		if last := valueText(v.Behavior, *v.Value, metric); last != text {
			text += " at first, " + last + " last"
		}
	}
	return text
}

// valueText is a value of a behavior's metric in words.
func valueText(b profile.Behavior, value profile.Value, metric profile.Metric) string {
	bad, isList := cloud.Offending(b, value)
	all := profile.FormatValue(value, metric)
	if !isList {
		return all
	}
	if total, some := listLength(value), listLength(bad); some > 0 && some < total {
		return profile.FormatValue(bad, metric) + " (of " + strconv.Itoa(total) + ")"
	}
	return all
}

func listLength(v profile.Value) int {
	return len(v.CIDRs) + len(v.Ports) + len(v.Numbers) + len(v.Strings)
}

// violationPage is everything about a violation.
func violationPage(s *cloud.Surroundings, percentile *cloud.Percentile, about render.About) render.ViolationPage {
	v := s.Violation
	about.Notes = append(about.Notes, s.Notes...)
	page := render.ViolationPage{Violation: violationView(v, s.Metric)}
	alarms := []render.Span{{From: v.Started, To: v.Ended}}
	if v.Started.IsZero() {
		alarms[0].From = s.From
	}
	for _, e := range v.Events {
		event := render.Event{Time: e.Time, Type: render.State(e.Type)}
		if e.Value != nil {
			event.Value = profile.FormatValue(*e.Value, s.Metric)
			if e.Type == cloud.InAlarm {
				event.Value = valueText(v.Behavior, *e.Value, s.Metric)
			}
		}
		page.Timeline = append(page.Timeline, event)
	}
	from := firstValue(s)
	if plot, set := metricViews(s.Values, from, s.To); plot != nil {
		plot.Alarms = alarms
		plot.Thresholds, about.Notes = thresholds(v.Behavior, percentile, about.Notes)
		page.Plot = plot
	} else if set != nil {
		set.NewSince = s.NewSince
		page.Sets = append(page.Sets, *set)
	}
	for _, values := range s.Context {
		plot, set := metricViews(values, from, s.To)
		if plot != nil {
			plot.Alarms = alarms
			page.Context = append(page.Context, *plot)
		}
		if set != nil {
			set.NewSince = s.NewSince
			page.Sets = append(page.Sets, *set)
		}
	}
	page.About = about
	return page
}

// firstValue is where plots begin: what a thing did not report before its first
// report is not a gap.
func firstValue(s *cloud.Surroundings) time.Time {
	first := s.To
	for _, values := range append([]*cloud.MetricValues{s.Values}, s.Context...) {
		if len(values.Values) > 0 && values.Values[0].Time.Before(first) {
			first = values.Values[0].Time
		}
	}
	if first.Equal(s.To) {
		return s.From
	}
	return first
}

// thresholds are the lines of a behavior's plot, and a note when AWS does not
// tell where the line is.
func thresholds(b profile.Behavior, percentile *cloud.Percentile, notes []string) ([]render.Threshold, []string) {
	c := b.Criteria
	switch {
	case percentile != nil:
		label := fmt.Sprintf("%s before the alarm, estimated from %s", percentile.Statistic, countOf(percentile.Datapoints, "datapoint", "datapoints"))
		return []render.Threshold{{Label: label, Value: percentile.Value}}, notes
	case c != nil && c.MLDetectionConfig != nil:
		return nil, append(notes, "AWS does not tell what its model expects: the plot has no threshold")
	case c != nil && c.Value != nil:
		if n, ok := number(*c.Value); ok {
			return []render.Threshold{{Label: "limit", Value: n}}, notes
		}
	}
	return nil, notes
}

// number is a value as a number.
func number(v profile.Value) (float64, bool) {
	switch {
	case v.Count != nil:
		return float64(*v.Count), true
	case v.Number != nil:
		return *v.Number, true
	}
	return 0, false
}

// members are the elements of a value that is a list; nil when it's none.
func members(v profile.Value) []string {
	switch {
	case v.CIDRs != nil:
		return v.CIDRs
	case v.Strings != nil:
		return v.Strings
	case v.Ports != nil:
		return mapped(v.Ports, func(p int32) string { return strconv.Itoa(int(p)) })
	case v.Numbers != nil:
		return mapped(v.Numbers, formatNumber)
	}
	return nil
}

func mapped[T, U any](list []T, of func(T) U) []U {
	out := make([]U, len(list))
	for i, e := range list {
		out[i] = of(e)
	}
	return out
}

// formatNumber writes a number without an exponent or needless digits.
func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// metricViews are the values of a metric as a plot or as a set; the kind of
// the values decides, and without any that of the metric.
func metricViews(values *cloud.MetricValues, from, to time.Time) (*render.Plot, *render.SetHistory) {
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
		if n, ok := number(v.Value); ok {
			series.Points = append(series.Points, render.Point{Time: v.Time, Value: n})
		} else if list := members(v.Value); list != nil {
			set.Points = append(set.Points, render.SetPoint{Time: v.Time, Members: list})
		}
	}
	if len(set.Points) > 0 || len(series.Points) == 0 && isSet(m) {
		return nil, set
	}
	return &render.Plot{Title: title, Metric: m.Name, Unit: m.Unit, Series: []render.Series{series}, From: from, To: to}, nil
}

// isSet reports whether the metric's values are lists.
func isSet(m profile.Metric) bool {
	return m.Kind != "" && m.Kind != profile.Count && m.Kind != profile.Number
}
