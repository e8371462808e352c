package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Where the registry is elsewhere, an action is a call that takes its time and can fail. So
// a task is carried on with beside the jobs, and no transaction waits for it. A process that
// is killed meanwhile does again what it had not stored, which changes nothing.

// stepElsewhere is how many executions are stored at once.
const stepElsewhere = 20

// tasksElsewhere are the tasks that are being carried on with.
type tasksElsewhere struct {
	done sync.WaitGroup

	mu      sync.Mutex // guards the rest
	running map[string]bool
	failed  int64 // executions, since the service was opened
	last    failedMove
}

// failedMove is an execution that failed.
type failedMove struct {
	at          time.Time
	thing, text string
}

// notice says what failed lately.
func (t *tasksElsewhere) notice(now time.Time) (text string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == 0 || now.Sub(t.last.at) >= shownFor {
		return "", false
	}
	return fmt.Sprintf("%d mitigation actions failed in the registry, the last for %s at %s: %s",
		t.failed, t.last.thing, t.last.at.UTC().Format(time.DateTime+" MST"), t.last.text), true
}

func (t *tasksElsewhere) fail(thing, text string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.last = t.failed+1, failedMove{now, thing, text}
}

// mitigateElsewhere carries on with a task until it is over or ctx ends. The job that calls
// for it comes again while that takes longer.
func (s *Service) mitigateElsewhere(ctx context.Context, id string, job store.Job[struct{}]) {
	t := &s.elsewhere
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[id] {
		return
	}
	if t.running == nil {
		t.running = map[string]bool{}
	}
	t.running[id] = true
	t.done.Go(func() {
		for over := false; !over && ctx.Err() == nil; {
			var err error
			if over, err = s.mitigateStepElsewhere(ctx, id, job); err != nil && ctx.Err() == nil {
				s.log.Error("a mitigation task failed, it is tried again in a minute", "task", id, "error", err)
				break
			}
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.running, id)
	})
}

// mitigateStepElsewhere carries out the next actions and stores what came of them.
func (s *Service) mitigateStepElsewhere(ctx context.Context, id string, job store.Job[struct{}]) (over bool, err error) {
	var task *storedTask
	var keys []string
	var found map[string]storedExecution
	err = s.read(ctx, func(view *store.Reader) error {
		var err error
		if task, err = tableTasks.find(view, id); err != nil || task == nil || task.Status != statusInProgress {
			return err
		}
		if keys, err = pendingExecutions(view, id, task, stepElsewhere); err != nil {
			return err
		}
		found, err = tableExecutions.GetMany(view, keys)
		return err
	})
	if err != nil {
		return false, err
	}
	moved := map[string]groupsJoined{}
	if task != nil && task.Status == statusInProgress {
		for _, key := range keys {
			execution := found[key]
			joined := s.executeElsewhere(ctx, task.action(key), &execution)
			if ctx.Err() != nil {
				return false, ctx.Err() // it is done again
			}
			found[key] = execution
			moved[key] = groupsJoined{execution.Thing, joined}
		}
	}
	err = s.write(ctx, func(tx *store.Tx) error {
		over = true
		if _, err := tableJobs.Done(tx, job); err != nil {
			return err
		}
		for _, m := range moved {
			if err := s.mirrorMove(tx, m.thing, m.groups, nil); err != nil {
				return err
			}
		}
		task, err := tableTasks.find(&tx.Reader, id)
		if err != nil || task == nil {
			return err
		}
		t := s.taskStep(tx)
		if task.Status == statusCanceled {
			return t.correct(id, task, keys, found)
		}
		if task.Status != statusInProgress {
			return nil
		}
		if err := t.record(id, task, keys, found, len(keys) < stepElsewhere); err != nil {
			return err
		}
		if over = task.Status != statusInProgress; !over {
			if err := t.putJob(id); err != nil {
				return err
			}
		}
		return tableTasks.Put(tx, id, *task)
	})
	return over && err == nil, err
}

type groupsJoined struct {
	thing  string
	groups []string
}

// correct stores what was done for executions that a cancellation has marked as skipped
// meanwhile.
func (t *taskStep) correct(id string, task *storedTask, keys []string, done map[string]storedExecution) error {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		execution := done[key]
		execution.End = t.now
		task.Statistics.Skipped--
		task.Statistics.count(execution.Status)
		if err := tableExecutions.Put(t.tx, key, execution); err != nil {
			return err
		}
	}
	return tableTasks.Put(t.tx, id, *task)
}

// action is the action of an execution.
func (t *storedTask) action(key string) *actionDefinition {
	name := key[strings.LastIndexByte(key, 0)+1:]
	return &t.Actions[slices.IndexFunc(t.Actions, func(a actionDefinition) bool { return a.Name == name })]
}

// executeElsewhere carries out one action for one thing in the other registry, and returns
// the groups that the thing is in by that.
func (s *Service) executeElsewhere(ctx context.Context, action *actionDefinition, execution *storedExecution) (joined []string) {
	params := action.Params.AddThingsToThingGroup
	if params == nil {
		execution.skip(action)
		return nil
	}
	execution.Status = statusSuccessful
	for _, group := range params.ThingGroupNames {
		err := s.options.Registry.Add(ctx, execution.Thing, group, params.OverrideDynamicGroups != nil && *params.OverrideDynamicGroups)
		if ctx.Err() != nil {
			return joined // it is done again
		}
		if err != nil {
			execution.Status, execution.ErrorCode, execution.Message = statusFailed, "ServiceUnavailableException", err.Error()
			if answer, ok := errors.AsType[*RegistryError](err); ok {
				execution.ErrorCode, execution.Message = answer.Code, answer.Message
			}
			s.elsewhere.fail(execution.Thing, err.Error(), s.now())
			s.log.Warn("mitigation failed in the registry", "thing", execution.Thing, "group", group, "error", err)
			return joined
		}
		joined = append(joined, group)
	}
	return joined
}
