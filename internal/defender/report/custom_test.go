package report

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckMetricName(t *testing.T) {
	for _, name := range []string{"cpu_usage", "a", "0", "a:b-C_9", "awsome", "AWS:x", strings.Repeat("x", 128)} {
		if err := CheckMetricName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                       `metric name "", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		"a b":                    `metric name "a b", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		"a.b":                    `metric name "a.b", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		"größe":                  `metric name "größe", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		"\xff":                   `metric name "\xff", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		strings.Repeat("x", 129): `metric name "` + strings.Repeat("x", 64) + `", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		"aws:cell-bytes-in":      `metric name "aws:cell-bytes-in", the prefix aws: is AWS's`,
	} {
		if err := CheckMetricName(name); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func TestCheckValue(t *testing.T) {
	tests := []struct {
		metric CustomMetric
		want   string // "" if the service keeps it
	}{
		{CustomMetric{}, ""},
		{CustomMetric{Number: -0.7}, ""},
		{CustomMetric{Number: 123456789012345}, ""},
		{CustomMetric{Number: 0.123456789012345}, ""},
		{CustomMetric{Number: 1e300}, ""},
		{CustomMetric{Number: 1234567890123456}, "number: 16 digits, want at most 15"},
		{CustomMetric{Number: -0.30000000000000004}, "number: 17 digits, want at most 15"},
		{CustomMetric{Number: math.NaN()}, "number: not a finite number"},
		{CustomMetric{Type: NumberList}, ""},
		{CustomMetric{Type: NumberList, Numbers: []float64{1, -2.5}}, ""},
		{CustomMetric{Type: NumberList, Numbers: []float64{1, 1. / 3}}, "number_list[1]: 16 digits, want at most 15"},
		{CustomMetric{Type: NumberList, Numbers: []float64{math.Inf(-1)}}, "number_list[0]: not a finite number"},
		{CustomMetric{Type: StringList, Strings: []string{"value_1", "eth0", "/usr/bin:a-B.c"}}, ""},
		{CustomMetric{Type: StringList, Strings: []string{"a", "b c"}}, `string_list[1]: byte 2 of 3 is not allowed, want letters, digits and . : _ - /`},
		{CustomMetric{Type: StringList, Strings: []string{""}}, `string_list[0]: empty, want letters, digits and . : _ - /`},
		{CustomMetric{Type: StringList, Strings: []string{"é"}}, `string_list[0]: byte 1 of 2 is not allowed, want letters, digits and . : _ - /`},
		{CustomMetric{Type: IPList, Strings: []string{"172.0.0.10", "fd09::1", "::ffff:10.0.0.1"}}, ""},
		{CustomMetric{Type: IPList, Strings: []string{"172.0.0.256"}}, `ip_list[0]: 11 bytes, want an IP address`},
		{CustomMetric{Type: IPList, Strings: []string{"fe80::1%eth0"}}, `ip_list[0]: 12 bytes, want an IP address`},
		{CustomMetric{Type: IPList, Strings: []string{"10.0.0.0/8"}}, `ip_list[0]: 10 bytes, want an IP address`},
		{CustomMetric{Type: 4}, "metric type 4, want one of number, number_list, string_list, ip_list"},
	}
	for _, test := range tests {
		var got string
		if err := test.metric.Check(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: got %q, want %q", test.metric, got, test.want)
		}
	}
}

func TestRoundNumber(t *testing.T) {
	for v, want := range map[float64]float64{
		0: 0, 42: 42, -1.5e300: -1.5e300, 23.400000000000002: 23.4, -0.30000000000000004: -0.3, 1234567890123456: 1234567890123460,
	} {
		if got := RoundNumber(v); got != want {
			t.Errorf("%v: got %v, want %v", v, got, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	r := mustDecode(t, []byte(`{"header":{"report_id":9007199254740992,"version":"1.0"},"custom_metrics":{
		"words":[{"string_list":["ok","not ok","not ok either"]}],
		"aws:mine":[{"number":1}],
		"cpu_usage":[{"number":0.5}],
		"a b":[{"ip_list":["localhost"]}]}}`), longJSON)
	want := []string{
		"header.report_id: 9007199254740992 is above 9007199254740991 and not exact to every reader: the report is not known again when it is delivered twice",
		`custom_metrics."a b": metric name "a b", want 1 to 128 of a-z A-Z 0-9 : _ -`,
		`custom_metrics."a b"[0].ip_list[0]: 9 bytes, want an IP address`,
		`custom_metrics."aws:mine": metric name "aws:mine", the prefix aws: is AWS's`,
		`custom_metrics.words[0].string_list[1]: byte 4 of 6 is not allowed, want letters, digits and . : _ - /`,
	}
	if diff := cmp.Diff(want, r.Warnings()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := awsExample(1, 2, 3, 4, 5).Warnings(); got != nil {
		t.Errorf("AWS's own example: %q", got)
	}
}
