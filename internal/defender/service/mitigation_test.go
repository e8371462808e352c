package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

const role = "arn:aws:iam::123456789012:role/Quarantine"

func groupParams(groups ...string) *types.MitigationActionParams {
	return &types.MitigationActionParams{AddThingsToThingGroupParams: &types.AddThingsToThingGroupParams{ThingGroupNames: groups, OverrideDynamicGroups: aws.Bool(true)}}
}

func (b *bench) createAction(name string, params *types.MitigationActionParams) {
	b.t.Helper()
	_, err := b.client.CreateMitigationAction(b.t.Context(), &iot.CreateMitigationActionInput{ActionName: &name, RoleArn: aws.String(role), ActionParams: params})
	ok(b, 0, err)
}

func TestMitigationActions(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	created, err := b.client.CreateMitigationAction(ctx, &iot.CreateMitigationActionInput{
		ActionName: aws.String("Quarantine"), RoleArn: aws.String(role), ActionParams: groupParams("Quarantine"),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("iot")}},
	})
	ok(b, 0, err)
	if want := "arn:aws:iot:us-east-1:123456789012:mitigationaction/Quarantine"; *created.ActionArn != want || *created.ActionId == "" {
		t.Errorf("%+v, want ARN %s", created, want)
	}
	tags, err := b.client.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: created.ActionArn})
	if len(ok(b, tags, err).Tags) != 1 {
		t.Errorf("tags %+v", tags.Tags)
	}
	b.after(time.Hour)
	updated, err := b.client.UpdateMitigationAction(ctx, &iot.UpdateMitigationActionInput{ActionName: aws.String("Quarantine"), ActionParams: groupParams("Isolation")})
	if ok(b, updated, err); *updated.ActionId != *created.ActionId {
		t.Errorf("id changed from %s to %s", *created.ActionId, *updated.ActionId)
	}
	for name, params := range map[string]*types.MitigationActionParams{
		"Sns":  {PublishFindingToSnsParams: &types.PublishFindingToSnsParams{TopicArn: aws.String("arn:aws:sns:us-east-1:123456789012:t")}},
		"Log":  {EnableIoTLoggingParams: &types.EnableIoTLoggingParams{RoleArnForLogging: aws.String(role), LogLevel: types.LogLevelInfo}},
		"Cert": {UpdateDeviceCertificateParams: &types.UpdateDeviceCertificateParams{Action: types.DeviceCertificateUpdateActionDeactivate}},
		"Ca":   {UpdateCACertificateParams: &types.UpdateCACertificateParams{Action: types.CACertificateUpdateActionDeactivate}},
		"Blank": {ReplaceDefaultPolicyVersionParams: &types.ReplaceDefaultPolicyVersionParams{
			TemplateName: types.PolicyTemplateNameBlankPolicy}},
	} {
		b.createAction(name, params)
	}
	b.restart()

	described, err := b.client.DescribeMitigationAction(ctx, &iot.DescribeMitigationActionInput{ActionName: aws.String("Quarantine")})
	ok(b, 0, err)
	if described.ActionType != types.MitigationActionTypeAddThingsToThingGroup || *described.RoleArn != role ||
		!slices.Equal(described.ActionParams.AddThingsToThingGroupParams.ThingGroupNames, []string{"Isolation"}) ||
		!described.CreationDate.Equal(start) || !described.LastModifiedDate.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", described)
	}
	names := func(actionType types.MitigationActionType) (list []string) {
		pages := iot.NewListMitigationActionsPaginator(b.client, &iot.ListMitigationActionsInput{ActionType: actionType, MaxResults: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			for _, action := range ok(b, page, err).ActionIdentifiers {
				list = append(list, *action.ActionName)
			}
		}
		return list
	}
	if diff := cmp.Diff([]string{"Blank", "Ca", "Cert", "Log", "Quarantine", "Sns"}, names("")); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Log"}, names("ENABLE_IOT_LOGGING")); diff != "" {
		t.Errorf("by type (-want +got):\n%s", diff)
	}
	for range 2 { // deleting what is not there is no error
		_, err := b.client.DeleteMitigationAction(ctx, &iot.DeleteMitigationActionInput{ActionName: aws.String("Log")})
		ok(b, 0, err)
	}
	if _, err := b.client.DescribeMitigationAction(ctx, &iot.DescribeMitigationActionInput{ActionName: aws.String("Log")}); !isNotFound(err) {
		t.Errorf("describe a deleted action: %v", err)
	}
	if _, err := b.client.UpdateMitigationAction(ctx, &iot.UpdateMitigationActionInput{ActionName: aws.String("Log")}); !isNotFound(err) {
		t.Errorf("update a deleted action: %v", err)
	}
	create := func(name string, role string, params *types.MitigationActionParams) error {
		_, err := b.client.CreateMitigationAction(ctx, &iot.CreateMitigationActionInput{ActionName: &name, RoleArn: &role, ActionParams: params})
		return err
	}
	if err := create("Sns", role, groupParams("G")); !isAlreadyExists(err) {
		t.Errorf("create twice: %v", err)
	}
	both := groupParams("G")
	both.UpdateCACertificateParams = &types.UpdateCACertificateParams{Action: types.CACertificateUpdateActionDeactivate}
	for what, err := range map[string]error{
		"name with a colon": create("a:b", role, groupParams("G")),
		"short role":        create("New", "role", groupParams("G")),
		"no parameters":     create("New", role, &types.MitigationActionParams{}),
		"two parameters":    create("New", role, both),
		"no groups": create("New", role, &types.MitigationActionParams{
			AddThingsToThingGroupParams: &types.AddThingsToThingGroupParams{ThingGroupNames: []string{}}}),
		"11 groups":    create("New", role, groupParams(strings.Split("a b c d e f g h i j k", " ")...)),
		"group's name": create("New", role, groupParams("a b")),
		"enum": create("New", role, &types.MitigationActionParams{
			UpdateDeviceCertificateParams: &types.UpdateDeviceCertificateParams{Action: "DELETE"}}),
	} {
		if !isInvalid(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 95 { // 5 are there
		b.createAction(fmt.Sprintf("Filler%d", i), groupParams("G"))
	}
	if err := create("OneMore", role, groupParams("G")); !isLimit(err) {
		t.Errorf("101st action: %v", err)
	}
}

// quarantine makes a violation of each of n things, of which those that are
// even are registered, and a group and an action for them.
func (b *bench) quarantine(n int) {
	b.t.Helper()
	ctx := b.t.Context()
	b.attach(profileOf("Ports", onlyPort(443)))
	for i := range n {
		thing := fmt.Sprintf("thing-%03d", i)
		if i%2 == 0 {
			_, err := b.client.CreateThing(ctx, &iot.CreateThingInput{ThingName: &thing})
			ok(b, 0, err)
		}
		b.reports(thing, ports(8080))
	}
	_, err := b.client.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("Quarantine")})
	ok(b, 0, err)
	b.createAction("Quarantine", groupParams("Quarantine"))
}

func (b *bench) startTask(id string, target types.DetectMitigationActionsTaskTarget, actions ...string) error {
	_, err := b.client.StartDetectMitigationActionsTask(b.t.Context(), &iot.StartDetectMitigationActionsTaskInput{
		TaskId: &id, Target: &target, Actions: actions, ClientRequestToken: aws.String("token-" + id),
	})
	return err
}

// mitigated carries out what there is to do.
func (b *bench) mitigated() {
	b.t.Helper()
	ok(b, 0, b.runJobs(b.t.Context(), nil))
}

func (b *bench) task(id string) *types.DetectMitigationActionsTaskSummary {
	b.t.Helper()
	out, err := b.client.DescribeDetectMitigationActionsTask(b.t.Context(), &iot.DescribeDetectMitigationActionsTaskInput{TaskId: &id})
	return ok(b, out, err).TaskSummary
}

func statistics(executed, skipped, failed int64) *types.DetectMitigationActionsTaskStatistics {
	return &types.DetectMitigationActionsTaskStatistics{ActionsExecuted: &executed, ActionsSkipped: &skipped, ActionsFailed: &failed}
}

func (b *bench) wantTask(id string, status types.DetectMitigationActionsTaskStatus, want *types.DetectMitigationActionsTaskStatistics) {
	b.t.Helper()
	task := b.task(id)
	counts := func(s *types.DetectMitigationActionsTaskStatistics) [3]int64 {
		return [3]int64{*s.ActionsExecuted, *s.ActionsSkipped, *s.ActionsFailed}
	}
	if task.TaskStatus != status || counts(task.TaskStatistics) != counts(want) {
		b.t.Errorf("task %s: %s, executed, skipped and failed %v, want %s %v", id, task.TaskStatus, counts(task.TaskStatistics), status, counts(want))
	}
	if over := status != types.DetectMitigationActionsTaskStatusInProgress; (task.TaskEndTime != nil) != over {
		b.t.Errorf("task %s ended at %v, and is %s", id, task.TaskEndTime, status)
	}
}

func (b *bench) members() []string {
	b.t.Helper()
	out, err := b.client.ListThingsInThingGroup(b.t.Context(), &iot.ListThingsInThingGroupInput{ThingGroupName: aws.String("Quarantine")})
	return ok(b, out, err).Things
}

func TestQuarantine(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	b.quarantine(4)
	ids := map[string]string{}
	for _, v := range b.active() {
		ids[*v.ThingName] = *v.ViolationId
	}
	b.createAction("Certificate", &types.MitigationActionParams{
		UpdateDeviceCertificateParams: &types.UpdateDeviceCertificateParams{Action: types.DeviceCertificateUpdateActionDeactivate}})
	b.createAction("Missing", groupParams("NoSuchGroup"))

	one := types.DetectMitigationActionsTaskTarget{ViolationIds: []string{ids["thing-000"]}}
	ok(b, 0, b.startTask("first", one, "Quarantine", "Certificate"))
	b.wantTask("first", types.DetectMitigationActionsTaskStatusInProgress, statistics(0, 0, 0))
	b.after(time.Minute)
	b.mitigated()
	b.wantTask("first", types.DetectMitigationActionsTaskStatusSuccessful, statistics(1, 1, 0))
	if diff := cmp.Diff([]string{"thing-000"}, b.members()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	executions, err := b.client.ListDetectMitigationActionsExecutions(ctx, &iot.ListDetectMitigationActionsExecutionsInput{TaskId: aws.String("first")})
	var got []string
	for _, e := range ok(b, executions, err).ActionsExecutions {
		if *e.TaskId != "first" || *e.ViolationId != ids["thing-000"] || *e.ThingName != "thing-000" ||
			!e.ExecutionStartDate.Equal(start) || !e.ExecutionEndDate.Equal(start.Add(time.Minute)) {
			t.Errorf("execution %+v", e)
		}
		got = append(got, fmt.Sprintf("%s %s %s", *e.ActionName, e.Status, aws.ToString(e.ErrorCode)))
	}
	if diff := cmp.Diff([]string{"Certificate SKIPPED InvalidRequestException", "Quarantine SUCCESSFUL "}, got); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}

	// By profile: two things are not registered and can be in no group; one is
	// in it already.
	ok(b, 0, b.startTask("second", types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("Ports"), BehaviorName: aws.String("Ports")}, "Quarantine"))
	ok(b, 0, b.startTask("third", one, "Missing"))
	b.mitigated()
	b.wantTask("second", types.DetectMitigationActionsTaskStatusFailed, statistics(2, 0, 2))
	b.wantTask("third", types.DetectMitigationActionsTaskStatusFailed, statistics(0, 0, 1))
	if diff := cmp.Diff([]string{"thing-000", "thing-002"}, b.members()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	failed, err := b.client.ListDetectMitigationActionsExecutions(ctx, &iot.ListDetectMitigationActionsExecutionsInput{
		StartTime: aws.Time(start), EndTime: aws.Time(start.Add(time.Hour)), ThingName: aws.String("thing-001"),
	})
	if list := ok(b, failed, err).ActionsExecutions; len(list) != 1 || list[0].Status != types.DetectMitigationActionExecutionStatusFailed ||
		*list[0].ErrorCode != "ResourceNotFoundException" || !strings.Contains(*list[0].Message, "thing-001") {
		t.Errorf("executions for a thing that isn't registered: %+v", list)
	}
	missing, err := b.client.ListDetectMitigationActionsExecutions(ctx, &iot.ListDetectMitigationActionsExecutionsInput{
		TaskId: aws.String("third"), ViolationId: aws.String(ids["thing-000"]),
	})
	if list := ok(b, missing, err).ActionsExecutions; len(list) != 1 || *list[0].ErrorCode != "ResourceNotFoundException" {
		t.Errorf("executions for a group that isn't there: %+v", list)
	}
	// A profile of the group is now one of the thing.
	b.attachTo(profileOf("Quarantined", onlyPort(22)), "thinggroup/Quarantine")
	b.after(time.Hour)
	b.reports("thing-000", ports(443))
	if active := b.active(); !slices.ContainsFunc(active, func(v types.ActiveViolation) bool {
		return *v.SecurityProfileName == "Quarantined" && *v.ThingName == "thing-000"
	}) {
		t.Errorf("the group's profile is not evaluated: %+v", active)
	}
}

// A task goes on where the process was killed, and does nothing twice. What one
// has claimed and not done, another one does when the lease is over.
func TestTaskSurvivesRestart(t *testing.T) {
	b := newBench(t, Options{})
	b.quarantine(130) // more than one step's
	ok(b, 0, b.startTask("big", types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("Ports")}, "Quarantine"))
	b.restart()
	claim := func() []store.Job[struct{}] {
		jobs, err := tableJobs.Claim(t.Context(), b.store, time.Time{}, b.now(), jobLease, jobBatch)
		return ok(b, jobs, err)
	}
	ok(b, 0, b.doJobs(t.Context(), claim()))
	b.wantTask("big", types.DetectMitigationActionsTaskStatusInProgress, b.task("big").TaskStatistics)
	claim()
	b.restart()
	b.mitigated()
	b.wantTask("big", types.DetectMitigationActionsTaskStatusInProgress, b.task("big").TaskStatistics)
	b.after(jobLease)
	b.mitigated()
	b.wantTask("big", types.DetectMitigationActionsTaskStatusFailed, statistics(65, 0, 65))
	if n := len(b.members()); n != 65 {
		t.Errorf("%d members, want 65", n)
	}
}

func TestTasksAreSelective(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	twoKinds(b) // at the start: two suppressed and two others
	b.createAction("A", groupParams("G"))
	b.after(time.Hour)
	b.reports("thing-a", ports(22)) // clears the one of Loud
	in := func(id string) *iot.StartDetectMitigationActionsTaskInput {
		return &iot.StartDetectMitigationActionsTaskInput{
			TaskId: &id, Actions: []string{"A"}, ClientRequestToken: &id,
			Target: &types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("Loud")},
		}
	}
	count := func(in *iot.StartDetectMitigationActionsTaskInput) int64 {
		t.Helper()
		_, err := b.client.StartDetectMitigationActionsTask(ctx, in)
		ok(b, 0, err)
		b.mitigated()
		return *b.task(*in.TaskId).TaskStatistics.ActionsFailed // as there is no group G
	}
	all := in("all")
	if n := count(all); n != 2 {
		t.Errorf("by profile: %d executions, want 2", n)
	}
	active := in("active")
	active.IncludeOnlyActiveViolations = aws.Bool(true)
	if n := count(active); n != 1 {
		t.Errorf("active: %d executions, want 1", n)
	}
	silent := in("silent")
	silent.Target.SecurityProfileName = aws.String("Silent")
	if n := count(silent); n != 0 {
		t.Errorf("suppressed: %d executions, want 0", n)
	}
	if task := b.task("silent"); task.TaskStatus != types.DetectMitigationActionsTaskStatusSuccessful {
		t.Errorf("a task without violations: %s", task.TaskStatus)
	}
	suppressed := in("suppressed")
	suppressed.Target.SecurityProfileName, suppressed.IncludeSuppressedAlerts = aws.String("Silent"), aws.Bool(true)
	if n := count(suppressed); n != 2 {
		t.Errorf("suppressed included: %d executions, want 2", n)
	}
	late := in("late") // only the clearing of one was then
	late.ViolationEventOccurrenceRange = &types.ViolationEventOccurrenceRange{StartTime: aws.Time(start.Add(time.Minute)), EndTime: aws.Time(start.Add(2 * time.Hour))}
	if n := count(late); n != 1 {
		t.Errorf("by time: %d executions, want 1", n)
	}
	summary := b.task("late")
	if !summary.ViolationEventOccurrenceRange.StartTime.Equal(start.Add(time.Minute)) || *summary.Target.SecurityProfileName != "Loud" ||
		len(summary.ActionsDefinition) != 1 || *summary.ActionsDefinition[0].RoleArn != role {
		t.Errorf("%+v", summary)
	}
	list, err := b.client.ListDetectMitigationActionsTasks(ctx, &iot.ListDetectMitigationActionsTasksInput{StartTime: aws.Time(start), EndTime: aws.Time(start.Add(2 * time.Hour))})
	if n := len(ok(b, list, err).Tasks); n != 5 {
		t.Errorf("%d tasks, want 5", n)
	}
	list, err = b.client.ListDetectMitigationActionsTasks(ctx, &iot.ListDetectMitigationActionsTasksInput{StartTime: aws.Time(start), EndTime: aws.Time(start.Add(time.Minute))})
	if n := len(ok(b, list, err).Tasks); n != 0 {
		t.Errorf("%d tasks before any, want 0", n)
	}
}

func TestTaskErrors(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	b.quarantine(2)
	id := *b.active()[0].ViolationId
	target := types.DetectMitigationActionsTaskTarget{ViolationIds: []string{id}}
	ok(b, 0, b.startTask("task", target, "Quarantine"))
	ok(b, 0, b.startTask("task", target, "Quarantine")) // as an SDK repeats it
	start := func(change func(*iot.StartDetectMitigationActionsTaskInput)) error {
		in := &iot.StartDetectMitigationActionsTaskInput{
			TaskId: aws.String("new"), Target: &types.DetectMitigationActionsTaskTarget{ViolationIds: []string{id}},
			Actions: []string{"Quarantine"}, ClientRequestToken: aws.String("token-new"),
		}
		change(in)
		_, err := b.client.StartDetectMitigationActionsTask(ctx, in)
		return err
	}
	isTaskExists := is[*types.TaskAlreadyExistsException]
	for what, change := range map[string]func(*iot.StartDetectMitigationActionsTaskInput){
		"id":    func(in *iot.StartDetectMitigationActionsTaskInput) { in.TaskId = aws.String("task") },
		"token": func(in *iot.StartDetectMitigationActionsTaskInput) { in.ClientRequestToken = aws.String("token-task") },
		"id, another": func(in *iot.StartDetectMitigationActionsTaskInput) {
			in.TaskId, in.ClientRequestToken, in.IncludeSuppressedAlerts = aws.String("task"), aws.String("token-task"), aws.Bool(true)
		},
	} {
		if err := start(change); !isTaskExists(err) {
			t.Errorf("same %s: %v", what, err)
		}
	}
	for what, change := range map[string]func(*iot.StartDetectMitigationActionsTaskInput){
		"id":                func(in *iot.StartDetectMitigationActionsTaskInput) { in.TaskId = aws.String("a:b") },
		"token":             func(in *iot.StartDetectMitigationActionsTaskInput) { in.ClientRequestToken = aws.String("a b") },
		"unknown violation": func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.ViolationIds = []string{"0123"} },
		"26 violations": func(in *iot.StartDetectMitigationActionsTaskInput) {
			in.Target.ViolationIds = strings.Split(strings.Repeat("a ", 25)+"a", " ")
		},
		"no violations":  func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.ViolationIds = []string{} },
		"violation's id": func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.ViolationIds = []string{"a_b"} },
		"empty target": func(in *iot.StartDetectMitigationActionsTaskInput) {
			in.Target = &types.DetectMitigationActionsTaskTarget{}
		},
		"empty name":      func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.SecurityProfileName = aws.String("") },
		"behavior's name": func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.BehaviorName = aws.String("a b") },
		"profile's name":  func(in *iot.StartDetectMitigationActionsTaskInput) { in.Target.SecurityProfileName = aws.String("a b") },
		"no actions":      func(in *iot.StartDetectMitigationActionsTaskInput) { in.Actions = []string{} },
		"six actions":     func(in *iot.StartDetectMitigationActionsTaskInput) { in.Actions = strings.Split("a b c d e f", " ") },
		"action twice":    func(in *iot.StartDetectMitigationActionsTaskInput) { in.Actions = []string{"Quarantine", "Quarantine"} },
		"unknown action":  func(in *iot.StartDetectMitigationActionsTaskInput) { in.Actions = []string{"Other"} },
		"range reversed": func(in *iot.StartDetectMitigationActionsTaskInput) {
			in.ViolationEventOccurrenceRange = &types.ViolationEventOccurrenceRange{StartTime: aws.Time(time.Unix(2, 0)), EndTime: aws.Time(time.Unix(1, 0))}
		},
	} {
		if err := start(change); !isInvalid(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 4 {
		ok(b, 0, b.startTask(fmt.Sprintf("more-%d", i), target, "Quarantine"))
	}
	if err := b.startTask("sixth", target, "Quarantine"); !isLimit(err) {
		t.Errorf("six tasks at once: %v", err)
	}

	cancel := func(id string) error {
		_, err := b.client.CancelDetectMitigationActionsTask(ctx, &iot.CancelDetectMitigationActionsTaskInput{TaskId: &id})
		return err
	}
	ok(b, 0, cancel("task"))
	ok(b, 0, cancel("task"))
	b.mitigated()
	b.wantTask("task", types.DetectMitigationActionsTaskStatusCanceled, statistics(0, 1, 0))
	if err := cancel("more-0"); !isInvalid(err) {
		t.Errorf("cancel a task that is over: %v", err)
	}
	if err := cancel("none"); !isNotFound(err) {
		t.Errorf("cancel a task that isn't there: %v", err)
	}
	if _, err := b.client.DescribeDetectMitigationActionsTask(ctx, &iot.DescribeDetectMitigationActionsTaskInput{TaskId: aws.String("none")}); !isNotFound(err) {
		t.Errorf("describe a task that isn't there: %v", err)
	}
	for what, in := range map[string]*iot.ListDetectMitigationActionsExecutionsInput{
		"neither":    {},
		"both":       {TaskId: aws.String("task"), StartTime: aws.Time(time.Unix(1, 0)), EndTime: aws.Time(time.Unix(2, 0))},
		"half":       {StartTime: aws.Time(time.Unix(1, 0))},
		"thing":      {TaskId: aws.String("task"), ThingName: aws.String("a\x01")},
		"violation":  {TaskId: aws.String("task"), ViolationId: aws.String("a_b")},
		"task's id":  {TaskId: aws.String("a:b")},
		"long pages": {TaskId: aws.String("task"), MaxResults: aws.Int32(251)},
	} {
		if _, err := b.client.ListDetectMitigationActionsExecutions(ctx, in); !isInvalid(err) {
			t.Errorf("executions by %s: %v", what, err)
		}
	}
}
