package profile

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
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

// use is a metric in a profile and where it's named.
type use struct {
	metric    string
	dimension *MetricDimension
	path      string
	behavior  *Behavior // nil when the metric is retained only
}

// uses returns the metrics that the profile keeps, in the order of the
// document.
func (p *Profile) uses() []use {
	var list []use
	for i := range p.Behaviors {
		b := &p.Behaviors[i]
		list = append(list, use{b.Metric, b.MetricDimension, at("behaviors", i) + ".metric", b})
	}
	for i, name := range p.AdditionalMetricsToRetain {
		list = append(list, use{name, nil, at("additionalMetricsToRetain", i), nil})
	}
	for i, m := range p.AdditionalMetricsToRetainV2 {
		list = append(list, use{m.Metric, m.MetricDimension, at("additionalMetricsToRetainV2", i) + ".metric", nil})
	}
	return slices.DeleteFunc(list, func(u use) bool { return u.metric == "" })
}

// name tells metrics of different dimensions apart.
func (u use) name() string {
	switch d := u.dimension; {
	case d == nil:
		return u.metric
	case d.Operator == "NOT_IN":
		return u.metric + " (not in " + d.DimensionName + ")"
	default:
		return u.metric + " (" + d.DimensionName + ")"
	}
}

// within sets the behavior that the problems to come are of.
func (l *linter) within(u use) {
	if l.behavior = ""; u.behavior != nil {
		l.behavior = u.behavior.Name
	}
}

func setWithoutCount(l *linter, p *Profile) {
	limited := map[string]bool{}
	for _, b := range p.Behaviors {
		c := b.Criteria
		if c != nil && (c.ComparisonOperator == LessThan || c.ComparisonOperator == LessThanEquals) {
			limited[b.Metric] = true
		}
	}
	for _, u := range p.uses() {
		count := countOf[u.metric]
		if u.behavior == nil || u.behavior.Criteria == nil || count == "" || limited[count] {
			continue
		}
		limited[count] = true // said once
		l.within(u)
		l.warn(u.path, fmt.Sprintf("a long list of %s is cut, and no behavior limits %s", u.metric, count),
			fmt.Sprintf("a behavior on %s, less-than-equals 250 or fewer", count))
	}
}

func missingContext(l *linter, p *Profile) {
	kept := map[string]bool{}
	for _, u := range p.uses() {
		kept[u.metric] = true
	}
	for _, u := range p.uses() {
		missing := contextOf[u.metric]
		if u.behavior == nil || missing == "" || kept[missing] {
			continue
		}
		kept[missing] = true // said once
		l.within(u)
		l.warn(u.path, fmt.Sprintf("when %s alarms, %s would tell more, and is not kept", u.metric, missing),
			fmt.Sprintf("{\"metric\": %q} in additionalMetricsToRetainV2", missing))
	}
}

func deprecatedRetainList(l *linter, p *Profile) {
	if p.AdditionalMetricsToRetain == nil {
		return
	}
	want := "additionalMetricsToRetainV2"
	if len(p.AdditionalMetricsToRetain) > 0 {
		want += fmt.Sprintf(" with elements as {\"metric\": %q}", p.AdditionalMetricsToRetain[0])
	}
	l.warn("additionalMetricsToRetain", "additionalMetricsToRetain is deprecated", want)
}

func retainedTwice(l *linter, p *Profile) {
	seen := map[string]bool{}
	for _, u := range p.uses() {
		if u.behavior != nil {
			continue
		}
		if seen[u.name()] {
			l.warn(u.path, u.metric+" is retained already", "each metric once")
		}
		seen[u.name()] = true
	}
}

func sameBehavior(l *linter, p *Profile) {
	if len(p.Behaviors) > MaxBehaviors { // which is an error, and too many to compare each with each
		return
	}
	for i := range p.Behaviors {
		for j := range i {
			a, b := p.Behaviors[j], p.Behaviors[i]
			if a.Name == b.Name || a.Criteria == nil || a.Metric == "" {
				continue
			}
			a.Name, b.Name = "", ""
			if reflect.DeepEqual(a, b) {
				l.behavior = p.Behaviors[i].Name
				l.warn(at("behaviors", i), fmt.Sprintf("behavior %s says the same as %s", p.Behaviors[i].Name, p.Behaviors[j].Name), "one of them")
				break
			}
		}
	}
}

func misspeltMetric(l *linter, p *Profile) {
	var bare []string // AWS's names without their aws:
	for _, m := range Metrics {
		bare = append(bare, strings.TrimPrefix(m.Name, "aws:"))
	}
	custom := slices.Sorted(maps.Keys(l.registry.CustomMetrics))
	dimensions := slices.Sorted(maps.Keys(l.registry.Dimensions))
	if len(custom) > MaxCustomMetrics || len(dimensions) > MaxDimensions || len(p.uses()) > MaxValueElements {
		return // errors or worse, and too many to compare each with each
	}
	for _, u := range p.uses() {
		l.within(u)
		if !IsAWS(u.metric) && !slices.Contains(custom, u.metric) {
			if meant := nearest(u.metric, custom); meant != "" {
				l.warn(u.path, fmt.Sprintf("custom metric %s is not in these files, and %s is", u.metric, meant), strconv.Quote(meant))
			} else if slices.Contains(bare, u.metric) {
				l.warn(u.path, fmt.Sprintf("custom metric %s has the name of an AWS metric", u.metric), strconv.Quote("aws:"+u.metric))
			}
		}
		if d := u.dimension; d != nil && !l.registry.Dimensions[d.DimensionName] {
			if meant := nearest(d.DimensionName, dimensions); meant != "" {
				l.warn(strings.TrimSuffix(u.path, ".metric")+".metricDimension.dimensionName",
					fmt.Sprintf("dimension %s is not in these files, and %s is", d.DimensionName, meant), strconv.Quote(meant))
			}
		}
	}
}

func noAlertTarget(l *linter, p *Profile) {
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

func unusedExport(l *linter, p *Profile) {
	if p.MetricsExportConfig == nil {
		return
	}
	exported := func(flag *bool) bool { return flag != nil && *flag }
	if !slices.ContainsFunc(p.Behaviors, func(b Behavior) bool { return exported(b.ExportMetric) }) &&
		!slices.ContainsFunc(p.AdditionalMetricsToRetainV2, func(m MetricToRetain) bool { return exported(m.ExportMetric) }) {
		l.warn("metricsExportConfig", "no metric is exported", "exportMetric true on a behavior or a retained metric")
	}
}

func emptyProfile(l *linter, p *Profile) {
	if len(p.uses()) == 0 && len(p.Behaviors) == 0 {
		l.warn("behaviors", fmt.Sprintf("profile %s has neither behaviors nor metrics to retain: it does nothing", p.Name), "behaviors, or metrics in additionalMetricsToRetainV2")
	}
}

func notForDetect(l *linter, a *MitigationAction) {
	if a.Params != (ActionParams{}) && a.Params.AddThingsToThingGroup == nil {
		l.warn("actionParams", fmt.Sprintf("mitigation action %s is for Audit only", a.Name),
			"addThingsToThingGroupParams, the one type that Detect takes")
	}
}
