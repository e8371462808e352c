package profilefile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// contextOf is, for a metric that says how much, the one that says who or
// which.
var contextOf = map[string]string{
	"aws:all-bytes-out":                   destinations,
	"aws:all-bytes-in":                    destinations,
	"aws:all-packets-out":                 destinations,
	"aws:all-packets-in":                  destinations,
	"aws:num-established-tcp-connections": destinations,
	"aws:num-listening-tcp-ports":         "aws:listening-tcp-ports",
	"aws:num-listening-udp-ports":         "aws:listening-udp-ports",
	"aws:num-authorization-failures":      "aws:source-ip-address",
	"aws:num-connection-attempts":         "aws:source-ip-address",
}

// countOf is, for a metric that lists what there is, the one that says how many
// there are.
var countOf = map[string]string{
	destinations:              "aws:num-established-tcp-connections",
	"aws:listening-tcp-ports": "aws:num-listening-tcp-ports",
	"aws:listening-udp-ports": "aws:num-listening-udp-ports",
}

// within sets the behavior that the problems to come are of.
func (l *linter) within(u profile.Use) {
	if l.behavior = ""; u.Behavior != nil {
		l.behavior = u.Behavior.Name
	}
}

func setWithoutCount(l *linter, p *profile.Profile) {
	limited := map[string]bool{}
	for _, b := range p.Behaviors {
		if c := b.Criteria; c != nil {
			comparison, _ := c.ComparisonOperator.Comparison()
			limited[b.Metric] = limited[b.Metric] || comparison.Less
		}
	}
	for _, u := range p.Uses() {
		count := countOf[u.Name]
		if u.Behavior == nil || u.Behavior.Criteria == nil || count == "" || limited[count] {
			continue
		}
		limited[count] = true // said once
		l.within(u)
		l.warn(u.Path, fmt.Sprintf("a long list of %s is cut, and no behavior limits %s", u.Name, count),
			fmt.Sprintf("a behavior on %s, less-than-equals 250 or fewer", count))
	}
}

func missingContext(l *linter, p *profile.Profile) {
	kept := map[string]bool{}
	for _, u := range p.Uses() {
		kept[u.Name] = true
	}
	for _, u := range p.Uses() {
		missing := contextOf[u.Name]
		if u.Behavior == nil || missing == "" || kept[missing] {
			continue
		}
		kept[missing] = true // said once
		l.within(u)
		l.warn(u.Path, fmt.Sprintf("when %s alarms, %s would tell more, and is not kept", u.Name, missing),
			fmt.Sprintf("{\"metric\": %q} in additionalMetricsToRetainV2", missing))
	}
}

func deprecatedRetainList(l *linter, p *profile.Profile) {
	if p.AdditionalMetricsToRetain == nil {
		return
	}
	want := "additionalMetricsToRetainV2"
	if len(p.AdditionalMetricsToRetain) > 0 {
		want += fmt.Sprintf(" with elements as {\"metric\": %q}", p.AdditionalMetricsToRetain[0])
	}
	l.warn("additionalMetricsToRetain", "additionalMetricsToRetain is deprecated", want)
}

func retainedTwice(l *linter, p *profile.Profile) {
	seen := map[profile.MetricRef]bool{}
	for _, u := range p.Uses() {
		if u.Behavior != nil {
			continue
		}
		if seen[u.MetricRef] {
			l.warn(u.Path, u.Name+" is retained already", "each metric once")
		}
		seen[u.MetricRef] = true
	}
}

func sameBehavior(l *linter, p *profile.Profile) {
	first := map[string]string{} // names by what the behaviors say
	for i := range p.Behaviors {
		b := l.subject(p, i)
		if b.Criteria == nil || b.Metric == "" {
			continue
		}
		says := b.Ref().String() + encodeLine(b.Criteria)
		if compiled, err := b.Compile(b.metric.Kind); err == nil {
			says = compiled.String()
		}
		says += fmt.Sprint(b.Suppressed(), onlyTrue(b.ExportMetric) != nil)
		if other, found := first[says]; !found {
			first[says] = b.Name
		} else if other != b.Name {
			l.behavior = b.Name
			l.warn(b.path, fmt.Sprintf("behavior %s says the same as %s", b.Name, other), "one of them")
		}
	}
}

func misspeltMetric(l *linter, p *profile.Profile) {
	var bare []string // AWS's names without their aws:
	for _, m := range profile.Metrics {
		bare = append(bare, strings.TrimPrefix(m.Name, "aws:"))
	}
	custom := slices.Sorted(maps.Keys(l.registry.CustomMetrics))
	dimensions := slices.Sorted(maps.Keys(l.registry.Dimensions))
	if len(custom) > profile.MaxCustomMetrics || len(dimensions) > profile.MaxDimensions || len(p.Uses()) > profile.MaxValueElements {
		return // errors or worse, and too many to compare each with each
	}
	for _, u := range p.Uses() {
		l.within(u)
		if !profile.IsAWS(u.Name) && !slices.Contains(custom, u.Name) {
			if meant := spelling.Nearest(u.Name, custom); meant != "" {
				l.warn(u.Path, fmt.Sprintf("custom metric %s is not in these files, and %s is", u.Name, meant), strconv.Quote(meant))
			} else if slices.Contains(bare, u.Name) {
				l.warn(u.Path, fmt.Sprintf("custom metric %s has the name of an AWS metric", u.Name), strconv.Quote("aws:"+u.Name))
			}
		}
		if u.Dimension != "" && !l.registry.Dimensions[u.Dimension] {
			if meant := spelling.Nearest(u.Dimension, dimensions); meant != "" {
				l.warn(strings.TrimSuffix(u.Path, ".metric")+".metricDimension.dimensionName",
					fmt.Sprintf("dimension %s is not in these files, and %s is", u.Dimension, meant), strconv.Quote(meant))
			}
		}
	}
}

func noAlertTarget(l *linter, p *profile.Profile) {
	if len(p.AlertTargets) > 0 {
		return
	}
	for _, b := range p.Behaviors {
		if b.SuppressAlerts == nil || !*b.SuppressAlerts {
			l.warn("alertTargets", fmt.Sprintf("profile %s has no alert target: its alarms are in the console and the API only", p.Name),
				"alertTargets with an SNS topic and a role that may publish to it")
			return
		}
	}
}

func unusedExport(l *linter, p *profile.Profile) {
	if p.MetricsExportConfig == nil {
		return
	}
	exported := func(flag *bool) bool { return flag != nil && *flag }
	if !slices.ContainsFunc(p.Behaviors, func(b profile.Behavior) bool { return exported(b.ExportMetric) }) &&
		!slices.ContainsFunc(p.AdditionalMetricsToRetainV2, func(m profile.MetricToRetain) bool { return exported(m.ExportMetric) }) {
		l.warn("metricsExportConfig", "no metric is exported", "exportMetric true on a behavior or a retained metric")
	}
}

func emptyProfile(l *linter, p *profile.Profile) {
	if len(p.Uses()) == 0 && len(p.Behaviors) == 0 {
		l.warn("behaviors", fmt.Sprintf("profile %s has neither behaviors nor metrics to retain: it does nothing", p.Name), "behaviors, or metrics in additionalMetricsToRetainV2")
	}
}

func notForDetect(l *linter, a *profile.MitigationAction) {
	if a.Params != (profile.ActionParams{}) && a.Params.AddThingsToThingGroup == nil {
		l.warn("actionParams", fmt.Sprintf("mitigation action %s is for Audit only", a.Name),
			"addThingsToThingGroupParams, the one type that Detect takes")
	}
}
