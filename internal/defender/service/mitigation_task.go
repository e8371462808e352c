package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	maxRunningTasks = 5
	// maxTaskViolations bounds one task. AWS names no bound.
	maxTaskViolations = 10_000
	// executionsPerStep is how many executions share a transaction. A process
	// that is killed goes on with the next ones.
	executionsPerStep = 100
)

// States of tasks and executions.
const (
	statusInProgress = "IN_PROGRESS"
	statusSuccessful = "SUCCESSFUL"
	statusFailed     = "FAILED"
	statusCanceled   = "CANCELED" // of tasks
	statusSkipped    = "SKIPPED"  // of executions
)

// taskTarget says which violations a task is for: those that all its members
// name.
type taskTarget struct {
	ViolationIDs []string `json:"violationIds,omitempty"`
	Profile      *string  `json:"securityProfileName,omitempty"`
	Behavior     *string  `json:"behaviorName,omitempty"`
}

// eventRange is a time in which an event of the violation happened.
type eventRange struct {
	Start awsrest.Epoch `json:"startTime"`
	End   awsrest.Epoch `json:"endTime"`
}

func (r *eventRange) includes(v *storedViolation) bool {
	in := func(t time.Time) bool {
		return !t.IsZero() && !t.Before(time.Time(r.Start)) && !t.After(time.Time(r.End))
	}
	return r == nil || in(v.Start) || in(v.End)
}

// actionDefinition is an action as it was when the task was started.
type actionDefinition struct {
	Name    string               `json:"name"`
	ID      string               `json:"id"`
	RoleARN string               `json:"roleArn"`
	Params  profile.ActionParams `json:"actionParams"`
}

// storedTask is a Detect mitigation actions task.
type storedTask struct {
	Token      string             `json:"token"`
	Target     taskTarget         `json:"target"`
	Range      *eventRange        `json:"range,omitempty"`
	OnlyActive bool               `json:"onlyActive,omitempty"`
	Suppressed bool               `json:"suppressed,omitempty"`
	Actions    []actionDefinition `json:"actions"`
	Start      time.Time          `json:"start"`

	Status     string         `json:"status"`
	End        time.Time      `json:"end,omitzero"`
	Statistics taskStatistics `json:"statistics"`
	Done       []byte         `json:"done,omitempty"` // key of the last execution that is over
}

type taskStatistics struct {
	Executed int64 `json:"actionsExecuted"`
	Skipped  int64 `json:"actionsSkipped"`
	Failed   int64 `json:"actionsFailed"`
}

// same reports whether the tasks were asked for in the same words.
func (t *storedTask) same(other *storedTask) bool {
	names := func(t *storedTask) (list []string) {
		for _, action := range t.Actions {
			list = append(list, action.Name)
		}
		return list
	}
	return t.Token == other.Token && reflect.DeepEqual(t.Target, other.Target) &&
		(t.Range == nil) == (other.Range == nil) && (t.Range == nil || t.Range.equal(other.Range)) &&
		t.OnlyActive == other.OnlyActive && t.Suppressed == other.Suppressed && slices.Equal(names(t), names(other))
}

func (r *eventRange) equal(other *eventRange) bool {
	return time.Time(r.Start).Equal(time.Time(other.Start)) && time.Time(r.End).Equal(time.Time(other.End))
}

// storedExecution is one action for one violation. Its key is the task, the
// violation and the action.
type storedExecution struct {
	Thing     string    `json:"thing"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end,omitzero"`
	Status    string    `json:"status"`
	ErrorCode string    `json:"errorCode,omitempty"`
	Message   string    `json:"message,omitempty"`
}

func executionKey(task, violation, action string) string {
	return task + "\x00" + violation + "\x00" + action
}

func taskExists(message string) error {
	return &awsrest.Error{Type: "TaskAlreadyExistsException", Status: http.StatusBadRequest, Message: message}
}

// taskStep is a transaction that starts a task or carries on with one.
type taskStep struct {
	s   *Service
	tx  *store.Tx
	now time.Time
}

func (s *Service) taskStep(tx *store.Tx) *taskStep { return &taskStep{s, tx, s.now()} }

// startTask stores the task with an execution for each violation and action.
// An identical request with the same token is the same task; AWS's
// documentation of the token allows nothing else to have it.
func (t *taskStep) startTask(id string, task *storedTask) error {
	running := 0
	for other, err := range tableTasks.Scan(&t.tx.Reader, store.Range{}) {
		if err != nil {
			return err
		}
		switch {
		case other.Key == id && other.Value.same(task):
			return errSameTask
		case other.Key == id:
			return taskExists(fmt.Sprintf("Task %s already exists", id))
		case other.Value.Token == task.Token:
			return taskExists(fmt.Sprintf("Task %s has this clientRequestToken", other.Key))
		case other.Value.Status == statusInProgress:
			running++
		}
	}
	if _, err := bump(t.tx, metaTasks); err != nil {
		return err
	}
	if running >= maxRunningTasks {
		return awsrest.LimitExceeded(fmt.Sprintf("%d Detect mitigation actions tasks are in progress, the limit is %d", running, maxRunningTasks))
	}
	violations, err := selectViolations(&t.tx.Reader, task)
	if err != nil {
		return err
	}
	for _, v := range violations {
		for _, action := range task.Actions {
			execution := storedExecution{Thing: v.thing, Start: t.now, Status: statusInProgress}
			if err := tableExecutions.Put(t.tx, executionKey(id, v.id, action.Name), execution); err != nil {
				return err
			}
		}
	}
	if err := t.putJob(id); err != nil {
		return err
	}
	return tableTasks.Put(t.tx, id, *task)
}

// errSameTask says that the task is there already, by the same request.
var errSameTask = errors.New("the same task")

type selectedViolation struct{ id, thing string }

// selectViolations returns what the task is for. A violation that is named by
// its id need not be named by a flag that suppressed ones are meant, too.
func selectViolations(view *store.Reader, task *storedTask) (list []selectedViolation, err error) {
	take := func(id string, v *storedViolation) error {
		switch named := len(task.Target.ViolationIDs) > 0; {
		case task.Target.Profile != nil && *task.Target.Profile != v.Profile,
			task.Target.Behavior != nil && *task.Target.Behavior != v.Behavior.Name,
			task.OnlyActive && !v.End.IsZero(),
			!named && !task.Suppressed && v.suppressed(),
			!task.Range.includes(v):
			return nil
		case len(list) == maxTaskViolations:
			return awsrest.LimitExceeded(fmt.Sprintf("The task is for more than %d violations", maxTaskViolations))
		}
		list = append(list, selectedViolation{id, v.Thing})
		return nil
	}
	if len(task.Target.ViolationIDs) > 0 {
		found, err := tableViolations.GetMany(view, task.Target.ViolationIDs)
		if err != nil {
			return nil, err
		}
		for _, id := range task.Target.ViolationIDs {
			v, ok := found[id]
			if !ok {
				return nil, awsrest.Invalid(fmt.Sprintf("Violation %s does not exist", id))
			}
			if err := take(id, &v); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	for v, err := range tableViolations.Scan(view, store.Range{}) {
		if err != nil {
			return nil, err
		}
		if err := take(v.Key, &v.Value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// mitigateStep carries out some of what a task has left to do. Its job is put
// again until the task is over.
func (s *Service) mitigateStep(ctx context.Context, id string, job store.Job[struct{}]) error {
	return s.write(ctx, func(tx *store.Tx) error {
		if mine, err := tableJobs.Done(tx, job); err != nil || !mine {
			return err
		}
		task, err := tableTasks.find(&tx.Reader, id)
		if err != nil || task == nil || task.Status != statusInProgress {
			return err
		}
		t := s.taskStep(tx)
		if err := t.executions(id, task); err != nil {
			return err
		}
		if task.Status == statusInProgress {
			if err := t.putJob(id); err != nil {
				return err
			}
		}
		return tableTasks.Put(tx, id, *task)
	})
}

// putJob has the task carried on with.
func (t *taskStep) putJob(id string) error {
	t.tx.OnCommit(func() { t.s.wake(t.s.jobsReady) })
	return tableJobs.Put(t.tx, store.Job[struct{}]{Due: t.now, ID: taskJob + id})
}

// executions carries out the next executions of a task, and ends it after the
// last. A task of which an execution failed has failed.
func (t *taskStep) executions(id string, task *storedTask) error {
	keys, err := pendingExecutions(&t.tx.Reader, id, task, executionsPerStep)
	if err != nil {
		return err
	}
	found, err := tableExecutions.GetMany(&t.tx.Reader, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		execution := found[key]
		if err := t.execute(task.action(key), &execution); err != nil {
			return err
		}
		found[key] = execution
	}
	return t.record(id, task, keys, found, len(keys) < executionsPerStep)
}

// record stores what came of executions, and ends the task after the last.
func (t *taskStep) record(id string, task *storedTask, keys []string, done map[string]storedExecution, last bool) error {
	for _, key := range keys {
		execution := done[key]
		execution.End = t.now
		task.Statistics.count(execution.Status)
		if err := tableExecutions.Put(t.tx, key, execution); err != nil {
			return err
		}
		task.Done = []byte(key)
	}
	if last {
		task.End, task.Status = t.now, statusSuccessful
		if task.Statistics.Failed > 0 {
			task.Status = statusFailed
		}
		ended := *task
		t.tx.OnCommit(func() {
			t.s.log.Info("mitigation task ended", "task", id, "status", ended.Status, "executed", ended.Statistics.Executed, "skipped", ended.Statistics.Skipped, "failed", ended.Statistics.Failed)
		})
	}
	return nil
}

// count counts an execution that is over.
func (n *taskStatistics) count(status string) {
	switch status {
	case statusSuccessful:
		n.Executed++
	case statusSkipped:
		n.Skipped++
	default:
		n.Failed++
	}
}

// pendingExecutions returns the keys of the task's next executions, at most n.
func pendingExecutions(view *store.Reader, id string, task *storedTask, n int) (keys []string, err error) {
	span := store.Prefix(id + "\x00").Resume(string(task.Done))
	span.Limit = n
	for execution, err := range tableExecutions.keys.Scan(view, span) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, execution.Key)
	}
	return keys, nil
}

// execute carries out one action for one thing, and says in the execution what
// came of it. A thing that is in a group already stays in it. Groups that it
// was put into before one failed are not undone, as nothing of an action is.
// The error is one of the database.
func (t *taskStep) execute(action *actionDefinition, execution *storedExecution) error {
	params := action.Params.AddThingsToThingGroup
	if params == nil {
		execution.skip(action)
		return nil
	}
	execution.Status = statusSuccessful
	for _, group := range params.ThingGroupNames {
		err := t.s.addMember(t.tx, group, execution.Thing)
		var refused *awsrest.Error
		switch {
		case errors.As(err, &refused):
			execution.Status, execution.ErrorCode, execution.Message = statusFailed, refused.Type, refused.Message
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// skip says that Detect has no use for the action.
func (e *storedExecution) skip(action *actionDefinition) {
	e.Status = statusSkipped
	e.ErrorCode = "InvalidRequestException"
	e.Message = fmt.Sprintf("Detect carries out only actions of type %s, %s is of type %s", addThings, action.Name, actionType(&action.Params))
}

// dropTasks forgets tasks that ended before the time, and their executions.
func dropTasks(tx *store.Tx, before time.Time) error {
	for task, err := range tableTasks.Scan(&tx.Reader, store.Range{}) {
		if err != nil {
			return err
		}
		if end := task.Value.End; end.IsZero() || !end.Before(before) {
			continue
		}
		if err := tableTasks.Delete(tx, task.Key); err != nil {
			return err
		}
		if err := tableExecutions.deletePrefix(tx, task.Key+"\x00"); err != nil {
			return err
		}
	}
	return nil
}
