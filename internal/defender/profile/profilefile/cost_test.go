package profilefile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// approximately ignores what binary fractions do to money.
var approximately = cmpopts.EquateApprox(0, 1e-9)

// AWS's own example: 100 devices, 4 metrics, twice an hour are 576,000
// datapoints, for $0.14. And 10 metrics every 5 minutes are 86,400 of one
// device, for about $0.022.
func TestCostExamples(t *testing.T) {
	for _, test := range []struct {
		things, metrics int
		interval        time.Duration
		datapoints      int64
		usd             float64
	}{
		{100, 4, 30 * time.Minute, 576_000, 0.144},
		{1, 10, 5 * time.Minute, 86_400, 0.0216},
	} {
		var p profile.Profile
		for i := range test.metrics {
			p.AdditionalMetricsToRetainV2 = append(p.AdditionalMetricsToRetainV2, profile.MetricToRetain{Metric: fmt.Sprint("metric", i)})
		}
		e := Cost(&Set{Profiles: []profile.Profile{p}}, Fleet{Things: test.things, Interval: test.interval})
		if e.RuleDatapoints != test.datapoints || !cmp.Equal(e.USD, test.usd, approximately) {
			t.Errorf("%d things: %+v", test.things, e)
		}
	}
}

func TestCost(t *testing.T) {
	set, problems := Parse("a.yaml", []byte(`
securityProfileName: Rules
behaviors:
- {name: A, metric: aws:all-bytes-out, criteria: {comparisonOperator: less-than, value: {count: 1}, durationSeconds: 300}}
- {name: B, metric: aws:all-bytes-out, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 3600}}
- {name: C, metric: aws:num-messages-sent, metricDimension: {dimensionName: d}, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}
- {name: D, metric: aws:num-messages-sent, metricDimension: {dimensionName: d, operator: IN}, criteria: {comparisonOperator: less-than, value: {count: 8}, durationSeconds: 300}}
- {name: E, metric: aws:num-messages-sent, metricDimension: {dimensionName: d, operator: NOT_IN}, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}
additionalMetricsToRetain: [aws:all-bytes-in]
additionalMetricsToRetainV2: [{metric: aws:all-bytes-in}, {metric: aws:all-bytes-out}]
---
securityProfileName: Models
behaviors:
- {name: A, metric: aws:all-bytes-out, criteria: {mlDetectionConfig: {confidenceLevel: LOW}}}
- {name: B, metric: aws:all-packets-out, criteria: {mlDetectionConfig: {confidenceLevel: LOW}}}
additionalMetricsToRetainV2: [{metric: aws:all-packets-out}, {metric: aws:all-bytes-in}]
`))
	if problems = append(problems, set.Validate()...); problems != nil {
		t.Fatal(problems)
	}
	// 30 days of 5 minutes are 8,640 datapoints of a metric of one thing. ML's
	// are 432,000: 300,000 at $2.00, 132,000 at $0.75 for 100,000.
	want := CostEstimate{
		Profiles: []ProfileCost{
			{
				Profile:        "Rules",
				RuleMetrics:    []string{"aws:all-bytes-out", "aws:num-messages-sent (d)", "aws:num-messages-sent (not in d)", "aws:all-bytes-in"},
				RuleDatapoints: 864_000, USD: 0.216,
			},
			{
				Profile:      "Models",
				ModelMetrics: []string{"aws:all-bytes-out", "aws:all-packets-out"}, RuleMetrics: []string{"aws:all-bytes-in"},
				ModelDatapoints: 432_000, RuleDatapoints: 216_000, USD: 6.00 + 0.99 + 0.054,
			},
		},
		RuleDatapoints: 1_080_000, ModelDatapoints: 432_000, USD: 0.27 + 6.99,
		Shared: []string{"aws:all-bytes-out", "aws:all-bytes-in"},
		// bytes and packets out as ML, bytes in and two of messages as rules
		OnceUSD: 6.99 + 3*216_000*0.025/100_000,
	}
	if diff := cmp.Diff(want, Cost(set, Fleet{Things: 25, Interval: 5 * time.Minute}), approximately); diff != "" {
		t.Error(diff)
	}
}
