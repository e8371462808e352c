package service

import (
	"fmt"
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

func (s *Service) actionARN(name string) string {
	return profile.MitigationActionARN(s.options.Region, s.options.Account, name)
}

type actionAnswer struct {
	ARN string `json:"actionArn"`
	ID  string `json:"actionId"`
}

func (s *Service) createMitigationAction(r *awsrest.Request) (any, error) {
	name := r.Name("actionName")
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

// getAction reads an action that has to be there.
func getAction(view *store.Reader, name string) (*storedAction, error) {
	return tableActions.require(view, name, "Mitigation action %s does not exist")
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
		name := r.Name("actionName")
		action, err := getAction(view, name)
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
		name := r.Name("actionName")
		action, err := getAction(&tx.Reader, name)
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
	name := r.Name("actionName")
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
