package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Scope is which violations are asked for: those of a thing, of a profile, or of
// all when both are empty.
type Scope struct {
	Thing, Profile string
	// Since leaves out, of all violations, those that ended before. Of a thing
	// or a profile there are those that are kept.
	Since time.Time
}

// Findings are the first violations of a scope.
type Findings struct {
	// List has those in alarm, the latest to start first, and then the latest
	// of the others.
	List   []finding.Violation
	More   bool // there are more than the list has
	Active int  // how many are in alarm
	// ByProfile and ByBehavior say how many of them are of which: the former for
	// all violations, the latter for those of a profile.
	ByProfile, ByBehavior map[string]int
}

// show is read for those who ask in this process: what is not there is a
// [finding.ErrNotFound], without the API's word for it.
func (s *Service) show(ctx context.Context, fn func(view *store.Reader) error) error {
	err := s.read(ctx, fn)
	if e, ok := errors.AsType[*awsrest.Error](err); ok {
		return finding.NotFound(e.Message)
	}
	return err
}

// Findings returns the first violations of a scope, up to most. It counts
// those in alarm by their keys, and reads no others than it returns.
func (s *Service) Findings(ctx context.Context, scope Scope, most int) (f *Findings, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		f = &Findings{ByProfile: map[string]int{}, ByBehavior: map[string]int{}}
		ids, err := f.active(view, scope, most)
		if err != nil {
			return err
		}
		if len(ids) <= most {
			listed := map[string]bool{}
			for _, id := range ids {
				listed[id] = true
			}
			for id, err := range s.history(view, scope) {
				if err != nil {
					return err
				}
				if listed[id] {
					continue
				}
				if ids = append(ids, id); len(ids) > most {
					break
				}
			}
		}
		f.More = len(ids) > most
		if scope.Thing == "" { // in the order in which they are wanted
			ids = ids[:min(len(ids), most)]
		}
		f.List, err = readViolations(view, ids)
		slices.SortStableFunc(f.List, func(a, b finding.Violation) int {
			switch {
			case a.Active && !b.Active:
				return -1
			case b.Active && !a.Active:
				return 1
			}
			return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
		})
		f.List = f.List[:min(len(f.List), most)]
		return err
	})
	return f, err
}

// active counts the violations in alarm, and returns the ids of the latest, of
// one more than most: of a thing those of all, in no order.
func (f *Findings) active(view *store.Reader, scope Scope, most int) (ids []string, err error) {
	if scope.Thing != "" {
		for id, err := range tableActiveByThing.keysAfter(view, scope.Thing+"\x00", "") {
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		f.Active = len(ids)
		return ids, nil
	}
	for key, err := range tableActiveByStart.keysAfter(view, "", "") {
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(key[8:], "\x00") // behind the thing
		profile, rest, _ := strings.Cut(rest, "\x00")
		behavior, id, _ := strings.Cut(rest, "\x00")
		switch scope.Profile {
		case "":
			f.ByProfile[profile]++
		case profile:
			f.ByBehavior[behavior]++
		default:
			continue
		}
		if f.Active++; len(ids) <= most {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// history yields the ids of violations: of all those that ended since, the
// latest first; of a thing or a profile all that are kept, the latest to start
// first.
func (s *Service) history(view *store.Reader, scope Scope) iter.Seq2[string, error] {
	switch {
	case scope.Thing != "":
		return idsByStart(tableByThing.keysAfter(view, scope.Thing+"\x00", ""))
	case scope.Profile != "":
		return idsByStart(tableByProfile.keysAfter(view, scope.Profile+"\x00", ""))
	}
	return func(yield func(string, error) bool) {
		now := s.now()
		for ev, err := range daysBackwards(view, eventKeys, "", later(scope.Since, now.Add(-keepViolations)), now, "") {
			if err != nil {
				yield("", err)
				return
			}
			if _, id, end := splitEventKey(ev.Key); end && !yield(id, nil) {
				return
			}
		}
	}
}

// idsByStart yields the ids of keys that byStart made.
func idsByStart(keys iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range keys {
			if err == nil {
				key = key[8:]
			}
			if !yield(key, err) {
				return
			}
		}
	}
}

// Finding returns the violation of that id, or of the one id that begins with
// it, with its events. The error may be a [finding.AmbiguousError].
func (s *Service) Finding(ctx context.Context, id string) (found *finding.Violation, err error) {
	if err := finding.CheckID(id); err != nil {
		return nil, err
	}
	err = s.show(ctx, func(view *store.Reader) error {
		var all []string
		for entry, err := range tableViolations.keys.Scan(view, store.Prefix(id)) {
			if err != nil {
				return err
			}
			all = append(all, entry.Key)
			if entry.Key == id {
				break
			}
		}
		whole, err := finding.Complete(id, all)
		if err != nil {
			return err
		}
		list, err := readViolations(view, []string{whole})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("violation %s: %w", whole, store.ErrDamaged)
		}
		found = &list[0]
		return nil
	})
	return found, err
}

// readViolations returns the violations of the ids, as far as there are such.
func readViolations(view *store.Reader, ids []string) (list []finding.Violation, err error) {
	found, err := tableViolations.GetMany(view, ids)
	if err != nil {
		return nil, err
	}
	active, err := tableActive.GetMany(view, ids)
	if err != nil {
		return nil, err
	}
	events, err := readEvents(view, found)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		stored, ok := found[id]
		if !ok || stored.Behavior == nil { // the latter is damaged
			continue
		}
		v := finding.Violation{
			ID: id, Thing: stored.Thing, Profile: stored.Profile, Behavior: *stored.Behavior, Events: events[id],
			Verification: stored.verification(), VerificationNote: stored.Description,
		}
		v.Settle()
		v.Started, v.Ended = stored.Start, stored.End
		if last, ok := active[id]; ok {
			v.Active, v.Value, v.LastSeen = true, last.Value, last.Time
		}
		list = append(list, v)
	}
	return list, nil
}

// readEvents returns the events of the violations, as far as they are kept. When
// they were, the violations say.
func readEvents(view *store.Reader, violations map[string]storedViolation) (map[string][]finding.Event, error) {
	keys := map[store.Day][]string{}
	for id, v := range violations {
		keys[day(v.Start)] = append(keys[day(v.Start)], eventKey(v.Start, id, false))
		if !v.End.IsZero() {
			keys[day(v.End)] = append(keys[day(v.End)], eventKey(v.End, id, true))
		}
	}
	events := map[string][]finding.Event{}
	for day, keys := range keys {
		found, err := tableEvents.GetMany(view, day, keys)
		if err != nil {
			return nil, err
		}
		for key, ev := range found {
			at, id, _ := splitEventKey(key)
			events[id] = append(events[id], finding.Event{Time: at, Type: string(ev.Type), Value: ev.Value})
		}
	}
	for _, list := range events { // both may have one time
		slices.SortFunc(list, func(a, b finding.Event) int {
			if a.Type == finding.InAlarm {
				return -1
			}
			return 1
		})
	}
	return events, nil
}
