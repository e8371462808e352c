package profile

import (
	"encoding/json"
	"testing"

	"go.yaml.in/yaml/v3"
)

// behaviorOf reads a behavior that is written in YAML, for its brevity.
func behaviorOf(t *testing.T, text string) (b Behavior) {
	t.Helper()
	var members map[string]any
	if err := yaml.Unmarshal([]byte(text), &members); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExpectation(t *testing.T) {
	registry := Registry{CustomMetrics: map[string]string{"battery": NumberType, "users": StringList, "codes": NumberList}}
	tests := []struct{ behavior, want string }{
		{`{metric: 'aws:all-packets-out', criteria: {comparisonOperator: less-than-equals, durationSeconds: 300, statisticalThreshold: {statistic: p99.99}}}`,
			"at most p99.99 of all things' packets out in 5 minutes"},
		{`{metric: 'aws:num-established-tcp-connections', criteria: {comparisonOperator: less-than-equals, durationSeconds: 900, statisticalThreshold: {statistic: p90}}}`,
			"at most p90 of all things' established TCP connections in 15 minutes"},
		{`{metric: 'aws:all-packets-out', criteria: {comparisonOperator: less-than-equals, durationSeconds: 300, value: {count: 600000}}}`,
			"at most 600,000 packets out in 5 minutes"},
		{`{metric: 'aws:all-bytes-in', criteria: {comparisonOperator: less-than, durationSeconds: 3600, value: {count: 1000}}}`,
			"less than 1,000 bytes in in an hour"},
		{`{metric: 'aws:num-listening-tcp-ports', criteria: {comparisonOperator: less-than, durationSeconds: 300, value: {count: 5}}}`,
			"fewer than 5 listening TCP ports in 5 minutes"},
		{`{metric: 'aws:num-authorization-failures', criteria: {comparisonOperator: greater-than, durationSeconds: 300, value: {count: 10}}}`,
			"more than 10 authorization failures in 5 minutes"},
		{`{metric: 'aws:num-messages-sent', metricDimension: {dimensionName: Auth}, criteria: {comparisonOperator: greater-than-equals, durationSeconds: 600, value: {count: 1}}}`,
			"at least 1 message sent in 10 minutes on topics of dimension Auth"},
		{`{metric: 'aws:message-byte-size', metricDimension: {dimensionName: Auth, operator: NOT_IN}, criteria: {comparisonOperator: less-than, value: {count: 128}}}`,
			"less than 128 bytes per message on topics outside dimension Auth"},
		{`{metric: 'aws:disconnect-duration', criteria: {comparisonOperator: less-than-equals, value: {count: 60}}}`,
			"at most 60 minutes disconnected"},
		{`{metric: battery, criteria: {comparisonOperator: greater-than, value: {number: 12.5}}}`, "more than 12.5 of battery"},
		{`{metric: 'aws:listening-tcp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: [443, 8883]}}}`, "listening TCP ports: only 443, 8883"},
		{`{metric: 'aws:listening-udp-ports', criteria: {comparisonOperator: in-port-set, value: {ports: []}}}`, "listening UDP ports: none at all"},
		{`{metric: 'aws:listening-udp-ports', criteria: {comparisonOperator: not-in-port-set, value: {ports: []}}}`, "listening UDP ports: any"},
		{`{metric: 'aws:destination-ip-addresses', criteria: {comparisonOperator: not-in-cidr-set, value: {cidrs: [12.8.0.0/16]}}}`, "destination IP addresses: none of 12.8.0.0/16"},
		{`{metric: users, criteria: {comparisonOperator: in-set, value: {strings: [root, ggc]}}}`, "users: only root, ggc"},
		{`{metric: codes, criteria: {comparisonOperator: not-in-set, value: {numbers: [1, 2.5]}}}`, "codes: none of 1, 2.5"},
		{`{metric: 'aws:all-bytes-out', criteria: {mlDetectionConfig: {confidenceLevel: HIGH}}}`, "bytes out as AWS's model of the last 14 days expects (high confidence)"},
		{`{metric: 'aws:all-bytes-out'}`, "anything of bytes out"},
	}
	for _, test := range tests {
		b := behaviorOf(t, test.behavior)
		m, ok := MetricOf(b.Metric, registry)
		if !ok {
			t.Fatalf("no metric %s", b.Metric)
		}
		if got := Expectation(b, m); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.behavior, got, test.want)
		}
	}
}

func TestFormatValue(t *testing.T) {
	tests := []struct {
		metric string
		value  Value
		want   string
	}{
		{"aws:all-packets-out", Value{Count: new(int64(5412))}, "5,412 packets"},
		{"aws:all-packets-out", Value{Count: new(int64(1))}, "1 packet"},
		{"aws:all-bytes-out", Value{Count: new(int64(9223372036854775807))}, "9,223,372,036,854,775,807 bytes"},
		{"aws:num-listening-tcp-ports", Value{Count: new(int64(1))}, "1 listening TCP port"},
		{"aws:num-disconnects", Value{Count: new(int64(999))}, "999 disconnects"},
		{"aws:listening-tcp-ports", Value{Ports: []int32{443, 8883}}, "443, 8883"},
		{"aws:listening-tcp-ports", Value{Ports: []int32{}}, "none"},
		{"aws:listening-tcp-ports", Value{}, ""},
		{"aws:source-ip-address", Value{CIDRs: []string{"192.0.2.1"}}, "192.0.2.1"},
		{"battery", Value{Number: new(-1234567.125)}, "-1,234,567.125"},
		{"battery", Value{Number: new(0.1)}, "0.1"},
	}
	for _, test := range tests {
		m, _ := MetricOf(test.metric, Registry{CustomMetrics: map[string]string{"battery": NumberType}})
		if got := FormatValue(test.value, m); got != test.want {
			t.Errorf("%+v: %q, want %q", test.value, got, test.want)
		}
	}
}
