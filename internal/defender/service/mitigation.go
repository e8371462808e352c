package service

import (
	"fmt"
	"regexp"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
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
func actionName(r *awsrest.Request) (string, error) {
	name := r.Name("actionName")
	if !actionNamePattern.MatchString(name) {
		return "", awsrest.Constraint("actionName", name, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9_-]+")
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

func (s *Service) createMitigationAction(r *awsrest.Request) (any, error) {
	name, err := actionName(r)
	if err != nil {
		return nil, err
	}
	var in struct {
		RoleARN string                `json:"roleArn"`
		Params  *profile.ActionParams `json:"actionParams"`
		Tags    []tag                 `json:"tags"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.RoleARN == "":
		return nil, awsrest.Missing("roleArn")
	case in.Params == nil:
		return nil, awsrest.Missing("actionParams")
	}
	action := profile.MitigationAction{Name: name, RoleARN: in.RoleARN, Params: *in.Params, Tags: plainTags(in.Tags)}
	if err := checkProblems(action.Check()); err != nil {
		return nil, err
	}
	out := actionAnswer{ARN: s.actionARN(name), ID: awsrest.NewID()}
	return out, s.write(r.Context(), func(tx *store.Tx) error {
		if there, err := tableActions.has(&tx.Reader, name); err != nil {
			return err
		} else if there {
			return awsrest.AlreadyExists(fmt.Sprintf("Mitigation action %s already exists", name), name, out.ARN)
		}
		if _, err := bump(tx, metaActions); err != nil {
			return err
		}
		if n, err := tableActions.count(&tx.Reader); err != nil {
			return err
		} else if n >= profile.MaxMitigationActions {
			return awsrest.LimitExceeded(fmt.Sprintf("There are %d mitigation actions, the limit is %d", n, profile.MaxMitigationActions))
		}
		if err := putTags(tx, out.ARN, in.Tags); err != nil {
			return err
		}
		now := s.now()
		return tableActions.Put(tx, name, storedAction{ID: out.ID, RoleARN: in.RoleARN, Params: *in.Params, Created: now, Modified: now})
	})
}

// actionNamed reads the action that the path names.
func actionNamed(r *awsrest.Request, view *store.Reader) (name string, action *storedAction, err error) {
	if name, err = actionName(r); err != nil {
		return "", nil, err
	}
	action, err = tableActions.find(view, name)
	if err == nil && action == nil {
		err = awsrest.NotFound(fmt.Sprintf("Mitigation action %s does not exist", name))
	}
	return name, action, err
}

func (s *Service) describeMitigationAction(r *awsrest.Request) (any, error) {
	var out struct {
		Name     string               `json:"actionName"`
		Type     string               `json:"actionType"`
		ARN      string               `json:"actionArn"`
		ID       string               `json:"actionId"`
		RoleARN  string               `json:"roleArn"`
		Params   profile.ActionParams `json:"actionParams"`
		Created  awsrest.Epoch        `json:"creationDate"`
		Modified awsrest.Epoch        `json:"lastModifiedDate"`
	}
	return &out, s.read(r.Context(), func(view *store.Reader) error {
		name, action, err := actionNamed(r, view)
		if err != nil {
			return err
		}
		out.Name, out.Type, out.ARN, out.ID = name, actionType(&action.Params), s.actionARN(name), action.ID
		out.RoleARN, out.Params = action.RoleARN, action.Params
		out.Created, out.Modified = awsrest.Epoch(action.Created), awsrest.Epoch(action.Modified)
		return nil
	})
}

// updateMitigationAction replaces what is given and leaves the rest. The type
// of an action may change with its parameters.
func (s *Service) updateMitigationAction(r *awsrest.Request) (any, error) {
	var in struct {
		RoleARN *string               `json:"roleArn"`
		Params  *profile.ActionParams `json:"actionParams"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	var out actionAnswer
	return &out, s.write(r.Context(), func(tx *store.Tx) error {
		name, action, err := actionNamed(r, &tx.Reader)
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
func (s *Service) deleteMitigationAction(r *awsrest.Request) (any, error) {
	name, err := actionName(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		if err := deleteTags(tx, s.actionARN(name)); err != nil {
			return err
		}
		return tableActions.Delete(tx, name)
	})
}

type actionIdentifier struct {
	Name    string        `json:"actionName"`
	ARN     string        `json:"actionArn"`
	Created awsrest.Epoch `json:"creationDate"`
}

func (s *Service) listMitigationActions(r *awsrest.Request) (any, error) {
	want, err := r.QueryOneOf("actionType", actionTypes...)
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
			if !yield(name, actionIdentifier{name, s.actionARN(name), awsrest.Epoch(action.Created)}) {
				break
			}
		}
		return nil
	})
}

func (s *Service) mitigationOperations() []awsrest.Operation {
	return []awsrest.Operation{
		{Name: "CreateMitigationAction", Method: "POST", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.createMitigationAction, TPS: 10},
		{Name: "DescribeMitigationAction", Method: "GET", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Read, Handle: s.describeMitigationAction, TPS: 25},
		{Name: "UpdateMitigationAction", Method: "PATCH", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.updateMitigationAction, TPS: 10},
		{Name: "DeleteMitigationAction", Method: "DELETE", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.deleteMitigationAction, TPS: 10},
		{Name: "ListMitigationActions", Method: "GET", Path: "/mitigationactions/actions", Access: awsrest.Read, Handle: s.listMitigationActions, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"actionType"}},
		{Name: "StartDetectMitigationActionsTask", Method: "PUT", Path: "/detect/mitigationactions/tasks/{taskId}", Access: awsrest.Admin, Handle: s.startDetectMitigationActionsTask, TPS: 10},
		{Name: "DescribeDetectMitigationActionsTask", Method: "GET", Path: "/detect/mitigationactions/tasks/{taskId}", Access: awsrest.Read, Handle: s.describeDetectMitigationActionsTask, TPS: 10},
		{Name: "CancelDetectMitigationActionsTask", Method: "PUT", Path: "/detect/mitigationactions/tasks/{taskId}/cancel", Access: awsrest.Admin, Handle: s.cancelDetectMitigationActionsTask, NoBody: true, TPS: 10},
		{Name: "ListDetectMitigationActionsTasks", Method: "GET", Path: "/detect/mitigationactions/tasks", Access: awsrest.Read, Handle: s.listDetectMitigationActionsTasks, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"startTime", "endTime"}},
		{Name: "ListDetectMitigationActionsExecutions", Method: "GET", Path: "/detect/mitigationactions/executions", Access: awsrest.Read, Handle: s.listDetectMitigationActionsExecutions, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"taskId", "violationId", "thingName", "startTime", "endTime"}},
	}
}
