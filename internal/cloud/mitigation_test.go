package cloud

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

const mitigationRole = "arn:aws:iam::123456789012:role/device-defender-mitigation"

// addTo is an action that adds things to groups.
func addTo(name string, groups ...string) profile.MitigationAction {
	return profile.MitigationAction{Name: name, RoleARN: mitigationRole, Params: profile.ActionParams{
		AddThingsToThingGroup: &profile.AddThingsToThingGroupParams{ThingGroupNames: groups},
	}}
}

// applied makes the account have the actions.
func (w *world) applied(actions ...profile.MitigationAction) []string {
	w.t.Helper()
	plan, err := w.client.PlanMitigation(w.t.Context(), actions)
	if err != nil {
		w.t.Fatal(err)
	}
	steps := whats(plan)
	if err := plan.Apply(w.t.Context(), func(SetupStep) {}); err != nil {
		w.t.Fatal(err)
	}
	return steps
}

func (w *world) wait(id string) *MitigationTask {
	w.t.Helper()
	task, err := w.client.WaitForMitigation(w.t.Context(), id, time.Millisecond, func(*MitigationTask) {})
	if err != nil {
		w.t.Fatal(err)
	}
	return task
}

func TestApplyActions(t *testing.T) {
	w := newWorld(t)
	want := []string{"+ create thing group quarantine", "+ create mitigation action Quarantine"}
	if diff := cmp.Diff(want, w.applied(addTo("Quarantine", "quarantine"))); diff != "" {
		t.Error(diff)
	}
	want = []string{"= thing group quarantine", "= mitigation action Quarantine"}
	if diff := cmp.Diff(want, w.applied(addTo("Quarantine", "quarantine"))); diff != "" {
		t.Errorf("a second time: %s", diff)
	}
	changed := addTo("Quarantine", "quarantine", "watched")
	changed.Params.AddThingsToThingGroup.OverrideDynamicGroups = aws.Bool(true)
	want = []string{"= thing group quarantine", "+ create thing group watched", "+ update mitigation action Quarantine"}
	if diff := cmp.Diff(want, w.applied(changed)); diff != "" {
		t.Errorf("changed: %s", diff)
	}
	audit := profile.MitigationAction{Name: "Blank", RoleARN: mitigationRole, Params: profile.ActionParams{
		ReplaceDefaultPolicyVersion: &profile.ReplaceDefaultPolicyVersionParams{TemplateName: "BLANK_POLICY"},
	}}
	w.applied(audit)
	actions, err := w.client.MitigationActions(t.Context())
	if err != nil || len(actions) != 2 {
		t.Fatalf("%+v, %v", actions, err)
	}
	if diff := cmp.Diff(audit, actions[0].MitigationAction); diff != "" || ForDetect(actions[0].MitigationAction) {
		t.Error(diff)
	}
	if diff := cmp.Diff(changed, actions[1].MitigationAction); diff != "" || actions[1].Type != "ADD_THINGS_TO_THING_GROUP" {
		t.Error(diff)
	}
	groups, err := w.client.MitigationGroups(t.Context())
	if err != nil || !slices.Equal(groups, []string{"quarantine", "watched"}) {
		t.Errorf("%v, %v", groups, err)
	}
}

// Every type of action comes back from the service as it was sent.
func TestActionParamsGoThereAndBack(t *testing.T) {
	for _, want := range []profile.ActionParams{
		{UpdateDeviceCertificate: &profile.UpdateCertificateParams{Action: "DEACTIVATE"}},
		{UpdateCACertificate: &profile.UpdateCertificateParams{Action: "DEACTIVATE"}},
		{AddThingsToThingGroup: &profile.AddThingsToThingGroupParams{ThingGroupNames: []string{"a", "b"}, OverrideDynamicGroups: aws.Bool(true)}},
		{ReplaceDefaultPolicyVersion: &profile.ReplaceDefaultPolicyVersionParams{TemplateName: "BLANK_POLICY"}},
		{EnableIoTLogging: &profile.EnableIoTLoggingParams{RoleARNForLogging: mitigationRole, LogLevel: "WARN"}},
		{PublishFindingToSNS: &profile.PublishFindingToSNSParams{TopicARN: "arn:aws:sns:us-east-1:123456789012:t"}},
	} {
		if diff := cmp.Diff(want, actionParamsOf(actionParamsTo(want))); diff != "" {
			t.Error(diff)
		}
		if describeParams(want) == "nothing" {
			t.Errorf("%+v has no description", want)
		}
	}
}

func TestFillAccount(t *testing.T) {
	w := newWorld(t)
	actions := []profile.MitigationAction{{RoleARN: "arn:aws:iam::ACCOUNT:role/ACCOUNT"}, {RoleARN: mitigationRole}, {RoleARN: "ACCOUNT"}}
	if err := w.client.FillAccount(t.Context(), actions); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"arn:aws:iam::123456789012:role/ACCOUNT", mitigationRole, "ACCOUNT"} {
		if actions[i].RoleARN != want {
			t.Errorf("%s, want %s", actions[i].RoleARN, want)
		}
	}
}

// A thing that violates is put into quarantine, and released.
func TestQuarantine(t *testing.T) {
	w := newWorld(t)
	w.Run()
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.applied(addTo("Quarantine", "quarantine"))
	w.Pass(5 * time.Minute)
	w.Report("gateway-1", 10)
	w.Report("gateway-2", 2000)
	v := w.active()[0]
	request := MitigationRequest{ID: "task-1", Actions: []string{"Quarantine"}, Violations: []string{v.ID}, IncludeSuppressed: true}
	if err := w.client.StartMitigation(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	task := w.wait("task-1")
	if task.Status != "SUCCESSFUL" || task.Executed != 1 || task.Failed != 0 || !slices.Equal(task.Violations, []string{v.ID}) || !slices.Equal(task.Actions, []string{"Quarantine"}) {
		t.Errorf("%+v", task)
	}
	executions, err := w.client.MitigationExecutions(t.Context(), "task-1")
	if err != nil || len(executions) != 1 || executions[0].Thing != "gateway-2" || executions[0].Status != "SUCCESSFUL" || executions[0].Violation != v.ID {
		t.Errorf("%+v, %v", executions, err)
	}
	if groups, err := w.client.GroupsOf(t.Context(), "gateway-2"); err != nil || !slices.Equal(groups, []string{"quarantine"}) {
		t.Errorf("%v, %v", groups, err)
	}
	if groups, err := w.client.GroupsOf(t.Context(), "gateway-1"); err != nil || len(groups) != 0 {
		t.Errorf("the other thing: %v, %v", groups, err)
	}
	if err := w.client.RemoveFromGroup(t.Context(), "gateway-2", "quarantine"); err != nil {
		t.Fatal(err)
	}
	if groups, err := w.client.GroupsOf(t.Context(), "gateway-2"); err != nil || len(groups) != 0 {
		t.Errorf("released: %v, %v", groups, err)
	}
	if err := w.client.StartMitigation(t.Context(), request); err == nil || !strings.Contains(err.Error(), "TaskAlreadyExists") && !strings.Contains(err.Error(), "task-1") {
		t.Errorf("the same task again: %v", err)
	}
	w.Pass(time.Minute)
	tasks, err := w.client.MitigationTasks(t.Context(), w.At(0), w.Now())
	if err != nil || len(tasks) != 1 || tasks[0].ID != "task-1" || !tasks[0].Over() {
		t.Errorf("%+v, %v", tasks, err)
	}
}

// A group that is gone makes the action fail, and the task says so.
func TestQuarantineThatFails(t *testing.T) {
	w := newWorld(t)
	w.Run()
	w.Things("gateway-2")
	w.Profile("P", servicetest.PacketExfiltration(1))
	w.applied(addTo("Quarantine", "quarantine"))
	if _, err := w.IoT.DeleteThingGroup(t.Context(), &iot.DeleteThingGroupInput{ThingGroupName: aws.String("quarantine")}); err != nil {
		t.Fatal(err)
	}
	w.Pass(5 * time.Minute)
	w.Report("gateway-2", 2000)
	w.Pass(time.Minute)
	request := MitigationRequest{ID: "t", Actions: []string{"Quarantine"}, Profile: "P", Behavior: "PacketExfiltration", From: w.At(0), To: w.Now(), OnlyActive: true}
	if err := w.client.StartMitigation(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	task := w.wait("t")
	executions, err := w.client.MitigationExecutions(t.Context(), "t")
	if err != nil || task.Status != "FAILED" || task.Failed != 1 || len(executions) != 1 || executions[0].ErrorCode == "" || task.Profile != "P" || task.Behavior != "PacketExfiltration" {
		t.Errorf("%+v, %+v, %v", task, executions, err)
	}
}

func TestCancelMitigation(t *testing.T) {
	w := newWorld(t) // its service does not run: tasks stay in progress
	w.Things("gateway-2")
	w.Profile("P", servicetest.PacketExfiltration(1))
	w.applied(addTo("Quarantine", "quarantine"))
	w.Pass(5 * time.Minute)
	w.Report("gateway-2", 2000)
	if err := w.client.StartMitigation(t.Context(), MitigationRequest{ID: "t", Actions: []string{"Quarantine"}, Profile: "P", OnlyActive: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if task, err := w.client.WaitForMitigation(ctx, "t", time.Hour, func(*MitigationTask) { cancel() }); err == nil || task.Over() {
		t.Errorf("%+v, %v", task, err)
	}
	if err := w.client.CancelMitigation(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if task := w.wait("t"); task.Status != "CANCELED" {
		t.Errorf("%+v", task)
	}
	if err := w.client.CancelMitigation(t.Context(), "nothing"); err == nil {
		t.Error("a task that is not there is canceled")
	}
}
