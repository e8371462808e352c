package profile

import (
	"strings"
	"testing"
)

// TestOnlyKnownMessage holds the one validation message of AWS that is public
// (aws-cli, validate-security-profile-behaviors).
func TestOnlyKnownMessage(t *testing.T) {
	problems := CheckBehaviors([]Behavior{{
		Name: "Authorization", Metric: "aws:num-authorization-failures",
		Criteria: &Criteria{ComparisonOperator: GreaterThan, Value: &Value{Count: new(int64(10))}, DurationSeconds: new(int32(300)), ConsecutiveDatapointsToAlarm: new(int32(100000))},
	}}, Registry{})
	if want := "consecutiveDatapointsToAlarm 100000 should be in range[1,10]"; len(problems) != 1 || problems[0].Message != want {
		t.Errorf("problems %v, want %q", problems, want)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "A:b_c-9", strings.Repeat("x", 128)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a/b", "a\n", "é", strings.Repeat("x", 129)} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestCheckTags(t *testing.T) {
	if problems := CheckTags([]Tag{{Key: "a", Value: "b"}}); problems != nil {
		t.Error(problems)
	}
	if got := CheckTags([]Tag{{Key: strings.Repeat("k", 129)}}); len(got) != 1 || got[0].Path != "tags[0].Key" || got[0].Rule != "tags" || got[0].Want != "128 at most" {
		t.Errorf("problems %v", got)
	}
}

func TestStatisticPercent(t *testing.T) {
	for statistic, want := range map[string]float64{"p0": 0, "p0.01": 0.01, "p50": 50, "p99.99": 99.99, "p100": 100} {
		if got, ok := StatisticPercent(statistic); !ok || got != want {
			t.Errorf("%s: %v, %v", statistic, got, ok)
		}
	}
	for _, statistic := range []string{"", "p", "p95", "99", "P99", "Average"} {
		if _, ok := StatisticPercent(statistic); ok {
			t.Errorf("%q is a statistic", statistic)
		}
	}
}
