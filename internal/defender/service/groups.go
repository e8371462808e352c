package service

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
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
func getGroup(tx *bbolt.Tx, name string) (*storedGroup, error) {
	stored, err := get[storedGroup](tx, bucketGroups, name)
	if err == nil && stored == nil {
		err = notFound(fmt.Sprintf("Thing group %s not found", name))
	}
	return stored, err
}

// parentsOf returns the groups above a group, the nearest first.
func parentsOf(tx *bbolt.Tx, name string) ([]string, error) {
	var parents []string
	for {
		group, err := get[storedGroup](tx, bucketGroups, name)
		if err != nil || group == nil || group.Parent == "" {
			return parents, err
		}
		name = group.Parent
		parents = append(parents, name)
	}
}

// groupsBelow returns the groups below a group, and their parents.
func groupsBelow(tx *bbolt.Tx, name string) (map[string]string, error) {
	children := map[string][]string{}
	for child := range keysAfter(tx, bucketGroups, "", "") {
		group, err := get[storedGroup](tx, bucketGroups, child)
		if err != nil {
			return nil, err
		}
		children[group.Parent] = append(children[group.Parent], child)
	}
	below := map[string]string{}
	var walk func(string)
	walk = func(parent string) {
		for _, child := range children[parent] {
			below[child] = parent
			walk(child)
		}
	}
	walk(name)
	return below, nil
}

// groupProperties are the ThingGroupProperties of the API.
type groupProperties struct {
	Description string            `json:"thingGroupDescription,omitempty"`
	Payload     *attributePayload `json:"attributePayload,omitempty"`
}

// groupDescription is AWS's [\p{Graph}\x20]*, which is Java's and of ASCII.
var groupDescription = regexp.MustCompile(`^[\x20-\x7e]*$`)

func (p *groupProperties) check() error {
	if len(p.Description) > 2028 || !groupDescription.MatchString(p.Description) {
		return constraint("thingGroupProperties.thingGroupDescription", p.Description, `Member must have 0 to 2028 characters and satisfy regular expression pattern: [\p{Graph}\x20]*`)
	}
	if p.Payload == nil {
		return nil
	}
	if p.Payload.Merge {
		return invalidRequest("merge is valid only in updates")
	}
	return checkAttributes(p.Payload.Attributes, maxGroupAttributes)
}

// createThingGroup creates a group. One that is there with the same parent and
// properties is answered as if it were new.
func createThingGroup(s *Service, r *request) (any, error) {
	name, err := r.checkedName("thingGroupName")
	if err != nil {
		return nil, err
	}
	var in struct {
		Parent     *string         `json:"parentGroupName"`
		Properties groupProperties `json:"thingGroupProperties"`
		Tags       []tag           `json:"tags"`
	}
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := in.Properties.check(); err != nil {
		return nil, err
	}
	stored := &storedGroup{ID: newID(), Description: in.Properties.Description, Version: 1, Created: s.now()}
	if in.Properties.Payload != nil {
		stored.Attributes = in.Properties.Payload.Attributes
	}
	if in.Parent != nil {
		if err := checkName("parentGroupName", *in.Parent); err != nil {
			return nil, err
		}
		stored.Parent = *in.Parent
	}
	err = s.write(func(tx *bbolt.Tx) error {
		there, err := get[storedGroup](tx, bucketGroups, name)
		if err != nil {
			return err
		}
		if there != nil {
			if there.Parent != stored.Parent || there.Description != stored.Description || !maps.Equal(there.Attributes, stored.Attributes) {
				return alreadyExists(fmt.Sprintf("Thing group %s already exists in current account with different properties", name), there.ID, s.groupARN(name))
			}
			stored = there
			return nil
		}
		if err := checkParent(tx, stored.Parent); err != nil {
			return err
		}
		if err := put(tx, bucketGroups, name, stored); err != nil {
			return err
		}
		return createTags(tx, s.groupARN(name), in.Tags)
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
func checkParent(tx *bbolt.Tx, parent string) error {
	if parent == "" {
		return nil
	}
	if group, err := get[storedGroup](tx, bucketGroups, parent); err != nil {
		return err
	} else if group == nil {
		return invalidRequest(fmt.Sprintf("Parent group %s not found", parent))
	}
	above, err := parentsOf(tx, parent)
	if err != nil {
		return err
	}
	if len(above)+2 > maxGroupDepth {
		return invalidRequest(fmt.Sprintf("thing groups can be nested %d deep", maxGroupDepth))
	}
	children, err := childrenOf(tx, parent)
	if err != nil {
		return err
	}
	if len(children) >= maxChildGroups {
		return invalidRequest(fmt.Sprintf("%s has %d child groups, and can have no more", parent, len(children)))
	}
	return nil
}

// childrenOf returns the groups whose parent is the group.
func childrenOf(tx *bbolt.Tx, name string) ([]string, error) {
	below, err := groupsBelow(tx, name)
	maps.DeleteFunc(below, func(_, parent string) bool { return parent != name })
	return slices.Sorted(maps.Keys(below)), err
}

func describeThingGroup(s *Service, r *request) (any, error) {
	name, err := r.checkedName("thingGroupName")
	if err != nil {
		return nil, err
	}
	type metadata struct {
		Parent  string            `json:"parentGroupName,omitempty"`
		Above   []groupNameAndARN `json:"rootToParentThingGroups"`
		Created epoch             `json:"creationDate"`
	}
	var out struct {
		Name       string          `json:"thingGroupName"`
		ID         string          `json:"thingGroupId"`
		ARN        string          `json:"thingGroupArn"`
		Version    int64           `json:"version"`
		Properties groupProperties `json:"thingGroupProperties"`
		Metadata   metadata        `json:"thingGroupMetadata"`
	}
	err = s.read(func(tx *bbolt.Tx) error {
		group, err := getGroup(tx, name)
		if err != nil {
			return err
		}
		above, err := parentsOf(tx, name)
		if err != nil {
			return err
		}
		out.Name, out.ID, out.ARN, out.Version = name, group.ID, s.groupARN(name), group.Version
		out.Properties.Description = group.Description
		if group.Attributes != nil {
			out.Properties.Payload = &attributePayload{Attributes: group.Attributes}
		}
		out.Metadata = metadata{Parent: group.Parent, Created: epoch(group.Created), Above: []groupNameAndARN{}}
		for _, parent := range slices.Backward(above) {
			out.Metadata.Above = append(out.Metadata.Above, groupNameAndARN{parent, s.groupARN(parent)})
		}
		return nil
	})
	return out, err
}

// deleteThingGroup deletes a group that has no child groups. Its things stay in
// the registry, and security profiles are detached from it. A group that isn't
// there is deleted already.
func deleteThingGroup(s *Service, r *request) (any, error) {
	name, err := r.checkedName("thingGroupName")
	if err != nil {
		return nil, err
	}
	expected, err := r.queryVersion()
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		group, err := get[storedGroup](tx, bucketGroups, name)
		if err != nil || group == nil {
			return err
		}
		if err := checkVersion("thing group "+name, expected, group.Version); err != nil {
			return err
		}
		children, err := childrenOf(tx, name)
		if err != nil {
			return err
		}
		if len(children) > 0 {
			return invalidRequest(fmt.Sprintf("Thing group %s has child groups, as %s: delete them first", name, children[0]))
		}
		return s.dropGroup(tx, name)
	})
}

// dropGroup deletes a group and what refers to it.
func (s *Service) dropGroup(tx *bbolt.Tx, name string) error {
	arn := s.groupARN(name)
	var things, profiles []string
	for thing := range keysAfter(tx, bucketMembers, name+"\x00", "") {
		things = append(things, thing)
	}
	for attached, target := range attachments(tx, "") {
		if target == arn {
			profiles = append(profiles, attached)
		}
	}
	for _, thing := range things {
		if err := tx.Bucket(bucketMemberships).Delete(pairKey(thing, name)); err != nil {
			return err
		}
	}
	if err := deletePrefix(tx, bucketMembers, name+"\x00"); err != nil {
		return err
	}
	for _, attached := range profiles {
		if err := tx.Bucket(bucketTargets).Delete(targetKey(attached, arn)); err != nil {
			return err
		}
	}
	if err := tx.Bucket(bucketGroups).Delete([]byte(name)); err != nil {
		return err
	}
	if err := deleteTags(tx, arn); err != nil {
		return err
	}
	for _, thing := range things {
		if err := s.thingChanged(tx, thing); err != nil {
			return err
		}
	}
	for _, attached := range profiles {
		if err := s.profileChanged(tx, attached); err != nil {
			return err
		}
	}
	return nil
}

// listThingGroups lists all groups, or those below a parent; recursive false
// leaves out children of children. It's true by default for all groups, as
// without a parent nothing is listed through which the others could be found.
func listThingGroups(s *Service, r *request) (any, error) {
	parent, err := r.queryName("parentGroup")
	if err != nil {
		return nil, err
	}
	prefix, err := r.queryName("namePrefixFilter")
	if err != nil {
		return nil, err
	}
	given, err := r.queryBool("recursive")
	if err != nil {
		return nil, err
	}
	recursive := parent == ""
	if given != nil {
		recursive = *given
	}
	return answerList(s, r, "thingGroups", func(tx *bbolt.Tx, after string, yield func(string, groupNameAndARN) bool) error {
		if parent != "" {
			if _, err := getGroup(tx, parent); err != nil {
				return err
			}
		}
		below, err := groupsBelow(tx, parent)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(below)) {
			if name <= after || !strings.HasPrefix(name, prefix) || !recursive && below[name] != parent {
				continue
			}
			if !yield(name, groupNameAndARN{name, s.groupARN(name)}) {
				break
			}
		}
		return nil
	})
}
