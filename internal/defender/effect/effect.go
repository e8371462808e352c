// Package effect says what of a security profile a service takes and does
// nothing about, so that nobody relies on it.
package effect

import (
	"fmt"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Header is that of answers of a service which is without something, separated
// by commas. AWS sends none.
const Header = "X-Defender-Without"

// What a service may be without.
const (
	CloudSide = "cloud-side-metrics" // nobody tells it of connections and messages
	Messages  = "message-metrics"    // nobody tells it of messages
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
		if why := unheard(b.Metric, lacks); why != "" {
			note("behavior %s is not evaluated: %s is measured in the cloud, and this service %s", b.Name, b.Metric, why)
		}
		exported = exported || b.ExportMetric != nil && *b.ExportMetric
	}
	for _, r := range profile.RetainedMetrics(p) {
		if why := unheard(r.Metric, lacks); why != "" {
			note("no values of %s are kept: it is measured in the cloud, and this service %s", r.Metric, why)
		}
		exported = exported || r.ExportMetric != nil && *r.ExportMetric
	}
	if exported && lacks[Export] {
		note("metrics are not exported: exportMetric and metricsExportConfig are kept, and this service publishes nothing")
	}
	return notes
}

// unheard says why a metric is not measured; "" if it is.
func unheard(metric string, lacks map[string]bool) string {
	m, ok := profile.FindMetric(metric)
	switch {
	case !ok || m.Side != profile.CloudSide:
		return ""
	case lacks[CloudSide]:
		return "hears of no connections and messages"
	case lacks[Messages] && slices.Contains(ofMessages, metric):
		return "hears of connections, and of no messages"
	}
	return ""
}

var ofMessages = []string{"aws:message-byte-size", "aws:num-messages-sent", "aws:num-messages-received"}
