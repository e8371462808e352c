package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

type taskStart struct {
	Target     *taskTarget `json:"target"`
	Actions    []string    `json:"actions"`
	Range      *eventRange `json:"violationEventOccurrenceRange"`
	OnlyActive *bool       `json:"includeOnlyActiveViolations"`
	Suppressed *bool       `json:"includeSuppressedAlerts"`
	Token      *string     `json:"clientRequestToken"`
}

func (t *taskStart) check() error {
	if t.Target == nil {
		return awsrest.Missing("target")
	}
	if err := t.Target.check(); err != nil {
		return err
	}
	if len(t.Actions) < 1 || len(t.Actions) > 5 {
		return awsrest.Constraint("actions", strings.Join(t.Actions, ", "), "Member must have length between 1 and 5")
	}
	for i, action := range t.Actions {
		if slices.Contains(t.Actions[:i], action) {
			return awsrest.Invalid(fmt.Sprintf("actions names %q twice", awsrest.Clip(action)))
		}
	}
	if t.Range != nil {
		if time.Time(t.Range.Start).IsZero() {
			return awsrest.Missing("violationEventOccurrenceRange.startTime")
		}
		if time.Time(t.Range.End).IsZero() {
			return awsrest.Missing("violationEventOccurrenceRange.endTime")
		}
		if time.Time(t.Range.Start).After(time.Time(t.Range.End)) {
			return awsrest.Invalid("violationEventOccurrenceRange ends before it starts")
		}
	}
	return checkToken(t.Token)
}

func (t *taskTarget) check() error {
	if t.ViolationIDs != nil && (len(t.ViolationIDs) < 1 || len(t.ViolationIDs) > 25) {
		return awsrest.Constraint("target.violationIds", strings.Join(t.ViolationIDs, ", "), "Member must have length between 1 and 25")
	}
	for i, id := range t.ViolationIDs {
		if err := checkViolationID("target.violationIds", id); err != nil {
			return err
		}
		if slices.Contains(t.ViolationIDs[:i], id) {
			return awsrest.Invalid(fmt.Sprintf("target.violationIds names %q twice", id))
		}
	}
	if t.Profile != nil {
		if err := checkName("target.securityProfileName", *t.Profile); err != nil {
			return err
		}
	}
	if t.Behavior != nil {
		if err := checkName("target.behaviorName", *t.Behavior); err != nil {
			return err
		}
	}
	if t.ViolationIDs == nil && t.Profile == nil && t.Behavior == nil {
		return awsrest.Invalid("target names neither violationIds nor securityProfileName nor behaviorName")
	}
	return nil
}

func (s *Service) startDetectMitigationActionsTask(r *awsrest.Request) (any, error) {
	id := r.Name("taskId")
	var in taskStart
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	task := &storedTask{
		Token: *in.Token, Target: *in.Target, Range: in.Range,
		OnlyActive: in.OnlyActive != nil && *in.OnlyActive,
		Suppressed: in.Suppressed != nil && *in.Suppressed,
		Status:     statusInProgress,
	}
	err := s.write(r.Context(), func(tx *store.Tx) error {
		t := s.taskStep(tx)
		task.Start, task.Actions = t.now, nil
		for _, name := range in.Actions {
			action, err := tableActions.find(&tx.Reader, name)
			if err != nil {
				return err
			}
			if action == nil {
				return awsrest.Invalid(fmt.Sprintf("Mitigation action %q does not exist", awsrest.Clip(name)))
			}
			task.Actions = append(task.Actions, actionDefinition{Name: name, ID: action.ID, RoleARN: action.RoleARN, Params: action.Params})
		}
		return t.startTask(id, task)
	})
	if err != nil && !errors.Is(err, errSameTask) {
		return nil, err
	}
	return struct {
		TaskID string `json:"taskId"`
	}{id}, nil
}

// taskSummary is a task as the API shows it.
type taskSummary struct {
	ID         string             `json:"taskId"`
	Status     string             `json:"taskStatus"`
	Start      awsrest.Epoch      `json:"taskStartTime"`
	End        *awsrest.Epoch     `json:"taskEndTime,omitempty"`
	Target     taskTarget         `json:"target"`
	Range      *eventRange        `json:"violationEventOccurrenceRange,omitempty"`
	OnlyActive bool               `json:"onlyActiveViolationsIncluded"`
	Suppressed bool               `json:"suppressedAlertsIncluded"`
	Actions    []actionDefinition `json:"actionsDefinition"`
	Statistics taskStatistics     `json:"taskStatistics"`
}

func (t *storedTask) summary(id string) taskSummary {
	return taskSummary{
		ID: id, Status: t.Status, Start: awsrest.Epoch(t.Start), End: epochOrNil(t.End), Target: t.Target, Range: t.Range,
		OnlyActive: t.OnlyActive, Suppressed: t.Suppressed, Actions: t.Actions, Statistics: t.Statistics,
	}
}

// epochOrNil leaves out the zero time.
func epochOrNil(t time.Time) *awsrest.Epoch {
	if t.IsZero() {
		return nil
	}
	return new(awsrest.Epoch(t))
}

// getTask reads a task that has to be there.
func getTask(view *store.Reader, id string) (*storedTask, error) {
	return tableTasks.require(view, id, "Task %s does not exist")
}

func (s *Service) describeDetectMitigationActionsTask(r *awsrest.Request) (any, error) {
	id := r.Name("taskId")
	task, err := readNamed(s, r, id, getTask)
	if err != nil {
		return nil, err
	}
	return map[string]taskSummary{"taskSummary": task.summary(id)}, nil
}

// cancelDetectMitigationActionsTask ends a task; executions that it has not
// come to stay undone and count as skipped.
func (s *Service) cancelDetectMitigationActionsTask(r *awsrest.Request) (any, error) {
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		t := s.taskStep(tx)
		id := r.Name("taskId")
		task, err := getTask(&tx.Reader, id)
		if err != nil {
			return err
		}
		switch task.Status {
		case statusCanceled:
			return nil
		case statusInProgress:
		default:
			return awsrest.Invalid(fmt.Sprintf("Task %s is over: %s", id, task.Status))
		}
		for {
			keys, err := pendingExecutions(&tx.Reader, id, task, executionsPerStep)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				break
			}
			found, err := tableExecutions.GetMany(&tx.Reader, keys)
			if err != nil {
				return err
			}
			for _, key := range keys {
				execution := found[key]
				execution.Status, execution.End, execution.Message = statusSkipped, t.now, "The task was canceled"
				if err := tableExecutions.Put(tx, key, execution); err != nil {
					return err
				}
				task.Statistics.Skipped++
				task.Done = []byte(key)
			}
		}
		task.Status, task.End = statusCanceled, t.now
		return tableTasks.Put(tx, id, *task)
	})
}

func (s *Service) listDetectMitigationActionsTasks(r *awsrest.Request) (any, error) {
	from, to, err := timeRange(r)
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "tasks", func(view *store.Reader, after string, yield func(string, taskSummary) bool) error {
		for stored, err := range tableTasks.rowsAfter(view, "", after) {
			if err != nil {
				return err
			}
			id, task := stored.Key, &stored.Value
			if within(task.Start, from, to) && !yield(id, task.summary(id)) {
				break
			}
		}
		return nil
	})
}

// executionSummary is an execution as the API shows it.
type executionSummary struct {
	Task      string         `json:"taskId"`
	Violation string         `json:"violationId"`
	Action    string         `json:"actionName"`
	Thing     string         `json:"thingName"`
	Start     awsrest.Epoch  `json:"executionStartDate"`
	End       *awsrest.Epoch `json:"executionEndDate,omitempty"`
	Status    string         `json:"status"`
	ErrorCode string         `json:"errorCode,omitempty"`
	Message   string         `json:"message,omitempty"`
}

// executionFilter is what ListDetectMitigationActionsExecutions asks for.
type executionFilter struct {
	task, violation, thing string
	from, to               time.Time
}

// readExecutionFilter reads the query: either a task or a time.
func readExecutionFilter(r *awsrest.Request) (f executionFilter, err error) {
	f.task, f.violation, f.thing = r.Query("taskId"), r.Query("violationId"), r.Query("thingName")
	timed := r.Has("startTime") || r.Has("endTime")
	switch {
	case r.Has("taskId") == timed:
		return f, awsrest.Invalid("You must specify either the startTime and endTime or the taskId, but not both")
	case timed:
		if f.from, f.to, err = timeRange(r); err != nil {
			return f, err
		}
	default:
		if err := checkID("taskId", f.task); err != nil {
			return f, err
		}
	}
	if r.Has("violationId") {
		if err := checkViolationID("violationId", f.violation); err != nil {
			return f, err
		}
	}
	return f, checkThingName(r)
}

func (s *Service) listDetectMitigationActionsExecutions(r *awsrest.Request) (any, error) {
	filter, err := readExecutionFilter(r)
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "actionsExecutions", filter.walk)
}

// walk gives the executions that the filter takes.
func (f *executionFilter) walk(view *store.Reader, after string, yield func(string, executionSummary) bool) error {
	prefix := ""
	if f.task != "" {
		prefix = f.task + "\x00"
	}
	for stored, err := range tableExecutions.rowsAfter(view, prefix, after) {
		if err != nil {
			return err
		}
		parts, e := strings.Split(prefix+stored.Key, "\x00"), &stored.Value
		switch {
		case f.violation != "" && f.violation != parts[1],
			f.thing != "" && f.thing != e.Thing,
			f.task == "" && !within(e.Start, f.from, f.to):
			continue
		}
		summary := executionSummary{
			Task: parts[0], Violation: parts[1], Action: parts[2], Thing: e.Thing,
			Start: awsrest.Epoch(e.Start), End: epochOrNil(e.End), Status: e.Status, ErrorCode: e.ErrorCode, Message: e.Message,
		}
		if !yield(stored.Key, summary) {
			break
		}
	}
	return nil
}
