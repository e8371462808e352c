package cloud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// MitigationAction is a mitigation action of the account.
type MitigationAction struct {
	profile.MitigationAction
	Type string // as ADD_THINGS_TO_THING_GROUP
}

// Does says in words what the action does.
func (a MitigationAction) Does() string { return describeParams(a.Params) }

// ForDetect reports whether Detect can take the action: it adds things to
// groups; every other type is for Audit.
func ForDetect(a profile.MitigationAction) bool { return a.Params.AddThingsToThingGroup != nil }

// MitigationActions returns the account's mitigation actions by name.
func (c *Client) MitigationActions(ctx context.Context) ([]MitigationAction, error) {
	pages := iot.NewListMitigationActionsPaginator(c.IoT, &iot.ListMitigationActionsInput{MaxResults: aws.Int32(maxResults)})
	ids, err := listed(ctx, c, "list mitigation actions", pages, func(page *iot.ListMitigationActionsOutput) []types.MitigationActionIdentifier {
		return page.ActionIdentifiers
	})
	if err != nil {
		return nil, err
	}
	var actions []MitigationAction
	for _, id := range ids {
		a, err := c.mitigationAction(ctx, aws.ToString(id.ActionName))
		if isNotFound(err) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		actions = append(actions, *a)
	}
	slices.SortFunc(actions, func(a, b MitigationAction) int { return strings.Compare(a.Name, b.Name) })
	return actions, nil
}

func (c *Client) mitigationAction(ctx context.Context, name string) (*MitigationAction, error) {
	out, err := c.IoT.DescribeMitigationAction(ctx, &iot.DescribeMitigationActionInput{ActionName: aws.String(name)})
	if err != nil {
		return nil, c.failed("describe mitigation action "+name, err)
	}
	return &MitigationAction{
		MitigationAction: profile.MitigationAction{Name: name, RoleARN: aws.ToString(out.RoleArn), Params: actionParamsOf(out.ActionParams)},
		Type:             string(out.ActionType),
	}, nil
}

// accountPlaceholder stands for the account in the role ARNs of mitigation
// actions in files: the same file is then good for any account.
const accountPlaceholder = "ACCOUNT"

// FillAccount replaces the placeholder in the roles of the actions. It asks for
// the account only if it's there.
func (c *Client) FillAccount(ctx context.Context, actions []profile.MitigationAction) error {
	const placeholder = ":iam::" + accountPlaceholder + ":"
	for i := range actions {
		if !strings.Contains(actions[i].RoleARN, placeholder) {
			continue
		}
		account, err := c.AccountID(ctx)
		if err != nil {
			return err
		}
		actions[i].RoleARN = strings.Replace(actions[i].RoleARN, placeholder, ":iam::"+account+":", 1)
	}
	return nil
}

// PlanMitigation finds out what has to be done so that the account has these
// actions. It changes nothing. Tags are set when an action is created.
func (c *Client) PlanMitigation(ctx context.Context, actions []profile.MitigationAction) (*Setup, error) {
	plan := &Setup{}
	seen := map[string]bool{}
	for _, a := range actions {
		if a.Params.AddThingsToThingGroup == nil {
			continue
		}
		for _, group := range a.Params.AddThingsToThingGroup.ThingGroupNames {
			if seen[group] {
				continue
			}
			seen[group] = true
			step, err := c.planGroup(ctx, group)
			if err != nil {
				return nil, err
			}
			plan.Steps = append(plan.Steps, step)
		}
	}
	for _, a := range actions {
		step, err := c.planAction(ctx, a)
		if err != nil {
			return nil, err
		}
		plan.Steps = append(plan.Steps, step)
	}
	return plan, nil
}

func (c *Client) planAction(ctx context.Context, a profile.MitigationAction) (SetupStep, error) {
	old, err := c.mitigationAction(ctx, a.Name)
	switch {
	case isNotFound(err):
		return SetupStep{What: "create mitigation action " + a.Name, Note: describeParams(a.Params), run: func(ctx context.Context) error {
			_, err := c.IoT.CreateMitigationAction(ctx, &iot.CreateMitigationActionInput{
				ActionName: aws.String(a.Name), RoleArn: aws.String(a.RoleARN), ActionParams: actionParamsTo(a.Params), Tags: tagsTo(a.Tags),
			})
			return c.failed("create mitigation action "+a.Name, err)
		}}, nil
	case err != nil:
		return SetupStep{}, err
	}
	if old.RoleARN == a.RoleARN && sameParams(old.Params, a.Params) {
		return SetupStep{What: "mitigation action " + a.Name, Done: true}, nil
	}
	var changes []string
	if old.RoleARN != a.RoleARN {
		changes = append(changes, fmt.Sprintf("role %s -> %s", old.RoleARN, a.RoleARN))
	}
	if before, after := describeParams(old.Params), describeParams(a.Params); before != after {
		changes = append(changes, before+" -> "+after)
	}
	return SetupStep{What: "update mitigation action " + a.Name, Note: strings.Join(changes, "; "), run: func(ctx context.Context) error {
		_, err := c.IoT.UpdateMitigationAction(ctx, &iot.UpdateMitigationActionInput{
			ActionName: aws.String(a.Name), RoleArn: aws.String(a.RoleARN), ActionParams: actionParamsTo(a.Params),
		})
		return c.failed("update mitigation action "+a.Name, err)
	}}, nil
}

// MitigationTask is a Detect mitigation actions task.
type MitigationTask struct {
	ID         string
	Status     string // IN_PROGRESS, SUCCESSFUL, FAILED or CANCELED
	Started    time.Time
	Ended      time.Time // zero while in progress
	Actions    []string
	Violations []string // of its target; or
	Profile    string
	Behavior   string // may be empty
	// Executed, Failed and Skipped count executions of actions.
	Executed, Failed, Skipped int64
}

// Over reports whether the task has come to its end.
func (t *MitigationTask) Over() bool {
	return t.Status != string(types.DetectMitigationActionsTaskStatusInProgress)
}

// MitigationExecution is what one action of a task did for one violation.
type MitigationExecution struct {
	Violation, Thing, Action string
	Status                   string // IN_PROGRESS, SUCCESSFUL, FAILED or SKIPPED
	ErrorCode, Message       string // may be empty
	Started, Ended           time.Time
}

// MitigationRequest says what to do about which violations: those of the ids,
// or those of a profile and perhaps one behavior.
type MitigationRequest struct {
	ID         string // of the task; letters, digits, _ and -
	Actions    []string
	Violations []string
	Profile    string
	Behavior   string
	// From and To bound when violations occurred; zero is unbounded.
	From, To          time.Time
	OnlyActive        bool
	IncludeSuppressed bool
}

// Limits of one task.
const (
	MaxTaskViolations = 25
	MaxTaskActions    = 5
)

// StartMitigation starts a task.
func (c *Client) StartMitigation(ctx context.Context, r MitigationRequest) error {
	input := &iot.StartDetectMitigationActionsTaskInput{
		TaskId: aws.String(r.ID), Actions: r.Actions,
		Target: &types.DetectMitigationActionsTaskTarget{
			ViolationIds: r.Violations, SecurityProfileName: optional(r.Profile), BehaviorName: optional(r.Behavior),
		},
		IncludeOnlyActiveViolations: aws.Bool(r.OnlyActive), IncludeSuppressedAlerts: aws.Bool(r.IncludeSuppressed),
	}
	if !r.From.IsZero() {
		input.ViolationEventOccurrenceRange = &types.ViolationEventOccurrenceRange{StartTime: aws.Time(r.From), EndTime: aws.Time(r.To)}
	}
	_, err := c.IoT.StartDetectMitigationActionsTask(ctx, input)
	return c.failed("start mitigation task "+r.ID, err)
}

// MitigationTask returns a task as it stands.
func (c *Client) MitigationTask(ctx context.Context, id string) (*MitigationTask, error) {
	out, err := c.IoT.DescribeDetectMitigationActionsTask(ctx, &iot.DescribeDetectMitigationActionsTaskInput{TaskId: aws.String(id)})
	if err != nil {
		return nil, c.failed("describe mitigation task "+id, err)
	}
	if out.TaskSummary == nil {
		return nil, fmt.Errorf("describe mitigation task %s: the answer is empty", id)
	}
	t := taskOf(*out.TaskSummary)
	return &t, nil
}

func taskOf(s types.DetectMitigationActionsTaskSummary) MitigationTask {
	t := MitigationTask{ID: aws.ToString(s.TaskId), Status: string(s.TaskStatus), Started: aws.ToTime(s.TaskStartTime), Ended: aws.ToTime(s.TaskEndTime)}
	for _, a := range s.ActionsDefinition {
		t.Actions = append(t.Actions, aws.ToString(a.Name))
	}
	if s.Target != nil {
		t.Violations, t.Profile, t.Behavior = s.Target.ViolationIds, aws.ToString(s.Target.SecurityProfileName), aws.ToString(s.Target.BehaviorName)
	}
	if n := s.TaskStatistics; n != nil {
		t.Executed, t.Failed, t.Skipped = aws.ToInt64(n.ActionsExecuted), aws.ToInt64(n.ActionsFailed), aws.ToInt64(n.ActionsSkipped)
	}
	return t
}

// WaitForMitigation looks at a task every so often until it's over. progress
// hears of each look.
func (c *Client) WaitForMitigation(ctx context.Context, id string, every time.Duration, progress func(*MitigationTask)) (*MitigationTask, error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		t, err := c.MitigationTask(ctx, id)
		if err != nil {
			return nil, err
		}
		progress(t)
		if t.Over() {
			return t, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
}

// MitigationTasks returns the tasks of a period, the latest first.
func (c *Client) MitigationTasks(ctx context.Context, from, to time.Time) ([]MitigationTask, error) {
	pages := iot.NewListDetectMitigationActionsTasksPaginator(c.IoT, &iot.ListDetectMitigationActionsTasksInput{
		StartTime: aws.Time(from), EndTime: aws.Time(to), MaxResults: aws.Int32(maxResults),
	})
	tasks, err := listed(ctx, c, "list mitigation tasks", pages, func(page *iot.ListDetectMitigationActionsTasksOutput) []MitigationTask {
		return mapped(page.Tasks, taskOf)
	})
	slices.SortStableFunc(tasks, func(a, b MitigationTask) int { return b.Started.Compare(a.Started) })
	return tasks, err
}

// MitigationExecutions returns what a task's actions did.
func (c *Client) MitigationExecutions(ctx context.Context, task string) ([]MitigationExecution, error) {
	pages := iot.NewListDetectMitigationActionsExecutionsPaginator(c.IoT, &iot.ListDetectMitigationActionsExecutionsInput{
		TaskId: aws.String(task), MaxResults: aws.Int32(maxResults),
	})
	return listed(ctx, c, "list what mitigation task "+task+" did", pages, func(page *iot.ListDetectMitigationActionsExecutionsOutput) []MitigationExecution {
		return mapped(page.ActionsExecutions, func(e types.DetectMitigationActionExecution) MitigationExecution {
			return MitigationExecution{
				Violation: aws.ToString(e.ViolationId), Thing: aws.ToString(e.ThingName), Action: aws.ToString(e.ActionName),
				Status: string(e.Status), ErrorCode: aws.ToString(e.ErrorCode), Message: aws.ToString(e.Message),
				Started: aws.ToTime(e.ExecutionStartDate), Ended: aws.ToTime(e.ExecutionEndDate),
			}
		})
	})
}

// CancelMitigation ends a task; what its actions did stays.
func (c *Client) CancelMitigation(ctx context.Context, id string) error {
	_, err := c.IoT.CancelDetectMitigationActionsTask(ctx, &iot.CancelDetectMitigationActionsTaskInput{TaskId: aws.String(id)})
	return c.failed("cancel mitigation task "+id, err)
}
