package backtest

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

const packets = `
securityProfileName: P
behaviors:
  - name: Out
    metric: aws:all-packets-out
    criteria: {comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300, consecutiveDatapointsToAlarm: 2, consecutiveDatapointsToClear: 2}
`

// Two things for 50 minutes; one is above 1000 from minute 15 to 30, alarms
// with its second datapoint at minute 20 and is clear with the second one below,
// at minute 40.
func TestRun(t *testing.T) {
	r := run(t, set(t, packets), recording(t,
		counts(t, "a", "aws:all-packets-out", 10, 20, 1500, 1600, 900, 1700, 30, 40, 50, 950),
		counts(t, "b", "aws:all-packets-out", 10, 20, 30, 40, 50, 60, 70, 80, 90, 1001)))
	if len(r.Behaviors) != 1 {
		t.Fatalf("%+v", r)
	}
	b := r.Behaviors[0]
	type numbers struct {
		Things, Alarms, Cleared, Invalidated int
		Datapoints, Violating, NearMisses    int64
		AlarmMinutes, InAlarm                float64
	}
	// In alarm are the datapoints at 20, 25, 30 and 35.
	want := numbers{Things: 2, Alarms: 1, Cleared: 1, Datapoints: 20, Violating: 4, NearMisses: 2, AlarmMinutes: 20, InAlarm: 0.2}
	got := numbers{b.Things, b.Alarms, b.Cleared, b.Invalidated, b.Datapoints, b.Violating, b.NearMisses, b.AlarmMinutes, b.InAlarm}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&NearMiss{"a", at(50), 950, 1000}, b.Closest); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]ThingAlarms{{"a", 1, 20, false}}, b.ByThing); d != "" {
		t.Error(d)
	}
	threshold := new(1000.0)
	events := []Event{
		{at(20), "in-alarm", "a", "P", "Out", "aws:all-packets-out", &profile.Value{Count: new(int64(1600))}, threshold},
		{at(40), "alarm-cleared", "a", "P", "Out", "aws:all-packets-out", &profile.Value{Count: new(int64(40))}, threshold},
	}
	if d := cmp.Diff(events, r.Events); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Summary{From: at(5), To: at(50), Things: 2, Lines: 20, Values: 20}, r.Recording); d != "" {
		t.Error(d)
	}
	// 100 minutes of things are a hundredth of a week: no alarm is few enough.
	// Above 1000 for two datapoints in a row is a at 15 and 20 only; with 1500
	// there are no two.
	if b.Expected != "at most 1,000 packets out in 5 minutes" || !b.Excessive || math.Abs(b.AlarmsPerThingWeek-100.8) > 1e-9 {
		t.Errorf("%+v", b)
	}
	if len(b.Suggestions) != 2 {
		t.Fatalf("%+v", b.Suggestions)
	}
	if s := b.Suggestions[0]; s.What != asThreshold || *s.Criteria.Value.Count != 1500 || s.Alarms != 0 || s.Expected != "at most 1,500 packets out in 5 minutes" {
		t.Errorf("%+v", s)
	}
	// Three in a row above 1000 there are none.
	if s := b.Suggestions[1]; s.What != asConsecutive || *s.Criteria.ConsecutiveDatapointsToAlarm != 3 || *s.Criteria.Value.Count != 1000 || s.Alarms != 0 {
		t.Errorf("%+v", s)
	}
}

// Alarms that do not end last until the recording does; those of a thing that
// is silent for two days end then.
func TestAlarmMinutes(t *testing.T) {
	above := func(thing string, minutes int) string {
		return value(t, thing, minutes, "aws:num-listening-tcp-ports", profile.Value{Count: new(int64(9))})
	}
	const profiles = `
securityProfileName: P
behaviors: [{name: Ports, metric: aws:num-listening-tcp-ports, criteria: {comparisonOperator: less-than, value: {count: 9}}}]
`
	const days = 24 * 60
	r := run(t, set(t, profiles), recording(t, above("a", 0), above("b", 10), above("a", 20), above("b", 3*days)))
	b := r.Behaviors[0]
	// a is silent from minute 20 on: its alarm ends two days later. b's does so at
	// minute 10 and two days, and it begins another.
	if b.Alarms != 3 || b.Invalidated != 2 || b.Cleared != 0 || b.AlarmMinutes != 20+2*days+2*days {
		t.Errorf("%+v", b)
	}
	if d := cmp.Diff([]ThingAlarms{{"a", 1, 20 + 2*days, false}, {"b", 2, 2 * days, true}}, b.ByThing); d != "" {
		t.Error(d)
	}
	if e := r.Events[2]; e.Type != "alarm-invalidated" || e.Thing != "b" || !e.Time.Equal(at(10+2*days)) || e.Value != nil {
		t.Errorf("%+v", r.Events)
	}
	// Always 9: turned around there is no alarm, and nothing else to suggest.
	if s := b.Suggestions; len(s) != 1 || s[0].What != asOperator || s[0].Criteria.ComparisonOperator != profile.GreaterThanEquals || s[0].Alarms != 0 {
		t.Errorf("%+v", s)
	}
}

// What the recording tells nothing of is said, with the reason.
func TestNotEvaluated(t *testing.T) {
	s := set(t, `
securityProfileName: Rules
behaviors:
  - {name: Missing, metric: aws:all-bytes-in, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}
  - {name: Few, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than, statisticalThreshold: {statistic: p99}, durationSeconds: 300}}
  - {name: Long, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 3600}}
  - {name: Topic, metric: aws:num-messages-sent, metricDimension: {dimensionName: Auth}, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}
  - {name: Custom, metric: nobody_reports, criteria: {comparisonOperator: less-than, value: {number: 9}}}
  - {name: Type, metric: words, criteria: {comparisonOperator: less-than, value: {number: 9}}}
---
securityProfileName: Models
behaviors: [{name: ML, metric: aws:all-packets-out, criteria: {mlDetectionConfig: {confidenceLevel: HIGH}}}]
---
securityProfileName: Group
targets: [thinggroup/cars, all/unregistered-things]
behaviors: [{name: Out, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}]
---
securityProfileName: Nowhere
targets: []
behaviors: [{name: Out, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than, value: {count: 9}, durationSeconds: 300}}]
`)
	lines := counts(t, "a", "aws:all-packets-out", 1, 2, 3) + value(t, "a", 20, "words", profile.Value{Strings: []string{"x"}}) +
		counts(t, "a", "aws:num-messages-sent", 1, 2, 3)
	r := run(t, s, recording(t, lines))
	got := map[string]string{}
	for _, n := range r.NotEvaluated {
		got[n.Profile+"/"+n.Behavior] = n.Reason
	}
	want := map[string]string{
		"Rules/Missing": "no value of aws:all-bytes-in in the recording",
		"Rules/Few":     "too few things, or too short a recording, for a percentile: it takes 10 datapoints of windows before (1 thing)",
		"Rules/Long":    "no value of aws:all-packets-out makes a datapoint: none of its things reports it, or no window of 3600 seconds is complete",
		"Rules/Topic":   "no value of aws:num-messages-sent (Auth) in the recording",
		"Rules/Custom":  "no value of nobody_reports in the recording",
		"Models/ML":     "ML Detect needs AWS's models",
		"Group/Out":     "none of its targets is in the recording: thing group cars (what is in it is not known), all/unregistered-things (recorded things are taken for registered ones)",
		"Nowhere/Out":   "its list of targets is empty",
		"Rules/Type":    "",
	}
	if reason := got["Rules/Type"]; reason == "" || reason[:35] != "words is recorded as string-list: p" {
		t.Errorf("%q", reason)
	}
	got["Rules/Type"] = ""
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(r.Behaviors) != 0 {
		t.Errorf("%+v", r.Behaviors)
	}
}

// Targets decide which things count; the things of groups are told.
func TestTargets(t *testing.T) {
	s := set(t, `
securityProfileName: Cars
targets: [thinggroup/cars, thinggroup/bikes]
behaviors: [{name: Out, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than, value: {count: 5}, durationSeconds: 300}}]
`)
	rec := recording(t, counts(t, "car", "aws:all-packets-out", 9), counts(t, "boat", "aws:all-packets-out", 9))
	for _, c := range []struct {
		options Options
		things  int
		notes   []string
	}{
		{Options{Groups: map[string][]string{"cars": {"car"}}}, 1, []string{"without thing group bikes (what is in it is not known)"}},
		{Options{Groups: map[string][]string{"cars": {"car", "truck"}, "bikes": {"boat"}}}, 2, []string{}},
		{Options{AllThings: true}, 2, []string{}},
	} {
		r, err := Run(t.Context(), s.Profiles, s.Registry(), rec, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Behaviors) != 1 || r.Behaviors[0].Things != c.things || r.Behaviors[0].Alarms != c.things {
			t.Errorf("%+v: %+v", c.options, r)
			continue
		}
		if d := cmp.Diff(c.notes, r.Behaviors[0].Notes); d != "" {
			t.Error(d)
		}
	}
	r, err := Run(t.Context(), s.Profiles, s.Registry(), rec, Options{Groups: map[string][]string{"cars": {"truck"}}})
	if err != nil || len(r.NotEvaluated) != 1 || r.NotEvaluated[0].Reason != "none of the things that it is for is in the recording" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of sets: what should not be there, and what to add. The broker is there
// always, the mirror every other time, and one address once: with the first
// two added one alarm is left, which is one too many.
func TestSets(t *testing.T) {
	s := set(t, `
securityProfileName: P
behaviors:
  - {name: Destinations, metric: aws:destination-ip-addresses, criteria: {comparisonOperator: in-cidr-set, value: {cidrs: [10.0.0.0/8]}}}
  - {name: NoTelnet, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: not-in-port-set, value: {ports: [22, 23]}}}
`)
	var lines string
	for i := 1; i <= 20; i++ {
		addresses := []string{"10.1.2.3", "192.0.2.1"}
		if i%2 == 0 {
			addresses = append(addresses, "192.0.2.2")
		}
		if i == 13 {
			addresses = append(addresses, "203.0.113.9")
		}
		lines += value(t, "a", 5*i, "aws:destination-ip-addresses", profile.Value{CIDRs: addresses})
		lines += value(t, "a", 5*i, "aws:listening-tcp-ports", profile.Value{Ports: []int32{22, 443}})
	}
	r := run(t, s, recording(t, lines))
	b := r.Behaviors[0]
	if d := cmp.Diff([]Offender{{"192.0.2.1", 20}, {"192.0.2.2", 10}, {"203.0.113.9", 1}}, b.Offending); d != "" {
		t.Error(d)
	}
	if b.NearMisses != 0 || b.Closest != nil {
		t.Errorf("%+v", b)
	}
	var added *Suggestion
	for i := range b.Suggestions {
		if b.Suggestions[i].What == asElements {
			added = &b.Suggestions[i]
		}
	}
	if added == nil {
		t.Fatalf("%+v", b.Suggestions)
	}
	if d := cmp.Diff([]string{"10.0.0.0/8", "192.0.2.1", "192.0.2.2", "203.0.113.9"}, added.Criteria.Value.CIDRs); d != "" {
		t.Error(d)
	}
	b = r.Behaviors[1]
	if d := cmp.Diff([]Offender{{"22", 20}}, b.Offending); d != "" {
		t.Error(d)
	}
	if s := b.Suggestions[len(b.Suggestions)-1]; s.What != asElements || cmp.Diff([]int32{23}, s.Criteria.Value.Ports) != "" || s.Alarms != 0 {
		t.Errorf("%+v", b.Suggestions)
	}
}

// The tutorial's profile: "greater than p99.99" alarms nearly always. What was
// meant is found.
func TestInverted(t *testing.T) {
	s := set(t, `
securityProfileName: DataExfiltrationCheck
behaviors:
  - {name: PacketExfiltration, metric: aws:all-packets-out, criteria: {comparisonOperator: greater-than, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300}}
`)
	var lines string
	for _, thing := range []string{"a", "b", "c"} {
		values := make([]int64, 100)
		for i := range values {
			values[i] = 300
		}
		lines += counts(t, thing, "aws:all-packets-out", values...)
	}
	b := run(t, s, recording(t, lines)).Behaviors[0]
	if b.Alarms != 3 || b.Cleared != 0 || !b.Excessive || b.InAlarm != 1 {
		t.Errorf("%+v", b)
	}
	if s := b.Suggestions; len(s) != 1 || s[0].What != asOperator || s[0].Expected != "at most p99.99 of all things' packets out in 5 minutes" || s[0].Alarms != 0 {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff([]string{"p99.99 is of 3 things only, and of their past"}, b.Notes); d != "" {
		t.Error(d)
	}
}

// A percentile that is too strict: another one, or a number. Of 30 things in
// 40 windows, the n-th sends n packets, and one of them 100 now and then.
func TestStatistical(t *testing.T) {
	s := set(t, `
securityProfileName: P
behaviors:
  - {name: Out, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p50}, durationSeconds: 300}}
`)
	var lines string
	for i := range 30 {
		values := make([]int64, 40)
		for k := range values {
			values[k] = int64(i + 1)
		}
		lines += counts(t, string(rune('A'+i)), "aws:all-packets-out", values...)
	}
	b := run(t, s, recording(t, lines)).Behaviors[0]
	if !b.Excessive || b.Violating == 0 {
		t.Fatalf("%+v", b)
	}
	got := map[string]string{}
	for _, s := range b.Suggestions {
		got[s.What] = s.Expected
	}
	// Half of the things are above p50. Above p90 of 1 to 30 are three: in alarm
	// for a tenth of the datapoints. 30 things for 200 minutes may have 0.6
	// alarms, so it takes p99; as a number, 30 at most.
	want := map[string]string{
		asStatistic: "at most p99 of all things' packets out in 5 minutes",
		asThreshold: "at most 30 packets out in 5 minutes",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Custom metrics have the type that they are recorded with.
func TestCustomMetric(t *testing.T) {
	s := set(t, `
securityProfileName: P
behaviors:
  - {name: Battery, metric: battery, criteria: {comparisonOperator: greater-than, value: {number: 75.5}}}
  - {name: Names, metric: names, criteria: {comparisonOperator: in-set, value: {strings: [eth0]}}}
`)
	number := func(minutes int, n float64) string {
		return value(t, "a", minutes, "battery", profile.Value{Number: &n})
	}
	r := run(t, s, recording(t, number(0, 80), number(5, 75.25), number(10, 90),
		value(t, "a", 0, "names", profile.Value{Strings: []string{"eth0"}}), value(t, "a", 5, "names", profile.Value{Strings: []string{"eth0", "tun0"}})))
	if len(r.Behaviors) != 2 || r.Behaviors[0].Datapoints != 3 || r.Behaviors[0].Alarms != 1 || r.Behaviors[1].Datapoints != 2 || r.Behaviors[1].Alarms != 1 {
		t.Fatalf("%+v", r)
	}
	// More than 75.2 has no alarm.
	if s := r.Behaviors[0].Suggestions; len(s) == 0 || s[0].What != asThreshold || *s[0].Criteria.Value.Number != 75.2 {
		t.Errorf("%+v", s)
	}
}

// Lists that are cut, in a report or beside a value, alarm and do not clear.
func TestCutLists(t *testing.T) {
	s := set(t, `
securityProfileName: P
behaviors: [{name: Ports, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22]}}}]
`)
	list := func(minutes int, cut *profile.Cut, ports ...int32) string {
		return measured(t, "a", minutes, detect.Measurement{Metric: profile.MetricRef{Name: "aws:listening-tcp-ports"}, Value: profile.Value{Ports: ports}, Cut: cut})
	}
	reported := func(minutes int, total int64, ports ...report.Port) string {
		text, err := ReportLine("a", at(minutes), &report.Report{ID: int64(minutes), Version: "1.0", Metrics: &report.Metrics{
			ListeningTCPPorts: &report.ListeningPorts{Ports: ports, Total: &total},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	of2, ssh, odd := &profile.Cut{Listed: 1, Total: 2}, report.Port{Port: 22}, report.Port{Port: 31337}
	b := run(t, s, recording(t,
		list(5, of2, 22), list(10, of2, 31337), list(15, of2, 22), reported(20, 2, ssh), reported(25, 1, ssh),
		reported(30, 9, odd), reported(35, 9, ssh), list(40, nil, 22))).Behaviors[0]
	// From 10 to 25 and from 30 to 40.
	if b.Alarms != 2 || b.Cleared != 2 || b.Datapoints != 4 || b.AlarmMinutes != 25 {
		t.Errorf("%+v", b)
	}
	if d := cmp.Diff([]string{"6 of 8 lists are cut, shorter than their total: they may raise an alarm and never clear one"}, b.Notes); d != "" {
		t.Error(d)
	}
	r := run(t, s, recording(t, list(5, of2, 22), list(10, of2, 22)))
	if d := cmp.Diff([]NotEvaluated{{"P", "Ports", "no list of aws:listening-tcp-ports is whole or violates: 2 of 2 are cut"}}, r.NotEvaluated); d != "" {
		t.Error(d)
	}
}
