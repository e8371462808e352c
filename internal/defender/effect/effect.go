// Package effect says what of a security profile a service takes and does
// nothing about, so that nobody relies on it.
package effect

import (
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Header is that of answers of a service which is without something, separated
// by commas. AWS sends none.
const Header = "X-Defender-Without"

// What a service may be without.
const (
	CloudSide = "cloud-side-metrics" // nobody tells it of connections and messages
	Export    = "metric-export"
	ML        = "ml-detect"
)

// Notes lists what of the profile is without effect in a service that is
// without those things.
func Notes(p *profile.Profile, without []string) []string {
	lacks := map[string]bool{}
	for _, what := range without {
		lacks[what] = true
	}
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	exported := p.MetricsExportConfig != nil
	for i := range p.Behaviors {
		b := &p.Behaviors[i]
		if c := b.Criteria; lacks[ML] && c != nil && c.MLDetectionConfig != nil {
			note("behavior %s is not evaluated: ML Detect needs AWS's models", b.Name)
		}
		if lacks[CloudSide] && cloudSide(b.Metric) {
			note("behavior %s is not evaluated: %s is measured in the cloud, and this service hears of no connections and messages", b.Name, b.Metric)
		}
		exported = exported || b.ExportMetric != nil && *b.ExportMetric
	}
	for _, r := range profile.RetainedMetrics(p) {
		if lacks[CloudSide] && cloudSide(r.Metric) {
			note("no values of %s are kept: it is measured in the cloud, and this service hears of no connections and messages", r.Metric)
		}
		exported = exported || r.ExportMetric != nil && *r.ExportMetric
	}
	if exported && lacks[Export] {
		note("metrics are not exported: exportMetric and metricsExportConfig are kept, and this service publishes nothing")
	}
	return notes
}

func cloudSide(metric string) bool {
	m, ok := profile.FindMetric(metric)
	return ok && m.Side == profile.CloudSide
}
