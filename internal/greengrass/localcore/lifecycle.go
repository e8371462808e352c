package localcore

import (
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// State is what the component last reported with UpdateState, "" before.
func (k *Component) State() string {
	k.core.mu.Lock()
	defer k.core.mu.Unlock()
	return k.state
}

func updateState(r *request) (any, *refusal) {
	state := r.text("state")
	states := []string{string(greengrass.StateRunning), string(greengrass.StateErrored)}
	if r.core.lite() {
		states = append(states, "NEW", "INSTALLED", "STARTING", "BROKEN", "STOPPING", "FINISHED")
	}
	known := slices.Contains(states, state)
	switch {
	case r.malformed() || r.core.lite() && !r.has("state"):
		return nil, r.badParameters()
	case !known && !r.core.lite():
		return nil, nullPointer("ReportedLifecycleState.toString", "UpdateStateRequest.getState")
	case !known, r.core.faults.noHealthDaemon && r.core.lite():
		return nil, refuse(greengrass.ServiceError, "Failed to update the lifecycle state.")
	}
	r.component().state = state
	return done{}, nil
}

// pauseComponent serves PauseComponent and ResumeComponent as far as no process
// is concerned, for nothing is ever paused here (LifecycleIPCEventStreamAgent).
func pauseComponent(r *request) (any, *refusal) {
	const service = "aws.greengrass.ipc.lifecycle"
	name := r.text("componentName")
	switch {
	case r.malformed():
		return nil, internalServerError
	case name == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "Component name is required.")
	case !r.authorized(service, name):
		return nil, r.unauthorized(service, name)
	case r.core.components[name] == nil:
		return nil, refuse(greengrass.ResourceNotFoundError, "")
	case r.operation == namespace+"PauseComponent":
		return nil, refuse(greengrass.InvalidArgumentsError, "Component "+name+" is not running")
	}
	return nil, refuse(greengrass.InvalidArgumentsError, "Component "+name+" is not paused")
}

// update is a deployment's question to the components whether they can bear it
// now: one round of it. Guarded by Core.mu.
type update struct {
	deployment string
	waiting    map[*Component]bool
	recheck    time.Duration // the longest that a component asked for
	answered   chan struct{} // closed when nobody is waited for
}

type preUpdateEvent struct {
	PreUpdateEvent struct {
		DeploymentID    string `json:"deploymentId"`
		IsGGCRestarting bool   `json:"isGgcRestarting"`
	} `json:"preUpdateEvent"`
}

type postUpdateEvent struct {
	PostUpdateEvent struct {
		DeploymentID string `json:"deploymentId"`
	} `json:"postUpdateEvent"`
}

func subscribeToComponentUpdates(r *request) (any, *refusal) {
	if !r.subscribe(&subscription{kind: toComponentUpdates}) {
		return nil, refuse(greengrass.ServiceError, "too many subscriptions")
	}
	return done{}, nil
}

func deferComponentUpdate(r *request) (any, *refusal) {
	k, u := r.component(), r.core.update
	id := r.text("deploymentId")
	r.text("message")
	recheck, hasRecheck := r.integer("recheckAfterMs")
	subscribed := slices.ContainsFunc(r.core.subscriptions, func(s *subscription) bool {
		return s.kind == toComponentUpdates && s.conn.component == k
	})
	switch {
	case r.malformed():
		return nil, internalServerError
	case !subscribed:
		return nil, refuse(greengrass.InvalidArgumentsError, "Component is not subscribed to component update events")
	case !r.present("deploymentId"):
		return nil, refuse(greengrass.InvalidArgumentsError, "Cannot defer the update, the deployment ID provided was null")
	case u == nil || u.deployment != id || !u.waiting[k]:
		return nil, refuse(greengrass.ServiceError, "Time limit to respond to PreComponentUpdateEvent exceeded")
	case hasRecheck:
		u.recheck = max(u.recheck, time.Duration(min(max(recheck, 0), 1<<40))*time.Millisecond)
		delete(u.waiting, k)
		if len(u.waiting) == 0 {
			close(u.answered)
		}
	}
	return done{}, nil
}

// validation is a proposed configuration that waits for its component's
// verdict, which never comes from one that was not asked.
type validation struct {
	component  *Component
	deployment string
	asked      bool
	verdict    chan greengrass.ConfigurationValidityReport // capacity 1
}

func subscribeToValidateConfigurationUpdates(r *request) (any, *refusal) {
	s := &subscription{kind: toValidation}
	if !r.subscribe(s) {
		return nil, refuse(greengrass.ServiceError, "too many subscriptions")
	}
	if r.core.validators[r.component()] == nil { // a second one stays silent
		r.core.validators[r.component()] = s
	}
	return done{}, nil
}

func sendConfigurationValidityReport(r *request) (any, *refusal) {
	in, ok := r.inner("configurationValidityReport")
	report := greengrass.ConfigurationValidityReport{
		Status:       greengrass.ConfigurationValidityStatus(in.text("status")),
		DeploymentID: in.text("deploymentId"),
		Message:      in.text("message"),
	}
	v := r.component().validation
	switch {
	case r.malformed():
		return nil, internalServerError
	case !ok:
		return nil, nullPointer("ConfigurationValidityReport.getDeploymentId", "SendConfigurationValidityReportRequest.getConfigurationValidityReport")
	case !in.present("deploymentId"):
		return nil, refuse(greengrass.InvalidArgumentsError, "Cannot accept configuration validity report, the deployment ID provided was null")
	case v == nil || v.deployment != report.DeploymentID:
		return nil, refuse(greengrass.InvalidArgumentsError, "Validation request either timed out or was never made")
	}
	r.component().validation = nil
	v.verdict <- report
	return done{}, nil
}
