package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// account is a world without anything, and a folder of files to work in.
func account(t *testing.T, files map[string]string) *servicetest.World {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return servicetest.NewWorld(t, time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC))
}

const limits = `[
  {"metricName": "battery", "metricType": "number"},
  {
    "securityProfileName": "Limits",
    "behaviors": [
      {"name": "BytesOut", "metric": "aws:all-bytes-out", "criteria": {"comparisonOperator": "less-than-equals", "value": {"count": 5000}, "durationSeconds": 300}},
      {"name": "Ports", "metric": "aws:num-listening-tcp-ports", "criteria": {"comparisonOperator": "less-than-equals", "value": {"count": 25}, "consecutiveDatapointsToAlarm": 3}, "suppressAlerts": true}
    ],
    "additionalMetricsToRetainV2": [{"metric": "battery"}],
    "tags": [{"Key": "team", "Value": "iot"}],
    "targets": ["all/things"]
  }
]
`

// The whole way: plan, apply, again, a change, and what is shown of it.
func TestProfilePlanAndApply(t *testing.T) {
	w := account(t, map[string]string{"limits.json": limits})
	const plan = `+ create custom metric battery
    + metricType: "number"
+ create security profile Limits
    + behaviors[BytesOut]: at most 5,000 bytes out in 5 minutes
        {"name":"BytesOut","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals","value":{"count":5000},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}
    + behaviors[Ports]: at most 25 listening TCP ports
        {"name":"Ports","metric":"aws:num-listening-tcp-ports","criteria":{"comparisonOperator":"less-than-equals","value":{"count":25},"consecutiveDatapointsToAlarm":3,"consecutiveDatapointsToClear":1},"suppressAlerts":true}
    + additionalMetricsToRetainV2[battery]
    + tags[team]: "iot"
+ attach security profile Limits to all/things

2 to create, 1 to attach
`
	if diff := cmp.Diff(plan, succeed(t, w, "profile", "plan", "limits.json")); diff != "" {
		t.Error(diff)
	}
	exit := func(want int, args ...string) string {
		t.Helper()
		stdout, stderr, code := invoke(t, "", append(args, "--endpoint-url", w.URL)...)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
		return stderr
	}
	if stderr := exit(3, "profile", "plan", "limits.json", "--exit-code"); stderr != "" {
		t.Errorf("changes are no error: %s", stderr)
	}
	want(t, exit(2, "profile", "apply", "limits.json"), `--yes`)
	if diff := cmp.Diff(plan+`
done: create custom metric battery
done: create security profile Limits
done: attach security profile Limits to all/things
`, succeed(t, w, "profile", "apply", "limits.json", "--yes")); diff != "" {
		t.Error(diff)
	}
	exit(0, "profile", "plan", "limits.json", "--exit-code")
	for _, command := range []string{"plan", "apply"} { // nothing to ask
		if got := succeed(t, w, "profile", command, "limits.json"); got != "nothing to change\n" {
			t.Errorf("%s: %s", command, got)
		}
	}

	changed := strings.NewReplacer("5000", "6000", `"iot"`, `"ops"`, `["all/things"]`, `["all/registered-things"]`, `, "suppressAlerts": true`, "").Replace(limits)
	if err := os.WriteFile("limits.json", []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	const update = `~ update security profile Limits
    ~ behaviors[BytesOut].criteria.value.count: 5000 -> 6000
    - behaviors[Ports].suppressAlerts: true
~ tag security profile Limits
    ~ tags[team]: "iot" -> "ops"
+ attach security profile Limits to all/registered-things
- detach security profile Limits from all/things

1 to update, 1 to tag, 1 to attach, 1 to detach
`
	if diff := cmp.Diff(update, succeed(t, w, "profile", "plan", "limits.json")); diff != "" {
		t.Error(diff)
	}
	var rows planRow
	if err := json.Unmarshal([]byte(succeed(t, w, "profile", "plan", "limits.json", "-o", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	wantSteps := []stepRow{
		{Action: "update", Kind: "security profile", Name: "Limits", Changes: []changeRow{
			{"behaviors[BytesOut].criteria.value.count", "changed", json.RawMessage("5000"), json.RawMessage("6000")},
			{"behaviors[Ports].suppressAlerts", "removed", json.RawMessage("true"), nil},
		}},
		{Action: "tag", Kind: "security profile", Name: "Limits", Changes: []changeRow{{"tags[team]", "changed", json.RawMessage(`"iot"`), json.RawMessage(`"ops"`)}}},
		{Action: "attach", Kind: "security profile", Name: "Limits", Target: "all/registered-things"},
		{Action: "detach", Kind: "security profile", Name: "Limits", Target: "all/things"},
	}
	if diff := cmp.Diff(planRow{w.URL, wantSteps}, rows); diff != "" {
		t.Error(diff)
	}
	want(t, succeed(t, w, "profile", "plan", "limits.json", "-o", "yaml"), `path: behaviors\[BytesOut\]\.criteria\.value\.count`)
}

// Color repeats what the signs say.
func TestPlanInColor(t *testing.T) {
	plan := &cloud.Plan{Steps: []cloud.Step{
		{Action: cloud.Update, Name: "P", Changes: []profilefile.Change{{Path: "a", Old: "1", New: "2", Kind: profilefile.Changed}, {Path: "b", Old: `"\u001b[2J"`, Kind: profilefile.Removed}}},
		{Action: cloud.Detach, Name: "P", Target: "all/things"},
	}}
	var colored, plain bytes.Buffer
	writePlan(&colored, plan, true)
	writePlan(&plain, plan, false)
	want := "\x1b[33m~ update security profile P\x1b[0m\n    \x1b[33m~\x1b[0m a: \x1b[31m1\x1b[0m -> \x1b[32m2\x1b[0m\n"
	if got := colored.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "\x1b[31m- detach security profile P from all/things\x1b[0m") {
		t.Errorf("%q", got)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("%q", plain.String())
	}
}

func TestProfilePlanRefuses(t *testing.T) {
	w := account(t, map[string]string{
		"broken.json":  `{"securityProfileName": "a b"}`,
		"group.json":   "{\"securityProfileName\": \"P\",\n  \"targets\": [\"nobody\"]}",
		"actions.json": `{"actionName": "A", "roleArn": "arn:aws:iam::123456789012:role/mitigation", "actionParams": {"addThingsToThingGroupParams": {"thingGroupNames": ["g"]}}}`,
	})
	for _, command := range []string{"plan", "apply"} {
		for file, message := range map[string]string{
			"broken.json": `broken\.json:1:25: error: .* \[name\]`, "group.json": `group\.json:2:15: error: thinggroup/nobody is not there \[unknown-group\]`, "absent.json": `absent\.json`,
		} {
			stdout, stderr, code := invoke(t, "", "profile", command, file, "--endpoint-url", w.URL)
			if code != 1 || stdout != "" {
				t.Errorf("%s %s: exit code %d, %s", command, file, code, stdout)
			}
			want(t, stderr, message)
		}
	}
	_, stderr, code := invoke(t, "", "profile", "plan", "actions.json", "--endpoint-url", w.URL)
	if code != 0 {
		t.Error(code)
	}
	want(t, stderr, `left out: 1 mitigation action`)
}

// A step that fails: what is done and what is not, and the rest the next time.
func TestProfileApplyHalfWay(t *testing.T) {
	w := account(t, map[string]string{"limits.json": limits})
	handler := w.Service.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/security-profiles/") {
			out.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			out.Header().Set("Date", w.Now().Format(http.TimeFormat))
			out.WriteHeader(http.StatusForbidden)
			io.WriteString(out, `{"message": "User: u is not authorized to perform: iot:CreateSecurityProfile"}`)
			return
		}
		handler.ServeHTTP(out, r)
	}))
	defer server.Close()
	stdout, stderr, code := invoke(t, "", "profile", "apply", "limits.json", "--yes", "--endpoint-url", server.URL)
	want(t, stdout, `^done: create custom metric battery$`, `^not done: create security profile Limits$`, `^not done: attach security profile Limits to all/things$`)
	want(t, stderr, `^defenderctl: create security profile Limits: AccessDeniedException: .*needs the permission iot:CreateSecurityProfile\) \(1 of 3 steps are done; the same command again does the rest\)$`)
	if code != 1 {
		t.Error(code)
	}
	want(t, succeed(t, w, "profile", "apply", "limits.json", "--yes"), `^1 to create, 1 to attach$`)
}

func TestProfileListShowDelete(t *testing.T) {
	w := account(t, map[string]string{
		"limits.json": limits,
		"alerts.yaml": "securityProfileName: Alerts\nalertTargets: {SNS: {alertTargetArn: arn:aws:sns:us-east-1:123456789012:security, roleArn: arn:aws:iam::123456789012:role/alerts}}\n",
	})
	want(t, succeed(t, w, "profile", "list"), `^no security profile$`)
	want(t, succeed(t, w, "profile", "apply", "--yes", "."), `^note: Alerts has no "targets" and is evaluated for no thing until it's attached$`)
	want(t, succeed(t, w, "profile", "list"),
		`^NAME +BEHAVIORS +TARGETS +ALERTS +VERSION +MODIFIED$`, `^Alerts +0 +- +security +1 +\d{4}-`, `^Limits +2 +all/things +- +1 +\d{4}-`)
	var rows []profileRow
	if err := json.Unmarshal([]byte(succeed(t, w, "profile", "list", "-o", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	if diff := cmp.Diff([]profileRow{
		{"Alerts", "arn:aws:iot:us-east-1:123456789012:securityprofile/Alerts", 0, []string{}, "arn:aws:sns:us-east-1:123456789012:security", 1, created, created},
		{"Limits", "arn:aws:iot:us-east-1:123456789012:securityprofile/Limits", 2, []string{"all/things"}, "", 1, created, created},
	}, rows); diff != "" {
		t.Error(diff)
	}
	want(t, succeed(t, w, "profile", "show", "Limits"), `^Limits$`, `^targets +all/things$`, `^retained +battery$`, `^tags +team=iot$`,
		`^BytesOut +at most 5,000 bytes out in 5 minutes +1 +1 +sent$`, `^Ports +at most 25 listening TCP ports +3 +1 +suppressed$`)
	want(t, succeed(t, w, "profile", "show", "Alerts"), `^targets +none`, `^alerts +arn:aws:sns:us-east-1:123456789012:security as arn:aws:iam::123456789012:role/alerts$`)
	// As a document it's what apply takes, and is there already.
	for _, format := range []string{"json", "yaml"} {
		document := succeed(t, w, "profile", "show", "Limits", "-o", format)
		stdout, stderr, code := invoke(t, document, "profile", "plan", "-", "--endpoint-url", w.URL)
		if code != 0 || stdout != "nothing to change\n" {
			t.Errorf("%s: %d %s%s", format, code, stdout, stderr)
		}
	}
	if _, stderr, code := invoke(t, "", "profile", "show", "Nobody", "--endpoint-url", w.URL); code != 1 || !strings.Contains(stderr, "describe security profile Nobody: ResourceNotFoundException") {
		t.Errorf("%d %s", code, stderr)
	}

	if _, stderr, code := invoke(t, "", "profile", "delete", "Limits", "Nobody", "--yes", "--endpoint-url", w.URL); code != 1 || stderr != "defenderctl: there is no security profile Nobody\n" {
		t.Errorf("%d %s", code, stderr)
	}
	want(t, succeed(t, w, "profile", "delete", "Limits", "Alerts", "--yes"),
		`^- detach security profile Limits from all/things$`, `^done: delete security profile Limits$`, `^done: delete security profile Alerts$`)
	want(t, succeed(t, w, "profile", "list"), `^no security profile$`)
}

// What cannot be shown is not done.
func TestPlanThatCannotBeShown(t *testing.T) {
	w := account(t, map[string]string{"limits.json": limits})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"plan"}, {"apply", "--yes"}} {
		args = append(append([]string{"profile"}, args...), "limits.json", "--endpoint-url", w.URL)
		var stderr bytes.Buffer
		if code := Main(t.Context(), args, strings.NewReader(""), full, &stderr); code != 1 {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
	if got := succeed(t, w, "profile", "list"); got != "no security profile\n" {
		t.Error(got)
	}
}

// What is exported is what was applied, in one piece or in files.
func TestProfileExport(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		if got := succeed(t, account(t, nil), "profile", "export", "--format", format); got != "[]\n" {
			t.Errorf("nothing as %s: %q", format, got)
		}
	}
	w := account(t, map[string]string{"limits.json": limits, "others/empty.json": `{"securityProfileName": "Em:pty", "targets": []}`})
	succeed(t, w, "profile", "apply", "--yes", ".")
	for _, format := range []string{"json", "yaml"} {
		document := succeed(t, w, "profile", "export", "--format", format)
		if again := succeed(t, w, "profile", "export", "--format", format); again != document {
			t.Errorf("%s: not the same twice", format)
		}
		set, problems := profilefile.Parse("-", []byte(document))
		if problems = append(problems, set.Validate()...); len(problems) > 0 || len(set.Profiles) != 2 || len(set.CustomMetrics) != 1 {
			t.Fatalf("%v\n%s", problems, document)
		}
		folder := "out-" + format
		succeed(t, w, "profile", "export", "--format", format, "--dir", folder)
		names, err := filepath.Glob(folder + "/*")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			folder + "/custom-metric-battery." + format, folder + "/security-profile-Em_pty." + format, folder + "/security-profile-Limits." + format,
		}, names); diff != "" {
			t.Error(diff)
		}
		if got := succeed(t, w, "profile", "plan", folder); got != "nothing to change\n" {
			t.Error(got)
		}
		// Into an account that has nothing.
		other := servicetest.NewWorld(t, w.Now())
		succeed(t, other, "profile", "apply", folder, "--yes")
		if got := succeed(t, other, "profile", "export", "--format", format); got != document {
			t.Error(cmp.Diff(document, got))
		}
	}
	template := succeed(t, w, "profile", "export", "Limits", "--format", "cloudformation")
	want(t, template, `"Type": "AWS::IoT::SecurityProfile"`, `"arn:aws:iot:us-east-1:123456789012:all/things"`)
	if strings.Contains(template, "pty") {
		t.Errorf("not asked for:\n%s", template)
	}
	want(t, succeed(t, w, "profile", "export", "--format", "terraform"), `^resource "awscc_iot_security_profile" "Em_pty" \{$`)
	succeed(t, w, "profile", "export", "--format", "terraform", "--dir", "tf")
	if _, err := os.Stat("tf/security_profiles.tf"); err != nil {
		t.Error(err)
	}
}

// The shell is given names, and nothing when there is nobody to ask.
func TestProfileCompletion(t *testing.T) {
	w := account(t, map[string]string{"all.json": `[{"securityProfileName": "Alpha"}, {"securityProfileName": "Alto"}, {"securityProfileName": "Beta"}]`})
	succeed(t, w, "profile", "apply", "all.json", "--yes")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"profile", "show", "Al"}, "Alpha\nAlto\n:4\n"},
		{[]string{"profile", "show", "Alpha", ""}, ":4\n"},
		{[]string{"profile", "delete", "Alpha", "Al"}, "Alto\n:4\n"},
		{[]string{"profile", "export", "B"}, "Beta\n:4\n"},
	} {
		args := append([]string{"__complete"}, test.args[:2]...)
		args = append(append(args, "--endpoint-url", w.URL), test.args[2:]...)
		if stdout, _, code := invoke(t, "", args...); code != 0 || stdout != test.want {
			t.Errorf("%v: %d %q", test.args, code, stdout)
		}
	}
	if stdout, _, _ := invoke(t, "", "__complete", "profile", "show", "--endpoint-url", "nonsense", ""); stdout != ":4\n" {
		t.Errorf("%q", stdout)
	}
	stdout, _, _ := invoke(t, "", "--help")
	want(t, stdout, `^  completion `)
}

func TestProfileUsage(t *testing.T) {
	for _, args := range [][]string{
		{"profile", "plan"}, {"profile", "apply"}, {"profile", "show"}, {"profile", "show", "a", "b"}, {"profile", "delete"}, {"profile", "list", "x"},
		{"profile", "export", "--format", "xml"}, {"profile", "list", "--local", "--endpoint-url", "http://127.0.0.1:1"},
		{"profile", "list", "--endpoint-url", "127.0.0.1:8787"}, {"profile", "list", "--account", "1"}, {"profile", "list", "-o", "xml"},
	} {
		if _, stderr, code := invoke(t, "", args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}

// Each example in the help of these commands, with what it names.
func TestProfileExamples(t *testing.T) {
	const names = `[{"securityProfileName": "DataExfiltrationCheck"}, {"securityProfileName": "OpenPorts"}, {"securityProfileName": "SilentDevice"}]`
	for _, name := range []string{"plan", "apply", "list", "show", "delete", "export"} {
		c, _, err := newRoot().Find([]string{"profile", name})
		if err != nil || c.Name() != name {
			t.Fatal(name, err)
		}
		for line := range strings.SplitSeq(strings.TrimSpace(c.Example), "\n") {
			w := account(t, map[string]string{"all.json": names, "profiles/limits.json": limits, "rule.json": `{"securityProfileName": "Rule"}`})
			succeed(t, w, "profile", "apply", "all.json", "--yes")
			command, _, _ := strings.Cut(line, " > ")
			args := strings.Fields(strings.ReplaceAll(command, "--local", "--endpoint-url "+w.URL))[1:]
			if !strings.Contains(command, "--local") {
				args = append(args, "--endpoint-url", w.URL)
			}
			if name == "apply" || name == "delete" {
				args = append(args, "--yes")
			}
			wantCode := 0
			if strings.Contains(command, "--exit-code") {
				wantCode = 3
			}
			if strings.Contains(command, "--region") { // the service is in one region
				wantCode = 1
			}
			if stdout, stderr, code := invoke(t, "", args...); code != wantCode {
				t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
			}
		}
	}
}

// Names and texts in answers stay on their line and do nothing.
func TestHostileProfiles(t *testing.T) {
	const hostile = `evil\u001b[2J\u202e\n`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/targets"):
			fmt.Fprint(w, `{"securityProfileTargets": [{"arn": "`+hostile+`"}]}`)
		case strings.HasPrefix(r.URL.Path, "/security-profiles/"):
			fmt.Fprint(w, `{"securityProfileName": "`+hostile+`", "securityProfileDescription": "`+hostile+`", "securityProfileArn": "`+hostile+`",
				"behaviors": [{"name": "`+hostile+`", "metric": "aws:`+hostile+`", "criteria": {"comparisonOperator": "`+hostile+`", "value": {"cidrs": ["`+hostile+`"]}}}],
				"alertTargets": {"SNS": {"alertTargetArn": "`+hostile+`", "roleArn": "`+hostile+`"}}, "additionalMetricsToRetain": ["aws:`+hostile+`"], "version": 1}`)
		case r.URL.Path == "/security-profiles":
			fmt.Fprint(w, `{"securityProfileIdentifiers": [{"name": "P", "arn": "a"}]}`)
		case r.URL.Path == "/tags":
			fmt.Fprint(w, `{"tags": [{"Key": "`+hostile+`", "Value": "`+hostile+`"}]}`)
		case r.URL.Path == "/":
			fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		default:
			w.Header().Set("X-Amzn-ErrorType", "InvalidRequestException")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message": "`+hostile+`"}`)
		}
	}))
	defer server.Close()
	for _, args := range [][]string{
		{"list"}, {"list", "-o", "json"}, {"show", "P"}, {"show", "P", "-o", "json"}, {"show", "P", "-o", "yaml"}, {"export"}, {"export", "--format", "yaml"},
		{"export", "--format", "cloudformation"}, {"export", "--format", "terraform"}, {"plan", "-"}, {"plan", "-", "-o", "json"}, {"apply", "-", "--yes"}, {"delete", "P", "--yes"},
	} {
		stdout, stderr, _ := invoke(t, `{"securityProfileName": "P", "tags": []}`, append([]string{"profile", "--endpoint-url", server.URL}, args...)...)
		for _, bad := range []string{"\x1b", "\u202e", "evil\n"} {
			if strings.Contains(stdout+stderr, bad) {
				t.Errorf("%v writes %q:\n%q", args, bad, stdout+stderr)
			}
		}
		if stdout == "" {
			t.Errorf("%v: %s", args, stderr)
		}
	}
}

// What the service would take and do nothing about is said before, and apart
// from the plan.
func TestPlanSaysWhatIsWithoutEffect(t *testing.T) {
	w := account(t, map[string]string{"silent.json": `{"securityProfileName":"Silent","behaviors":[{"name":"Disconnected","metric":"aws:disconnect-duration",
		"criteria":{"comparisonOperator":"less-than-equals","value":{"count":60}}}],"targets":["all/things"]}`})
	const note = "note: Silent: behavior Disconnected is not evaluated: aws:disconnect-duration is measured in the cloud, and this service hears of no connections and messages\n"
	for _, args := range [][]string{{"plan"}, {"plan", "-o", "json"}, {"apply", "--yes"}, {"plan"}} {
		stdout, stderr, code := invoke(t, "", append([]string{"profile", args[0], "silent.json", "--endpoint-url", w.URL}, args[1:]...)...)
		if code != 0 || stderr != note || strings.Contains(stdout, "note") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}
