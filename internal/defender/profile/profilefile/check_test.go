package profilefile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// brief returns the problems as "path rule want".
func brief(problems []profile.Problem) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.TrimSpace(p.Path+" "+p.Rule+" "+p.Want))
	}
	return lines
}

// validate parses and validates a document, and returns what is wrong.
func validate(text string) []profile.Problem {
	set, problems := Parse("test", []byte(text))
	return append(problems, set.Validate()...)
}

const (
	wantComparison = "less-than, less-than-equals, greater-than or greater-than-equals"
	wantDuration   = "300, 600, 900, 1800 or 3600"
	wantStatistic  = "p0, p0.1, p0.01, p1, p10, p50, p90, p99, p99.9, p99.99 or p100"
	wantMetric     = "aws:all-bytes-out, aws:all-bytes-in, aws:all-packets-out, aws:all-packets-in, aws:num-listening-tcp-ports, aws:num-listening-udp-ports, aws:num-established-tcp-connections, aws:destination-ip-addresses, aws:listening-tcp-ports, aws:listening-udp-ports, aws:message-byte-size, aws:num-messages-sent, aws:num-messages-received, aws:num-authorization-failures, aws:num-connection-attempts, aws:num-disconnects, aws:source-ip-address or aws:disconnect-duration"
	wantName       = "1 to 128 letters, digits, '_', '-' or ':'"
	wantTarget     = "all/things, all/registered-things, all/unregistered-things, thinggroup/NAME or the ARN of one"
	wantRole       = "arn:aws:iam::ACCOUNT:role/NAME"
	wantTopic      = "arn:aws:sns:REGION:ACCOUNT:TOPIC"
	role           = "arn:aws:iam::123456789012:role/DetectAlerts"
	topic          = "arn:aws:sns:us-east-1:123456789012:alarms"
)

// behaviorTests are behaviors and what is wrong with them, with paths below
// behaviors[0].
var behaviorTests = []struct {
	behavior string
	want     []string
}{
	// Valid: the examples of the developer guide without spaces in names.
	{`{"name":"MaxTcpPorts","metric":"aws:num-listening-tcp-ports","criteria":{"comparisonOperator":"less-than-equals","value":{"count":5},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1},"suppressAlerts":true}`, nil},
	{`{"name":"TcpConnectionCount","metric":"aws:num-established-tcp-connections","criteria":{"comparisonOperator":"less-than-equals","statisticalThreshold":{"statistic":"p90"},"durationSeconds":900,"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}`, nil},
	{`{"name":"ListeningTcpPorts","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[443,80]}}}`, nil},
	{`{"name":"DeniedDestinations","metric":"aws:destination-ip-addresses","criteria":{"comparisonOperator":"not-in-cidr-set","value":{"cidrs":["12.8.0.0/16","15.102.16.0/24"]}}}`, nil},
	{`{"name":"DisconnectDuration","metric":"aws:disconnect-duration","criteria":{"comparisonOperator":"less-than-equals","value":{"count":5}}}`, nil},
	{`{"name":"OutboundMl","metric":"aws:all-bytes-out","criteria":{"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1,"mlDetectionConfig":{"confidenceLevel":"HIGH"}}}`, nil},
	{`{"name":"great-than-75","metric":"batteryPercentage","criteria":{"comparisonOperator":"greater-than","value":{"number":75},"consecutiveDatapointsToAlarm":5,"consecutiveDatapointsToClear":1}}`, nil},
	{`{"name":"CellularBandwidth","metric":"aws:message-byte-size","metricDimension":{"dimensionName":"TopicFilterForAuthMessages","operator":"IN"},"criteria":{"comparisonOperator":"less-than","value":{"count":128},"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}`, nil},
	{`{"name":"Bounds","metric":"aws:listening-udp-ports","criteria":{"comparisonOperator":"not-in-port-set","value":{"ports":[0,65535]},"consecutiveDatapointsToAlarm":10,"consecutiveDatapointsToClear":10}}`, nil},
	{`{"name":"Addresses","metric":"aws:source-ip-address","metricDimension":{"dimensionName":"d","operator":"NOT_IN"},"criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["192.0.2.1","::","fd00::/8","::ffff:192.0.2.0/120"]}}}`, nil},

	// Names.
	{`{"name":"TCP outbound traffic","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
		[]string{`.name name 1 to 128 letters, digits, '_', '-' or ':', as "TCP-outbound-traffic"`}},
	{`{"name":"` + strings.Repeat("x", 129) + `","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}`,
		[]string{`.name name 1 to 128 letters, digits, '_', '-' or ':'`}},
	{`{}`, []string{
		`.name required 1 to 128 letters, digits, '_', '-' or ':'`,
		`.metric required a metric, such as aws:all-bytes-out`,
		`.criteria required what is normal of the metric`}},

	// Metrics.
	{`{"name":"B","metric":"aws:destination-ip-address","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["12.8.0.0/16"]}}}`,
		[]string{`.metric unknown-metric "aws:destination-ip-addresses"`}},
	{`{"name":"B","metric":"aws:cpu","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}`,
		[]string{`.metric unknown-metric ` + wantMetric}},
	{`{"name":"B","metric":"battery percentage","criteria":{"comparisonOperator":"less-than","value":{"number":1}}}`,
		[]string{`.metric name 1 to 128 letters, digits, '_', '-' or ':'`}},

	// Operators.
	{`{"name":"B","metric":"aws:disconnect-duration","criteria":{"comparisonOperator":"greater-than","value":{"count":5}}}`,
		[]string{`.criteria.comparisonOperator operator less-than or less-than-equals`}},
	{`{"name":"B","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-cidr-set","value":{"ports":[1]}}}`,
		[]string{`.criteria.comparisonOperator operator in-port-set or not-in-port-set`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than-equal","value":{"count":1},"durationSeconds":300}}`,
		[]string{`.criteria.comparisonOperator operator "less-than-equals"`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"value":{"count":1},"durationSeconds":300}}`,
		[]string{`.criteria.comparisonOperator required ` + wantComparison}},
	{`{"name":"B","metric":"custom","criteria":{"comparisonOperator":"in-set","value":{"number":1}}}`,
		[]string{`.criteria.comparisonOperator operator ` + wantComparison}},
	{`{"name":"B","metric":"custom","criteria":{"comparisonOperator":"in-port-set","value":{"strings":["a"]}}}`,
		[]string{`.criteria.comparisonOperator operator in-set or not-in-set`}},

	// Values.
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{},"durationSeconds":300}}`,
		[]string{`.criteria.value required count`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1,"number":1},"durationSeconds":300}}`,
		[]string{`.criteria.value value count`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"number":1},"durationSeconds":300}}`,
		[]string{`.criteria.value.number value count`}},
	{`{"name":"B","metric":"batteryPercentage","criteria":{"comparisonOperator":"greater-than","value":{"count":75}}}`,
		[]string{`.criteria.value.count value one of number, numbers, strings and cidrs`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":-1},"durationSeconds":300}}`,
		[]string{`.criteria.value.count value 0 or more`}},
	{`{"name":"B","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[-1,80,65536]}}}`,
		[]string{`.criteria.value.ports[0] value 0 to 65535`, `.criteria.value.ports[2] value 0 to 65535`}},
	{`{"name":"B","metric":"aws:destination-ip-addresses","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.0/33","10.0.0/8","fe80::1%eth0","10.0.0.0/08","localhost"]}}}`,
		[]string{
			`.criteria.value.cidrs[0] cidr a prefix length of 0 to 32, without leading zeros, in place of "33"`,
			`.criteria.value.cidrs[1] cidr a range as 10.0.0.0/8 or fd00::/8, or an address`,
			`.criteria.value.cidrs[2] cidr a range as 10.0.0.0/8 or fd00::/8, or an address`,
			`.criteria.value.cidrs[3] cidr a prefix length of 0 to 32, without leading zeros, in place of "08"`,
			`.criteria.value.cidrs[4] cidr a range as 10.0.0.0/8 or fd00::/8, or an address`}},

	// One of value, statisticalThreshold and mlDetectionConfig.
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{}}`,
		[]string{`.criteria threshold one of value, statisticalThreshold and mlDetectionConfig`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1},"statisticalThreshold":{"statistic":"p99"},"durationSeconds":300}}`,
		[]string{`.criteria threshold one of them`}},

	// Durations and datapoints.
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":60}}`,
		[]string{`.criteria.durationSeconds duration ` + wantDuration}},
	{`{"name":"B","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[1]},"durationSeconds":300}}`,
		[]string{`.criteria.durationSeconds duration no durationSeconds`}},
	{`{"name":"B","metric":"aws:disconnect-duration","criteria":{"comparisonOperator":"less-than","value":{"count":5},"durationSeconds":300}}`,
		[]string{`.criteria.durationSeconds duration no durationSeconds`}},
	{`{"name":"B","metric":"custom","criteria":{"comparisonOperator":"in-set","value":{"strings":["a"]},"durationSeconds":300}}`,
		[]string{`.criteria.durationSeconds duration no durationSeconds`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300,"consecutiveDatapointsToAlarm":0,"consecutiveDatapointsToClear":11}}`,
		[]string{`.criteria.consecutiveDatapointsToAlarm consecutive-datapoints 1 to 10`, `.criteria.consecutiveDatapointsToClear consecutive-datapoints 1 to 10`}},

	// Percentiles.
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","statisticalThreshold":{"statistic":"Average"},"durationSeconds":300}}`,
		[]string{`.criteria.statisticalThreshold.statistic statistic ` + wantStatistic}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","statisticalThreshold":{},"durationSeconds":300}}`,
		[]string{`.criteria.statisticalThreshold.statistic required ` + wantStatistic}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","statisticalThreshold":{"statistic":"p99"}}}`,
		[]string{`.criteria.durationSeconds required ` + wantDuration + `: a percentile is of what devices measure in that time`}},
	{`{"name":"B","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","statisticalThreshold":{"statistic":"p99"}}}`,
		[]string{`.criteria.statisticalThreshold statistic value`}},

	// ML.
	{`{"name":"B","metric":"aws:source-ip-address","criteria":{"mlDetectionConfig":{"confidenceLevel":"high"}}}`,
		[]string{`.criteria.mlDetectionConfig.confidenceLevel ml "HIGH"`, `.criteria.mlDetectionConfig ml value`}},
	{`{"name":"B","metric":"aws:all-bytes-in","criteria":{"mlDetectionConfig":{}}}`,
		[]string{`.criteria.mlDetectionConfig.confidenceLevel required LOW, MEDIUM or HIGH`}},

	// Dimensions.
	{`{"name":"B","metric":"aws:all-bytes-in","metricDimension":{"dimensionName":"d"},"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
		[]string{`.metricDimension dimension no metricDimension`}},
	{`{"name":"B","metric":"aws:num-disconnects","metricDimension":{"dimensionName":"d"},"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
		[]string{`.metricDimension dimension no metricDimension`}},
	{`{"name":"B","metric":"custom","metricDimension":{"dimensionName":"d"},"criteria":{"comparisonOperator":"less-than","value":{"number":1}}}`,
		[]string{`.metricDimension dimension no metricDimension`}},
	{`{"name":"B","metric":"aws:num-messages-sent","metricDimension":{"operator":"in"},"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
		[]string{`.metricDimension.dimensionName required 1 to 128 letters, digits, '_', '-' or ':'`, `.metricDimension.operator dimension "IN"`}},
}

func TestBehaviors(t *testing.T) {
	for _, test := range behaviorTests {
		set, problems := Parse("test.json", []byte(`{"securityProfileName":"P","behaviors":[`+test.behavior+`]}`))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", test.behavior, problems)
		}
		var want []string
		for _, line := range test.want {
			want = append(want, "behaviors[0]"+line)
		}
		p := set.Profiles[0]
		if diff := cmp.Diff(want, brief(p.Check(profile.Registry{}))); diff != "" {
			t.Errorf("%s: Check (-want +got)\n%s", test.behavior, diff)
		}
		if diff := cmp.Diff(want, brief(profile.CheckBehaviors(p.Behaviors, profile.Registry{}))); diff != "" {
			t.Errorf("%s: CheckBehaviors (-want +got)\n%s", test.behavior, diff)
		}
		got := brief(set.Validate())
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: Validate (-want +got)\n%s", test.behavior, diff)
		}
	}
}

func TestRegistryDecides(t *testing.T) {
	registry := profile.Registry{
		CustomMetrics: map[string]string{"level": profile.NumberType, "names": profile.StringList, "peers": profile.IPAddressList, "codes": profile.NumberList},
		Dimensions:    map[string]bool{"AuthTopics": true},
	}
	tests := []struct {
		behavior string
		want     []string
	}{
		{`{"name":"B","metric":"level","criteria":{"comparisonOperator":"less-than","value":{"number":-1.5},"durationSeconds":300}}`, nil},
		{`{"name":"B","metric":"level","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"}}}`, nil},
		{`{"name":"B","metric":"names","criteria":{"comparisonOperator":"in-set","value":{"strings":["a"]}}}`, nil},
		{`{"name":"B","metric":"codes","criteria":{"comparisonOperator":"not-in-set","value":{"numbers":[1]}}}`, nil},
		{`{"name":"B","metric":"peers","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.0/8"]}}}`, nil},
		{`{"name":"B","metric":"level","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}`, []string{`.criteria.value.count value number`}},
		{`{"name":"B","metric":"peers","criteria":{"comparisonOperator":"in-set","value":{"strings":["a"]}}}`,
			[]string{`.criteria.comparisonOperator operator in-cidr-set or not-in-cidr-set`, `.criteria.value.strings value cidrs`}},
		{`{"name":"B","metric":"names","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"}}}`, []string{`.criteria.mlDetectionConfig ml value`}},
		{`{"name":"B","metric":"levels","criteria":{"comparisonOperator":"less-than","value":{"number":1}}}`, []string{`.metric unknown-metric "level"`}},
		{`{"name":"B","metric":"all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"number":1}}}`, []string{`.metric unknown-metric "aws:all-bytes-in"`}},
		{`{"name":"B","metric":"elsewhere","criteria":{"comparisonOperator":"less-than","value":{"number":1}}}`,
			[]string{`.metric unknown-metric a registered custom metric, or one of AWS's, which begin with aws:`}},
		{`{"name":"B","metric":"aws:num-messages-sent","metricDimension":{"dimensionName":"AuthTopic"},"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
			[]string{`.metricDimension.dimensionName unknown-dimension "AuthTopics"`}},
		{`{"name":"B","metric":"aws:num-messages-sent","metricDimension":{"dimensionName":"other"},"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}`,
			[]string{`.metricDimension.dimensionName unknown-dimension a registered dimension`}},
	}
	for _, test := range tests {
		set, _ := Parse("test.json", []byte(`{"securityProfileName":"P","behaviors":[`+test.behavior+`]}`))
		var want []string
		for _, line := range test.want {
			want = append(want, "behaviors[0]"+line)
		}
		if diff := cmp.Diff(want, brief(set.Profiles[0].Check(registry))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.behavior, diff)
		}
	}
}

// documentTests are documents and what Parse and Validate say of them.
var documentTests = []struct {
	name, document string
	want           []string
}{
	{"everything of a profile", `{"securityProfileName":"P:1_-","securityProfileDescription":"Printable, in one line.","behaviors":[],
		"alertTargets":{"SNS":{"alertTargetArn":"` + topic + `","roleArn":"` + role + `"}},
		"additionalMetricsToRetain":["aws:all-bytes-in","custom"],
		"additionalMetricsToRetainV2":[{"metric":"aws:num-messages-sent","metricDimension":{"dimensionName":"d"},"exportMetric":true}],
		"metricsExportConfig":{"mqttTopic":"$aws/rules/metricsExportRule","roleArn":"` + role + `"},
		"tags":[{"Key":"team","Value":"edge"},{"Key":"é /=+-@"}],
		"targets":["all/things","thinggroup/cores","other","arn:aws:iot:us-east-1:123456789012:all/registered-things"],
		"lint":{"ignore":[{"rule":"x","behavior":"b","reason":"r"}]}}`, nil},
	{"name only", `{"securityProfileName":"P"}`, nil},
	{"no name", `{"behaviors":[]}`, []string{`securityProfileName required ` + wantName}},
	{"description", `{"securityProfileName":"P","securityProfileDescription":"two\nlines"}`, []string{`securityProfileDescription text printable ASCII in one line`}},
	{"long description", `{"securityProfileName":"P","securityProfileDescription":"` + strings.Repeat("x", 1001) + `"}`, []string{`securityProfileDescription text 1000 at most`}},
	{"alert target", `{"securityProfileName":"P","alertTargets":{"SNS":{"alertTargetArn":"` + topic + `"}}}`, []string{`alertTargets.SNS.roleArn required ` + wantRole}},
	{"kind of alert target", `{"securityProfileName":"P","alertTargets":{"SQS":{"alertTargetArn":"arn:aws:sqs:us-east-1:123456789012:q","roleArn":"admin"}}}`,
		[]string{`alertTargets.SQS alert-target SNS`, `alertTargets.SQS.alertTargetArn arn ` + wantTopic, `alertTargets.SQS.roleArn arn ` + wantRole}},
	{"retained", `{"securityProfileName":"P","additionalMetricsToRetain":["aws:cpu"],"additionalMetricsToRetainV2":[{},{"metric":"aws:all-bytes-in","metricDimension":{"dimensionName":"d"}}]}`,
		[]string{`additionalMetricsToRetain[0] unknown-metric ` + wantMetric, `additionalMetricsToRetainV2[0].metric required a metric, such as aws:all-bytes-out`, `additionalMetricsToRetainV2[1].metricDimension dimension no metricDimension`}},
	{"export without target", `{"securityProfileName":"P","behaviors":[{"name":"B","metric":"aws:all-bytes-in","exportMetric":true,"criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}}],"additionalMetricsToRetainV2":[{"metric":"aws:all-bytes-in","exportMetric":true},{"metric":"aws:all-bytes-in","exportMetric":false}]}`,
		[]string{`behaviors[0].exportMetric export metricsExportConfig with mqttTopic and roleArn`, `additionalMetricsToRetainV2[0].exportMetric export metricsExportConfig with mqttTopic and roleArn`}},
	{"export to a filter", `{"securityProfileName":"P","metricsExportConfig":{"mqttTopic":"metrics/#"}}`, []string{`metricsExportConfig.roleArn required ` + wantRole, `metricsExportConfig.mqttTopic export a topic without + and #`}},
	{"tags", `{"securityProfileName":"P","tags":[{"Key":""},{"Key":"aws:x"},{"Key":"a*"},{"Key":"a"},{"Key":"a"},{"Key":"b","Value":"` + strings.Repeat("v", 257) + `"}]}`,
		[]string{`tags[0].Key required 1 to 128 characters`, `tags[1].Key tags a key that does not begin with aws:`, `tags[2].Key tags letters, digits, spaces and _ . : / = + - @`, `tags[4].Key duplicate-name each key once`, `tags[5].Value tags 256 at most`}},
	{"targets", `{"securityProfileName":"P","targets":["all/devices","arn:aws:iot:us-east-1:123456789012:thing/t","g","thinggroup/g"]}`,
		[]string{`targets[0] target ` + wantTarget, `targets[1] target ` + wantTarget, `targets[3] duplicate-name each target once`}},
	{"two behaviors of a name, ML and rule", `{"securityProfileName":"P","behaviors":[
		{"name":"B","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":300}},
		{"name":"B","metric":"aws:all-bytes-in","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"}}}]}`,
		[]string{`behaviors ml two profiles: one with ML behaviors, one with rules`, `behaviors[1].name duplicate-name a name of its own`}},
	{"misspelt keys", `{"securityProfileName":"P","behaviours":[],"behaviors":[{"name":"B","metric":"aws:num-messages-sent","metricDimension":{"dimensionName:":"d"},"criteria":{"comparisonOperator":"less-than","value":{"count":1,"x":2},"durationSeconds":300}}]}`,
		[]string{`behaviours unknown-key "behaviors"`, `behaviors[0].metricDimension.dimensionName: unknown-key "dimensionName"`, `behaviors[0].criteria.value.x unknown-key one of count, cidrs, ports, number, numbers, strings`}},
	{"what AWS answers", `{"securityProfileName":"P","securityProfileArn":"a","version":1,"creationDate":1}`,
		[]string{`securityProfileArn unknown-key no such key: AWS answers it, and does not take it`, `version unknown-key no such key: AWS answers it, and does not take it`, `creationDate unknown-key no such key: AWS answers it, and does not take it`}},
	{"types", `{"securityProfileName":7,"behaviors":{"name":"B"},"targets":"all/things","tags":[null],"lint":[]}`,
		[]string{`securityProfileName wrong-type text in quotes: "7"`, `behaviors wrong-type a list`, `targets wrong-type a list: ["all/things"]`, `tags[0] wrong-type an object, or no key at all`, `lint wrong-type an object`}},
	{"types in a behavior", `{"securityProfileName":"P","behaviors":[
		{"name":"B","metric":"aws:all-bytes-in","suppressAlerts":"true","criteria":{"comparisonOperator":"less-than","value":{"count":"5"},"durationSeconds":"300","consecutiveDatapointsToAlarm":1.5}},
		{"name":"C","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":["443",99999999999,true]}}},
		{"name":"D","metric":"aws:all-bytes-in","criteria":null}]}`,
		[]string{
			`behaviors[0].suppressAlerts wrong-type true without quotes`,
			`behaviors[0].criteria.value.count wrong-type 5 without quotes`,
			`behaviors[0].criteria.durationSeconds wrong-type 300 without quotes`,
			`behaviors[0].criteria.consecutiveDatapointsToAlarm wrong-type a whole number of 32 bits`,
			`behaviors[1].criteria.value.ports[0] wrong-type 443 without quotes`,
			`behaviors[1].criteria.value.ports[1] wrong-type a whole number of 32 bits`,
			`behaviors[1].criteria.value.ports[2] wrong-type a number`,
			`behaviors[2].criteria wrong-type an object, or no key at all`}},
	{"not a document", `{"Version":"2012-10-17","Statement":[]}`,
		[]string{`unknown-document securityProfileName, metricName (a custom metric), name with stringValues (a dimension) or actionName (a mitigation action)`}},
	{"not an object", `["x",[]]`, []string{`wrong-type an object`, `wrong-type an object`}},

	{"custom metric", `{"metricName":"batteryPercentage","metricType":"number","displayName":"Battery left","tags":[{"Key":"a"}],"clientRequestToken":"x"}`, nil},
	{"custom metric of AWS's", `{"metricName":"aws:battery","metricType":"numbers","displayName":"Ladung \u2013 %"}`,
		[]string{`metricName name a name that does not begin with aws:`, `metricType value "number"`, `displayName text printable ASCII in one line`}},
	{"dimension", `{"name":"AuthTopics","type":"TOPIC_FILTER","stringValues":["auth/+/${iot:ClientId}","admin/#","#"]}`, nil},
	{"topic filters", `{"name":"d","type":"TOPIC","stringValues":["a/#/b","a+/b","","` + strings.Repeat("x", 257) + `"]}`,
		[]string{`type value TOPIC_FILTER`, `stringValues[0] topic-filter a # only as the last level`, `stringValues[1] topic-filter a + only as a whole level`, `stringValues[2] topic-filter 1 to 256 characters`, `stringValues[3] topic-filter 256 at most`}},
	{"no topic filters", `{"name":"d","type":"TOPIC_FILTER","stringValues":[]}`, []string{`stringValues required 1 to 100 topic filters`}},
	{"action", `{"actionName":"Quarantine_1-a","roleArn":"` + role + `","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":["Quarantine"],"overrideDynamicGroups":true}}}`, nil},
	{"other actions", `[
		{"actionName":"a","roleArn":"` + role + `","actionParams":{"updateDeviceCertificateParams":{"action":"DEACTIVATE"}}},
		{"actionName":"b","roleArn":"` + role + `","actionParams":{"updateCACertificateParams":{"action":"DEACTIVATE"}}},
		{"actionName":"c","roleArn":"` + role + `","actionParams":{"replaceDefaultPolicyVersionParams":{"templateName":"BLANK_POLICY"}}},
		{"actionName":"d","roleArn":"` + role + `","actionParams":{"enableIoTLoggingParams":{"roleArnForLogging":"` + role + `","logLevel":"INFO"}}},
		{"actionName":"e","roleArn":"` + role + `","actionParams":{"publishFindingToSnsParams":{"topicArn":"` + topic + `"}}}]`, nil},
	{"actions", `[
		{"actionName":"a:b","roleArn":"r","actionParams":{}},
		{"actionName":"c","roleArn":"` + role + `","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":[]},"updateDeviceCertificateParams":{"action":"ACTIVATE"}}},
		{"actionName":"d","roleArn":"` + role + `","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":["g g"]}}}]`,
		[]string{
			`actionName name 1 to 128 letters, digits, '_' or '-'`, `roleArn arn ` + wantRole, `actionParams required the parameters of one type of action, such as addThingsToThingGroupParams`,
			`actionParams action one`, `actionParams.addThingsToThingGroupParams.thingGroupNames required 1 to 10 thing groups`, `actionParams.updateDeviceCertificateParams.action action "DEACTIVATE"`,
			`actionParams.addThingsToThingGroupParams.thingGroupNames[0] name ` + wantName + `, as "g-g"`}},
	{"names twice", `[{"securityProfileName":"P"},{"metricName":"P","metricType":"number"},{"securityProfileName":"P"}]`, []string{`securityProfileName duplicate-name a name of its own`}},
	{"types from the set", `[{"metricName":"level","metricType":"number"},{"securityProfileName":"P","behaviors":[{"name":"B","metric":"level","criteria":{"comparisonOperator":"in-set","value":{"strings":["a"]}}},
		{"name":"C","metric":"registered-elsewhere","criteria":{"comparisonOperator":"in-set","value":{"strings":["a"]}}}]}]`,
		[]string{`behaviors[0].criteria.comparisonOperator operator ` + wantComparison, `behaviors[0].criteria.value.strings value number`}},
}

func TestDocuments(t *testing.T) {
	for _, test := range documentTests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, brief(validate(test.document))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestChecksAreListed holds the list of rules to what is found.
func TestChecksAreListed(t *testing.T) {
	found := map[string]bool{"syntax": true, "quota": true, "unknown-dimension": true} // of other tests
	for _, test := range behaviorTests {
		for _, p := range validate(`{"securityProfileName":"P","behaviors":[` + test.behavior + `]}`) {
			found[p.Rule] = true
		}
	}
	for _, test := range documentTests {
		for _, p := range validate(test.document) {
			found[p.Rule] = true
			if p.Severity != profile.Error || p.Message == "" || p.Line == 0 || p.Column == 0 {
				t.Errorf("%s: incomplete problem %+v", test.name, p)
			}
		}
	}
	for _, check := range profile.Checks {
		if !found[check.Name] {
			t.Errorf("no test finds %s", check.Name)
		}
		delete(found, check.Name)
	}
	for rule := range found {
		t.Errorf("%s is not listed", rule)
	}
}

func TestQuotas(t *testing.T) {
	profiles := func(n, behaviors, ports int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "---\nsecurityProfileName: P%d\ntargets: [thinggroup/g]\nbehaviors:\n", i)
			for j := range behaviors {
				fmt.Fprintf(&b, "- {name: B%d, metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: [1%s]}}}\n", j, strings.Repeat(", 1", ports-1))
			}
		}
		return b.String()
	}
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	metric, dimension := "---\n{metricName: m%d, metricType: number}\n", "---\n{name: d%d, type: TOPIC_FILTER, stringValues: [a]}\n"
	action := "---\n{actionName: a%d, roleArn: '" + role + "', actionParams: {addThingsToThingGroupParams: {thingGroupNames: [g]}}}\n"
	tests := []struct {
		name, document string
		want           []string
	}{
		{"as allowed", profiles(5, 100, 10) + many(100, metric) + many(10, dimension) + many(100, action), nil},
		{"behaviors", profiles(1, 101, 1), []string{`behaviors quota 100 at most`}},
		{"value elements", profiles(1, 91, 11), []string{`behaviors quota 1000 at most`}},
		{"profiles of a target", profiles(6, 1, 1), []string{`targets[0] quota 5 profiles at most per target`}},
		{"custom metrics", many(101, metric), []string{`quota 100 at most in an account`}},
		{"dimensions", many(11, dimension), []string{`quota 10 at most in an account`}},
		{"actions", many(101, action), []string{`quota 100 at most in an account`}},
		{"tags", "securityProfileName: P\ntags:\n" + many(51, "- {Key: k%d}\n"), []string{`tags quota 50 at most`}},
		{"topic filters", "name: d\ntype: TOPIC_FILTER\nstringValues:\n" + many(101, "- t%d\n"), []string{`stringValues topic-filter 100 at most`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, brief(validate(test.document))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSetWithoutFiles(t *testing.T) {
	set := Set{Profiles: []profile.Profile{{Name: "P", Targets: []string{"all"}}, {Name: "P"}}, Dimensions: []profile.Dimension{{Name: "d", Type: "TOPIC_FILTER"}}}
	want := []string{"securityProfileName duplicate-name a name of its own", "stringValues required 1 to 100 topic filters"}
	if diff := cmp.Diff(want, brief(set.Validate())); diff != "" {
		t.Error(diff)
	}
}
