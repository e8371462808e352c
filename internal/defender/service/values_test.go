package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// values lists a metric's values, as time and value, from the latest on.
func (b *bench) values(in iot.ListMetricValuesInput) (all []string) {
	b.t.Helper()
	if in.StartTime == nil {
		in.StartTime, in.EndTime = aws.Time(start.AddDate(-1, 0, 0)), aws.Time(start.AddDate(1, 0, 0))
	}
	pages := iot.NewListMetricValuesPaginator(b.client, &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.t.Context())
		for _, datum := range ok(b, page, err).MetricDatumList {
			v := datum.Value
			text := ""
			switch {
			case v.Count != nil:
				text = fmt.Sprint(*v.Count)
			case v.Number != nil:
				text = fmt.Sprint(*v.Number)
			default:
				text = fmt.Sprint(v.Ports, v.Cidrs, v.Strings, v.Numbers)
			}
			all = append(all, fmt.Sprintf("%v %s", datum.Timestamp.Sub(start), text))
		}
	}
	return all
}

func (b *bench) wantValues(thing, metric string, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.values(iot.ListMetricValuesInput{ThingName: &thing, MetricName: &metric})); diff != "" {
		b.t.Errorf("%s of %s (-want +got):\n%s", metric, thing, diff)
	}
}

// Values are kept of what a profile of the thing uses or retains, and of
// nothing else.
func TestKeptValues(t *testing.T) {
	b := newBench(t, Options{})
	_, err := b.client.CreateCustomMetric(t.Context(), &iot.CreateCustomMetricInput{MetricName: aws.String("load"), MetricType: types.CustomMetricTypeNumber})
	ok(b, 0, err)
	in := profileOf("Traffic", atMost(100))
	in.AdditionalMetricsToRetain = []string{"aws:listening-tcp-ports"} //lint:ignore SA1019 deprecated, and still taken
	in.AdditionalMetricsToRetainV2 = []types.MetricToRetain{{Metric: aws.String("load")}}
	b.attachTo(in, "all/unregistered-things")
	_, err = b.client.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("registered")})
	ok(b, 0, err)

	const udp = `"listening_udp_ports":{"ports":[{"port":53}],"total":1}`
	b.reports("thing-1", packets(1)+","+ports()+","+udp)
	b.reports("registered", packets(9))
	b.after(300 * time.Second)
	b.reports("thing-1", packets(2)+","+ports(443, 22)+","+udp)
	b.after(300 * time.Second)
	for id, custom := range map[int64]string{3: `{"number":0.5}`, 4: `{"string_list":["a"]}`} {
		b.Report(t.Context(), "thing-1", report.JSON, fmt.Appendf(nil, `{"header":{"report_id":%d,"version":"1.0"},"custom_metrics":{"load":[%s]}}`, id, custom))
	}
	b.restart()

	b.wantValues("thing-1", "aws:all-packets-out", "5m0s 2", "0s 1")
	b.wantValues("thing-1", "aws:listening-tcp-ports", "5m0s [22 443] [] [] []", "0s [] [] [] []")
	b.wantValues("thing-1", "aws:listening-udp-ports")
	b.wantValues("registered", "aws:all-packets-out")
	for _, text := range b.values(iot.ListMetricValuesInput{ThingName: aws.String("thing-1"), MetricName: aws.String("load")}) {
		if text != "10m0s 0.5" {
			t.Errorf("load is %s: a value of another type than the metric's", text)
		}
	}
}

func TestValuesArePaged(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	var want []string
	for i := range 100 { // over two days
		b.reports("thing-1", packets(i))
		b.reports("thing-2", packets(1000+i)) // whose values lie between
		want = append(want, fmt.Sprintf("%v %d", time.Duration(i)*30*time.Minute, i))
		b.after(30 * time.Minute)
	}
	slices.Reverse(want)
	in := iot.ListMetricValuesInput{ThingName: aws.String("thing-1"), MetricName: aws.String("aws:all-packets-out"), MaxResults: aws.Int32(9)}
	if diff := cmp.Diff(want, b.values(in)); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	in.StartTime, in.EndTime = aws.Time(start.Add(23*time.Hour)), aws.Time(start.Add(25*time.Hour))
	if diff := cmp.Diff([]string{"25h0m0s 50", "24h30m0s 49", "24h0m0s 48", "23h30m0s 47", "23h0m0s 46"}, b.values(in)); diff != "" {
		t.Errorf("a part, both ends included (-want +got):\n%s", diff)
	}
}

// What the cloud counts is kept and evaluated like what a thing reports.
func TestCloudValues(t *testing.T) {
	b := newBench(t, Options{})
	_, err := b.client.CreateDimension(t.Context(), &iot.CreateDimensionInput{
		Name: aws.String("Auth"), Type: types.DimensionTypeTopicFilter, StringValues: []string{"auth/+"},
	})
	ok(b, 0, err)
	sent := func(name string, most int64, d *types.MetricDimension) types.Behavior {
		return types.Behavior{Name: &name, Metric: aws.String("aws:num-messages-sent"), MetricDimension: d, Criteria: &types.BehaviorCriteria{
			ComparisonOperator: types.ComparisonOperatorLessThanEquals, Value: &types.MetricValue{Count: &most}, DurationSeconds: aws.Int32(300),
		}}
	}
	b.attach(profileOf("Messages", sent("Sent", 100, nil),
		sent("AuthSent", 1, &types.MetricDimension{DimensionName: aws.String("Auth")}),
		sent("OtherSent", 100, &types.MetricDimension{DimensionName: aws.String("Auth"), Operator: types.DimensionValueOperatorNotIn})))
	for _, topic := range []string{"auth/a", "auth/b", "data"} {
		b.Cloud(detect.CloudEvent{Thing: "thing-1", Type: detect.Publish, Topic: topic, Bytes: 10})
	}
	b.restart() // closing takes what has come
	b.after(6 * time.Minute)
	ok(b, 0, b.advance(b.t.Context()))

	b.wantValues("thing-1", "aws:num-messages-sent", "5m0s 3")
	in := iot.ListMetricValuesInput{ThingName: aws.String("thing-1"), MetricName: aws.String("aws:num-messages-sent"), DimensionName: aws.String("Auth")}
	if diff := cmp.Diff([]string{"5m0s 2"}, b.values(in)); diff != "" {
		t.Errorf("in the dimension (-want +got):\n%s", diff)
	}
	in.DimensionValueOperator = types.DimensionValueOperatorNotIn
	if diff := cmp.Diff([]string{"5m0s 1"}, b.values(in)); diff != "" {
		t.Errorf("not in the dimension (-want +got):\n%s", diff)
	}
	b.wantHistory("5m0s thing-1 AuthSent in-alarm 2")
}
