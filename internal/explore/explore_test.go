package explore

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

func at(minutes int) time.Time {
	return time.Date(2026, 11, 22, 6, minutes, 0, 0, time.UTC)
}

func count(n int64) *profile.Value { return &profile.Value{Count: new(n)} }

func ports(p ...int32) *profile.Value { return &profile.Value{Ports: p} }

func TestSeen(t *testing.T) {
	packets := profile.Behavior{Metric: "aws:all-packets-out", Criteria: &profile.Criteria{ComparisonOperator: profile.LessThanEquals, Value: count(1000)}}
	listening := profile.Behavior{Metric: "aws:listening-tcp-ports", Criteria: &profile.Criteria{ComparisonOperator: profile.InPortSet, Value: ports(22, 443)}}
	for name, test := range map[string]struct {
		violation finding.Violation
		want      string
	}{
		"nothing known":   {finding.Violation{Behavior: packets}, ""},
		"an active one":   {finding.Violation{Behavior: packets, Value: count(5412)}, "5,412 packets"},
		"a changed value": {finding.Violation{Behavior: packets, Value: count(7000), Events: []finding.Event{{Type: finding.InAlarm, Value: count(5412)}}}, "5,412 packets at first, 7,000 packets last"},
		"what clears it is normal": {finding.Violation{Behavior: packets, Value: count(5412), Events: []finding.Event{
			{Type: finding.InAlarm, Value: count(5412)}, {Type: finding.AlarmCleared, Value: count(3)},
		}}, "5,412 packets"},
		"of a set what is not normal": {finding.Violation{Behavior: listening, Value: ports(22, 443, 4444)}, "4444 (of 3)"},
		"all of a set":                {finding.Violation{Behavior: listening, Value: ports(4444)}, "4444"},
	} {
		if got := Seen(&test.violation, profile.KnownMetric(test.violation.Behavior.Metric)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestMetric(t *testing.T) {
	out := &finding.MetricValues{Metric: profile.KnownMetric("aws:all-packets-out"), Values: []finding.TimedValue{{Time: at(5), Value: *count(7)}}}
	plot, set := Metric(out, at(0), at(10))
	want := &render.Plot{
		Title: "packets out", Metric: "aws:all-packets-out", Unit: "packets", From: at(0), To: at(10),
		Series: []render.Series{{Points: []render.Point{{Time: at(5), Value: 7}}}},
	}
	if diff := cmp.Diff(want, plot); diff != "" || set != nil {
		t.Errorf("%+v\n%s", set, diff)
	}
	// Of a custom metric the values tell what it is, and without any the metric.
	words := &finding.MetricValues{Metric: profile.KnownMetric("words"), Values: []finding.TimedValue{{Time: at(5), Value: profile.Value{Strings: []string{"a"}}}}}
	if plot, set := Metric(words, at(0), at(10)); plot != nil || len(set.Points) != 1 || set.Points[0].Members[0] != "a" {
		t.Errorf("%+v, %+v", plot, set)
	}
	if plot, set := Metric(&finding.MetricValues{Metric: profile.KnownMetric("aws:listening-tcp-ports")}, at(0), at(10)); plot != nil || set == nil {
		t.Errorf("ports without values: %+v, %+v", plot, set)
	}
	narrowed := &finding.MetricValues{Metric: profile.KnownMetric("aws:num-messages-sent"), Dimension: &profile.MetricDimension{DimensionName: "Telemetry", Operator: "NOT_IN"}}
	plot, _ = Metric(narrowed, at(0), at(10))
	if want := "messages sent on topics outside dimension Telemetry"; plot == nil || plot.Title != want {
		t.Errorf("%+v, want the title %q", plot, want)
	}
	if got, want := MetricLink("a b", narrowed), "/live/metric?dimension=Telemetry&metric=aws%3Anum-messages-sent&operator=NOT_IN&thing=a+b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFirstValue(t *testing.T) {
	list := []*finding.MetricValues{{}, {Values: []finding.TimedValue{{Time: at(20)}}}, {Values: []finding.TimedValue{{Time: at(10)}}}}
	if got := FirstValue(list, at(0)); !got.Equal(at(10)) {
		t.Error(got)
	}
	if got := FirstValue(list[:1], at(0)); !got.Equal(at(0)) {
		t.Errorf("without values: %v", got)
	}
}
