package cloud

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// A fleet of twelve of which one is in alarm by a percentile.
func TestEstimatePercentile(t *testing.T) {
	w := newWorld(t)
	b := servicetest.PacketExfiltration(1)
	b.Criteria.Value, b.Criteria.StatisticalThreshold = nil, &types.StatisticalThreshold{Statistic: aws.String("p99.99")}
	w.Profile("P", b)
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("thing-%d", i))
	}
	w.Things(names...)
	for window := range 4 {
		w.Pass(5 * time.Minute)
		for i, name := range names {
			packets := 100 + i // thing-11 has the most, the same each time
			if i == 0 && window == 3 {
				packets = 5000
			}
			w.Report(name, packets)
		}
	}
	var v *finding.Violation
	for _, a := range w.active() {
		if a.Thing == "thing-0" {
			v = &a
		}
	}
	if v == nil {
		t.Fatalf("thing-0 is not in alarm: %+v", w.active())
	}
	s, err := Around(t.Context(), w.client, v, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	// p99.99 of so few is the largest: 11 other things in the 3 windows before.
	got, reason, err := EstimatePercentile(t.Context(), w.client, s, 12)
	if diff := cmp.Diff(&Percentile{Statistic: "p99.99", Value: 111, Datapoints: 33}, got); diff != "" || reason != "" || err != nil {
		t.Error(diff, reason, err)
	}
	v.Behavior.Criteria.StatisticalThreshold.Statistic = "p50"
	if got, _, err := EstimatePercentile(t.Context(), w.client, s, 12); err != nil || got == nil || got.Value != 106 {
		t.Errorf("median of 101 to 111: %+v, %v", got, err)
	}
	if got, reason, err := EstimatePercentile(t.Context(), w.client, s, 11); got != nil || err != nil || !strings.Contains(reason, "more than 11 things") {
		t.Errorf("%+v, %q, %v", got, reason, err)
	}
	if _, err := w.IoT.DeleteSecurityProfile(t.Context(), &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String("P")}); err != nil {
		t.Fatal(err)
	}
	if got, reason, err := EstimatePercentile(t.Context(), w.client, s, 12); got != nil || err != nil || !strings.Contains(reason, "P is gone") {
		t.Errorf("%+v, %q, %v", got, reason, err)
	}
	v.Behavior.Criteria.StatisticalThreshold = nil
	if got, reason, err := EstimatePercentile(t.Context(), w.client, s, 12); got != nil || err != nil || reason != "" {
		t.Errorf("not statistical: %+v, %q, %v", got, reason, err)
	}
}

func TestThingsOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.Things("in-1", "in-2", "out")
	if _, err := w.IoT.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String("gateways")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"in-1", "in-2"} {
		if _, err := w.IoT.AddThingToThingGroup(t.Context(), &iot.AddThingToThingGroupInput{ThingName: aws.String(name), ThingGroupName: aws.String("gateways")}); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]bool{}
	if err := w.client.addThings(t.Context(), found, profile.Target{Kind: profile.ThingGroup, Group: "gateways"}, 10); err != nil || len(found) != 2 || found["out"] {
		t.Errorf("%v, %v", found, err)
	}
	if err := w.client.addThings(t.Context(), found, profile.Target{Kind: profile.AllUnregistered}, 10); err != nil || len(found) != 2 {
		t.Errorf("%v, %v", found, err)
	}
	if err := w.client.addThings(t.Context(), found, profile.Target{Kind: profile.AllRegistered}, 10); err != nil || len(found) != 3 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestAccumulated(t *testing.T) {
	begin := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	value := func(minute int, n int64) finding.TimedValue {
		return finding.TimedValue{Time: begin.Add(time.Duration(minute) * time.Minute), Value: profile.Value{Count: new(n)}}
	}
	values := &finding.MetricValues{Metric: profile.Metric{Delta: true}, Values: []finding.TimedValue{value(1, 10), value(5, 20), value(16, 1), value(31, 5)}}
	end := begin.Add(30 * time.Minute)
	want := []datapoint{{begin, 30}, {begin.Add(15 * time.Minute), 1}}
	if diff := cmp.Diff(want, accumulated(values, 15*time.Minute, end), cmp.AllowUnexported(datapoint{})); diff != "" {
		t.Errorf("what adds up: %s", diff)
	}
	values.Metric.Delta = false
	want[0].value = 20
	if diff := cmp.Diff(want, accumulated(values, 15*time.Minute, end), cmp.AllowUnexported(datapoint{})); diff != "" {
		t.Errorf("what does not: %s", diff)
	}
	// 100 datapoints are enough, and the window that they are in counts whole.
	var points []datapoint
	for n := range 300 {
		points = append(points, datapoint{begin.Add(time.Duration(n/60) * time.Hour), float64(n / 60)})
	}
	if latest := latestWindows(points); len(latest) != 120 || latest[0] != 3 || latest[119] != 4 {
		t.Errorf("%d values from %v", len(latest), latest)
	}
}
