package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// quarantineFile is the example that ships.
const quarantineFile = "../../artifacts/mitigation/quarantine-action.json"

// alarmed is a world in which gateway-2 is in alarm, and whose service runs.
func alarmed(t *testing.T) *servicetest.World {
	t.Helper()
	w := servicetest.NewWorld(t, time.Now().Add(-30*time.Minute).Truncate(time.Minute))
	w.Run()
	w.Things("gateway-1", "gateway-2", "gateway-3")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Report("gateway-1", 100)
	w.Report("gateway-2", 2000)
	w.Real()
	return w
}

func groupsOf(t *testing.T, w *servicetest.World, thing string) (groups []string) {
	t.Helper()
	out, err := w.IoT.ListThingGroupsForThing(t.Context(), &iot.ListThingGroupsForThingInput{ThingName: aws.String(thing)})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range out.ThingGroups {
		groups = append(groups, *g.GroupName)
	}
	return groups
}

// The example in artifacts works as it stands: into quarantine, and out.
func TestQuarantine(t *testing.T) {
	w := alarmed(t)
	want(t, succeed(t, w, "mitigation", "apply", quarantineFile, "--yes"),
		`^\+ create thing group quarantine`, `^\+ create mitigation action QuarantineDevice \(add things to quarantine, out of dynamic groups if need be\)`, `^done: create mitigation action`)
	want(t, succeed(t, w, "mitigation", "apply", quarantineFile), `^= thing group quarantine$`, `^= mitigation action QuarantineDevice$`, `^nothing to do$`)
	want(t, succeed(t, w, "mitigation", "actions"), `^QuarantineDevice +add things to quarantine.* arn:aws:iam::123456789012:role/device-defender-mitigation +Detect, Audit$`)
	id := violations(t, w)[0].ViolationID
	want(t, succeed(t, w, "mitigation", "start", "--violation", id[:12], "--action", "QuarantineDevice"),
		`^done +QuarantineDevice of gateway-2 for violation `+id[:8]+`$`, `^task QuarantineDevice-\d{8}T\d{9}: successful, 1 done, 0 failed, 0 skipped$`)
	if groups := groupsOf(t, w, "gateway-2"); len(groups) != 1 || groups[0] != "quarantine" {
		t.Errorf("%v", groups)
	}
	var tasks []taskRow
	if err := json.Unmarshal([]byte(succeed(t, w, "mitigation", "list", "-o", "json")), &tasks); err != nil || len(tasks) != 1 || tasks[0].Status != "SUCCESSFUL" || tasks[0].Executed != 1 {
		t.Fatalf("%+v, %v", tasks, err)
	}
	want(t, succeed(t, w, "mitigation", "list"), ` SUCCESSFUL +QuarantineDevice +violation `+id[:8]+` +1 +0 +0$`)
	want(t, succeed(t, w, "mitigation", "show", tasks[0].Task), `gateway-2`)
	want(t, succeed(t, w, "mitigation", "release", "gateway-2", "gateway-1"), `^gateway-2 is out of quarantine$`, `^gateway-1 is not in quarantine: nothing to do$`)
	if groups := groupsOf(t, w, "gateway-2"); len(groups) != 0 {
		t.Errorf("%v", groups)
	}
}

// By profile, those in alarm; by period, those that were.
func TestMitigationByProfile(t *testing.T) {
	w := alarmed(t)
	succeed(t, w, "mitigation", "apply", quarantineFile, "--yes")
	want(t, succeed(t, w, "mitigation", "start", "--profile-name", "DataExfiltrationCheck", "--behavior", "PacketExfiltration", "--action", "QuarantineDevice", "--task", "one"),
		`^task one: successful, 1 done, 0 failed, 0 skipped$`)
	want(t, succeed(t, w, "mitigation", "start", "--profile-name", "DataExfiltrationCheck", "--since", "1d", "--action", "QuarantineDevice", "--task", "two"),
		`gateway-2`, `^task two: successful`)
	want(t, succeed(t, w, "mitigation", "start", "--profile-name", "DataExfiltrationCheck", "--action", "QuarantineDevice", "--task", "three", "--detach"), ``)
}

// What fails is said, and is the exit code.
func TestMitigationThatFails(t *testing.T) {
	w := alarmed(t)
	succeed(t, w, "mitigation", "apply", quarantineFile, "--yes")
	if _, err := w.IoT.DeleteThingGroup(t.Context(), &iot.DeleteThingGroupInput{ThingGroupName: aws.String("quarantine")}); err != nil {
		t.Fatal(err)
	}
	start := []string{"mitigation", "start", "--profile-name", "DataExfiltrationCheck", "--action", "QuarantineDevice", "--task", "t", "--endpoint-url", w.URL}
	stdout, stderr, code := invoke(t, "", start...)
	if code != 1 || !strings.Contains(stdout, "FAILED") || !strings.Contains(stdout, "quarantine") || !strings.Contains(stderr, "not everything was done") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	if _, stderr, code := invoke(t, "", start...); code != 1 || !strings.Contains(stderr, "t") {
		t.Errorf("a task of the same id: %d %s", code, stderr)
	}
	for _, args := range [][]string{
		{"mitigation", "start", "--profile-name", "DataExfiltrationCheck", "--action", "Missing"}, {"mitigation", "show", "missing"},
		{"mitigation", "cancel", "missing"}, {"mitigation", "release", "missing"}, {"mitigation", "start", "--violation", "0", "--action", "QuarantineDevice"},
	} {
		if _, stderr, code := invoke(t, "", append(args, "--endpoint-url", w.URL)...); code != 1 || stderr == "" {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

// A thing that is not there does not keep others in quarantine.
func TestReleaseGoesOn(t *testing.T) {
	w := alarmed(t)
	stdout, stderr, code := invoke(t, "", "mitigation", "release", "missing", "gateway-1", "--group", "quarantine", "--endpoint-url", w.URL)
	if code != 1 || !strings.Contains(stderr, "missing") || !strings.Contains(stdout, "gateway-1 is not in quarantine") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

func TestMitigationApplyLints(t *testing.T) {
	if _, stderr, code := invoke(t, "{", "mitigation", "apply", "-", "--endpoint-url", "http://127.0.0.1:1"); code != 1 || !strings.Contains(stderr, "-:1:2: error:") {
		t.Errorf("without an account: %d %s", code, stderr)
	}
	w := alarmed(t)
	folder := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	audit := file("audit.yaml", "actionName: Blank\nroleArn: arn:aws:iam::ACCOUNT:role/mitigation\nactionParams:\n  replaceDefaultPolicyVersionParams: {templateName: BLANK_POLICY}\n")
	stdout, stderr, code := invoke(t, "", "mitigation", "apply", audit, "--yes", "--endpoint-url", w.URL)
	if code != 0 || !strings.Contains(stdout, "create mitigation action Blank") || !strings.Contains(stderr, "not-for-detect") || !strings.Contains(stderr, "audit.yaml:4") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	for name, text := range map[string]string{
		"name.json":  `{"actionName":"a b","roleArn":"arn:aws:iam::ACCOUNT:role/mitigation","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":["q"]}}}`,
		"role.json":  `{"actionName":"A","roleArn":"ACCOUNT","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":["q"]}}}`,
		"none.json":  `{"actionName":"A","roleArn":"arn:aws:iam::ACCOUNT:role/mitigation","actionParams":{}}`,
		"group.json": `{"actionName":"A","roleArn":"arn:aws:iam::ACCOUNT:role/mitigation","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":[]}}}`,
		"other.json": `{"securityProfileName":"P"}`,
		"text.json":  `{`,
	} {
		stdout, stderr, code := invoke(t, "", "mitigation", "apply", file(name, text), "--yes", "--endpoint-url", w.URL)
		if code != 1 || stderr == "" || strings.Contains(stdout, "+") {
			t.Errorf("%s: %d %s%s", name, code, stdout, stderr)
		}
	}
	if out, err := w.IoT.ListMitigationActions(t.Context(), &iot.ListMitigationActionsInput{}); err != nil || len(out.ActionIdentifiers) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
