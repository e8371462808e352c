package web

import (
	"bytes"
	"context"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// How many reports and violations the page of a thing has; plots show the latter
// too.
const (
	thingReports    = 10
	thingViolations = 1000
)

// thing is the page of a thing: what was measured there, and its violations.
func thing(ctx context.Context, r *request) (writePage, error) {
	h, err := r.history(ctx, r.query("name"))
	if err != nil {
		return nil, err
	}
	page := render.ThingPage{
		About: r.about, Thing: thingRow(h.thing), Silent: h.thing.Silent,
		Violations: violationList(h.Findings), Reports: reportRows(r.service.Reports(h.thing.Name, thingReports)),
	}
	from, choices := r.period(h.thing.Name)
	page.Periods = choices
	measured, err := r.service.Values(ctx, h.thing.Name, metricsOf(h.profiles), from, r.now)
	if err != nil {
		return nil, err
	}
	measured = slices.DeleteFunc(measured, func(values *finding.MetricValues) bool { return len(values.Values) == 0 })
	from = explore.FirstValue(measured, from)
	for _, values := range measured {
		plot, set := h.views(values, from, r.now)
		if plot != nil {
			page.Plots = append(page.Plots, *plot)
		}
		if set != nil {
			page.Sets = append(page.Sets, *set)
		}
	}
	return func(w *bytes.Buffer) error { return render.WriteThingHTML(w, page) }, nil
}

// history is a thing with what explains its values.
type history struct {
	*service.Findings // of the thing
	thing             service.ThingState
	profiles          []profile.Profile
}

func (r *request) history(ctx context.Context, name string) (*history, error) {
	h := &history{}
	var ok bool
	var err error
	if h.thing, ok, err = r.service.Thing(ctx, name); err != nil {
		return nil, err
	}
	if !ok {
		return nil, finding.NotFound("There is no thing called " + name + ", and none of that name has reported.")
	}
	if h.Findings, err = r.service.Findings(ctx, service.Scope{Thing: name}, thingViolations); err != nil {
		return nil, err
	}
	h.profiles, err = r.service.Profiles(ctx)
	return h, err
}
