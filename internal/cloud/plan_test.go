package cloud

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// everything has each kind of document and each member that the grammar has,
// as AWS's documentation shows them.
const everything = `[
  {"metricName": "batteryPercentage", "metricType": "number", "displayName": "Battery, percent", "tags": [{"Key": "unit", "Value": "percent"}]},
  {"metricName": "modems", "metricType": "string-list"},
  {"metricName": "channels", "metricType": "number-list"},
  {"metricName": "peers", "metricType": "ip-address-list"},
  {"name": "AuthTopics", "type": "TOPIC_FILTER", "stringValues": ["auth/+/${iot:ClientId}", "device/#"], "tags": [{"Key": "team", "Value": "iot"}]},
  {
    "securityProfileName": "Rules:all", "securityProfileDescription": "What is \"normal\", 100%{ of it } for ${things}",
    "behaviors": [
      {"name": "MaxTcpPorts", "metric": "aws:num-listening-tcp-ports", "criteria": {"comparisonOperator": "less-than-equals", "value": {"count": 5}, "durationSeconds": 300, "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 2}, "suppressAlerts": true},
      {"name": "TcpConnectionCount", "metric": "aws:num-established-tcp-connections", "criteria": {"comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p90"}, "durationSeconds": 900}},
      {"name": "ListeningTcpPorts", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [443, 80]}}, "exportMetric": true},
      {"name": "DeniedDestinations", "metric": "aws:destination-ip-addresses", "criteria": {"comparisonOperator": "not-in-cidr-set", "value": {"cidrs": ["12.8.0.0/16", "15.102.16.0/24"]}}},
      {"name": "Battery", "metric": "batteryPercentage", "criteria": {"comparisonOperator": "greater-than", "value": {"number": 7.5}, "consecutiveDatapointsToAlarm": 5}},
      {"name": "Modems", "metric": "modems", "criteria": {"comparisonOperator": "in-set", "value": {"strings": ["quectel", "sierra"]}}},
      {"name": "Channels", "metric": "channels", "criteria": {"comparisonOperator": "not-in-set", "value": {"numbers": [1, 2.5]}}},
      {"name": "CellularBandwidth", "metric": "aws:message-byte-size", "metricDimension": {"dimensionName": "AuthTopics", "operator": "NOT_IN"}, "criteria": {"comparisonOperator": "less-than", "value": {"count": 128}}}
    ],
    "alertTargets": {"SNS": {"alertTargetArn": "arn:aws:sns:us-east-1:123456789012:alerts", "roleArn": "arn:aws:iam::123456789012:role/alerts"}},
    "additionalMetricsToRetainV2": [
      {"metric": "peers"},
      {"metric": "aws:num-messages-sent", "metricDimension": {"dimensionName": "AuthTopics", "operator": "IN"}, "exportMetric": true}
    ],
    "metricsExportConfig": {"mqttTopic": "$aws/rules/export", "roleArn": "arn:aws:iam::123456789012:role/export"},
    "tags": [{"Key": "team", "Value": "iot"}, {"Key": "empty"}],
    "targets": ["all/unregistered-things", "thinggroup/gateways"]
  },
  {
    "securityProfileName": "Models",
    "behaviors": [{"name": "OutboundMl", "metric": "aws:all-bytes-out", "criteria": {"consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1, "mlDetectionConfig": {"confidenceLevel": "HIGH"}}}],
    "additionalMetricsToRetain": ["aws:all-bytes-in"],
    "targets": []
  },
  {"securityProfileName": "Nothing"}
]`

// parsed reads documents that are right.
func parsed(t *testing.T, text string) *profilefile.Set {
	t.Helper()
	set, problems := profilefile.Parse("test.json", []byte(text))
	if problems = append(problems, set.Validate()...); len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

func (w *world) groups(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if _, err := w.IoT.CreateThingGroup(w.t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String(name)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// plan plans what has to be without problems.
func (w *world) plan(set *profilefile.Set) *Plan {
	w.t.Helper()
	plan, err := w.client.Plan(w.t.Context(), set)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(plan.Problems) > 0 {
		w.t.Fatal(plan.Problems)
	}
	return plan
}

// apply plans and applies, and returns the steps. Another plan is then empty.
func (w *world) apply(set *profilefile.Set) []string {
	w.t.Helper()
	plan := w.plan(set)
	if done, err := plan.Apply(w.t.Context(), func(Step) {}); err != nil || done != len(plan.Steps) {
		w.t.Fatalf("%d of %d steps: %v", done, len(plan.Steps), err)
	}
	if again := w.plan(set); len(again.Steps) > 0 {
		w.t.Errorf("a second time: %v\n%+v", again.Steps, again.Steps[0].Changes)
	}
	return said(plan.Steps)
}

func said(steps []Step) []string { return mapped(steps, Step.String) }

// faults are in front of the service: before answers in its place when it
// returns true.
type faults struct {
	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request) bool
	calls  []string // method and path
}

// withFaults gives the world a client whose calls go through the faults.
func (w *world) withFaults() *faults {
	w.t.Helper()
	f := &faults{before: func(http.ResponseWriter, *http.Request) bool { return false }}
	handler := w.Service.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		// The service tells its own time; the SDK makes calls again that are
		// denied after a jump in time.
		out.Header().Set("Date", w.Now().UTC().Format(http.TimeFormat))
		if !f.call(out, r) {
			handler.ServeHTTP(out, r)
		}
	}))
	w.t.Cleanup(server.Close)
	var err error
	if w.client, err = Connect(w.t.Context(), Options{EndpointURL: server.URL}); err != nil {
		w.t.Fatal(err)
	}
	w.client.IoT = iot.New(w.client.IoT.Options(), func(o *iot.Options) {
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) { r.MaxBackoff = time.Millisecond })
	})
	return f
}

// call notes the call, and reports whether it was answered here.
func (f *faults) call(out http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	return f.before(out, r)
}

// hangUp ends the connection without an answer.
func hangUp(t *testing.T, out http.ResponseWriter) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	conn.Close()
}

// set changes what happens, and forgets the calls so far.
func (f *faults) set(before func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.calls = before, nil
}

// refuse answers an error as AWS does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Amzn-ErrorType", code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, message)
}

// isChange reports whether the call changes the account.
func isChange(r *http.Request) bool {
	return r.Method != http.MethodGet && r.URL.Path != "/security-profile-behaviors/validate" && r.URL.Path != "/"
}

// ignoreSources makes sets comparable that are from different files.
var ignoreSources = cmpopts.IgnoreUnexported(profilefile.Set{})

func TestPlanOrder(t *testing.T) {
	w := newWorld(t)
	w.groups("gateways")
	f := w.withFaults()
	f.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if isChange(r) {
			t.Errorf("a plan does %s %s", r.Method, r.URL)
		}
		return false
	})
	plan := w.plan(parsed(t, everything))
	f.set(func(http.ResponseWriter, *http.Request) bool { return false })
	want := []string{
		"create custom metric batteryPercentage", "create custom metric modems", "create custom metric channels", "create custom metric peers",
		"create dimension AuthTopics",
		"create security profile Rules:all", "create security profile Models", "create security profile Nothing",
		"attach security profile Rules:all to all/unregistered-things", "attach security profile Rules:all to thinggroup/gateways",
	}
	if diff := cmp.Diff(want, said(plan.Steps)); diff != "" {
		t.Error(diff)
	}
	if want := []string{"Models", "Nothing"}; !slices.Equal(plan.Unattached, want) {
		t.Errorf("without target: %v, want %v", plan.Unattached, want)
	}
	wantChanges := []profilefile.Change{
		{Path: "metricType", New: `"number"`, Kind: profilefile.Added},
		{Path: "displayName", New: `"Battery, percent"`, Kind: profilefile.Added},
		{Path: "tags[unit]", New: `"percent"`, Kind: profilefile.Added},
	}
	if diff := cmp.Diff(wantChanges, plan.Steps[0].Changes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, w.apply(parsed(t, everything))); diff != "" {
		t.Error(diff)
	}
}

// What is applied is exported as it was, through every page.
func TestApplyAndExport(t *testing.T) {
	w := newWorld(t)
	w.groups("gateways")
	f := w.withFaults()
	f.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if q := r.URL.Query(); q.Has("maxResults") {
			q.Set("maxResults", "1")
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
	set := parsed(t, everything)
	w.apply(set)
	got, err := w.client.Export(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Sorted by name, and exactly these targets and tags.
	want := parsed(t, everything)
	slices.SortFunc(want.CustomMetrics, func(a, b profile.CustomMetric) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(want.Profiles, func(a, b profile.Profile) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(want.Profiles[2].Tags, func(a, b profile.Tag) int { return strings.Compare(a.Key, b.Key) })
	if diff := cmp.Diff(want, got, ignoreSources, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if plan := w.plan(got); len(plan.Steps) > 0 {
		t.Errorf("the export is not what is there: %v", plan.Steps)
	}
	one, err := w.client.Export(t.Context(), []string{"Models"})
	if err != nil || len(one.Profiles) != 1 || len(one.CustomMetrics) != 0 || len(one.Dimensions) != 0 {
		t.Errorf("one profile, which uses no custom metric: %+v, %v", one, err)
	}
	if _, err := w.client.Export(t.Context(), []string{"Nobody"}); err == nil || !strings.Contains(err.Error(), "Nobody") {
		t.Errorf("no such profile: %v", err)
	}
}

// Each member of a profile is changed, emptied, and filled again.
func TestUpdate(t *testing.T) {
	const (
		name     = `"securityProfileName": "P"`
		behavior = `{"name": "A", "metric": "aws:all-bytes-out", "criteria": {"comparisonOperator": "less-than", "value": {"count": %d}, "durationSeconds": 300}}`
		sns      = `"alertTargets": {"SNS": {"alertTargetArn": "arn:aws:sns:us-east-1:123456789012:%s", "roleArn": "arn:aws:iam::123456789012:role/alerts"}}`
		export   = `"metricsExportConfig": {"mqttTopic": "%s", "roleArn": "arn:aws:iam::123456789012:role/export"}`
	)
	members := []struct{ path, a, b string }{
		{"securityProfileDescription", `"securityProfileDescription": "a"`, `"securityProfileDescription": "b"`},
		{"behaviors[A].criteria.value.count", `"behaviors": [` + fmt.Sprintf(behavior, 1) + `]`, `"behaviors": [` + fmt.Sprintf(behavior, 2) + `]`},
		{"alertTargets.SNS.alertTargetArn", fmt.Sprintf(sns, "a"), fmt.Sprintf(sns, "b")},
		{"metricsExportConfig.mqttTopic", fmt.Sprintf(export, "a"), fmt.Sprintf(export, "b")},
		{"additionalMetricsToRetainV2[aws:all-bytes-in]", `"additionalMetricsToRetainV2": [{"metric": "aws:all-bytes-in"}, {"metric": "aws:all-packets-in"}]`, `"additionalMetricsToRetainV2": [{"metric": "aws:all-packets-in"}]`},
		{"additionalMetricsToRetainV2[aws:all-bytes-in]", `"additionalMetricsToRetain": ["aws:all-bytes-in", "aws:all-packets-in"]`, `"additionalMetricsToRetain": ["aws:all-packets-in"]`},
		// From one retain list to the other: what stays in the old one would count.
		{"additionalMetricsToRetainV2[aws:all-bytes-in]", `"additionalMetricsToRetain": ["aws:all-bytes-in", "aws:all-packets-in"]`, `"additionalMetricsToRetainV2": [{"metric": "aws:all-packets-in"}]`},
		{"additionalMetricsToRetainV2[aws:all-bytes-in]", `"additionalMetricsToRetainV2": [{"metric": "aws:all-bytes-in"}]`, `"additionalMetricsToRetain": ["aws:all-packets-in"]`},
	}
	// What has to stay, whatever else changes.
	rest := []string{`"securityProfileDescription": "stays"`, `"behaviors": [` + strings.Replace(fmt.Sprintf(behavior, 9), `"A"`, `"Z"`, 1) + `]`}
	for _, m := range members {
		t.Run(m.path, func(t *testing.T) {
			w := newWorld(t)
			with := func(member string) *profilefile.Set {
				document := "{" + name
				if member != "" {
					document += ", " + member
				}
				for _, part := range rest {
					if key, _, _ := strings.Cut(part, ":"); !strings.HasPrefix(m.a, key) {
						document += ", " + part
					}
				}
				return parsed(t, document+"}")
			}
			w.apply(with(m.a))
			version := int64(1)
			for _, member := range []string{m.b, m.a, "", m.b, ""} {
				plan := w.plan(with(member))
				if len(plan.Steps) != 1 || plan.Steps[0].Action != Update || len(plan.Steps[0].Changes) == 0 {
					t.Fatalf("to %s: %v", member, plan.Steps)
				}
				if member == m.b && version == 1 && plan.Steps[0].Changes[0].Path != m.path {
					t.Errorf("changes %+v, want of %s", plan.Steps[0].Changes, m.path)
				}
				w.apply(with(member))
				p, err := w.client.Profile(t.Context(), "P")
				if err != nil || p.Version <= version {
					t.Fatalf("version %d, %v", p.Version, err)
				}
				version = p.Version
				if changes := profilefile.Diff(&p.Profile, &with(member).Profiles[0]); len(changes) > 0 {
					t.Errorf("to %q: %+v", member, changes)
				}
			}
		})
	}
}

func TestUpdateOthers(t *testing.T) {
	w := newWorld(t)
	w.apply(parsed(t, `[{"metricName": "m", "metricType": "number", "displayName": "a", "tags": [{"Key": "k", "Value": "1"}, {"Key": "gone"}]},
		{"name": "d", "type": "TOPIC_FILTER", "stringValues": ["a", "b"]}]`))
	after := parsed(t, `[{"metricName": "m", "metricType": "number", "displayName": "b", "tags": [{"Key": "k", "Value": "2"}]},
		{"name": "d", "type": "TOPIC_FILTER", "stringValues": ["b", "c/#"]}]`)
	plan := w.plan(after)
	want := []string{"update custom metric m", "update dimension d", "untag custom metric m", "tag custom metric m"}
	if diff := cmp.Diff(want, said(plan.Steps)); diff != "" {
		t.Error(diff)
	}
	changes := [][]profilefile.Change{
		{{Path: "displayName", Old: `"a"`, New: `"b"`, Kind: profilefile.Changed}},
		{{Path: "stringValues", Old: `"a"`, Kind: profilefile.Removed}, {Path: "stringValues", New: `"c/#"`, Kind: profilefile.Added}},
		{{Path: "tags[gone]", Old: `""`, Kind: profilefile.Removed}},
		{{Path: "tags[k]", Old: `"1"`, New: `"2"`, Kind: profilefile.Changed}},
	}
	if diff := cmp.Diff(changes, mapped(plan.Steps, func(s Step) []profilefile.Change { return s.Changes })); diff != "" {
		t.Error(diff)
	}
	w.apply(after)
	// Without a display name there is none; without tags they stay.
	w.apply(parsed(t, `{"metricName": "m", "metricType": "number"}`))
	m, arn, err := w.client.customMetric(t.Context(), "m")
	if err != nil || m.DisplayName != "" {
		t.Errorf("%+v, %v", m, err)
	}
	if tags, err := w.client.tags(t.Context(), "m", arn); err != nil || len(tags) != 1 {
		t.Errorf("%+v, %v", tags, err)
	}
}

// A file that is silent about targets and tags leaves them alone; one that
// gives them means exactly these.
func TestTargetsAndTags(t *testing.T) {
	w := newWorld(t)
	w.groups("a", "b")
	const silent = `{"securityProfileName": "P"}`
	with := func(more string) *profilefile.Set {
		return parsed(t, `{"securityProfileName": "P", `+more+`}`)
	}
	w.apply(with(`"targets": ["a", "thinggroup/b"], "tags": [{"Key": "k", "Value": "v"}]`))
	for _, test := range []struct {
		set  *profilefile.Set
		want []string
	}{
		{parsed(t, silent), nil},
		{with(`"targets": ["arn:aws:iot:us-east-1:123456789012:thinggroup/a", "b"]`), nil},
		{with(`"targets": ["b", "all/things"]`), []string{"attach security profile P to all/things", "detach security profile P from thinggroup/a"}},
		{with(`"tags": []`), []string{"untag security profile P"}},
		{parsed(t, silent), nil},
		{with(`"targets": []`), []string{"detach security profile P from all/things", "detach security profile P from thinggroup/b"}},
	} {
		if diff := cmp.Diff(test.want, w.apply(test.set)); diff != "" {
			t.Error(diff)
		}
	}
}

// A target has five profiles at most: who leaves it goes first then, and only
// then.
func TestFullTarget(t *testing.T) {
	w := newWorld(t)
	w.groups("g")
	for i := range profile.MaxProfilesPerTarget {
		w.apply(parsed(t, fmt.Sprintf(`{"securityProfileName": "P%d", "targets": ["g"]}`, i)))
	}
	plan, err := w.client.Plan(t.Context(), parsed(t, `{"securityProfileName": "Q", "targets": ["g"]}`))
	if err != nil || len(plan.Problems) != 1 || plan.Problems[0].Rule != "quota" || plan.Problems[0].Path != "targets[0]" || plan.Problems[0].Line != 1 {
		t.Errorf("%+v, %v", plan.Problems, err)
	}
	if _, err := plan.Apply(t.Context(), func(Step) {}); err == nil {
		t.Error("a plan with a problem is applied")
	}
	got := w.apply(parsed(t, `[{"securityProfileName": "Q", "targets": ["g"]}, {"securityProfileName": "P3", "targets": ["all/things"]}]`))
	want := []string{
		"create security profile Q", "detach security profile P3 from thinggroup/g",
		"attach security profile Q to thinggroup/g", "attach security profile P3 to all/things",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What the account stands in the way of is said of the place in the file.
func TestPlanProblems(t *testing.T) {
	w := newWorld(t)
	w.apply(parsed(t, `{"metricName": "there", "metricType": "number"}`))
	behavior := func(metric, more string) string {
		return `{"securityProfileName": "P",
"behaviors": [{"name": "B", "metric": "` + metric + `", ` + more + `}]}`
	}
	const (
		count  = `"criteria": {"comparisonOperator": "less-than", "value": {"count": 1}}`
		number = `"criteria": {"comparisonOperator": "less-than", "value": {"number": 1}}`
	)
	tests := []struct{ document, rule, path, message string }{
		{`{"metricName": "there", "metricType": "string-list"}`, "immutable", "metricType", "custom metric there is there and of type number, which cannot be changed to string-list"},
		{behavior("missing", number), "unknown-metric", "behaviors[0].metric", "missing"},
		{behavior("there", `"criteria": {"comparisonOperator": "in-set", "value": {"strings": ["a"]}}`), "operator", "behaviors[0].criteria.comparisonOperator", "in-set"},
		{behavior("aws:num-messages-sent", `"metricDimension": {"dimensionName": "nowhere"}, `+count), "unknown-dimension", "behaviors[0].metricDimension", "nowhere"},
		{`{"securityProfileName": "P", "targets": ["all/things", "nobody"]}`, "unknown-group", "targets[1]", "thinggroup/nobody is not there"},
		{`{"securityProfileName": "P", "targets": ["arn:aws:iot:us-east-1:999999999999:all/things"]}`, "foreign-target", "targets[0]", "not of account 123456789012 in us-east-1"},
		{`{"securityProfileName": "P", "targets": ["arn:aws:iot:eu-west-1:123456789012:all/things"]}`, "foreign-target", "targets[0]", "not of account 123456789012 in us-east-1"},
	}
	for _, test := range tests {
		plan, err := w.client.Plan(t.Context(), parsed(t, test.document))
		if err != nil || len(plan.Problems) == 0 {
			t.Errorf("%s: %+v, %v", test.document, plan, err)
			continue
		}
		p := plan.Problems[0]
		if p.Rule != test.rule || !strings.HasPrefix(p.Path, test.path) || !strings.Contains(p.Message, test.message) || p.File != "test.json" || p.Line < 1 || p.Severity != profile.Error {
			t.Errorf("%s: %v", test.document, p)
		}
	}
}

// AWS knows what this program does not.
func TestSecondOpinion(t *testing.T) {
	w := newWorld(t)
	f := w.withFaults()
	f.set(func(out http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/security-profile-behaviors/validate" {
			return false
		}
		out.Header().Set("Content-Type", "application/json")
		fmt.Fprint(out, `{"valid": false, "validationErrors": [{"errorMessage": "Behavior B is malformed."}]}`)
		return true
	})
	plan, err := w.client.Plan(t.Context(), parsed(t, `{"securityProfileName": "P", "behaviors": [{"name": "B", "metric": "aws:all-bytes-out", "criteria": {"comparisonOperator": "less-than", "value": {"count": 1}, "durationSeconds": 300}}]}`))
	if err != nil || len(plan.Problems) != 1 || plan.Problems[0].Message != "AWS IoT: Behavior B is malformed." || plan.Problems[0].Path != "behaviors" {
		t.Errorf("%+v, %v", plan, err)
	}
}

// Between plan and apply somebody else is at work: nothing is overwritten.
func TestMovedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.apply(parsed(t, `{"securityProfileName": "P", "securityProfileDescription": "a"}`))
	wanted := parsed(t, `{"securityProfileName": "P", "securityProfileDescription": "mine"}`)
	plan := w.plan(wanted)
	w.apply(parsed(t, `{"securityProfileName": "P", "securityProfileDescription": "theirs"}`))
	if done, err := plan.Apply(t.Context(), func(Step) {}); done != 0 || err == nil || !strings.Contains(err.Error(), "plan again") || !strings.Contains(err.Error(), "VersionConflictException") {
		t.Errorf("%d steps, %v", done, err)
	}
	if p, err := w.client.Profile(t.Context(), "P"); err != nil || p.Description != "theirs" {
		t.Errorf("%+v, %v", p, err)
	}
	w.apply(wanted)

	plan = w.plan(parsed(t, `{"securityProfileName": "Q", "securityProfileDescription": "mine"}`))
	w.apply(parsed(t, `{"securityProfileName": "Q", "securityProfileDescription": "theirs"}`))
	if _, err := plan.Apply(t.Context(), func(Step) {}); err == nil || !strings.Contains(err.Error(), "ResourceAlreadyExistsException") || !strings.Contains(err.Error(), "plan again") {
		t.Error(err)
	}
	// Somebody else did the very same.
	plan = w.plan(parsed(t, `{"securityProfileName": "R"}`))
	w.apply(parsed(t, `{"securityProfileName": "R"}`))
	if _, err := plan.Apply(t.Context(), func(Step) {}); err != nil {
		t.Error(err)
	}
	deletion, err := w.client.PlanDelete(t.Context(), []string{"R"})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(parsed(t, `{"securityProfileName": "R", "securityProfileDescription": "in use"}`))
	if _, err := deletion.Apply(t.Context(), func(Step) {}); err == nil || !strings.Contains(err.Error(), "plan again") {
		t.Error(err)
	}
}

// before and after are two states with every action between them.
const (
	before = `[{"metricName": "old", "metricType": "number", "displayName": "old"},
	  {"securityProfileName": "P", "securityProfileDescription": "old", "tags": [{"Key": "a"}, {"Key": "b"}], "targets": ["g"], "additionalMetricsToRetain": ["aws:all-bytes-in"]}]`
	after = `[{"metricName": "old", "metricType": "number", "displayName": "new"}, {"metricName": "new", "metricType": "number"},
	  {"name": "d", "type": "TOPIC_FILTER", "stringValues": ["a"]},
	  {"securityProfileName": "P", "securityProfileDescription": "new", "tags": [{"Key": "a", "Value": "new"}], "targets": ["all/things"], "additionalMetricsToRetainV2": [{"metric": "new"}]},
	  {"securityProfileName": "Q", "targets": ["g"], "additionalMetricsToRetainV2": [{"metric": "aws:num-messages-sent", "metricDimension": {"dimensionName": "d"}}]}]`
)

// changesBetween is how many calls lead from before to after. The retain list
// of P takes two updates.
const changesBetween = 11

// Whatever call fails: the steps before it are done, and the same again does
// the rest.
func TestFailureAtAnyCall(t *testing.T) {
	for n := 1; n <= changesBetween+1; n++ {
		w := newWorld(t)
		w.groups("g")
		w.apply(parsed(t, before))
		f := w.withFaults()
		count := 0
		f.set(func(out http.ResponseWriter, r *http.Request) bool {
			if !isChange(r) {
				return false
			}
			if count++; count != n {
				return false
			}
			refuse(out, http.StatusForbidden, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/u is not authorized to perform: iot:Something on resource: *")
			return true
		})
		plan := w.plan(parsed(t, after))
		var told []string
		done, err := plan.Apply(t.Context(), func(s Step) { told = append(told, s.String()) })
		if n > changesBetween {
			if err != nil || done != len(plan.Steps) {
				t.Fatalf("%d calls, want %d: %v", count, changesBetween, err)
			}
			continue
		}
		if err == nil || done >= len(plan.Steps) || !slices.Equal(told, said(plan.Steps[:done])) {
			t.Fatalf("call %d: %d steps done, told %v, %v", n, done, told, err)
		}
		if failed := plan.Steps[done]; !strings.Contains(err.Error(), failed.Name) || !strings.Contains(err.Error(), "needs the permission iot:Something") {
			t.Errorf("call %d: %v does not say what failed: %v", n, failed, err)
		}
		if rest := said(w.plan(parsed(t, after)).Steps); !slices.Equal(rest, said(plan.Steps[done:])) {
			t.Errorf("call %d: left %v, want %v", n, rest, said(plan.Steps[done:]))
		}
		w.apply(parsed(t, after))
	}
}

// Whatever answer is lost on the way: the call is made again, and does no harm.
func TestLostAnswers(t *testing.T) {
	for n := 1; n <= changesBetween; n++ {
		w := newWorld(t)
		w.groups("g")
		w.apply(parsed(t, before))
		f := w.withFaults()
		count := 0
		f.set(func(out http.ResponseWriter, r *http.Request) bool {
			if !isChange(r) {
				return false
			}
			if count++; count != n {
				return false
			}
			w.Service.Handler().ServeHTTP(httptest.NewRecorder(), r)
			hangUp(t, out)
			return true
		})
		w.apply(parsed(t, after))
		if count <= changesBetween {
			t.Errorf("call %d was not repeated: %v", n, f.calls)
		}
	}
}

func TestApplyStops(t *testing.T) {
	w := newWorld(t)
	plan := w.plan(parsed(t, `[{"securityProfileName": "P"}, {"securityProfileName": "Q"}]`))
	done := 0
	ctx, cancel := context.WithCancel(t.Context())
	if n, err := plan.Apply(ctx, func(Step) { done++; cancel() }); n != 1 || done != 1 || err == nil {
		t.Errorf("%d steps, %v", n, err)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	w.groups("g")
	w.apply(parsed(t, `[{"securityProfileName": "P", "targets": ["g", "all/things"]}, {"securityProfileName": "Q"}]`))
	if _, err := w.client.PlanDelete(t.Context(), []string{"P", "x", "Q", "y"}); err == nil || err.Error() != "there is no security profile x\nthere is no security profile y" {
		t.Errorf("%v", err)
	}
	plan, err := w.client.PlanDelete(t.Context(), []string{"P", "Q", "P"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"detach security profile P from all/things", "detach security profile P from thinggroup/g", "delete security profile P", "delete security profile Q",
	}
	if diff := cmp.Diff(want, said(plan.Steps)); diff != "" {
		t.Error(diff)
	}
	if done, err := plan.Apply(t.Context(), func(Step) {}); done != 4 || err != nil {
		t.Errorf("%d, %v", done, err)
	}
	if names, err := w.client.ProfileNames(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}
