package artifacts

import (
	"slices"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

func TestQuarantineAction(t *testing.T) {
	const file = "mitigation/quarantine-action.json"
	var action profile.MitigationAction
	if err := decode(read(t, file), &action); err != nil {
		t.Fatal(err)
	}
	params := action.Params.AddThingsToThingGroup
	if params == nil || !slices.Equal(params.ThingGroupNames, []string{"quarantine"}) {
		t.Errorf("%s: %+v", file, action)
	}
	action.RoleARN = strings.Replace(action.RoleARN, "ACCOUNT", "123456789012", 1)
	if problems := action.Check(); len(problems) > 0 {
		t.Errorf("%s: %v", file, problems)
	}
	// The role that the other files make.
	if want := "arn:aws:iam::123456789012:role/device-defender-mitigation"; action.RoleARN != want {
		t.Errorf("role %s, want %s", action.RoleARN, want)
	}
}

// denial is a statement of a policy that only denies.
type denial struct {
	Effect      string
	Action      words
	Resource    words
	NotResource words
}

func (d denial) denies(action, resource string) bool {
	if !d.Action.match(action) {
		return false
	}
	if d.NotResource != nil {
		return !d.NotResource.match(resource)
	}
	return d.Resource.match(resource)
}

func TestQuarantinePolicy(t *testing.T) {
	var policy struct {
		Version   string
		Statement []denial
	}
	if err := decode(read(t, "mitigation/quarantine-policy.json"), &policy); err != nil {
		t.Fatal(err)
	}
	for _, s := range policy.Statement {
		if s.Effect != "Deny" {
			t.Errorf("a policy of a group for suspicious devices gives something: %+v", s)
		}
		for _, r := range slices.Concat(s.Resource, s.NotResource) {
			if strings.Contains(r, "${") {
				t.Errorf("%s: policy variables are not supported for Greengrass cores", r)
			}
		}
	}
	denied := func(action, resource string) bool {
		return slices.ContainsFunc(policy.Statement, func(d denial) bool { return d.denies(action, resource) })
	}
	const arn = "arn:aws:iot:REGION:ACCOUNT:"
	for _, format := range []report.Format{report.JSON, report.CBOR} {
		topic := report.Topic("gateway-2", format)
		accepted, rejected := report.AcceptedTopic("gateway-2", format), report.RejectedTopic("gateway-2", format)
		for _, open := range [][2]string{
			{"iot:Connect", "client/gateway-2"}, {"iot:Connect", "client/gateway-2#2"}, {"iot:Publish", "topic/" + topic},
			{"iot:Subscribe", "topicfilter/" + accepted}, {"iot:Receive", "topic/" + accepted},
			{"iot:Subscribe", "topicfilter/" + rejected}, {"iot:Receive", "topic/" + rejected},
		} {
			if denied(open[0], arn+open[1]) {
				t.Errorf("%s on %s is denied: no report gets through", open[0], open[1])
			}
		}
	}
	for _, shut := range [][2]string{
		{"iot:Publish", arn + "topic/sensors/1"}, {"iot:Publish", arn + "topic/$aws/things/gateway-2/shadow/update"},
		{"iot:Publish", arn + "topic/$aws/rules/export"}, {"iot:RetainPublish", arn + "topic/sensors/1"},
		{"iot:Subscribe", arn + "topicfilter/#"}, {"iot:Subscribe", arn + "topicfilter/$aws/things/gateway-2/jobs/notify"},
		{"iot:Receive", arn + "topic/commands/1"}, {"iot:GetThingShadow", arn + "thing/gateway-2"},
		{"iot:AssumeRoleWithCertificate", arn + "rolealias/ROLEALIAS"}, {"greengrass:GetComponentVersionArtifact", "arn:aws:greengrass:REGION:ACCOUNT:components:x:versions:1"},
		{"greengrass:GetDeploymentConfiguration", "arn:aws:greengrass:REGION:ACCOUNT:coreDevices:gateway-2"},
	} {
		if !denied(shut[0], shut[1]) {
			t.Errorf("%s on %s is open", shut[0], shut[1])
		}
	}
}
