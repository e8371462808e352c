package service

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/profile"
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
		return invalidRequest("merge is valid in updates alone")
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
		Tags       []profile.Tag   `json:"tags"`
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
	page, err := r.page()
	if err != nil {
		return nil, err
	}
	recursive := parent == ""
	if given != nil {
		recursive = *given
	}
	var out struct {
		Groups    []groupNameAndARN `json:"thingGroups"`
		NextToken string            `json:"nextToken,omitempty"`
	}
	err = s.read(func(tx *bbolt.Tx) error {
		if parent != "" {
			if _, err := getGroup(tx, parent); err != nil {
				return err
			}
		}
		below, err := groupsBelow(tx, parent)
		if err != nil {
			return err
		}
		out.Groups, out.NextToken = fill(page, func(yield func(string, groupNameAndARN) bool) {
			for _, name := range slices.Sorted(maps.Keys(below)) {
				if name <= page.after || !strings.HasPrefix(name, prefix) || !recursive && below[name] != parent {
					continue
				}
				if !yield(name, groupNameAndARN{name, s.groupARN(name)}) {
					return
				}
			}
		})
		return nil
	})
	return out, err
}

func listThingsInThingGroup(s *Service, r *request) (any, error) {
	name, err := r.checkedName("thingGroupName")
	if err != nil {
		return nil, err
	}
	recursive, err := r.queryBool("recursive")
	if err != nil {
		return nil, err
	}
	page, err := r.page()
	if err != nil {
		return nil, err
	}
	var out struct {
		Things    []string `json:"things"`
		NextToken string   `json:"nextToken,omitempty"`
	}
	err = s.read(func(tx *bbolt.Tx) error {
		if _, err := getGroup(tx, name); err != nil {
			return err
		}
		groups := []string{name}
		if recursive != nil && *recursive {
			below, err := groupsBelow(tx, name)
			if err != nil {
				return err
			}
			groups = slices.AppendSeq(groups, maps.Keys(below))
			slices.Sort(groups)
		}
		// A thing is in one group of a hierarchy, and so listed once.
		afterGroup, afterThing, _ := strings.Cut(page.after, "\x00")
		out.Things, out.NextToken = fill(page, func(yield func(string, string) bool) {
			for _, group := range groups {
				after := ""
				switch {
				case group < afterGroup:
					continue
				case group == afterGroup:
					after = afterThing
				}
				for thing := range keysAfter(tx, bucketMembers, group+"\x00", after) {
					if !yield(group+"\x00"+thing, thing) {
						return
					}
				}
			}
		})
		return nil
	})
	return out, err
}

// pairKey is the key of a pair of names.
func pairKey(first, second string) []byte { return []byte(first + "\x00" + second) }

// addMember puts a thing into a group, and reports whether it was not in it
// before. Errors are the API's.
func (s *Service) addMember(tx *bbolt.Tx, group, thing string) (added bool, err error) {
	if _, err := getGroup(tx, group); err != nil {
		return false, err
	}
	if _, err := getThing(tx, thing); err != nil {
		return false, err
	}
	if tx.Bucket(bucketMembers).Get(pairKey(group, thing)) != nil {
		return false, nil
	}
	root, err := rootOf(tx, group)
	if err != nil {
		return false, err
	}
	others := groupsOf(tx, thing)
	if len(others) >= maxGroupsOfThing {
		return false, invalidRequest(fmt.Sprintf("Thing %s is in %d thing groups, and can be in no more", thing, len(others)))
	}
	for _, other := range others {
		otherRoot, err := rootOf(tx, other)
		if err != nil {
			return false, err
		}
		if otherRoot == root {
			return false, invalidRequest(fmt.Sprintf("Thing %s is in group %s, which is in the same hierarchy as %s", thing, other, group))
		}
	}
	if err := tx.Bucket(bucketMembers).Put(pairKey(group, thing), []byte{}); err != nil {
		return false, err
	}
	if err := tx.Bucket(bucketMemberships).Put(pairKey(thing, group), []byte{}); err != nil {
		return false, err
	}
	return true, s.thingChanged(tx, thing)
}

// rootOf returns the topmost group above a group, or the group itself.
func rootOf(tx *bbolt.Tx, name string) (string, error) {
	above, err := parentsOf(tx, name)
	if err != nil || len(above) == 0 {
		return name, err
	}
	return above[len(above)-1], nil
}

// memberInput is the body of AddThingToThingGroup and
// RemoveThingFromThingGroup: each by name, by ARN, or by both.
type memberInput struct {
	GroupName *string `json:"thingGroupName"`
	GroupARN  *string `json:"thingGroupArn"`
	ThingName *string `json:"thingName"`
	ThingARN  *string `json:"thingArn"`
	// Override is of no effect, as there are no dynamic groups.
	Override *bool `json:"overrideDynamicGroups"`
}

// read returns the names of the group and the thing.
func (in *memberInput) read(s *Service, r *request) (group, thing string, err error) {
	if err := r.decode(in); err != nil {
		return "", "", err
	}
	if group, err = nameOf("thingGroup", in.GroupName, in.GroupARN, s.groupARN("")); err != nil {
		return "", "", err
	}
	thing, err = nameOf("thing", in.ThingName, in.ThingARN, s.thingARN(""))
	return group, thing, err
}

// nameOf returns the name that is given by itself, in an ARN, or in both.
func nameOf(member string, name, arn *string, prefix string) (string, error) {
	if name == nil && arn == nil {
		return "", missing(member + "Name")
	}
	if name != nil {
		if err := checkName(member+"Name", *name); err != nil {
			return "", err
		}
	}
	if arn == nil {
		return *name, nil
	}
	named, ok := strings.CutPrefix(*arn, prefix)
	switch {
	case !ok || profile.CheckName(named) != nil:
		return "", constraint(member+"Arn", *arn, "Member must be an ARN of this account, as "+prefix+"NAME")
	case name != nil && *name != named:
		return "", invalidRequest(fmt.Sprintf("%sName %s and %sArn %s are not the same", member, *name, member, *arn))
	}
	return named, nil
}

func addThingToThingGroup(s *Service, r *request) (any, error) {
	var in memberInput
	group, thing, err := in.read(s, r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		_, err := s.addMember(tx, group, thing)
		return err
	})
}

// removeThingFromThingGroup takes a thing out of a group that it may not be in.
func removeThingFromThingGroup(s *Service, r *request) (any, error) {
	var in memberInput
	group, thing, err := in.read(s, r)
	if err != nil {
		return nil, err
	}
	if in.Override != nil {
		return nil, malformedBody(`member "overrideDynamicGroups" is unknown`)
	}
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		if _, err := getGroup(tx, group); err != nil {
			return err
		}
		if _, err := getThing(tx, thing); err != nil {
			return err
		}
		if tx.Bucket(bucketMembers).Get(pairKey(group, thing)) == nil {
			return nil
		}
		if err := tx.Bucket(bucketMembers).Delete(pairKey(group, thing)); err != nil {
			return err
		}
		if err := tx.Bucket(bucketMemberships).Delete(pairKey(thing, group)); err != nil {
			return err
		}
		return s.thingChanged(tx, thing)
	})
}
