package profilefile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// parseOne returns the one profile of a text.
func parseOne(t *testing.T, text string) *profile.Profile {
	t.Helper()
	if text == "" {
		return nil
	}
	set, problems := Parse("test", []byte(text))
	if len(problems) > 0 || len(set.Profiles) != 1 {
		t.Fatalf("%d profiles, problems %v in\n%s", len(set.Profiles), problems, text)
	}
	return &set.Profiles[0]
}

func TestDiff(t *testing.T) {
	const behavior = `{name: B, metric: 'aws:all-bytes-out', criteria: {comparisonOperator: less-than, durationSeconds: 300, value: {count: 5}}}`
	const other = `{name: C, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: [80, 443, 9]}}}`
	profile := func(rest string) string { return "securityProfileName: P\n" + rest }
	tests := []struct {
		name, old, new string
		want           []Change
	}{
		{"the same", profile("behaviors: [" + behavior + "]"), profile("behaviors: [" + behavior + "]"), nil},
		{"defaults", profile(`
behaviors: [{name: B, metric: 'aws:num-messages-sent', metricDimension: {dimensionName: d}, criteria: {comparisonOperator: less-than, durationSeconds: 300, value: {count: 5}}}]`), profile(`
securityProfileDescription: ''
alertTargets: {}
additionalMetricsToRetain: []
behaviors: [{name: B, metric: 'aws:num-messages-sent', metricDimension: {dimensionName: d, operator: IN}, suppressAlerts: false, exportMetric: false,
  criteria: {comparisonOperator: less-than, durationSeconds: 300, consecutiveDatapointsToAlarm: 1, consecutiveDatapointsToClear: 1, value: {count: 5}}}]`), nil},
		{"orders of sets", profile("behaviors: [" + other + "]\ntags: [{Key: a}, {Key: b}]\ntargets: [x, y]"),
			profile("behaviors: [{name: C, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: [9, 443, 80, 80]}}}]\ntags: [{Key: b}, {Key: a}]\ntargets: [y, x]"), nil},
		{"deprecated list", profile("additionalMetricsToRetain: ['aws:all-bytes-in', 'aws:all-bytes-out']"),
			profile("additionalMetricsToRetainV2: [{metric: 'aws:all-bytes-out'}, {metric: 'aws:all-bytes-in', exportMetric: false}]\nadditionalMetricsToRetain: ['aws:all-bytes-in']"), nil},
		{"spellings of targets", profile("targets: ['arn:aws:iot:us-east-1:123456789012:all/things', 'arn:aws:iot:us-east-1:123456789012:thinggroup/g']"),
			profile("targets: [g, all/things]"), nil},
		{"nothing said of targets and tags", profile("targets: [g]\ntags: [{Key: a}]\n"), profile("lint: {ignore: [{rule: r}]}"), nil},

		{"fields", profile("securityProfileDescription: <old>\nbehaviors: [" + behavior + "]\nmetricsExportConfig: {mqttTopic: a, roleArn: r}"), profile(`
behaviors: [{name: B, metric: 'aws:all-bytes-out', suppressAlerts: true, criteria: {comparisonOperator: less-than, consecutiveDatapointsToAlarm: 2, value: {count: 7}}}]
alertTargets: {SNS: {alertTargetArn: t, roleArn: r}}
metricsExportConfig: {mqttTopic: b, roleArn: r}`), []Change{
			{"securityProfileDescription", `"<old>"`, ``, Removed},
			{"behaviors[B].criteria.value.count", `5`, `7`, Changed},
			{"behaviors[B].criteria.durationSeconds", `300`, ``, Removed},
			{"behaviors[B].criteria.consecutiveDatapointsToAlarm", `1`, `2`, Changed},
			{"behaviors[B].suppressAlerts", ``, `true`, Added},
			{"alertTargets", ``, `{"SNS":{"alertTargetArn":"t","roleArn":"r"}}`, Added},
			{"metricsExportConfig.mqttTopic", `"a"`, `"b"`, Changed},
		}},
		{"behaviors", profile("behaviors: [" + behavior + "]"), profile("behaviors: [" + other + "]"), []Change{
			{"behaviors[B]", `{"name":"B","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":5},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}`, ``, Removed},
			{"behaviors[C]", ``, `{"name":"C","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[9,80,443]},"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}`, Added},
		}},
		{"order of behaviors", profile("behaviors: [" + behavior + "," + other + "]"), profile("behaviors: [" + other + "," + behavior + "]"),
			[]Change{{"behaviors", `["B","C"]`, `["C","B"]`, Changed}}},
		{"order of behaviors and more", profile("behaviors: [" + behavior + "," + other + "]"), profile("securityProfileDescription: d\nbehaviors: [" + other + "," + behavior + "]"),
			[]Change{{"securityProfileDescription", ``, `"d"`, Added}}},
		{"kind of threshold", profile("behaviors: [" + behavior + "]"),
			profile("behaviors: [{name: B, metric: 'aws:all-bytes-out', criteria: {comparisonOperator: less-than, durationSeconds: 300, statisticalThreshold: {statistic: p99}}}]"), []Change{
				{"behaviors[B].criteria.value", `{"count":5}`, ``, Removed},
				{"behaviors[B].criteria.statisticalThreshold", ``, `{"statistic":"p99"}`, Added},
			}},
		{"members of a set", profile("behaviors: [" + other + "]"),
			profile("behaviors: [{name: C, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: [443]}}}]"),
			[]Change{{"behaviors[C].criteria.value.ports", `[9,80,443]`, `[443]`, Changed}}},
		{"an empty set is one", profile("behaviors: [{name: C, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: []}}}]"),
			profile("behaviors: [{name: C, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {}}}]"),
			[]Change{{"behaviors[C].criteria.value.ports", `[]`, ``, Removed}}},
		{"named lists", profile("additionalMetricsToRetainV2: [{metric: m}, {metric: n, metricDimension: {dimensionName: d, operator: NOT_IN}}]\ntags: [{Key: a, Value: x}, {Key: b}]\ntargets: [g, h]"),
			profile("additionalMetricsToRetainV2: [{metric: m, exportMetric: true}, {metric: n, metricDimension: {dimensionName: d}}]\ntags: [{Key: a, Value: y}]\ntargets: []"), []Change{
				{"additionalMetricsToRetainV2[m].exportMetric", ``, `true`, Added},
				{"additionalMetricsToRetainV2[n NOT_IN d]", `{"metric":"n","metricDimension":{"dimensionName":"d","operator":"NOT_IN"}}`, ``, Removed},
				{"additionalMetricsToRetainV2[n IN d]", ``, `{"metric":"n","metricDimension":{"dimensionName":"d","operator":"IN"}}`, Added},
				{"tags[a]", `"x"`, `"y"`, Changed},
				{"tags[b]", `""`, ``, Removed},
				{"targets[thinggroup/g]", `"thinggroup/g"`, ``, Removed},
				{"targets[thinggroup/h]", `"thinggroup/h"`, ``, Removed},
			}},
		{"created", ``, profile("behaviors: [{name: B}]\ntags: [{Key: a}]"), []Change{
			{"securityProfileName", ``, `"P"`, Added}, {"behaviors[B]", ``, `{"name":"B"}`, Added}, {"tags[a]", ``, `""`, Added},
		}},
		{"deleted", profile("targets: [g]"), ``, []Change{
			{"securityProfileName", `"P"`, ``, Removed}, {"targets[thinggroup/g]", `"thinggroup/g"`, ``, Removed},
		}},
		{"behaviors of one name", profile("behaviors: [{name: B}, {name: B, metric: m}]"), profile("behaviors: [{name: B}]"),
			[]Change{{"behaviors[B#2]", `{"name":"B","metric":"m"}`, ``, Removed}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Diff(parseOne(t, test.old), parseOne(t, test.new))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDiffLeavesItsInput(t *testing.T) {
	text := "securityProfileName: P\nbehaviors: [{name: B, metric: m, suppressAlerts: false, metricDimension: {dimensionName: d}, criteria: {value: {ports: [3, 1, 2]}}}]"
	p := parseOne(t, text)
	Diff(p, nil)
	if diff := cmp.Diff(parseOne(t, text), p); diff != "" {
		t.Error(diff)
	}
}

func TestRetainedMetrics(t *testing.T) {
	p := parseOne(t, `{"securityProfileName": "P", "additionalMetricsToRetain": ["a", "b", "a"],
		"additionalMetricsToRetainV2": [{"metric": "b"}, {"metric": "a", "metricDimension": {"dimensionName": "d"}}]}`)
	want := []profile.MetricToRetain{{Metric: "b"}, {Metric: "a", MetricDimension: &profile.MetricDimension{DimensionName: "d"}}, {Metric: "a"}}
	if diff := cmp.Diff(want, profile.RetainedMetrics(p)); diff != "" {
		t.Error(diff)
	}
}
