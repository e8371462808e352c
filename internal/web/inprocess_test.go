package web

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// onlyPort is a behavior that lets things listen on no other port.
func onlyPort(name string, port int32) types.Behavior {
	return types.Behavior{
		Name: aws.String(name), Metric: aws.String("aws:listening-tcp-ports"),
		Criteria: &types.BehaviorCriteria{ComparisonOperator: types.ComparisonOperatorInPortSet, Value: &types.MetricValue{Ports: []int32{port}}},
	}
}

// A page is one request, however much it shows.
func TestPageIsOneRequest(t *testing.T) {
	w := story(t)
	for i := range 30 {
		_, err := w.IoT.CreateSecurityProfile(t.Context(), &iot.CreateSecurityProfileInput{
			SecurityProfileName: aws.String(fmt.Sprintf("Ports%d", i)), Behaviors: []types.Behavior{onlyPort("Ports", 443)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	id := violations(t, w)["gateway-2"]
	var requests atomic.Int64
	handler := w.Service.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, path := range []string{
		render.OverviewPath, render.ThingLink("gateway-2"), render.MetricLink("gateway-2", "aws:all-packets-out", "", ""),
		render.ProfileLink("DataExfiltrationCheck"), render.ViolationLink(id), render.ViolationLink(id[:8]), render.ThingLink("nobody"),
	} {
		requests.Store(0)
		get(t, server.URL+path)
		if n := requests.Load(); n != 1 {
			t.Errorf("%s: %d requests, want 1", path, n)
		}
	}
}

func connect(t *testing.T, w *servicetest.World) *cloud.Client {
	t.Helper()
	client, err := cloud.Connect(t.Context(), cloud.Options{EndpointURL: w.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// statistical is a behavior that alarms at values above most of all things'.
func statistical() types.Behavior {
	return types.Behavior{
		Name: aws.String("Statistical"), Metric: aws.String("aws:all-packets-out"),
		Criteria: &types.BehaviorCriteria{
			ComparisonOperator: types.ComparisonOperatorLessThanEquals, DurationSeconds: aws.Int32(300),
			ConsecutiveDatapointsToAlarm: aws.Int32(1), ConsecutiveDatapointsToClear: aws.Int32(1),
			StatisticalThreshold: &types.StatisticalThreshold{Statistic: aws.String("p90")},
		},
	}
}

// The page of a violation is the one that the command makes of the API's answers,
// byte for byte.
func TestViolationPageIsTheCommands(t *testing.T) {
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2", "gateway-3")
	_, err := w.IoT.CreateCustomMetric(t.Context(), &iot.CreateCustomMetricInput{
		MetricName: aws.String("temperature"), MetricType: types.CustomMetricTypeNumber, ClientRequestToken: aws.String("token"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Profile("Exfiltration", servicetest.PacketExfiltration(1), onlyPort("Ports", 443), statistical(), types.Behavior{
		Name: aws.String("Hot"), Metric: aws.String("temperature"),
		Criteria: &types.BehaviorCriteria{
			ComparisonOperator: types.ComparisonOperatorLessThan, ConsecutiveDatapointsToAlarm: aws.Int32(1),
			ConsecutiveDatapointsToClear: aws.Int32(1), Value: &types.MetricValue{Number: aws.Float64(60)},
		},
	})
	w.Exfiltrate()
	w.Pass(5 * time.Minute)
	hot := []byte(`{"header":{"report_id":1001,"version":"1.0"},"metrics":{},"custom_metrics":{"temperature":[{"number":71.5}]}}`)
	if reply := w.Service.Report(t.Context(), "gateway-3", report.JSON, hot); reply.Status != report.Accepted {
		t.Fatalf("%+v", reply)
	}
	w.Pass(5 * time.Minute)
	w.Report("gateway-1", 9999, servicetest.Unknown)
	client := connect(t, w)
	now := w.Now()
	list, err := client.History(t.Context(), cloud.ViolationFilter{}, w.At(0), now)
	if err != nil {
		t.Fatal(err)
	}
	behaviors := map[string]bool{}
	for i := range list {
		behaviors[list[i].Behavior.Name] = true
		v, err := client.FindViolation(t.Context(), list[i].ID, now)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := writeAsCommand(t, &want, client, v, now); err != nil {
			t.Fatal(err)
		}
		answer, err := http.Get(w.URL + render.ViolationLink(v.ID))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("violation of %s on %s (-command +page):\n%s", v.Behavior.Name, v.Thing, diff)
		}
	}
	if len(behaviors) != 4 {
		t.Errorf("violations of %v, want of 4 behaviors", behaviors)
	}
}

// writeAsCommand writes the page that 'defenderctl violation show' writes, as a
// live one.
func writeAsCommand(t *testing.T, w io.Writer, client *cloud.Client, v *finding.Violation, now time.Time) error {
	t.Helper()
	s, err := cloud.Around(t.Context(), client, v, now)
	if err != nil {
		return err
	}
	percentile, reason, err := cloud.EstimatePercentile(t.Context(), client, s, fleet)
	if err != nil {
		return err
	}
	if reason != "" {
		s.Notes = append(s.Notes, reason)
	}
	about := render.About{Source: client.Source(), Live: true, Made: now.Local(), Zone: time.Local}
	return render.WriteViolationHTML(w, explore.ViolationPage(s, percentile, about))
}

// What the service tells its pages of violations is what the API does, in worlds
// made by chance.
func TestFindingsAreTheAPIs(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 11))
		w := newWorld(t)
		w.Things("thing-0", "thing-1")
		for i, port := range []int32{22, 443, 8080} {
			w.Profile(fmt.Sprintf("Ports%d", i), onlyPort("Ports", port), onlyPort("Others", 22), servicetest.PacketExfiltration(1))
		}
		for range 40 {
			w.Pass(5 * time.Minute)
			for thing := range 4 {
				if random.IntN(3) > 0 {
					w.Report(fmt.Sprintf("thing-%d", thing), 700+random.IntN(600))
				}
			}
			if random.IntN(20) == 0 {
				name := fmt.Sprintf("Ports%d", random.IntN(3))
				update := &iot.UpdateSecurityProfileInput{SecurityProfileName: &name, Behaviors: []types.Behavior{servicetest.PacketExfiltration(1), onlyPort("Ports", 22)}}
				if _, err := w.IoT.UpdateSecurityProfile(t.Context(), update); err != nil {
					t.Fatal(err)
				}
			}
		}
		client := connect(t, w)
		for _, scope := range []service.Scope{{}, {Thing: "thing-1"}, {Thing: "thing-3"}, {Profile: "Ports0"}, {Profile: "Ports2"}} {
			filter := cloud.ViolationFilter{Thing: scope.Thing, Profile: scope.Profile}
			want, err := client.History(t.Context(), filter, w.At(0), w.Now())
			if err != nil {
				t.Fatal(err)
			}
			checkFindings(t, w.Service, scope, want)
		}
		profiles, err := w.Service.Profiles(t.Context())
		if err != nil || len(profiles) != 3 {
			t.Errorf("profiles: %v, %v", profiles, err)
		}
	}
}

// checkFindings compares what there is, and each first part of it.
func checkFindings(t *testing.T, s *service.Service, scope service.Scope, want []finding.Violation) {
	t.Helper()
	slices.SortFunc(want, func(a, b finding.Violation) int {
		if a.Active != b.Active {
			if a.Active {
				return -1
			}
			return 1
		}
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	active := 0
	byProfile, byBehavior := map[string]int{}, map[string]int{}
	for _, v := range want {
		if v.Active {
			active++
			byProfile[v.Profile]++
			byBehavior[v.Behavior.Name]++
		}
	}
	for _, most := range []int{0, 1, 3, active, active + 1, len(want), len(want) + 1} {
		got, err := s.Findings(t.Context(), scope, most)
		if err != nil {
			t.Fatal(err)
		}
		first := want[:min(most, len(want))]
		var options gocmp.Options
		if most < len(want) { // which are the first of those that began at one time is not said
			options = append(options, cmpopts.IgnoreFields(finding.Violation{}, "ID", "Thing", "Profile", "Behavior", "Value", "Events", "LastSeen"))
		}
		// Of those that are over, a part of all has those that ended last.
		if scope == (service.Scope{}) && most < len(want) {
			first = first[:min(most, active)]
			got.List = got.List[:min(len(got.List), active)]
		}
		if diff := gocmp.Diff(first, got.List, options, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%+v, at most %d (-want +got):\n%s", scope, most, diff)
		}
		if got.Active != active || got.More != (most < len(want)) {
			t.Errorf("%+v, at most %d of %d: active %d of %d, more %t", scope, most, len(want), got.Active, active, got.More)
		}
		if scope == (service.Scope{}) && !gocmp.Equal(got.ByProfile, byProfile) || scope.Profile != "" && !gocmp.Equal(got.ByBehavior, byBehavior) {
			t.Errorf("%+v: %v, %v, want %v, %v", scope, got.ByProfile, got.ByBehavior, byProfile, byBehavior)
		}
	}
	for _, v := range want {
		got, err := s.Finding(t.Context(), v.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(&v, got); diff != "" {
			t.Errorf("violation %s (-want +got):\n%s", v.ID, diff)
		}
	}
}

// A security profile has the same document either way.
func TestProfileIsTheAPIs(t *testing.T) {
	w := newWorld(t)
	w.Profile("Rich", servicetest.PacketExfiltration(2), onlyPort("Ports", 443), statistical())
	for _, group := range []string{"b", "a"} {
		if _, err := w.IoT.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String(group)}); err != nil {
			t.Fatal(err)
		}
		_, err := w.IoT.AttachSecurityProfile(t.Context(), &iot.AttachSecurityProfileInput{
			SecurityProfileName: aws.String("Rich"), SecurityProfileTargetArn: aws.String("arn:aws:iot:us-east-1:123456789012:thinggroup/" + group),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.IoT.TagResource(t.Context(), &iot.TagResourceInput{
		ResourceArn: aws.String("arn:aws:iot:us-east-1:123456789012:securityprofile/Rich"),
		Tags:        []types.Tag{{Key: aws.String("team"), Value: aws.String("x")}, {Key: aws.String("empty"), Value: aws.String("")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := connect(t, w).Profile(t.Context(), "Rich")
	if err != nil {
		t.Fatal(err)
	}
	got, version, err := w.Service.Profile(t.Context(), "Rich")
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(&want.Profile, got, cmpopts.EquateEmpty()); diff != "" || version != want.Version {
		t.Errorf("version %d, want %d (-want +got):\n%s", version, want.Version, diff)
	}
}

// The first page lists the first of many alarms, and says how many there are.
func TestOverviewOfManyAlarms(t *testing.T) {
	w := newWorld(t)
	w.Profile("Ports", onlyPort("Ports", 443))
	alarms(t, w, 250)
	_, page := get(t, w.URL+render.OverviewPath)
	for text, want := range map[string]int{
		"250 violations in alarm": 1, "/live/violation?id=": mostViolations, "And 150 more in alarm": 1, "And 150 more.": 1, "250 in alarm": 1,
	} {
		if n := bytes.Count([]byte(page), []byte(text)); n != want {
			t.Errorf("%q is on the page %d times, want %d", text, n, want)
		}
	}
	if _, page := get(t, w.URL+render.ProfileLink("Ports")); !bytes.Contains([]byte(page), []byte("And 150 more in alarm")) {
		t.Error("the page of the profile does not say how many more there are")
	}
}

// alarms has n things report a port that they should not listen on.
func alarms(t testing.TB, w *servicetest.World, n int) {
	t.Helper()
	var parts sync.WaitGroup
	const workers = 32
	for worker := range workers {
		parts.Go(func() {
			for i := worker; i < n; i += workers {
				payload := `{"header":{"report_id":1,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":8080}],"total":1}}}`
				if reply := w.Service.Report(t.Context(), fmt.Sprintf("thing-%05d", i), report.JSON, []byte(payload)); reply.Status != report.Accepted {
					t.Errorf("%+v", reply)
				}
			}
		})
	}
	parts.Wait()
}
