package cloud

import (
	"errors"
	"fmt"
	"slices"
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

// world is a world with a client of it.
type world struct {
	*servicetest.World
	t      *testing.T
	client *Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: servicetest.NewWorld(t, time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)), t: t}
	var err error
	if w.client, err = Connect(t.Context(), Options{EndpointURL: w.URL}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) active() []finding.Violation {
	w.t.Helper()
	violations, err := w.client.ActiveViolations(w.t.Context(), ViolationFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return violations
}

func TestViolationFromStartToEnd(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	if active := w.active(); len(active) != 0 {
		t.Errorf("active: %+v", active)
	}
	got, err := w.client.Violations(t.Context(), ViolationFilter{}, w.At(0), w.Now())
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	v := got[0]
	if v.Thing != "gateway-2" || v.Profile != "DataExfiltrationCheck" || v.Behavior.Name != "PacketExfiltration" || v.State() != finding.AlarmCleared ||
		v.Verification != "UNKNOWN" || !v.Started.Equal(w.At(65)) || !v.Ended.Equal(w.At(80)) || *v.Value.Count != 5013 {
		t.Errorf("%+v", v)
	}
	want := []finding.Event{
		{Time: w.At(65), Type: finding.InAlarm, Value: &profile.Value{Count: new(int64(5013))}},
		{Time: w.At(80), Type: finding.AlarmCleared, Value: &profile.Value{Count: new(int64(290))}},
	}
	if diff := cmp.Diff(want, v.Events); diff != "" {
		t.Error(diff)
	}
	none, err := w.client.Violations(t.Context(), ViolationFilter{Behavior: "Other"}, w.At(0), w.Now())
	if err != nil || len(none) != 0 {
		t.Errorf("of another behavior: %+v, %v", none, err)
	}
	none, err = w.client.Violations(t.Context(), ViolationFilter{Thing: "gateway-1"}, w.At(0), w.Now())
	if err != nil || len(none) != 0 {
		t.Errorf("of another thing: %+v, %v", none, err)
	}
}

func TestActiveViolation(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	for _, packets := range []int{10, 2000, 3000} {
		w.Pass(5 * time.Minute)
		w.Report("gateway-2", packets)
	}
	active := w.active()
	if len(active) != 1 {
		t.Fatalf("%+v", active)
	}
	v := active[0]
	if v.State() != finding.InAlarm || !v.Started.Equal(w.At(10)) || !v.LastSeen.Equal(w.At(15)) || *v.Value.Count != 3000 || !v.Ended.IsZero() {
		t.Errorf("%+v", v)
	}
	found, err := w.client.FindViolation(t.Context(), v.ID, w.Now())
	if err != nil || !found.Active || len(found.Events) != 1 || *found.Value.Count != 3000 {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err = w.client.FindViolation(t.Context(), v.ID[:6], w.Now()); err != nil || !found.Active || len(found.Events) != 1 {
		t.Errorf("by its beginning: %+v, %v", found, err)
	}
}

func TestFindViolation(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 17 { // two of 17 ids begin with the same of 16 digits
		names = append(names, fmt.Sprintf("thing-%d", i))
	}
	w.Things(names...)
	w.Profile("P", servicetest.PacketExfiltration(1))
	w.Pass(5 * time.Minute)
	for _, thing := range names {
		w.Report(thing, 2000)
	}
	ids := map[byte][]string{}
	for _, v := range w.active() {
		ids[v.ID[0]] = append(ids[v.ID[0]], v.ID)
	}
	for first, all := range ids {
		slices.Sort(all)
		v, err := w.client.FindViolation(t.Context(), string(first), w.Now())
		if len(all) == 1 && (err != nil || v.ID != all[0]) {
			t.Errorf("%c: %v, %v", first, v, err)
		}
		if len(all) > 1 {
			var ambiguous *finding.AmbiguousError
			if !errors.As(err, &ambiguous) || !slices.Equal(ambiguous.Matches, all) {
				t.Errorf("%c: %v, want %v", first, err, all)
			}
		}
	}
	for _, id := range []string{"", "../x", "a b", strings.Repeat("a", 129), "zzz"} {
		if v, err := w.client.FindViolation(t.Context(), id, w.Now()); err == nil {
			t.Errorf("%q: %+v", id, v)
		}
	}
}

func TestMark(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	find := func() *finding.Violation {
		t.Helper()
		all, err := w.client.Violations(t.Context(), ViolationFilter{}, w.At(0), w.Now())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return &all[0]
	}
	id := find().ID
	if err := w.client.Mark(t.Context(), id, types.VerificationStateTruePositive, "Größe passt nicht"); err != nil {
		t.Fatal(err)
	}
	if v := find(); v.Verification != "TRUE_POSITIVE" || v.VerificationNote != "Größe passt nicht" {
		t.Errorf("%+v", v)
	}
	if err := w.client.Mark(t.Context(), id, types.VerificationStateUnknown, ""); err != nil {
		t.Fatal(err)
	}
	if v := find(); v.Verification != "UNKNOWN" || v.VerificationNote != "" {
		t.Errorf("%+v", v)
	}
	if err := w.client.Mark(t.Context(), "0000", types.VerificationStateUnknown, ""); err == nil {
		t.Error("a violation that is not there was marked")
	}
	for _, note := range []string{"two\nlines", "\x1b[31m", strings.Repeat("ä", 1001), "\xff"} {
		if err := CheckVerificationNote(note); err == nil {
			t.Errorf("%.20q is taken", note)
		}
	}
	if err := CheckVerificationNote(strings.Repeat("ä", 1000)); err != nil {
		t.Error(err)
	}
}

// The tutorial finds the exfiltration's address by hand; here it's pointed at.
func TestAround(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	all, err := w.client.Violations(t.Context(), ViolationFilter{}, w.At(0), w.Now())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	s, err := Around(t.Context(), w.client, &all[0], w.Now())
	if err != nil {
		t.Fatal(err)
	}
	// 3 h before the start, and until now, as 3 h after the end are to come.
	if !s.From.Equal(w.At(65-180)) || !s.To.Equal(w.Now()) {
		t.Errorf("period %v to %v", s.From, s.To)
	}
	if len(s.Values.Values) != 18 || *s.Values.Values[12].Value.Count != 5013 || !s.Values.Values[12].Time.Equal(w.At(65)) {
		t.Errorf("values: %+v", s.Values.Values)
	}
	var names []string
	for _, c := range s.Context {
		names = append(names, c.Metric.Name)
	}
	if want := []string{"aws:destination-ip-addresses", "aws:all-packets-in"}; !slices.Equal(names, want) {
		t.Errorf("context %v, want %v", names, want)
	}
	// The report before the alarm's is where the connection shows first.
	if !s.NewSince.Equal(w.At(60)) {
		t.Errorf("new since %v, want %v", s.NewSince, w.At(60))
	}
	if len(s.Notes) != 0 {
		t.Errorf("notes %q", s.Notes)
	}
}

func TestAroundWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(3))
	w.Exfiltrate()
	all, err := w.client.Violations(t.Context(), ViolationFilter{}, w.At(0), w.Now())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	v := &all[0]
	if !v.Started.Equal(w.At(75)) {
		t.Errorf("started %v: the third datapoint in a row is at %v", v.Started, w.At(75))
	}
	if _, err := w.IoT.DeleteSecurityProfile(t.Context(), &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String("DataExfiltrationCheck")}); err != nil {
		t.Fatal(err)
	}
	s, err := Around(t.Context(), w.client, v, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, "DataExfiltrationCheck is gone") }) {
		t.Errorf("notes %q", s.Notes)
	}
	// Three datapoints before the alarm, and the report before those.
	if !s.NewSince.Equal(w.At(60)) {
		t.Errorf("new since %v, want %v", s.NewSince, w.At(60))
	}
	s, err = Around(t.Context(), w.client, v, w.Now().Add(20*24*time.Hour))
	if err != nil || len(s.Notes) != 1 || len(s.Values.Values) != 0 {
		t.Errorf("after 20 days: %+v, %v", s, err)
	}
}

func TestMetricValues(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	metric, err := w.client.Metric(t.Context(), "aws:destination-ip-addresses")
	if err != nil {
		t.Fatal(err)
	}
	values, err := w.client.MetricValues(t.Context(), "gateway-2", metric, nil, w.At(58), w.At(66))
	if err != nil {
		t.Fatal(err)
	}
	want := []finding.TimedValue{
		{Time: w.At(60), Value: profile.Value{CIDRs: []string{servicetest.Broker, servicetest.Unknown}}},
		{Time: w.At(65), Value: profile.Value{CIDRs: []string{servicetest.Broker, servicetest.Unknown}}},
	}
	if diff := cmp.Diff(want, values.Values); diff != "" {
		t.Error(diff)
	}
	var missing *finding.UnknownMetricError
	for _, name := range []string{"aws:no-such-metric", "fan_speed"} {
		if _, err := w.client.Metric(t.Context(), name); !errors.As(err, &missing) || missing.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.IoT.CreateCustomMetric(t.Context(), &iot.CreateCustomMetricInput{
		MetricName: aws.String("fan_speed"), MetricType: types.CustomMetricTypeNumber, ClientRequestToken: aws.String("1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := w.client.Metric(t.Context(), "fan_speed"); err != nil || m.Kind != profile.Number || m.Side != profile.Custom {
		t.Errorf("%+v, %v", m, err)
	}
}

// More values than a page has: 300 five-minute values are read whole, in order.
func TestMetricValuesOfSeveralPages(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1")
	w.Profile("P", servicetest.PacketExfiltration(1))
	for n := range 300 {
		w.Pass(5 * time.Minute)
		w.ReportCut("gateway-1", n, 1+n%2, servicetest.Broker)
	}
	metric, _ := profile.FindMetric("aws:all-packets-out")
	values, err := w.client.MetricValues(t.Context(), "gateway-1", metric, nil, w.At(0), w.Now())
	if err != nil || len(values.Values) != 300 {
		t.Fatalf("%d values, %v", len(values.Values), err)
	}
	for n, v := range values.Values {
		if *v.Value.Count != int64(n) {
			t.Fatalf("value %d is %d", n, *v.Value.Count)
		}
	}
	// Each list with whether it is cut: every other one is.
	metric, _ = profile.FindMetric("aws:destination-ip-addresses")
	values, err = w.client.MetricValues(t.Context(), "gateway-1", metric, nil, w.At(0), w.Now())
	if err != nil || len(values.Values) != 300 {
		t.Fatalf("%d values, %v", len(values.Values), err)
	}
	for n, v := range values.Values {
		var want *profile.Cut
		if n%2 == 1 {
			want = &profile.Cut{Listed: 1, Total: 2}
		}
		if d := cmp.Diff(want, v.Cut); d != "" {
			t.Fatalf("value %d: %s", n, d)
		}
	}
}
