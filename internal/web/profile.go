package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// securityProfile is the page of a security profile.
func securityProfile(ctx context.Context, r *request) (writePage, error) {
	name := r.query("name")
	if err := profile.CheckName(name); err != nil {
		return nil, missing("No security profile is called so: " + err.Error() + ".")
	}
	p, err := r.client.Profile(ctx, name)
	if err != nil {
		return nil, err
	}
	violations, err := r.client.History(ctx, cloud.ViolationFilter{Profile: p.Name}, r.now.Add(-finding.ViolationRetention), r.now)
	if err != nil {
		return nil, err
	}
	total, active := 0, map[string]int{}
	for _, v := range violations {
		if v.Active {
			total++
			active[v.Behavior.Name]++
		}
	}
	page := render.ProfilePage{About: r.about, Profile: profileRow(p, total), Version: p.Version, Violations: explore.Violations(violations)}
	for _, b := range p.Behaviors {
		m, err := r.client.Metric(ctx, b.Metric)
		if _, ok := errors.AsType[*finding.UnknownMetricError](err); ok {
			m, err = explore.KnownMetric(b.Metric), nil
		}
		if err != nil {
			return nil, err
		}
		page.Behaviors = append(page.Behaviors, render.BehaviorRow{
			Name: b.Name, Metric: b.Metric, Expected: profile.Expectation(b, m), Note: remark(b), Active: active[b.Name],
		})
	}
	document, err := json.MarshalIndent(&p.Profile, "", "  ")
	if err != nil {
		return nil, err
	}
	page.Document = string(document)
	return func(w *bytes.Buffer) error { return render.WriteProfileHTML(w, page) }, nil
}

// remark is what a reader must know of a behavior besides what is normal.
func remark(b profile.Behavior) string {
	var remarks []string
	if b.Criteria != nil && b.Criteria.MLDetectionConfig != nil {
		remarks = append(remarks, "machine learning is not evaluated here")
	}
	if b.Suppressed() {
		remarks = append(remarks, "alerts are suppressed")
	}
	return strings.Join(remarks, "; ")
}
