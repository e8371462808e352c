package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	gocmp "github.com/google/go-cmp/cmp"
)

// twoKinds makes a static violation of each of two things, whose alerts are
// suppressed for one profile, and a statistical one.
func twoKinds(b *bench) {
	suppressed := onlyPort(443)
	suppressed.SuppressAlerts = aws.Bool(true)
	b.attach(profileOf("Silent", suppressed))
	b.attach(profileOf("Loud", onlyPort(22)))
	for _, thing := range []string{"thing-a", "thing-b"} {
		b.reports(thing, ports(8080))
	}
}

func TestListFilters(t *testing.T) {
	b := newBench(t, Options{})
	twoKinds(b)
	id := ""
	for _, v := range b.active() {
		if *v.ThingName == "thing-a" && *v.SecurityProfileName == "Loud" {
			id = *v.ViolationId
		}
	}
	_, err := b.client.PutVerificationStateOnViolation(t.Context(), &iot.PutVerificationStateOnViolationInput{
		ViolationId: &id, VerificationState: types.VerificationStateFalsePositive, VerificationStateDescription: aws.String("known update"),
	})
	ok(b, 0, err)
	for _, test := range []struct {
		name   string
		filter iot.ListActiveViolationsInput
		want   []string
	}{
		{"none", iot.ListActiveViolationsInput{}, []string{"Loud thing-a", "Loud thing-b", "Silent thing-a", "Silent thing-b"}},
		{"thing", iot.ListActiveViolationsInput{ThingName: aws.String("thing-a")}, []string{"Loud thing-a", "Silent thing-a"}},
		{"profile", iot.ListActiveViolationsInput{SecurityProfileName: aws.String("Loud")}, []string{"Loud thing-a", "Loud thing-b"}},
		{"static", iot.ListActiveViolationsInput{BehaviorCriteriaType: "STATIC", ThingName: aws.String("thing-b")}, []string{"Loud thing-b", "Silent thing-b"}},
		{"statistical", iot.ListActiveViolationsInput{BehaviorCriteriaType: "STATISTICAL"}, nil},
		{"ML", iot.ListActiveViolationsInput{BehaviorCriteriaType: "MACHINE_LEARNING"}, nil},
		{"suppressed", iot.ListActiveViolationsInput{ListSuppressedAlerts: aws.Bool(true)}, []string{"Silent thing-a", "Silent thing-b"}},
		{"not suppressed", iot.ListActiveViolationsInput{ListSuppressedAlerts: aws.Bool(false)}, []string{"Loud thing-a", "Loud thing-b"}},
		{"verified", iot.ListActiveViolationsInput{VerificationState: "FALSE_POSITIVE"}, []string{"Loud thing-a"}},
		{"not verified", iot.ListActiveViolationsInput{VerificationState: "UNKNOWN", SecurityProfileName: aws.String("Loud")}, []string{"Loud thing-b"}},
	} {
		var active, events []string
		out, err := b.client.ListActiveViolations(t.Context(), &test.filter)
		for _, v := range ok(b, out, err).ActiveViolations {
			active = append(active, *v.SecurityProfileName+" "+*v.ThingName)
			if v.VerificationState == "FALSE_POSITIVE" && *v.VerificationStateDescription != "known update" {
				t.Errorf("%+v", v)
			}
		}
		list, err := b.client.ListViolationEvents(t.Context(), &iot.ListViolationEventsInput{
			StartTime: aws.Time(start), EndTime: aws.Time(start), ThingName: test.filter.ThingName,
			SecurityProfileName: test.filter.SecurityProfileName, BehaviorCriteriaType: test.filter.BehaviorCriteriaType,
			ListSuppressedAlerts: test.filter.ListSuppressedAlerts, VerificationState: test.filter.VerificationState,
		})
		for _, ev := range ok(b, list, err).ViolationEvents {
			events = append(events, *ev.SecurityProfileName+" "+*ev.ThingName)
		}
		slices.Sort(active)
		slices.Sort(events)
		if diff := gocmp.Diff(test.want, active); diff != "" {
			t.Errorf("active by %s (-want +got):\n%s", test.name, diff)
		}
		if diff := gocmp.Diff(test.want, events); diff != "" {
			t.Errorf("events by %s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestEventsArePagedFromTheLatest(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	for i := range 30 { // over three days
		b.reports("thing-a", ports(443+i%2))
		b.reports("thing-b", ports(443+i%2))
		b.after(2 * time.Hour)
	}
	var events []types.ViolationEvent
	pages := iot.NewListViolationEventsPaginator(b.client, &iot.ListViolationEventsInput{
		StartTime: aws.Time(start), EndTime: aws.Time(start.AddDate(0, 0, 7)), MaxResults: aws.Int32(7),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		ok(b, 0, err)
		if len(page.ViolationEvents) > 7 {
			t.Errorf("a page of %d", len(page.ViolationEvents))
		}
		events = append(events, page.ViolationEvents...)
	}
	// The first report of each thing is normal; the other 29 each begin or end
	// an alarm.
	if len(events) != 58 {
		t.Errorf("%d events, want 58", len(events))
	}
	descending := slices.IsSortedFunc(events, func(x, y types.ViolationEvent) int {
		return cmp.Or(y.ViolationEventTime.Compare(*x.ViolationEventTime), strings.Compare(*y.ViolationId, *x.ViolationId))
	})
	if !descending {
		t.Error("events are not from the latest to the earliest")
	}
	middle, err := b.client.ListViolationEvents(t.Context(), &iot.ListViolationEventsInput{
		StartTime: aws.Time(start.Add(4 * time.Hour)), EndTime: aws.Time(start.Add(6 * time.Hour)), ThingName: aws.String("thing-a"),
	})
	if n := len(ok(b, middle, err).ViolationEvents); n != 2 {
		t.Errorf("%d events from 4 h to 6 h, both included, want 2", n)
	}
}

func TestViolationErrors(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	name := aws.String
	now := aws.Time(start)
	for what, call := range map[string]func() error{
		"thing unknown": func() error {
			_, err := b.client.ListActiveViolations(ctx, &iot.ListActiveViolationsInput{ThingName: name("nobody")})
			return err
		},
		"profile unknown": func() error {
			_, err := b.client.ListActiveViolations(ctx, &iot.ListActiveViolationsInput{SecurityProfileName: name("none")})
			return err
		},
		"values of an unknown thing": func() error {
			_, err := b.client.ListMetricValues(ctx, &iot.ListMetricValuesInput{ThingName: name("nobody"), MetricName: name("aws:all-bytes-in"), StartTime: now, EndTime: now})
			return err
		},
		"values of an unknown custom metric": func() error {
			_, err := b.client.ListMetricValues(ctx, &iot.ListMetricValuesInput{ThingName: name("nobody"), MetricName: name("speed"), StartTime: now, EndTime: now})
			return err
		},
		"models of an unknown profile": func() error {
			_, err := b.client.GetBehaviorModelTrainingSummaries(ctx, &iot.GetBehaviorModelTrainingSummariesInput{SecurityProfileName: name("none")})
			return err
		},
	} {
		if err := call(); !isNotFound(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	list := func(in iot.ListActiveViolationsInput) func() error {
		return func() error { _, err := b.client.ListActiveViolations(ctx, &in); return err }
	}
	events := func(in iot.ListViolationEventsInput) func() error {
		return func() error { _, err := b.client.ListViolationEvents(ctx, &in); return err }
	}
	put := func(in iot.PutVerificationStateOnViolationInput) func() error {
		return func() error { _, err := b.client.PutVerificationStateOnViolation(ctx, &in); return err }
	}
	values := func(in iot.ListMetricValuesInput) func() error {
		in.ThingName, in.StartTime, in.EndTime = name("thing-1"), now, now
		return func() error { _, err := b.client.ListMetricValues(ctx, &in); return err }
	}
	for what, call := range map[string]func() error{
		"criteria type":     list(iot.ListActiveViolationsInput{BehaviorCriteriaType: "OTHER"}),
		"verification":      list(iot.ListActiveViolationsInput{VerificationState: "MAYBE"}),
		"page of none":      list(iot.ListActiveViolationsInput{MaxResults: aws.Int32(0)}),
		"page too long":     list(iot.ListActiveViolationsInput{MaxResults: aws.Int32(251)}),
		"token":             list(iot.ListActiveViolationsInput{NextToken: name("x")}),
		"profile's name":    list(iot.ListActiveViolationsInput{SecurityProfileName: name("a b")}),
		"thing's name":      list(iot.ListActiveViolationsInput{ThingName: name(strings.Repeat("x", 129))}),
		"time reversed":     events(iot.ListViolationEventsInput{StartTime: aws.Time(start.Add(time.Second)), EndTime: now}),
		"unknown violation": put(iot.PutVerificationStateOnViolationInput{ViolationId: name("0123456789abcdef"), VerificationState: "UNKNOWN"}),
		"violation's id":    put(iot.PutVerificationStateOnViolationInput{ViolationId: name("a_b"), VerificationState: "UNKNOWN"}),
		"state":             put(iot.PutVerificationStateOnViolationInput{ViolationId: name("0123"), VerificationState: "MAYBE"}),
		"description": put(iot.PutVerificationStateOnViolationInput{
			ViolationId: name("0123"), VerificationState: "UNKNOWN", VerificationStateDescription: name("two\nlines"),
		}),
		"long description": put(iot.PutVerificationStateOnViolationInput{
			ViolationId: name("0123"), VerificationState: "UNKNOWN", VerificationStateDescription: name(strings.Repeat("x", 1001)),
		}),
		"AWS metric":     values(iot.ListMetricValuesInput{MetricName: name("aws:destination-ip-address")}),
		"operator alone": values(iot.ListMetricValuesInput{MetricName: name("aws:num-messages-sent"), DimensionValueOperator: "IN"}),
		"operator":       values(iot.ListMetricValuesInput{MetricName: name("aws:num-messages-sent"), DimensionName: name("D"), DimensionValueOperator: "NEAR"}),
		"more than 10 model answers": func() error {
			_, err := b.client.GetBehaviorModelTrainingSummaries(ctx, &iot.GetBehaviorModelTrainingSummariesInput{MaxResults: aws.Int32(11)})
			return err
		},
	} {
		if err := call(); !isInvalid(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A model that isn't built is said to be pending, with what was collected.
func TestModelsArePending(t *testing.T) {
	var log strings.Builder
	b := newBench(t, Options{Log: newTextLog(&log)})
	var behaviors []types.Behavior
	for i := range 12 {
		behaviors = append(behaviors, types.Behavior{
			Name: aws.String(fmt.Sprintf("Model%02d", i)), Metric: aws.String("aws:all-packets-out"),
			Criteria: &types.BehaviorCriteria{MlDetectionConfig: &types.MachineLearningDetectionConfig{ConfidenceLevel: types.ConfidenceLevelHigh}},
		})
	}
	behaviors[1].Metric = aws.String("aws:all-bytes-in") // never reported
	b.attach(profileOf("Learning", behaviors...))
	if text := log.String(); !strings.Contains(text, `"behavior is not evaluated" profile=Learning behavior=Model11`) {
		t.Errorf("log: %s", text)
	}
	for range 50 {
		b.reports("thing-1", packets(3))
		b.after(12 * time.Hour)
	}
	b.restart()
	var all []types.BehaviorModelTrainingSummary
	pages := iot.NewGetBehaviorModelTrainingSummariesPaginator(b.client, &iot.GetBehaviorModelTrainingSummariesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		ok(b, 0, err)
		if len(page.Summaries) > 10 {
			t.Errorf("a page of %d", len(page.Summaries))
		}
		all = append(all, page.Summaries...)
	}
	if len(all) != 12 {
		t.Fatalf("%d summaries, want 12", len(all))
	}
	// Two a day in the last 14 calendar days, of which today has had one, of
	// the 25,000 that AWS wants.
	if s := all[0]; s.ModelStatus != types.ModelStatusPendingBuild || *s.DatapointsCollectionPercentage != 100*27.0/25_000 || *s.BehaviorName != "Model00" {
		t.Errorf("%+v, percentage %v", s, *s.DatapointsCollectionPercentage)
	}
	if s := all[1]; s.ModelStatus != types.ModelStatusPendingBuild || *s.DatapointsCollectionPercentage != 0 {
		t.Errorf("%+v, percentage %v", s, *s.DatapointsCollectionPercentage)
	}
	if active := b.active(); len(active) != 0 {
		t.Errorf("ML behaviors have violations: %+v", active)
	}
}
