package service

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// AWS's quotas of thing groups.
const (
	maxGroupAttributes = 50
	maxGroupDepth      = 7
	maxChildGroups     = 100
	maxGroupsOfThing   = 10
)

// storedGroup is a static thing group; there are no dynamic ones here.
type storedGroup struct {
	ID          string            `json:"id"`
	Parent      string            `json:"parent,omitempty"`
	Description string            `json:"description,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Version     int64             `json:"version"`
	Created     time.Time         `json:"created"`
}

// groupNameAndARN is a GroupNameAndArn of the API.
type groupNameAndARN struct {
	Name string `json:"groupName"`
	ARN  string `json:"groupArn"`
}

func (s *Service) groupARN(name string) string { return s.arn("thinggroup/" + name) }

// getGroup reads a thing group that has to be there.
func getGroup(view *store.Reader, name string) (*storedGroup, error) {
	return tableGroups.require(view, name, "Thing group %s not found")
}

// getGroupForUpdate is getGroup for who puts something below the group, which
// must not be deleted meanwhile.
func getGroupForUpdate(tx *store.Tx, name string) (*storedGroup, error) {
	stored, err := tableGroups.findForUpdate(tx, name)
	if err == nil && stored == nil {
		err = awsrest.NotFound(fmt.Sprintf("Thing group %s not found", name))
	}
	return stored, err
}

// parentsOf returns the groups above a group, the nearest first. A group stays
// below its parent for as long as it exists.
func parentsOf(view *store.Reader, name string) ([]string, error) {
	var parents []string
	for {
		group, err := tableGroups.find(view, name)
		if err != nil || group == nil || group.Parent == "" {
			return parents, err
		}
		name = group.Parent
		parents = append(parents, name)
	}
}

// groupsBelow returns the groups below a group, and their parents.
func groupsBelow(view *store.Reader, name string) (map[string]string, error) {
	below := map[string]string{}
	next := []string{name}
	for len(next) > 0 {
		parent := next[0]
		next = next[1:]
		children, err := childrenOf(view, parent)
		if err != nil {
			return nil, err
		}
		for _, child := range children {
			below[child] = parent
		}
		next = append(next, children...)
	}
	return below, nil
}

// childrenOf returns the groups whose parent is the group, in the order of their
// names. Those that have no parent are below "".
func childrenOf(view *store.Reader, name string) (children []string, err error) {
	for child, err := range tableChildren.keysAfter(view, name+"\x00", "") {
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return children, nil
}

// groupProperties are the ThingGroupProperties of the API.
type groupProperties struct {
	Description string            `json:"thingGroupDescription,omitempty"`
	Payload     *attributePayload `json:"attributePayload,omitempty"`
}

// groupDescription is AWS's [\p{Graph}\x20]*, which is Java's and of ASCII.
var groupDescription = regexp.MustCompile(`^[\x20-\x7e]*$`)

func checkGroupDescription(text string) error {
	if len(text) > 2028 || !groupDescription.MatchString(text) {
		return awsrest.Constraint("thingGroupProperties.thingGroupDescription", text, `Member must have 0 to 2028 characters and satisfy regular expression pattern: [\p{Graph}\x20]*`)
	}
	return nil
}

func (p *groupProperties) check() error {
	if err := checkGroupDescription(p.Description); err != nil {
		return err
	}
	if p.Payload == nil {
		return nil
	}
	if p.Payload.Merge {
		return awsrest.Invalid("merge is valid only in updates")
	}
	return checkAttributes(p.Payload.Attributes, maxGroupAttributes)
}

// createThingGroup creates a group. One that is there with the same parent and
// properties is answered as if it were new.
func (s *Service) createThingGroup(r *awsrest.Request) (any, error) {
	name := r.Name("thingGroupName")
	var in struct {
		Parent     *string         `json:"parentGroupName"`
		Properties groupProperties `json:"thingGroupProperties"`
		Tags       []tag           `json:"tags"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := in.Properties.check(); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	stored := &storedGroup{ID: awsrest.NewID(), Description: in.Properties.Description, Version: 1, Created: s.now()}
	if in.Properties.Payload != nil {
		stored.Attributes = in.Properties.Payload.Attributes
	}
	if in.Parent != nil {
		if err := checkName("parentGroupName", *in.Parent); err != nil {
			return nil, err
		}
		stored.Parent = *in.Parent
	}
	err := s.write(r.Context(), func(tx *store.Tx) error {
		there, err := tableGroups.find(&tx.Reader, name)
		if err != nil {
			return err
		}
		if there != nil {
			if there.Parent != stored.Parent || there.Description != stored.Description || !maps.Equal(there.Attributes, stored.Attributes) {
				return awsrest.AlreadyExists(fmt.Sprintf("Thing group %s already exists in current account with different properties", name), there.ID, s.groupARN(name))
			}
			stored = there
			return nil
		}
		if err := checkParent(tx, stored.Parent); err != nil {
			return err
		}
		if err := tableGroups.Put(tx, name, *stored); err != nil {
			return err
		}
		if err := tableChildren.Put(tx, pairKey(stored.Parent, name), struct{}{}); err != nil {
			return err
		}
		return putTags(tx, s.groupARN(name), in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Name string `json:"thingGroupName"`
		ARN  string `json:"thingGroupArn"`
		ID   string `json:"thingGroupId"`
	}{name, s.groupARN(name), stored.ID}, nil
}

// checkParent checks that a group can be created below the parent; "" is none.
// CreateThingGroup declares no ResourceNotFoundException.
func checkParent(tx *store.Tx, parent string) error {
	if parent == "" {
		return nil
	}
	group, err := tableGroups.find(&tx.Reader, parent)
	if err != nil {
		return err
	}
	if group == nil {
		return awsrest.Invalid(fmt.Sprintf("Parent group %s not found", parent))
	}
	// Written as it is, it stands for its children: another that is created at
	// the same time is counted, and the parent isn't deleted.
	if err := tableGroups.Put(tx, parent, *group); err != nil {
		return err
	}
	above, err := parentsOf(&tx.Reader, parent)
	if err != nil {
		return err
	}
	if len(above)+2 > maxGroupDepth {
		return awsrest.Invalid(fmt.Sprintf("thing groups can be nested %d deep", maxGroupDepth))
	}
	children, err := childrenOf(&tx.Reader, parent)
	if err != nil {
		return err
	}
	if len(children) >= maxChildGroups {
		return awsrest.Invalid(fmt.Sprintf("%s has %d child groups, and can have no more", parent, len(children)))
	}
	return nil
}

func (s *Service) describeThingGroup(r *awsrest.Request) (any, error) {
	name := r.Name("thingGroupName")
	type metadata struct {
		Parent  string            `json:"parentGroupName,omitempty"`
		Above   []groupNameAndARN `json:"rootToParentThingGroups"`
		Created awsrest.Epoch     `json:"creationDate"`
	}
	var out struct {
		Name       string          `json:"thingGroupName"`
		ID         string          `json:"thingGroupId"`
		ARN        string          `json:"thingGroupArn"`
		Version    int64           `json:"version"`
		Properties groupProperties `json:"thingGroupProperties"`
		Metadata   metadata        `json:"thingGroupMetadata"`
	}
	err := s.read(r.Context(), func(view *store.Reader) error {
		group, err := getGroup(view, name)
		if err != nil {
			return err
		}
		above, err := parentsOf(view, name)
		if err != nil {
			return err
		}
		out.Name, out.ID, out.ARN, out.Version = name, group.ID, s.groupARN(name), group.Version
		out.Properties.Description = group.Description
		if group.Attributes != nil {
			out.Properties.Payload = &attributePayload{Attributes: group.Attributes}
		}
		out.Metadata = metadata{Parent: group.Parent, Created: awsrest.Epoch(group.Created), Above: []groupNameAndARN{}}
		for _, parent := range slices.Backward(above) {
			out.Metadata.Above = append(out.Metadata.Above, groupNameAndARN{parent, s.groupARN(parent)})
		}
		return nil
	})
	return out, err
}

// updateThingGroup changes the properties that are given.
func (s *Service) updateThingGroup(r *awsrest.Request) (any, error) {
	name := r.Name("thingGroupName")
	var in struct {
		Properties *struct {
			Description *string           `json:"thingGroupDescription"`
			Payload     *attributePayload `json:"attributePayload"`
		} `json:"thingGroupProperties"`
		ExpectedVersion *int64 `json:"expectedVersion"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Properties == nil {
		return nil, awsrest.Missing("thingGroupProperties")
	}
	if in.Properties.Description != nil {
		if err := checkGroupDescription(*in.Properties.Description); err != nil {
			return nil, err
		}
	}
	var out struct {
		Version int64 `json:"version"`
	}
	return &out, s.write(r.Context(), func(tx *store.Tx) error {
		group, err := getGroupForUpdate(tx, name)
		if err != nil {
			return err
		}
		if err := checkVersion("thing group "+name, in.ExpectedVersion, group.Version); err != nil {
			return err
		}
		if in.Properties.Description != nil {
			group.Description = *in.Properties.Description
		}
		if group.Attributes, err = in.Properties.Payload.update(group.Attributes, maxGroupAttributes); err != nil {
			return err
		}
		group.Version++
		out.Version = group.Version
		return tableGroups.Put(tx, name, *group)
	})
}

// deleteThingGroup deletes a group that has no child groups. Its things stay in
// the registry, and security profiles are detached from it. A group that isn't
// there is deleted already.
func (s *Service) deleteThingGroup(r *awsrest.Request) (any, error) {
	name := r.Name("thingGroupName")
	expected, err := r.QueryInt("expectedVersion")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		group, err := tableGroups.find(&tx.Reader, name)
		if err != nil || group == nil {
			return err
		}
		if err := checkVersion("thing group "+name, expected, group.Version); err != nil {
			return err
		}
		children, err := childrenOf(&tx.Reader, name)
		if err != nil {
			return err
		}
		if len(children) > 0 {
			return awsrest.Invalid(fmt.Sprintf("Thing group %s has child groups, as %s: delete them first", name, children[0]))
		}
		return s.dropGroup(tx, name, group.Parent)
	})
}

// dropGroup deletes a group that has no child groups, and what refers to it.
func (s *Service) dropGroup(tx *store.Tx, name, parent string) error {
	for thing, err := range tableMembers.keysAfter(&tx.Reader, name+"\x00", "") {
		if err != nil {
			return err
		}
		if err := s.removeMember(tx, name, thing); err != nil {
			return err
		}
	}
	arn := s.groupARN(name)
	if err := errors.Join(
		tableGroups.Delete(tx, name),
		tableChildren.Delete(tx, pairKey(parent, name)),
		deleteTags(tx, arn),
	); err != nil {
		return err
	}
	var profiles []string
	for a, err := range attachments(&tx.Reader, "") {
		if err != nil {
			return err
		}
		if a.target == arn {
			profiles = append(profiles, a.profile)
		}
	}
	for _, attached := range profiles {
		if err := tableTargets.Delete(tx, pairKey(attached, arn)); err != nil {
			return err
		}
		if err := s.profileChanged(tx, attached); err != nil {
			return err
		}
	}
	return nil
}

// listThingGroups lists all groups, or those below a parent; recursive false
// leaves out children of children. It's true by default for all groups, as
// without a parent nothing is listed through which the others could be found.
func (s *Service) listThingGroups(r *awsrest.Request) (any, error) {
	parent, err := queryName(r, "parentGroup")
	if err != nil {
		return nil, err
	}
	prefix, err := queryName(r, "namePrefixFilter")
	if err != nil {
		return nil, err
	}
	given, err := r.QueryBool("recursive")
	if err != nil {
		return nil, err
	}
	recursive := parent == ""
	if given != nil {
		recursive = *given
	}
	return answerList(s, r, "thingGroups", func(view *store.Reader, after string, yield func(string, groupNameAndARN) bool) error {
		if parent == "" && recursive {
			for group, err := range tableGroups.keys.Scan(view, store.Prefix(prefix).Resume(after)) {
				if err != nil {
					return err
				}
				if !yield(group.Key, groupNameAndARN{group.Key, s.groupARN(group.Key)}) {
					break
				}
			}
			return nil
		}
		if parent != "" {
			if _, err := getGroup(view, parent); err != nil {
				return err
			}
		}
		var names []string
		if recursive {
			below, err := groupsBelow(view, parent)
			if err != nil {
				return err
			}
			names = slices.Sorted(maps.Keys(below))
		} else {
			var err error
			if names, err = childrenOf(view, parent); err != nil {
				return err
			}
		}
		for _, name := range names {
			if name > after && strings.HasPrefix(name, prefix) && !yield(name, groupNameAndARN{name, s.groupARN(name)}) {
				break
			}
		}
		return nil
	})
}
