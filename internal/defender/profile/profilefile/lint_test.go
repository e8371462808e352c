package profilefile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// sound is all that a profile needs for no rule to say anything of it but of
// its behaviors.
const sound = `securityProfileName: P
alertTargets: {SNS: {alertTargetArn: "arn:aws:sns:us-east-1:123456789012:t", roleArn: "arn:aws:iam::123456789012:role/r"}}
additionalMetricsToRetainV2: [{metric: aws:destination-ip-addresses}, {metric: aws:listening-tcp-ports}, {metric: aws:listening-udp-ports}, {metric: aws:source-ip-address}]
`

// behaving is a sound profile with behaviors B, C and so on, each given as its
// metric and its criteria, and behind them the counts that lists want beside
// them.
func behaving(behaviors ...string) string {
	text := sound + "behaviors:\n"
	for i, b := range behaviors {
		metric, criteria, _ := strings.Cut(b, " ")
		text += fmt.Sprintf("- {name: %c, metric: %s, criteria: {%s}}\n", 'B'+i, metric, criteria)
	}
	return text + counting(text)
}

// counting are behaviors that limit the numbers of what the text compares with
// sets, as far as it does not limit them itself.
func counting(text string) string {
	var counts string
	for _, c := range []struct{ list, count string }{
		{"aws:destination-ip-addresses", "aws:num-established-tcp-connections"},
		{"aws:listening-tcp-ports", "aws:num-listening-tcp-ports"},
		{"aws:listening-udp-ports", "aws:num-listening-udp-ports"},
	} {
		if strings.Contains(text, ", metric: "+c.list) && !strings.Contains(text, ", metric: "+c.count) {
			counts += fmt.Sprintf("- {name: %s, metric: %s, criteria: {comparisonOperator: less-than-equals, value: {count: 250}, durationSeconds: 300}}\n", c.count[4:], c.count)
		}
	}
	return counts
}

// lint returns what Lint says of valid documents, as "rule path".
func lint(t *testing.T, documents string, o LintContext) []string {
	t.Helper()
	set, problems := Parse("a.yaml", []byte(documents))
	if problems = append(problems, set.Validate()...); problems != nil {
		t.Fatalf("not valid: %v\n%s", problems, documents)
	}
	return briefly(Lint(set, o))
}

func briefly(problems []profile.Problem) []string {
	var brief []string
	for _, p := range problems {
		brief = append(brief, p.Rule+" "+strings.TrimPrefix(p.Path, "behaviors[0].criteria."))
	}
	return brief
}

func TestDurationBelowInterval(t *testing.T) {
	set, _ := Parse("a.yaml", []byte(behaving("aws:all-bytes-out comparisonOperator: less-than, value: {count: 2}, durationSeconds: 300")))
	const want = "durationSeconds 300 is less than the time between two reports, an hour: most periods have no data"
	if got := Lint(set, LintContext{Interval: time.Hour}); len(got) != 1 || got[0].Message != want || got[0].Want != "3600 or more, or an interval of 5 minutes or less" {
		t.Errorf("%v", got)
	}
}

// TestLintOfWhatIsNotRead checks that nothing is said to be missing that is
// there and could not be read.
func TestLintOfWhatIsNotRead(t *testing.T) {
	for _, text := range []string{
		`{"securityProfileName":"P","Behaviors":[{"name":"B"}],"alertTarget":{}}`,
		`{"securityProfileName":"P","behaviors":{"name":"B"}}`,
	} {
		set, problems := Parse("a.json", []byte(text))
		if got := Lint(set, LintContext{}); len(problems) == 0 || got != nil {
			t.Errorf("%s: problems %v, lint %v", text, problems, got)
		}
	}
}

// lintBehaviorTests are behaviors and what is said of them. Most are from the
// reference of Detect's grammar, its errors in the documentation's examples
// and its list of what is probably not meant.
var lintBehaviorTests = []struct {
	behavior string
	context  LintContext
	want     string // "" is nothing
}{
	// Documented examples that are right.
	{behavior: "aws:num-listening-tcp-ports comparisonOperator: less-than-equals, value: {count: 5}, durationSeconds: 300"},
	{behavior: "aws:num-established-tcp-connections comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 900"},
	{behavior: "aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [443, 80]}"},
	{behavior: "aws:destination-ip-addresses comparisonOperator: not-in-cidr-set, value: {cidrs: [12.8.0.0/16, 15.102.16.0/24]}"},
	{behavior: "aws:disconnect-duration comparisonOperator: less-than-equals, value: {count: 5}"},
	{behavior: "aws:all-bytes-out mlDetectionConfig: {confidenceLevel: HIGH}"},
	{behavior: "batteryPercentage comparisonOperator: greater-than, value: {number: 75}"},
	{behavior: "aws:message-byte-size comparisonOperator: less-than, value: {count: 128}"},

	// The tutorial's operator, and the AWS CLI's own example of a violation.
	{"aws:all-packets-out comparisonOperator: greater-than, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 2", LintContext{}, "inverted-operator comparisonOperator"},
	{"aws:num-authorization-failures comparisonOperator: greater-than, value: {count: 10}, durationSeconds: 300", LintContext{}, "inverted-operator comparisonOperator"},
	{"aws:message-byte-size comparisonOperator: greater-than, value: {count: 128}", LintContext{}, "inverted-operator comparisonOperator"},
	{"aws:all-bytes-in comparisonOperator: greater-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300", LintContext{}, "inverted-operator comparisonOperator"},
	{"aws:all-bytes-in comparisonOperator: less-than, statisticalThreshold: {statistic: p10}, durationSeconds: 300", LintContext{}, "inverted-operator comparisonOperator"},
	{"aws:all-bytes-in comparisonOperator: greater-than, statisticalThreshold: {statistic: p1}, durationSeconds: 300", LintContext{}, ""},
	{"aws:all-bytes-in comparisonOperator: less-than, statisticalThreshold: {statistic: p50}, durationSeconds: 300", LintContext{}, ""},
	{"aws:num-messages-sent comparisonOperator: greater-than, value: {count: 0}, durationSeconds: 3600", LintContext{}, ""},
	{"aws:all-packets-out comparisonOperator: greater-than-equals, value: {count: 1}, durationSeconds: 3600", LintContext{}, ""},
	{"aws:num-authorization-failures comparisonOperator: greater-than, value: {count: 0}, durationSeconds: 300", LintContext{}, "inverted-operator comparisonOperator"},

	{"aws:num-disconnects comparisonOperator: less-than, value: {count: 0}, durationSeconds: 300", LintContext{}, "always-violated value.count"},
	{"temperature comparisonOperator: less-than, value: {number: 0}", LintContext{}, ""},
	{"aws:source-ip-address comparisonOperator: not-in-cidr-set, value: {cidrs: [0.0.0.0/0]}", LintContext{}, "always-violated value.cidrs"},
	{"aws:source-ip-address comparisonOperator: not-in-cidr-set, value: {cidrs: ['::/1', '8000::/1']}", LintContext{}, "always-violated value.cidrs"},
	{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: []}", LintContext{}, "always-violated value.cidrs"},
	{"aws:listening-udp-ports comparisonOperator: in-port-set, value: {ports: []}", LintContext{}, ""},

	{"aws:num-disconnects comparisonOperator: greater-than-equals, value: {count: 0}, durationSeconds: 300", LintContext{}, "always-met value.count"},
	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: ['0.0.0.0/0', '::/0']}", LintContext{}, "always-met value.cidrs"},
	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: ['0.0.0.0/0']}", LintContext{}, ""},
	{"aws:listening-tcp-ports comparisonOperator: not-in-port-set, value: {ports: []}", LintContext{}, "always-met value.ports"},

	// With how many things a percentile says more than their extremes.
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300", LintContext{Things: 1}, "percentile-few-things statisticalThreshold"},
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300", LintContext{Things: 9}, "percentile-few-things statisticalThreshold"},
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300", LintContext{Things: 10}, ""},
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3", LintContext{Things: 9_999}, "percentile-few-things statisticalThreshold"},
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3", LintContext{Things: 10_000}, ""},
	{"aws:all-bytes-in comparisonOperator: greater-than-equals, statisticalThreshold: {statistic: p0.1}, durationSeconds: 300", LintContext{Things: 999}, "percentile-few-things statisticalThreshold"},
	{"aws:all-bytes-in comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p100}, durationSeconds: 300", LintContext{Things: 2}, ""},

	{"aws:all-bytes-out comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 1", LintContext{}, "single-datapoint consecutiveDatapointsToAlarm"},
	{"aws:all-bytes-out comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.9}, durationSeconds: 300", LintContext{}, "single-datapoint consecutiveDatapointsToAlarm"},
	{"aws:num-listening-tcp-ports comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.9}, durationSeconds: 300", LintContext{}, ""},

	{"aws:all-bytes-out comparisonOperator: less-than-equals, value: {count: 1000}", LintContext{}, "no-duration value.count"},
	{"aws:num-listening-udp-ports comparisonOperator: less-than-equals, value: {count: 5}", LintContext{}, "no-duration value.count"},
	{"aws:num-established-tcp-connections comparisonOperator: less-than-equals, value: {count: 5}", LintContext{}, ""},
	{"aws:num-established-tcp-connections comparisonOperator: less-than-equals, value: {count: 1000}", LintContext{}, ""},

	{"aws:all-bytes-out comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300", LintContext{Interval: 10 * time.Minute}, "duration-below-interval durationSeconds"},
	{"aws:all-bytes-out comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300", LintContext{Interval: 5 * time.Minute}, ""},
	{"aws:num-messages-sent comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300", LintContext{Interval: time.Hour}, ""},

	{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: [52.0.0.0/8]}", LintContext{}, "local-addresses value.cidrs"},
	{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: [52.0.0.0/8, 10.1.0.0/16, 127.0.0.0/8]}", LintContext{}, "local-addresses value.cidrs"},
	{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: [52.0.0.0/8, 10.1.0.0/16, 127.0.0.1, '::1']}", LintContext{}, ""},
	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: [52.0.0.0/8]}", LintContext{}, ""},

	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: [10.0.0.0/8, 192.168.1.7/16]}", LintContext{}, "host-bits value.cidrs[1]"},
	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: [10.1.2.0/24, 10.0.0.0/8]}", LintContext{}, "redundant-element value.cidrs[0]"},
	{"aws:source-ip-address comparisonOperator: in-cidr-set, value: {cidrs: [10.1.2.3, 10.1.2.3/32]}", LintContext{}, "redundant-element value.cidrs[1]"},
	{"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22, 443, 22]}", LintContext{}, "redundant-element value.ports[2]"},
	{"states comparisonOperator: in-set, value: {strings: [a, b, a]}", LintContext{}, "redundant-element value.strings[2]"},
	{"levels comparisonOperator: in-set, value: {numbers: [1, 1.0]}", LintContext{}, "redundant-element value.numbers[1]"},

	// 25,000 datapoints in 14 days: 7 things at 5 minutes, 40 at 30.
	{"aws:all-bytes-out mlDetectionConfig: {confidenceLevel: HIGH}", LintContext{Things: 6, Interval: 5 * time.Minute}, "ml-few-datapoints mlDetectionConfig"},
	{"aws:all-bytes-out mlDetectionConfig: {confidenceLevel: HIGH}", LintContext{Things: 7, Interval: 5 * time.Minute}, ""},
	{"aws:all-bytes-out mlDetectionConfig: {confidenceLevel: HIGH}", LintContext{Things: 37, Interval: 30 * time.Minute}, "ml-few-datapoints mlDetectionConfig"},
	{"aws:all-bytes-out mlDetectionConfig: {confidenceLevel: HIGH}", LintContext{Things: 40, Interval: 30 * time.Minute}, ""},
	{"aws:num-messages-sent mlDetectionConfig: {confidenceLevel: HIGH}", LintContext{Things: 7, Interval: time.Hour}, ""},
}

func TestLintBehaviors(t *testing.T) {
	for _, test := range lintBehaviorTests {
		got := strings.Join(lint(t, behaving(test.behavior), test.context), ", ")
		if got != test.want {
			t.Errorf("%s, %+v:\n got %q\nwant %q", test.behavior, test.context, got, test.want)
		}
	}
}

// lintProfileTests are documents and what is said of them.
var lintProfileTests = []struct {
	name      string
	documents string
	context   LintContext
	want      []string
}{
	{"percentile of a custom metric", "metricName: temperature\nmetricType: number\n---\n" +
		behaving("temperature comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300"), LintContext{},
		[]string{"percentile-negative statisticalThreshold"}},
	{"suppressed", sound + `behaviors:
- {name: B, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22]}}, suppressAlerts: true}
- {name: C, metric: aws:num-listening-tcp-ports, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}, suppressAlerts: false}
`, LintContext{}, []string{"suppressed behaviors[0].suppressAlerts"}},
	{"nothing but what to retain", "securityProfileName: P\nadditionalMetricsToRetainV2: [{metric: aws:all-bytes-out}]", LintContext{}, nil},
	{"nothing at all", "securityProfileName: P", LintContext{}, []string{"empty-profile behaviors"}},
	{"no alert target", `securityProfileName: P
behaviors: [{name: B, metric: aws:disconnect-duration, criteria: {comparisonOperator: less-than, value: {count: 5}}}]
`, LintContext{}, []string{"no-alert-target alertTargets"}},
	{"no alert target, and no alerts", `securityProfileName: P
behaviors: [{name: B, metric: aws:disconnect-duration, criteria: {comparisonOperator: less-than, value: {count: 5}}, suppressAlerts: true}]
`, LintContext{Ignore: []string{"suppressed"}}, nil},
	{"retained in two lists", "securityProfileName: P\nadditionalMetricsToRetain: [aws:all-bytes-out]\nadditionalMetricsToRetainV2: [{metric: aws:all-bytes-out}, {metric: aws:all-bytes-in}]", LintContext{},
		[]string{"deprecated-retain-list additionalMetricsToRetain", "retained-twice additionalMetricsToRetainV2[0].metric"}},
	{"retained with and without a dimension", "securityProfileName: P\nadditionalMetricsToRetainV2: [{metric: aws:num-messages-sent}, {metric: aws:num-messages-sent, metricDimension: {dimensionName: d}}, {metric: aws:num-messages-sent, metricDimension: {dimensionName: d, operator: NOT_IN}}]", LintContext{}, nil},
	{"no context", strings.Replace(behaving(
		"aws:all-bytes-out comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300",
		"aws:all-bytes-in comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300",
		"aws:num-listening-tcp-ports comparisonOperator: less-than-equals, value: {count: 5}, durationSeconds: 300",
		"aws:num-listening-udp-ports comparisonOperator: less-than-equals, value: {count: 5}, durationSeconds: 300",
		"aws:listening-tcp-ports comparisonOperator: not-in-port-set, value: {ports: [23]}",
		"aws:num-authorization-failures comparisonOperator: less-than-equals, value: {count: 5}, durationSeconds: 300",
	), "additionalMetricsToRetainV2", "#", 1), LintContext{},
		// The ports are kept: a behavior uses them.
		[]string{"missing-context behaviors[0].metric", "missing-context behaviors[3].metric", "missing-context behaviors[5].metric"}},
	{"sets without counts", sound + `behaviors:
- {name: B, metric: aws:destination-ip-addresses, criteria: {comparisonOperator: not-in-cidr-set, value: {cidrs: [192.0.2.0/24]}}}
- {name: C, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22]}}}
- {name: D, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: not-in-port-set, value: {ports: [23]}}}
- {name: E, metric: aws:listening-udp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [53]}}}
- {name: F, metric: aws:source-ip-address, criteria: {comparisonOperator: not-in-cidr-set, value: {cidrs: [192.0.2.0/24]}}}
`, LintContext{}, []string{"set-without-count behaviors[0].metric", "set-without-count behaviors[1].metric", "set-without-count behaviors[3].metric"}},
	{"sets with counts", sound + `behaviors:
- {name: B, metric: aws:destination-ip-addresses, criteria: {comparisonOperator: not-in-cidr-set, value: {cidrs: [192.0.2.0/24]}}}
- {name: C, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22]}}}
- {name: D, metric: aws:num-established-tcp-connections, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p90}, durationSeconds: 300}}
- {name: E, metric: aws:num-listening-tcp-ports, criteria: {comparisonOperator: less-than, value: {count: 251}, durationSeconds: 300}}
`, LintContext{}, nil},
	{"a count that sets no upper limit", sound + `behaviors:
- {name: B, metric: aws:listening-udp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [53]}}}
- {name: C, metric: aws:num-listening-udp-ports, criteria: {comparisonOperator: greater-than-equals, value: {count: 2}, durationSeconds: 300}}
`, LintContext{Ignore: []string{"inverted-operator"}}, []string{"set-without-count behaviors[0].metric"}},
	{"a list that is kept and not compared", "securityProfileName: P\nadditionalMetricsToRetainV2: [{metric: aws:listening-tcp-ports}]", LintContext{}, nil},
	{"a copy", behaving(
		"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22]}",
		"aws:listening-udp-ports comparisonOperator: in-port-set, value: {ports: [22]}",
		"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22]}",
	), LintContext{}, []string{"same-behavior behaviors[2]"}},
	{"a copy in other words", behaving(
		"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22, 443]}",
		"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [443, 22]}, consecutiveDatapointsToAlarm: 1",
		"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [443, 22]}, consecutiveDatapointsToAlarm: 2",
	), LintContext{}, []string{"same-behavior behaviors[1]"}},
	{"misspelt", "metricName: cpu_usage\nmetricType: number\n---\nname: telemetry\ntype: TOPIC_FILTER\nstringValues: [telemetry/#]\n---\n" + sound + `behaviors:
- {name: B, metric: cpu-usgae, criteria: {comparisonOperator: less-than, value: {number: 90}}}
- {name: C, metric: listening-tcp-ports, criteria: {comparisonOperator: in-cidr-set, value: {cidrs: [10.0.0.0/8]}}}
- {name: D, metric: aws:num-messages-sent, metricDimension: {dimensionName: telemetri}, criteria: {comparisonOperator: less-than, value: {count: 90}, durationSeconds: 300}}
- {name: E, metric: cpu_usage, criteria: {comparisonOperator: less-than, value: {number: 90}}}
- {name: F, metric: humidity, criteria: {comparisonOperator: less-than, value: {number: 90}}}
`, LintContext{}, []string{"misspelt-metric behaviors[0].metric", "misspelt-metric behaviors[1].metric", "misspelt-metric behaviors[2].metricDimension.dimensionName"}},
	{"nothing is exported", sound + "metricsExportConfig: {mqttTopic: a, roleArn: 'arn:aws:iam::123456789012:role/r'}", LintContext{}, []string{"unused-export metricsExportConfig"}},
	{"something is exported", "securityProfileName: P\nmetricsExportConfig: {mqttTopic: a, roleArn: 'arn:aws:iam::123456789012:role/r'}\nadditionalMetricsToRetainV2: [{metric: aws:all-bytes-out, exportMetric: true}]", LintContext{}, nil},
	{"actions of Audit", "actionName: a\nroleArn: arn:aws:iam::123456789012:role/r\nactionParams: {updateDeviceCertificateParams: {action: DEACTIVATE}}\n---\n" +
		"actionName: b\nroleArn: arn:aws:iam::123456789012:role/r\nactionParams: {addThingsToThingGroupParams: {thingGroupNames: [quarantine]}}", LintContext{},
		[]string{"not-for-detect actionParams"}},
	{"the operator's mistake twice", behaving(
		"aws:num-disconnects comparisonOperator: greater-than, value: {count: 5}, durationSeconds: 300",
		"aws:num-disconnects comparisonOperator: greater-than, value: {count: 6}, durationSeconds: 300",
	) + "lint: {ignore: [{rule: inverted-operator, behavior: C, reason: a test}]}", LintContext{}, []string{"inverted-operator comparisonOperator"}},
	{"silenced in the whole profile", behaving(
		"aws:num-disconnects comparisonOperator: greater-than, value: {count: 5}, durationSeconds: 300",
		"aws:num-disconnects comparisonOperator: greater-than, value: {count: 6}, durationSeconds: 300",
	) + "lint: {ignore: [{rule: inverted-operator}]}", LintContext{}, nil},
	{"silenced on the command line", behaving("aws:num-disconnects comparisonOperator: greater-than, value: {count: 5}, durationSeconds: 300") +
		"lint: {ignore: [{rule: host-bits}]}", LintContext{Ignore: []string{"inverted-operator", "unused-ignore"}}, nil},
	{"nothing to silence", behaving("aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22]}") +
		"lint: {ignore: [{rule: suppressed}, {rule: suppressed, behavior: B}, {rule: percentile-few-things}, {rule: sample-violates}]}", LintContext{Things: 4},
		// Without a sample nobody knows what it would say.
		[]string{"unused-ignore lint.ignore[0]", "unused-ignore lint.ignore[1]", "unused-ignore lint.ignore[2]"}},
	{"ignores that are wrong", behaving("aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22]}") +
		"lint: {ignore: [{rule: supressed}, {rule: duration}, {reason: none}, {rule: suppressed, behavior: b}]}", LintContext{},
		[]string{"lint-ignore lint.ignore[0].rule", "lint-ignore lint.ignore[1].rule", "lint-ignore lint.ignore[2]", "lint-ignore lint.ignore[3].behavior"}},
}

func TestLintProfiles(t *testing.T) {
	for _, test := range lintProfileTests {
		if diff := cmp.Diff(test.want, lint(t, test.documents, test.context)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// gateway is a report of a core: it listens for MQTT and SSH, and talks to AWS
// and to itself.
var gateway = Sample{Name: "gateway.json", Values: map[string]profile.Value{
	"aws:listening-tcp-ports":             {Ports: []int32{22, 8883}},
	"aws:listening-udp-ports":             {Ports: []int32{}},
	"aws:num-listening-tcp-ports":         {Count: new(int64(2))},
	"aws:num-listening-udp-ports":         {Count: new(int64(0))},
	"aws:num-established-tcp-connections": {Count: new(int64(3))},
	"aws:destination-ip-addresses":        {CIDRs: []string{"127.0.0.1", "52.94.1.1", "2600:1f18::1"}},
	"aws:all-bytes-out":                   {Count: new(int64(7_000_000))},
	"cpu_usage":                           {Number: new(60.0)},
	"states":                              {Strings: []string{"up", "idle"}},
}}

func TestLintWithSamples(t *testing.T) {
	for _, test := range []struct {
		behavior, rule, message string
	}{
		{"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22]}", "sample-violates", "gateway.json: the host listens on TCP 8883, which the behavior forbids"},
		{"aws:listening-tcp-ports comparisonOperator: in-port-set, value: {ports: [22, 8883, 443]}", "", ""},
		{"aws:listening-tcp-ports comparisonOperator: not-in-port-set, value: {ports: [21, 22]}", "sample-violates", "gateway.json: the host listens on TCP 22, which the behavior forbids"},
		{"aws:listening-udp-ports comparisonOperator: in-port-set, value: {ports: []}", "", ""},
		{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: [127.0.0.0/8, '::1', 10.0.0.0/8, 52.94.0.0/16]}", "sample-violates", "gateway.json: there are connections to 2600:1f18::1, which the behavior forbids"},
		{"aws:destination-ip-addresses comparisonOperator: in-cidr-set, value: {cidrs: ['::ffff:127.0.0.0/104', '::1', '2600::/16', 10.0.0.0/8, '::ffff:52.94.0.0/112']}", "", ""},
		{"aws:num-listening-tcp-ports comparisonOperator: less-than, value: {count: 2}, durationSeconds: 300", "sample-violates", "gateway.json: 2 listening TCP ports, and normal is fewer than 2 listening TCP ports in 5 minutes"},
		{"aws:num-listening-tcp-ports comparisonOperator: less-than-equals, value: {count: 2}, durationSeconds: 300", "", ""},
		// The time that the sample's bytes are of is not known.
		{"aws:all-bytes-out comparisonOperator: less-than-equals, value: {count: 2}, durationSeconds: 300", "", ""},
		{"cpu_usage comparisonOperator: less-than, value: {number: 50}", "sample-violates", "gateway.json: 60 of cpu_usage, and normal is less than 50 of cpu_usage"},
		{"states comparisonOperator: not-in-set, value: {strings: [idle]}", "sample-violates", "gateway.json: states has idle, which the behavior forbids"},
		{"memory_usage comparisonOperator: less-than, value: {number: 50}", "unreported-metric", "memory_usage is not in gateway.json"},
		{"aws:num-disconnects comparisonOperator: less-than, value: {count: 50}, durationSeconds: 300", "", ""},
	} {
		set, problems := Parse("a.yaml", []byte(behaving(test.behavior)))
		if problems = append(problems, set.Validate()...); problems != nil {
			t.Fatal(problems)
		}
		var want []string
		if test.rule != "" {
			want = []string{test.rule + ": " + test.message}
		}
		var got []string
		for _, p := range Lint(set, LintContext{Samples: []Sample{gateway}}) {
			got = append(got, p.Rule+": "+p.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", test.behavior, diff)
		}
	}
	// Registered with one type, reported with another.
	documents := "metricName: cpu_usage\nmetricType: number-list\n---\n" + sound
	if got := lint(t, documents+"behaviors: [{name: B, metric: cpu_usage, criteria: {comparisonOperator: in-set, value: {numbers: [1]}}}]", LintContext{Samples: []Sample{gateway}}); !slices.Equal(got, []string{"unreported-metric behaviors[0].metric"}) {
		t.Errorf("got %q", got)
	}
}

// The profile that everybody copies.
func TestLintTutorial(t *testing.T) {
	set, problems, err := Load([]string{"testdata/data-exfiltration-check.json"}, nil)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	const file = "testdata/data-exfiltration-check.json"
	want := []profile.Problem{
		{File: file, Line: 1, Column: 1, Path: "alertTargets", Rule: "no-alert-target"},
		{File: file, Line: 9, Column: 39, Path: "behaviors[0].criteria.comparisonOperator", Rule: "inverted-operator"},
		{File: file, Line: 11, Column: 49, Path: "behaviors[0].criteria.consecutiveDatapointsToAlarm", Rule: "single-datapoint"},
		{File: file, Line: 13, Column: 41, Path: "behaviors[0].criteria.statisticalThreshold", Rule: "percentile-few-things"},
		{File: file, Line: 19, Column: 34, Path: "additionalMetricsToRetain", Rule: "deprecated-retain-list"},
	}
	got := Lint(set, LintContext{Things: 1, Interval: 5 * time.Minute})
	for i := range got {
		if got[i].Severity != profile.Warning || got[i].Want == "" {
			t.Errorf("%+v", got[i])
		}
		got[i].Severity, got[i].Message, got[i].Want = 0, "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each rule finds something in these tests, and says what it is about.
func TestLintRules(t *testing.T) {
	found := map[string]bool{"sample-violates": true, "unreported-metric": true} // TestLintWithSamples
	for _, test := range lintBehaviorTests {
		rule, _, _ := strings.Cut(test.want, " ")
		found[rule] = true
	}
	for _, test := range lintProfileTests {
		for _, want := range test.want {
			rule, _, _ := strings.Cut(want, " ")
			found[rule] = true
		}
	}
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.Name] {
			t.Errorf("two rules %s", r.Name)
		}
		seen[r.Name] = true
		if r.Summary == "" || len(r.Explanation) < len(r.Summary)/2 || !strings.HasSuffix(r.Explanation, ".") {
			t.Errorf("rule %s is not explained", r.Name)
		}
		if r.Severity == profile.Warning && !found[r.Name] {
			t.Errorf("no test breaks rule %s", r.Name)
		}
		if got, err := FindRule(r.Name); err != nil || got != r {
			t.Errorf("FindRule(%s) = %v, %v", r.Name, got, err)
		}
	}
	for name, want := range map[string]string{
		"inverted_operater": `there is no rule "inverted_operater"; want "inverted-operator"`,
		"nonsense":          `there is no rule "nonsense"`,
	} {
		if _, err := FindRule(name); err == nil || err.Error() != want {
			t.Errorf("FindRule(%s): %v", name, err)
		}
	}
}

// A set that is not from files is linted too, and what is not valid is passed
// over.
func TestLintWithoutFiles(t *testing.T) {
	empty := profile.Profile{Name: "P", Behaviors: []profile.Behavior{
		{}, {Criteria: &profile.Criteria{}}, {Metric: "aws:listening-tcp-ports", Criteria: &profile.Criteria{ComparisonOperator: profile.InPortSet, Value: &profile.Value{}}},
		{Metric: "aws:all-bytes-out", Criteria: &profile.Criteria{StatisticalThreshold: &profile.StatisticalThreshold{Statistic: "Average"}}},
	}}
	set := &Set{Profiles: []profile.Profile{tutorial, empty}}
	got := Lint(set, LintContext{Things: 1, Interval: time.Minute, Samples: []Sample{gateway}, Ignore: []string{"unreported-metric"}})
	want := []string{
		"inverted-operator comparisonOperator", "percentile-few-things statisticalThreshold", "single-datapoint consecutiveDatapointsToAlarm",
		"deprecated-retain-list additionalMetricsToRetain", "no-alert-target alertTargets",
		"set-without-count behaviors[2].metric", "missing-context behaviors[3].metric", "no-alert-target alertTargets",
	}
	if diff := cmp.Diff(want, briefly(got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzLint holds that lint takes whatever Parse does, says the same each time,
// and that what a profile ignores is not said.
func FuzzLint(f *testing.F) {
	for _, test := range lintBehaviorTests {
		f.Add(behaving(test.behavior), test.context.Things, int64(test.context.Interval))
	}
	for _, test := range lintProfileTests {
		f.Add(test.documents, test.context.Things, int64(test.context.Interval))
	}
	f.Fuzz(func(t *testing.T, documents string, things int, interval int64) {
		o := LintContext{Things: things, Interval: time.Duration(interval), Samples: []Sample{gateway}}
		set, _ := Parse("a.yaml", []byte(documents))
		problems := Lint(set, o)
		if diff := cmp.Diff(problems, Lint(set, o)); diff != "" {
			t.Fatal(diff)
		}
		for i := range set.Profiles {
			set.Profiles[i].Lint = &profile.LintOptions{}
			for _, r := range Rules() {
				if r.Severity == profile.Warning {
					set.Profiles[i].Lint.Ignore = append(set.Profiles[i].Lint.Ignore, profile.LintIgnore{Rule: r.Name})
				}
			}
		}
		for _, p := range Lint(set, o) {
			if p.Rule != "unused-ignore" && p.Rule != "not-for-detect" {
				t.Errorf("not silenced: %v", p)
			}
		}
		Cost(set, Fleet{Things: max(things, 0) % 1e9, Interval: max(time.Second, time.Duration(interval))})
	})
}
