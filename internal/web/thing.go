package web

import (
	"bytes"
	"context"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// thingReports is how many reports the page of a thing has.
const thingReports = 10

// thing is the page of a thing: what was measured there, and its violations.
func thing(ctx context.Context, r *request) (writePage, error) {
	h, err := r.history(ctx, r.query("name"))
	if err != nil {
		return nil, err
	}
	active := 0
	for _, v := range h.violations {
		if v.Active {
			active++
		}
	}
	page := render.ThingPage{
		About: r.about, Thing: thingRow(h.thing, active), Silent: h.thing.Silent,
		Violations: explore.Violations(h.violations), Reports: reportRows(r.service.Reports(h.thing.Name, thingReports)),
	}
	from, choices := r.period(h.thing.Name)
	page.Periods = choices
	measured, err := r.measured(ctx, h, from)
	if err != nil {
		return nil, err
	}
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
	thing      service.ThingState
	violations []finding.Violation // as long as they are kept
	profiles   []cloud.AccountProfile
}

func (r *request) history(ctx context.Context, name string) (*history, error) {
	h := &history{}
	var ok bool
	var err error
	if h.thing, ok, err = r.service.Thing(ctx, name); err != nil {
		return nil, err
	}
	if !ok {
		return nil, missing("There is no thing called " + name + ", and none of that name has reported.")
	}
	if h.violations, err = r.client.History(ctx, cloud.ViolationFilter{Thing: name}, r.now.Add(-finding.ViolationRetention), r.now); err != nil {
		return nil, err
	}
	h.profiles, err = r.client.Profiles(ctx, nil)
	return h, err
}
