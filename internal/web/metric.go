package web

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// metric is the page of one metric of a thing.
func metric(ctx context.Context, r *request) (writePage, error) {
	name := r.query("metric")
	ref := profile.MetricRef{Name: name, Dimension: r.query("dimension"), NotIn: r.query("operator") == "NOT_IN"}
	if err := profile.CheckName(name); err != nil {
		return nil, finding.NotFound("No metric is called so: " + err.Error() + ".")
	}
	m, err := r.service.Metric(ctx, name)
	if err != nil {
		return nil, err
	}
	h, err := r.history(ctx, r.query("thing"))
	if err != nil {
		return nil, err
	}
	from, choices := r.period(h.thing.Name)
	values, err := r.service.MetricValues(ctx, h.thing.Name, m, ref.MetricDimension(), from, r.now)
	if err != nil {
		return nil, err
	}
	page := render.MetricPage{About: r.about, Thing: h.thing.Name, Periods: choices}
	page.Plot, page.Set = h.views(values, explore.FirstValue([]*finding.MetricValues{values}, from), r.now)
	if page.Plot != nil {
		page.Plot.Link = "" // it is this page
	}
	return func(w *bytes.Buffer) error { return render.WriteMetricHTML(w, page) }, nil
}

// metricsOf returns each metric of the profiles once: those of behaviors, then
// those retained.
func metricsOf(profiles []profile.Profile) []profile.MetricRef {
	var each []profile.MetricRef
	for _, used := range []bool{true, false} {
		for i := range profiles {
			for _, u := range profiles[i].Uses() {
				if (u.Behavior != nil) == used && !slices.Contains(each, u.MetricRef) {
					each = append(each, u.MetricRef)
				}
			}
		}
	}
	return each
}

// views shows values with the limits and alarms of behaviors about them.
func (h *history) views(values *finding.MetricValues, from, to time.Time) (*render.Plot, *render.SetHistory) {
	plot, set := explore.Metric(values, from, to)
	if set != nil {
		set.Link = explore.MetricLink(h.thing.Name, values)
		set.NewSince = h.newSince(from, to)
		if !set.Comparable() {
			set.NewSince = time.Time{}
		}
		return nil, set
	}
	plot.Link = explore.MetricLink(h.thing.Name, values)
	about := func(b profile.Behavior) bool { return b.Ref() == values.Ref() }
	for _, v := range h.List {
		if about(v.Behavior) && (v.Ended.IsZero() || v.Ended.After(from)) {
			span := render.Span{From: v.Started, To: v.Ended}
			if span.From.Before(from) {
				span.From = from
			}
			plot.Alarms = append(plot.Alarms, span)
		}
	}
	slices.SortFunc(plot.Alarms, func(a, b render.Span) int { return a.From.Compare(b.From) })
	for _, p := range h.profiles {
		if !h.has(p.Targets) {
			continue
		}
		for _, b := range p.Behaviors {
			if limit, ok := limitOf(b); ok && about(b) {
				plot.Thresholds = append(plot.Thresholds, render.Threshold{Label: "limit of " + b.Name, Value: limit})
			}
		}
	}
	return plot, nil
}

// limitOf is the number that a behavior compares single values with. In a
// window of several reports values add up, and the limit is for their sum.
func limitOf(b profile.Behavior) (float64, bool) {
	c := b.Criteria
	if c == nil || c.Value == nil || c.Duration() > 5*time.Minute {
		return 0, false
	}
	return c.Value.Scalar()
}

// has reports whether a profile of these targets is for the thing itself: those
// of groups above its groups are left out.
func (h *history) has(targets []string) bool {
	thing := profile.Thing{Name: h.thing.Name, Registered: h.thing.Registered, Groups: h.thing.Groups}
	return slices.ContainsFunc(targets, func(text string) bool {
		target, err := profile.ParseTarget(text)
		return err == nil && target.Matches(&thing)
	})
}

// newSince divides the members of sets: new is what the last eighth of the
// period brought, or what came since shortly before the thing was in alarm, now
// or last.
func (h *history) newSince(from, to time.Time) time.Time {
	since, last := to.Add(-to.Sub(from)/8), time.Time{}
	for _, v := range h.List {
		if v.Started.After(last) {
			last = v.Started
		}
	}
	for _, v := range h.List {
		// A connection shows in the report before the one that is counted.
		const before = 12 * time.Minute
		start := v.Started.Add(-before)
		if (v.Active || v.Started.Equal(last)) && start.After(from) && start.Before(since) {
			since = start
		}
	}
	return since
}
