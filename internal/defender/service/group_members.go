package service

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// pairKey is the key of a pair of names.
func pairKey(first, second string) []byte { return []byte(first + "\x00" + second) }

func listThingsInThingGroup(s *Service, r *request) (any, error) {
	name, err := r.checkedName("thingGroupName")
	if err != nil {
		return nil, err
	}
	recursive, err := r.queryBool("recursive")
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "things", func(tx *bbolt.Tx, after string, yield func(string, string) bool) error {
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
		afterGroup, afterThing, _ := strings.Cut(after, "\x00")
		for _, group := range groups {
			from := ""
			switch {
			case group < afterGroup:
				continue
			case group == afterGroup:
				from = afterThing
			}
			for thing := range keysAfter(tx, bucketMembers, group+"\x00", from) {
				if !yield(group+"\x00"+thing, thing) {
					return nil
				}
			}
		}
		return nil
	})
}

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
	// Override is of no effect, because there are no dynamic groups.
	Override *bool `json:"overrideDynamicGroups"`
}

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
		return "", constraint(member+"Arn", *arn, "Member must be an ARN of this account, such as "+prefix+"NAME")
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
