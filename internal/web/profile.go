package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

// securityProfile is the page of a security profile.
func securityProfile(ctx context.Context, r *request) (writePage, error) {
	name := r.query("name")
	if err := profile.CheckName(name); err != nil {
		return nil, finding.NotFound("No security profile is called so: " + err.Error() + ".")
	}
	p, version, err := r.service.Profile(ctx, name)
	if err != nil {
		return nil, err
	}
	found, err := r.service.Findings(ctx, service.Scope{Profile: name}, mostViolations)
	if err != nil {
		return nil, err
	}
	page := render.ProfilePage{About: r.about, Profile: profileRow(p, found.Active), Version: version, Violations: violationList(found)}
	for _, b := range p.Behaviors {
		m, err := r.service.Metric(ctx, b.Metric)
		if _, ok := errors.AsType[*finding.UnknownMetricError](err); ok {
			m, err = profile.KnownMetric(b.Metric), nil
		}
		if err != nil {
			return nil, err
		}
		page.Behaviors = append(page.Behaviors, render.BehaviorRow{
			Name: b.Name, Metric: b.Metric, Expected: profile.Expectation(b, m), Note: remark(b), Active: found.ByBehavior[b.Name],
		})
	}
	document, err := json.MarshalIndent(p, "", "  ")
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
