package service

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// noticed lists the notices that have the text.
func (b *bench) noticed(text string) (list []string) {
	b.t.Helper()
	all, err := b.Notices(b.t.Context())
	for _, notice := range ok(b, all, err) {
		if strings.Contains(notice, text) {
			list = append(list, notice)
		}
	}
	return list
}

// large is a report of about that number of bytes.
func large(id int64, size int) []byte {
	var b strings.Builder
	for b.Len() < size {
		if b.Len() > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `"v%019d"`, b.Len())
	}
	return fmt.Appendf(nil, `{"header":{"report_id":%d,"version":"1.0"},"custom_metrics":{"m":[{"string_list":[%s]}]}}`, id, b.String())
}

// What strangers may fill is bounded, which real devices that are turned away
// with them can be told of; the registry's are not touched by it.
func TestUnregisteredThingsAreBounded(t *testing.T) {
	var log strings.Builder
	b := newBench(t, Options{MinReportInterval: -1, MaxUnregistered: 3, MaxUnregisteredBytes: 1 << 20, Log: newTextLog(&log)})
	ok(b, 0, b.Register(b.t.Context(), "ours"))
	send := func(thing string, id int64, size int) string {
		t.Helper()
		b.after(time.Second)
		return b.Report(t.Context(), thing, report.JSON, large(id, size)).ErrorMessage
	}
	for i := range 3 {
		if refusal := send(fmt.Sprint("stranger-", i), 1, 10_000); refusal != "" {
			t.Errorf("stranger %d: %s", i, refusal)
		}
	}
	for range 5 {
		if refusal := send("one-more", 1, 10_000); refusal != "Too many unregistered things" {
			t.Errorf("the fourth: %q", refusal)
		}
	}
	if notices := b.noticed("--unregistered-things"); len(notices) != 1 || !strings.HasPrefix(notices[0], "5 reports") || !strings.Contains(notices[0], "one-more") {
		t.Errorf("notices %q", notices)
	}
	if n := strings.Count(log.String(), "turned away"); n != 1 {
		t.Errorf("%d lines in the log for five reports in a moment", n)
	}
	id := int64(2)
	for send("stranger-0", id, 100_000) == "" {
		id++
	}
	b.restart() // what they have sent is not forgotten
	if refusal := send("stranger-1", id, 100_000); id < 9 || refusal != "Too much of unregistered things" {
		t.Errorf("%d reports of 100 KB are taken, and then: %q", id-2, refusal)
	}
	if len(b.noticed("--unregistered-megabytes")) != 1 {
		t.Error("no notice")
	}
	for id := range int64(20) {
		if refusal := send("ours", id+1, 100_000); refusal != "" {
			t.Fatalf("report %d of a registered thing: %s", id, refusal)
		}
	}
	b.after(24 * time.Hour)
	if refusal := send("stranger-1", 100, 100_000); refusal != "" {
		t.Errorf("the next day: %s", refusal)
	}
	if len(b.noticed("turned away")) != 0 {
		t.Error("the notice does not go away")
	}
}

// One stranger doesn't use up what there is for all.
func TestOneUnregisteredThingIsBounded(t *testing.T) {
	b := newBench(t, Options{MinReportInterval: -1, MaxUnregisteredBytes: -1})
	taken := 0
	for id := int64(1); ; id++ {
		b.after(time.Second)
		payload := large(id, 120_000)
		if refusal := b.Report(t.Context(), "stranger", report.JSON, payload).ErrorMessage; refusal != "" {
			if refusal != "Too much of an unregistered thing" {
				t.Error(refusal)
			}
			break
		}
		taken += len(payload)
	}
	if taken > 16<<20 || taken < 15<<20 {
		t.Errorf("%d bytes of one thing are taken in a day", taken)
	}
}

// What is taken and does nothing is said, in the log and to clients.
func TestWithoutEffect(t *testing.T) {
	silent := types.Behavior{Name: aws.String("Silent"), Metric: aws.String("aws:disconnect-duration"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, Value: &types.MetricValue{Count: aws.Int64(60)},
	}}
	model := types.Behavior{Name: aws.String("Model"), Metric: aws.String("aws:all-bytes-out"), Criteria: &types.BehaviorCriteria{
		MlDetectionConfig: &types.MachineLearningDetectionConfig{ConfidenceLevel: types.ConfidenceLevelHigh},
	}}
	for _, hears := range []bool{false, true} {
		var log strings.Builder
		b := newBench(t, Options{CloudEvents: hears, Log: newTextLog(&log)})
		b.attach(profileOf("Models", model))
		in := profileOf("P", silent, onlyPort(443))
		in.Behaviors[1].ExportMetric = aws.Bool(true)
		in.MetricsExportConfig = &types.MetricsExportConfig{MqttTopic: aws.String("$aws/rules/x"), RoleArn: aws.String(role)}
		b.attach(in)
		for text, want := range map[string]bool{"behavior Silent": !hears, "behavior Model": true, "exportMetric": true, "Ports": false} {
			if got := len(b.noticed(text)); (got == 1) != want {
				t.Errorf("hears %v: %d notices with %q", hears, got, text)
			}
		}
		if text := log.String(); !strings.Contains(text, "exportMetric") || !strings.Contains(text, "ML Detect") || strings.Contains(text, "behavior Silent") == hears {
			t.Errorf("hears %v: log %s", hears, text)
		}
		response, err := http.Get(b.url + "/security-profiles")
		ok(b, 0, err)
		response.Body.Close()
		if header := response.Header.Get("X-Defender-Without"); strings.Contains(header, "cloud-side-metrics") == hears || !strings.Contains(header, "ml-detect") {
			t.Errorf("hears %v: header %q", hears, header)
		}
	}
}

// A thing that stops is silent when three of its reports are missing, whatever
// its interval is.
func TestSilentThings(t *testing.T) {
	b := newBench(t, Options{})
	for _, interval := range []time.Duration{5 * time.Minute, time.Hour} {
		name := interval.String()
		b.reports(name, packets(1))
		b.after(interval)
		b.reports(name, packets(1))
		for after, silent := range map[time.Duration]bool{interval: false, 3 * interval: false, 3*interval + time.Minute: true} {
			b.after(after)
			state, _, err := b.Thing(b.t.Context(), name)
			if ok(b, state, err).Silent != silent {
				t.Errorf("every %v, %v after the last report: silent %v", interval, after, state.Silent)
			}
			b.after(-after)
		}
	}
	_, err := b.client.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("new")})
	ok(b, 0, err)
	if state, _, err := b.Thing(b.t.Context(), "new"); err != nil || state.Silent {
		t.Errorf("a thing that never reported: %+v, %v", state, err)
	}
}
