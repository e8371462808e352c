package service

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// MirroredThing is a thing of another registry.
type MirroredThing struct {
	Name       string
	Attributes map[string]string
	Version    int64
	Groups     []string
}

// MirroredGroup is a thing group of another registry.
type MirroredGroup struct {
	Name, Parent, Description string
	Attributes                map[string]string
	Version                   int64
	Created                   time.Time
}

// Mirrored is how many rows a mirror changed.
type Mirrored struct{ Registered, Changed, Unregistered, Groups int }

// mirrorBatch is how many things share a transaction.
const mirrorBatch = 200

// Mirror makes the things and groups of the database those of another registry. keep is
// asked which things stay as they are, because what is known of them is newer.
//
// A thing that is gone there is not registered here any more, and keeps what it reported,
// its certificates and its alarms, as far as profiles still apply. A group that is gone keeps the
// profiles that are attached to it, for the case that it comes back.
func (s *Service) Mirror(ctx context.Context, things []MirroredThing, groups []MirroredGroup, keep func(thing string) bool) (m Mirrored, err error) {
	if m.Groups, err = s.mirrorGroups(ctx, groups); err != nil {
		return m, err
	}
	there := make(map[string]bool, len(things))
	for _, t := range things {
		there[t.Name] = true
	}
	for batch := range slices.Chunk(things, mirrorBatch) {
		registered, changed, err := s.mirrorThings(ctx, batch, keep)
		m.Registered, m.Changed = m.Registered+registered, m.Changed+changed
		if err != nil {
			return m, err
		}
	}
	var gone []string
	err = s.read(ctx, func(view *store.Reader) error {
		gone = nil
		for name, err := range tableThings.keysAfter(view, "", "") {
			if err != nil {
				return err
			}
			if !there[name] && !keep(name) {
				gone = append(gone, name)
			}
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	for batch := range slices.Chunk(gone, mirrorBatch) {
		err := s.write(ctx, func(tx *store.Tx) error {
			for _, name := range batch {
				if err := s.unregister(tx, name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return m, err
		}
		m.Unregistered += len(batch)
	}
	return m, s.dropMirroredGroups(ctx, groups)
}

// MirrorThing is Mirror for one thing. Groups that are not known yet are left out.
func (s *Service) MirrorThing(ctx context.Context, t MirroredThing) error {
	_, _, err := s.mirrorThings(ctx, []MirroredThing{t}, func(string) bool { return false })
	return err
}

// mirrorGroups creates and changes groups.
func (s *Service) mirrorGroups(ctx context.Context, groups []MirroredGroup) (changed int, err error) {
	for batch := range slices.Chunk(groups, mirrorBatch) {
		n := 0
		err := s.write(ctx, func(tx *store.Tx) error {
			n = 0
			for _, g := range batch {
				ok, err := mirrorGroup(tx, g)
				if err != nil {
					return err
				}
				if ok {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return changed, err
		}
		changed += n
	}
	return changed, nil
}

func mirrorGroup(tx *store.Tx, g MirroredGroup) (changed bool, err error) {
	if profile.CheckName(g.Name) != nil {
		return false, nil
	}
	old, err := tableGroups.find(&tx.Reader, g.Name)
	if err != nil {
		return false, err
	}
	stored := storedGroup{ID: awsrest.NewID(), Parent: g.Parent, Description: g.Description, Attributes: g.Attributes, Version: g.Version, Created: g.Created}
	if old != nil {
		stored.ID = old.ID
		if old.Parent == g.Parent && old.Description == g.Description && old.Version == g.Version && maps.Equal(old.Attributes, g.Attributes) {
			return false, nil
		}
		if err := tableChildren.Delete(tx, pairKey(old.Parent, g.Name)); err != nil {
			return false, err
		}
	}
	if err := tableChildren.Put(tx, pairKey(g.Parent, g.Name), struct{}{}); err != nil {
		return false, err
	}
	return true, tableGroups.Put(tx, g.Name, stored)
}

// dropMirroredGroups deletes the groups that are gone, which have no things any more.
func (s *Service) dropMirroredGroups(ctx context.Context, groups []MirroredGroup) error {
	there := make(map[string]bool, len(groups))
	for _, g := range groups {
		there[g.Name] = true
	}
	var gone []string
	err := s.read(ctx, func(view *store.Reader) error {
		gone = nil
		for name, err := range tableGroups.keysAfter(view, "", "") {
			if err != nil {
				return err
			}
			if !there[name] {
				gone = append(gone, name)
			}
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return s.write(ctx, func(tx *store.Tx) error {
		for _, name := range gone {
			group, err := tableGroups.find(&tx.Reader, name)
			if err != nil || group == nil {
				return err
			}
			if err := tableChildren.Delete(tx, pairKey(group.Parent, name)); err != nil {
				return err
			}
			for thing, err := range tableMembers.keysAfter(&tx.Reader, name+"\x00", "") {
				if err != nil {
					return err
				}
				if err := s.mirrorMove(tx, thing, nil, []string{name}); err != nil {
					return err
				}
			}
			if err := tableGroups.Delete(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// mirrorThings creates and changes things. Those that are the same are only read.
func (s *Service) mirrorThings(ctx context.Context, things []MirroredThing, keep func(string) bool) (registered, changed int, err error) {
	var other []MirroredThing
	err = s.read(ctx, func(view *store.Reader) error {
		other = nil
		for _, t := range things {
			if profile.CheckName(t.Name) != nil {
				continue
			}
			stored, err := tableThings.find(view, t.Name)
			if err != nil {
				return err
			}
			if stored == nil {
				other = append(other, t)
				continue
			}
			groups, places, err := mirroredPlaces(view, t.Groups)
			if err != nil {
				return err
			}
			have, err := groupsOf(view, t.Name)
			if err != nil {
				return err
			}
			if !slices.Equal(have, groups) || !slices.Equal(stored.Placed, places) || stored.Version != t.Version || !maps.Equal(stored.Attributes, t.Attributes) {
				other = append(other, t)
			}
		}
		return nil
	})
	if err != nil || len(other) == 0 {
		return 0, 0, err
	}
	err = s.write(ctx, func(tx *store.Tx) error {
		registered, changed = 0, 0
		for _, t := range other {
			stored, err := tableThings.findForUpdate(tx, t.Name)
			switch {
			case err != nil:
				return err
			case keep(t.Name):
				continue
			case stored == nil:
				registered++
				stored = &storedThing{ID: awsrest.NewID(), Created: s.now()}
				if err := s.thingCreated(tx, t.Name); err != nil {
					return err
				}
			default:
				changed++
			}
			stored.Attributes, stored.Version = t.Attributes, t.Version
			if err := s.setGroups(tx, t.Name, stored, t.Groups); err != nil {
				return err
			}
		}
		return nil
	})
	return registered, changed, err
}

// mirroredPlaces returns the groups that exist, and these with the groups above them, each
// once and sorted.
func mirroredPlaces(view *store.Reader, wanted []string) (groups, places []string, err error) {
	for _, group := range wanted {
		there, err := tableGroups.has(view, group)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			continue
		}
		above, err := parentsOf(view, group)
		if err != nil {
			return nil, nil, err
		}
		groups = append(groups, group)
		places = append(append(places, group), above...)
	}
	slices.Sort(groups)
	slices.Sort(places)
	return slices.Compact(groups), slices.Compact(places), nil
}

// setGroups stores a thing with the groups that it is in, whatever hierarchies these are
// of: the other registry has decided.
func (s *Service) setGroups(tx *store.Tx, name string, stored *storedThing, wanted []string) error {
	groups, places, err := mirroredPlaces(&tx.Reader, wanted)
	if err != nil {
		return err
	}
	have, err := groupsOf(&tx.Reader, name)
	if err != nil {
		return err
	}
	for _, group := range have {
		if slices.Contains(groups, group) {
			continue
		}
		if err := tableMembers.Delete(tx, pairKey(group, name)); err != nil {
			return err
		}
		if err := tableMemberships.Delete(tx, pairKey(name, group)); err != nil {
			return err
		}
	}
	for _, group := range groups {
		if slices.Contains(have, group) {
			continue
		}
		if err := tableMembers.Put(tx, pairKey(group, name), struct{}{}); err != nil {
			return err
		}
		if err := tableMemberships.Put(tx, pairKey(name, group), struct{}{}); err != nil {
			return err
		}
	}
	changed := !slices.Equal(stored.Placed, places)
	stored.Placed = places
	if err := tableThings.Put(tx, name, *stored); err != nil || !changed {
		return err
	}
	return s.thingChanged(tx, name)
}

// mirrorMove stores that a thing is in groups of the other registry now and no more in
// others, as far as thing and groups are known.
func (s *Service) mirrorMove(tx *store.Tx, name string, add, remove []string) error {
	stored, err := tableThings.findForUpdate(tx, name)
	if err != nil || stored == nil {
		return err
	}
	groups, err := groupsOf(&tx.Reader, name)
	if err != nil {
		return err
	}
	groups = slices.DeleteFunc(groups, func(group string) bool { return slices.Contains(remove, group) })
	return s.setGroups(tx, name, stored, append(groups, add...))
}

// unregister takes a thing out of the registry. It keeps what it reported, as one that was
// never registered.
func (s *Service) unregister(tx *store.Tx, name string) error {
	stored, err := tableThings.findForUpdate(tx, name)
	if err != nil || stored == nil {
		return err
	}
	if err := s.setGroups(tx, name, stored, nil); err != nil {
		return err
	}
	if err := tableThings.Delete(tx, name); err != nil {
		return err
	}
	row, found, err := tableRows.Get(&tx.Reader, name)
	if err != nil {
		return err
	}
	if found && !row.last.time.IsZero() {
		if err := s.countStranger(tx, 1); err != nil {
			return err
		}
	}
	return s.hurry(tx, name)
}
