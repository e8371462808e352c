package service

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

func (s *Service) listThingsInThingGroup(r *awsrest.Request) (any, error) {
	name := r.Name("thingGroupName")
	recursive, err := r.QueryBool("recursive")
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "things", func(view *store.Reader, after string, yield func(string, string) bool) error {
		if _, err := getGroup(view, name); err != nil {
			return err
		}
		groups := []string{name}
		if recursive != nil && *recursive {
			below, err := groupsBelow(view, name)
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
			for thing, err := range tableMembers.keysAfter(view, group+"\x00", from) {
				if err != nil {
					return err
				}
				if !yield(group+"\x00"+thing, thing) {
					return nil
				}
			}
		}
		return nil
	})
}

// addMember puts a thing into a group. One that is in it stays so. Errors are the
// API's.
func (s *Service) addMember(tx *store.Tx, group, thing string) error {
	if _, err := getGroupForUpdate(tx, group); err != nil {
		return err
	}
	stored, err := getThing(&tx.Reader, thing)
	if err != nil {
		return err
	}
	if member, err := tableMembers.has(&tx.Reader, pairKey(group, thing)); err != nil || member {
		return err
	}
	root, err := rootOf(&tx.Reader, group)
	if err != nil {
		return err
	}
	others, err := groupsOf(&tx.Reader, thing)
	if err != nil {
		return err
	}
	if len(others) >= maxGroupsOfThing {
		return awsrest.Invalid(fmt.Sprintf("Thing %s is in %d thing groups, and can be in no more", thing, len(others)))
	}
	for _, other := range others {
		otherRoot, err := rootOf(&tx.Reader, other)
		if err != nil {
			return err
		}
		if otherRoot == root {
			return awsrest.Invalid(fmt.Sprintf("Thing %s is in group %s, which is in the same hierarchy as %s", thing, other, group))
		}
	}
	if err := errors.Join(
		tableMembers.Put(tx, pairKey(group, thing), struct{}{}),
		tableMemberships.Put(tx, pairKey(thing, group), struct{}{}),
	); err != nil {
		return err
	}
	return s.place(tx, thing, stored, group, true)
}

// removeMember takes a thing out of a group that it is in.
func (s *Service) removeMember(tx *store.Tx, group, thing string) error {
	if err := errors.Join(
		tableMembers.Delete(tx, pairKey(group, thing)),
		tableMemberships.Delete(tx, pairKey(thing, group)),
	); err != nil {
		return err
	}
	stored, err := tableThings.find(&tx.Reader, thing)
	if err != nil || stored == nil {
		return err
	}
	return s.place(tx, thing, stored, group, false)
}

// place stores that a thing is in a group now, or no more, and so in those above
// it: it is in no other group of their hierarchy.
func (s *Service) place(tx *store.Tx, name string, stored *storedThing, group string, in bool) error {
	places, err := parentsOf(&tx.Reader, group)
	if err != nil {
		return err
	}
	places = append(places, group)
	if in {
		stored.Placed = append(stored.Placed, places...)
		slices.Sort(stored.Placed)
	} else {
		stored.Placed = slices.DeleteFunc(stored.Placed, func(place string) bool { return slices.Contains(places, place) })
	}
	if err := tableThings.Put(tx, name, *stored); err != nil {
		return err
	}
	return s.thingChanged(tx, name)
}

// rootOf returns the topmost group above a group, or the group itself.
func rootOf(view *store.Reader, name string) (string, error) {
	above, err := parentsOf(view, name)
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
	// Override is of no effect here, because there are no dynamic groups.
	Override *bool `json:"overrideDynamicGroups"`
}

func (in *memberInput) read(s *Service, r *awsrest.Request) (group, thing string, err error) {
	if err := r.Decode(in); err != nil {
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
		return "", awsrest.Missing(member + "Name")
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
		return "", awsrest.Constraint(member+"Arn", *arn, "Member must be an ARN of this account, such as "+prefix+"NAME")
	case name != nil && *name != named:
		return "", awsrest.Invalid(fmt.Sprintf("%sName %s and %sArn %s are not the same", member, *name, member, *arn))
	}
	return named, nil
}

func (s *Service) addThingToThingGroup(r *awsrest.Request) (any, error) {
	var in memberInput
	group, thing, err := in.read(s, r)
	if err != nil {
		return nil, err
	}
	if s.options.Registry != nil {
		return struct{}{}, s.moveElsewhere(r.Context(), thing, []string{group}, nil, in.Override != nil && *in.Override)
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		return s.addMember(tx, group, thing)
	})
}

func (s *Service) removeThingFromThingGroup(r *awsrest.Request) (any, error) {
	var in memberInput
	group, thing, err := in.read(s, r)
	if err != nil {
		return nil, err
	}
	if in.Override != nil {
		return nil, awsrest.Invalid(`member "overrideDynamicGroups" is unknown`)
	}
	if s.options.Registry != nil {
		return struct{}{}, s.moveElsewhere(r.Context(), thing, nil, []string{group}, false)
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		if _, err := getThing(&tx.Reader, thing); err != nil {
			return err
		}
		return s.leaveGroup(tx, group, thing)
	})
}

// leaveGroup takes a thing out of a group, which has to exist. A thing that is not in it
// stays out of it.
func (s *Service) leaveGroup(tx *store.Tx, group, thing string) error {
	if _, err := getGroup(&tx.Reader, group); err != nil {
		return err
	}
	if member, err := tableMembers.has(&tx.Reader, pairKey(group, thing)); err != nil || !member {
		return err
	}
	return s.removeMember(tx, group, thing)
}

// updateThingGroupsForThing takes a thing out of groups and puts it into others, or does
// nothing if one of these is not possible. It leaves groups first, so that a thing can move
// to another group of the same hierarchy.
func (s *Service) updateThingGroupsForThing(r *awsrest.Request) (any, error) {
	var in struct {
		Thing    *string  `json:"thingName"`
		Add      []string `json:"thingGroupsToAdd"`
		Remove   []string `json:"thingGroupsToRemove"`
		Override *bool    `json:"overrideDynamicGroups"` // of no effect: there are no dynamic groups
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	thing, err := nameOf("thing", in.Thing, nil, "")
	if err != nil {
		return nil, err
	}
	for member, groups := range map[string][]string{"thingGroupsToAdd": in.Add, "thingGroupsToRemove": in.Remove} {
		for _, group := range groups {
			if err := checkName(member, group); err != nil {
				return nil, err
			}
		}
	}
	for _, group := range in.Add {
		if slices.Contains(in.Remove, group) {
			return nil, awsrest.Invalid(fmt.Sprintf("Thing group %s is in thingGroupsToAdd and thingGroupsToRemove", group))
		}
	}
	if s.options.Registry != nil {
		return struct{}{}, s.moveElsewhere(r.Context(), thing, in.Add, in.Remove, in.Override != nil && *in.Override)
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		if _, err := getThing(&tx.Reader, thing); err != nil {
			return err
		}
		for _, group := range in.Remove {
			if err := s.leaveGroup(tx, group, thing); err != nil {
				return err
			}
		}
		for _, group := range in.Add {
			if err := s.addMember(tx, group, thing); err != nil {
				return err
			}
		}
		return nil
	})
}
