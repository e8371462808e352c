package web

import (
	"bytes"
	"context"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// fleet is the most things whose values are read to estimate a percentile.
const fleet = 25

// violation is the page of a violation, as 'defenderctl violation show' has it.
func violation(ctx context.Context, r *request) (writePage, error) {
	v, err := r.service.Finding(ctx, r.query("id"))
	if err != nil {
		return nil, err
	}
	s, err := cloud.Around(ctx, r.service, v, r.now)
	if err != nil {
		return nil, err
	}
	percentile, reason, err := cloud.EstimatePercentile(ctx, r.service, s, fleet)
	if err != nil {
		return nil, err
	}
	if reason != "" {
		s.Notes = append(s.Notes, reason)
	}
	page := explore.ViolationPage(s, percentile, r.about)
	return func(w *bytes.Buffer) error { return render.WriteViolationHTML(w, page) }, nil
}
