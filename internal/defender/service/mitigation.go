package service

import (
	"fmt"
	"regexp"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// addThings is the one type of action that Detect carries out.
const addThings = "ADD_THINGS_TO_THING_GROUP"

// actionTypes are the types of actions. All are stored; Detect carries out
// addThings alone.
var actionTypes = []string{
	addThings, "ENABLE_IOT_LOGGING", "PUBLISH_FINDING_TO_SNS", "REPLACE_DEFAULT_POLICY_VERSION", "UPDATE_CA_CERTIFICATE", "UPDATE_DEVICE_CERTIFICATE",
}

// actionType is the type that goes with the member of the parameters.
func actionType(p *profile.ActionParams) string {
	switch {
	case p.AddThingsToThingGroup != nil:
		return addThings
	case p.EnableIoTLogging != nil:
		return "ENABLE_IOT_LOGGING"
	case p.PublishFindingToSNS != nil:
		return "PUBLISH_FINDING_TO_SNS"
	case p.ReplaceDefaultPolicyVersion != nil:
		return "REPLACE_DEFAULT_POLICY_VERSION"
	case p.UpdateCACertificate != nil:
		return "UPDATE_CA_CERTIFICATE"
	default:
		return "UPDATE_DEVICE_CERTIFICATE"
	}
}

// storedAction is a mitigation action.
type storedAction struct {
	ID       string               `json:"id"`
	RoleARN  string               `json:"roleArn"`
	Params   profile.ActionParams `json:"actionParams"`
	Created  time.Time            `json:"created"`
	Modified time.Time            `json:"modified"`
}

var actionNamePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// actionName returns the name that the path has.
func (r *request) actionName() (string, error) {
	name := r.name("actionName")
	if !actionNamePattern.MatchString(name) {
		return "", constraint("actionName", name, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9_-]+")
	}
	return name, nil
}

func (s *Service) actionARN(name string) string {
	return profile.MitigationActionARN(s.options.Region, s.options.Account, name)
}

type actionAnswer struct {
	ARN string `json:"actionArn"`
	ID  string `json:"actionId"`
}

func createMitigationAction(s *Service, r *request) (any, error) {
	name, err := r.actionName()
	if err != nil {
		return nil, err
	}
	var in struct {
		RoleARN string                `json:"roleArn"`
		Params  *profile.ActionParams `json:"actionParams"`
		Tags    []tag                 `json:"tags"`
	}
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.RoleARN == "":
		return nil, missing("roleArn")
	case in.Params == nil:
		return nil, missing("actionParams")
	}
	action := profile.MitigationAction{Name: name, RoleARN: in.RoleARN, Params: *in.Params, Tags: plainTags(in.Tags)}
	if err := checkProblems(action.Check()); err != nil {
		return nil, err
	}
	out := actionAnswer{ARN: s.actionARN(name), ID: newID()}
	return out, s.write(r.ctx(), func(tx *store.Tx) error {
		if there, err := tableActions.has(&tx.Reader, name); err != nil {
			return err
		} else if there {
			return alreadyExists(fmt.Sprintf("Mitigation action %s already exists", name), name, out.ARN)
		}
		if _, err := bump(tx, metaActions); err != nil {
			return err
		}
		if n, err := tableActions.count(&tx.Reader); err != nil {
			return err
		} else if n >= profile.MaxMitigationActions {
			return limitExceeded(fmt.Sprintf("There are %d mitigation actions, the limit is %d", n, profile.MaxMitigationActions))
		}
		if err := createTags(tx, out.ARN, in.Tags); err != nil {
			return err
		}
		now := s.now()
		return tableActions.Put(tx, name, storedAction{ID: out.ID, RoleARN: in.RoleARN, Params: *in.Params, Created: now, Modified: now})
	})
}

// action reads the action that the path names.
func (r *request) action(view *store.Reader) (name string, action *storedAction, err error) {
	if name, err = r.actionName(); err != nil {
		return "", nil, err
	}
	action, err = tableActions.find(view, name)
	if err == nil && action == nil {
		err = notFound(fmt.Sprintf("Mitigation action %s does not exist", name))
	}
	return name, action, err
}

func describeMitigationAction(s *Service, r *request) (any, error) {
	var out struct {
		Name     string               `json:"actionName"`
		Type     string               `json:"actionType"`
		ARN      string               `json:"actionArn"`
		ID       string               `json:"actionId"`
		RoleARN  string               `json:"roleArn"`
		Params   profile.ActionParams `json:"actionParams"`
		Created  epoch                `json:"creationDate"`
		Modified epoch                `json:"lastModifiedDate"`
	}
	return &out, s.read(r.ctx(), func(view *store.Reader) error {
		name, action, err := r.action(view)
		if err != nil {
			return err
		}
		out.Name, out.Type, out.ARN, out.ID = name, actionType(&action.Params), s.actionARN(name), action.ID
		out.RoleARN, out.Params = action.RoleARN, action.Params
		out.Created, out.Modified = epoch(action.Created), epoch(action.Modified)
		return nil
	})
}

// updateMitigationAction replaces what is given and leaves the rest. The type
// of an action may change with its parameters.
func updateMitigationAction(s *Service, r *request) (any, error) {
	var in struct {
		RoleARN *string               `json:"roleArn"`
		Params  *profile.ActionParams `json:"actionParams"`
	}
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	var out actionAnswer
	return &out, s.write(r.ctx(), func(tx *store.Tx) error {
		name, action, err := r.action(&tx.Reader)
		if err != nil {
			return err
		}
		if in.RoleARN != nil {
			action.RoleARN = *in.RoleARN
		}
		if in.Params != nil {
			action.Params = *in.Params
		}
		document := profile.MitigationAction{Name: name, RoleARN: action.RoleARN, Params: action.Params}
		if err := checkProblems(document.Check()); err != nil {
			return err
		}
		action.Modified = s.now()
		out = actionAnswer{ARN: s.actionARN(name), ID: action.ID}
		return tableActions.Put(tx, name, *action)
	})
}

// deleteMitigationAction deletes an action, if it is there. Tasks that were
// started have their own copy of it.
func deleteMitigationAction(s *Service, r *request) (any, error) {
	name, err := r.actionName()
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.ctx(), func(tx *store.Tx) error {
		if err := deleteTags(tx, s.actionARN(name)); err != nil {
			return err
		}
		return tableActions.Delete(tx, name)
	})
}

type actionIdentifier struct {
	Name    string `json:"actionName"`
	ARN     string `json:"actionArn"`
	Created epoch  `json:"creationDate"`
}

func listMitigationActions(s *Service, r *request) (any, error) {
	want, err := r.queryOneOf("actionType", actionTypes...)
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "actionIdentifiers", func(view *store.Reader, after string, yield func(string, actionIdentifier) bool) error {
		for stored, err := range tableActions.rowsAfter(view, "", after) {
			if err != nil {
				return err
			}
			name, action := stored.Key, &stored.Value
			if want != "" && want != actionType(&action.Params) {
				continue
			}
			if !yield(name, actionIdentifier{name, s.actionARN(name), epoch(action.Created)}) {
				break
			}
		}
		return nil
	})
}

var mitigationOperations = []operation{
	{name: "CreateMitigationAction", method: "POST", path: "/mitigationactions/actions/{actionName}", handle: createMitigationAction, tps: 10},
	{name: "DescribeMitigationAction", method: "GET", path: "/mitigationactions/actions/{actionName}", handle: describeMitigationAction, tps: 25},
	{name: "UpdateMitigationAction", method: "PATCH", path: "/mitigationactions/actions/{actionName}", handle: updateMitigationAction, tps: 10},
	{name: "DeleteMitigationAction", method: "DELETE", path: "/mitigationactions/actions/{actionName}", handle: deleteMitigationAction, tps: 10},
	{name: "ListMitigationActions", method: "GET", path: "/mitigationactions/actions", handle: listMitigationActions, tps: 10, page: 250, initial: 25, query: []string{"actionType"}},
	{name: "StartDetectMitigationActionsTask", method: "PUT", path: "/detect/mitigationactions/tasks/{taskId}", handle: startDetectMitigationActionsTask, tps: 10},
	{name: "DescribeDetectMitigationActionsTask", method: "GET", path: "/detect/mitigationactions/tasks/{taskId}", handle: describeDetectMitigationActionsTask, tps: 10},
	{name: "CancelDetectMitigationActionsTask", method: "PUT", path: "/detect/mitigationactions/tasks/{taskId}/cancel", handle: cancelDetectMitigationActionsTask, noBody: true, tps: 10},
	{name: "ListDetectMitigationActionsTasks", method: "GET", path: "/detect/mitigationactions/tasks", handle: listDetectMitigationActionsTasks, tps: 10, page: 250, initial: 25, query: []string{"startTime", "endTime"}},
	{name: "ListDetectMitigationActionsExecutions", method: "GET", path: "/detect/mitigationactions/executions", handle: listDetectMitigationActionsExecutions, tps: 10, page: 250, initial: 25, query: []string{"taskId", "violationId", "thingName", "startTime", "endTime"}},
}
