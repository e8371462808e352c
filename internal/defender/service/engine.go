package service

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// mirror is what of the database is held in memory, beside the engine, for
// the sake of reports. Like the engine it belongs to the holder of s.mu, and
// is rebuilt when a transaction fails.
type mirror struct {
	things       map[string]profile.Thing // those that are registered
	coverage     map[string]*coverage     // by profile
	unregistered int                      // things that reported and are not registered
	sent         load                     // of these, today
	lost         []string                 // things whose stored state the engine didn't take
}

// coverage is what a profile keeps of the things that it applies to.
type coverage struct {
	profile string
	targets []profile.Target
	metrics map[profile.MetricRef]profile.Kind // used or retained
	models  map[profile.MetricRef][]string     // behaviors that a model would learn for
	topic   string                             // alert target
	notes   []string                           // on what is without effect, but for behaviors that the engine leaves out
}

// rebuild creates the engine from the database. The caller holds s.mu.
func (s *Service) rebuild(view *store.Reader) error {
	s.engine = detect.New()
	s.mirror = mirror{things: map[string]profile.Thing{}, coverage: map[string]*coverage{}}
	if err := s.setDimensions(view); err != nil {
		return err
	}
	for name, err := range tableProfiles.keysAfter(view, "", "") {
		if err != nil {
			return err
		}
		// One profile that is refused, by rules that were not there when it
		// was created, is no reason to be without the others.
		if err := s.setProfile(view, name); errors.Is(err, store.ErrUnavailable) {
			return err
		} else if err != nil {
			s.log.Error("security profile is not evaluated", "profile", name, "error", err)
		}
	}
	for stored, err := range tableThings.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		s.setThing(stored.Key, &stored.Value)
	}
	for last, err := range tableReporters.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		if s.thing(last.Key).Registered {
			continue
		}
		s.unregistered++
		if last.Value.Day > s.sent.day { // the last day on which one sent something
			s.sent = load{day: last.Value.Day}
		}
		if last.Value.Day == s.sent.day {
			s.sent.bytes += last.Value.Bytes
		}
	}
	for state, err := range tableStates.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		if err := s.engine.RestoreThing(state.Value); err != nil {
			s.log.Error("state of a thing is lost, it is evaluated afresh", "thing", state.Key, "error", err)
			s.lost = append(s.lost, state.Key)
		}
	}
	s.sayUnevaluated("")
	return nil
}

// endLost invalidates the alarms of things whose state is lost: the engine
// doesn't know of them, so that nothing else would end them.
func (s *Service) endLost(ctx context.Context) error {
	if len(s.lost) == 0 {
		return nil
	}
	return s.change(ctx, func(c *change) error {
		var events []detect.Event
		for _, thing := range s.lost {
			c.touched[thing] = true
			for id, err := range tableActiveByThing.keysAfter(&c.tx.Reader, thing+"\x00", "") {
				if err != nil {
					return err
				}
				v, err := tableViolations.find(&c.tx.Reader, id)
				if err != nil {
					return err
				}
				if v != nil {
					events = append(events, detect.Event{
						Type: detect.AlarmInvalidated, ViolationID: id, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Time: c.now,
					})
				}
			}
		}
		return c.events(events)
	})
}

// profileChanged tells the engine that a profile, its targets, or what they
// name was created, changed or deleted in tx.
func (s *Service) profileChanged(tx *store.Tx, name string) error {
	if _, err := bump(tx, metaRules); err != nil {
		return err
	}
	s.touch()
	if err := s.setDimensions(&tx.Reader); err != nil {
		return err
	}
	c := s.newChange(tx)
	there, err := tableProfiles.has(&tx.Reader, name)
	if err != nil {
		return err
	}
	if !there {
		s.engine.RemoveProfile(name)
	} else if err := s.setProfile(&tx.Reader, name); err != nil {
		return err
	}
	// Alarms of behaviors that are gone end with them, now and not in a minute:
	// the process may not live that long.
	if err := c.outcome(s.engine.Advance(c.now)); err != nil {
		return err
	}
	if !there {
		delete(s.coverage, name)
	}
	tx.OnCommit(func() { s.sayUnevaluated(name) })
	return c.finish()
}

// sayUnevaluated logs which behaviors of the profile, or of all when it is
// empty, are kept and have no effect: nothing in the API tells of it but the
// status of their models.
func (s *Service) sayUnevaluated(name string) {
	for _, u := range s.engine.Unevaluated() {
		if name == "" || name == u.Profile {
			s.log.Warn("behavior is not evaluated", "profile", u.Profile, "behavior", u.Behavior, "reason", u.Reason)
		}
	}
	for _, profile := range slices.Sorted(maps.Keys(s.coverage)) {
		for _, note := range s.coverage[profile].notes {
			if name == "" || name == profile {
				s.log.Warn("a part of the profile is without effect", "profile", profile, "note", note)
			}
		}
	}
}

// thingChanged tells the engine that a thing was created or deleted, or its
// groups changed in tx.
func (s *Service) thingChanged(tx *store.Tx, name string) error {
	s.touch()
	reports, err := tableReporters.has(&tx.Reader, name)
	if err != nil {
		return err
	}
	if reports && !s.thing(name).Registered {
		s.unregistered--
	}
	c := s.newChange(tx)
	stored, err := tableThings.find(&tx.Reader, name)
	if err != nil {
		return err
	}
	if stored == nil {
		s.engine.RemoveThing(name)
		delete(s.things, name)
	} else {
		s.setThing(name, stored)
	}
	if reports && !s.thing(name).Registered {
		s.unregistered++
	}
	c.touched[name] = true
	return c.finish()
}

// forgetThing deletes what a thing said, which is deleted from the registry in
// tx, and ends its alarms. If it goes on reporting, it is a new thing.
func (s *Service) forgetThing(tx *store.Tx, name string) error {
	s.touch()
	reported, err := tableReporters.has(&tx.Reader, name)
	if err != nil {
		return err
	}
	if reported && !s.thing(name).Registered {
		s.unregistered--
	}
	c := s.newChange(tx)
	events := s.engine.ForgetThing(name, c.now)
	delete(s.things, name)
	c.touched[name] = true
	if err := c.events(events); err != nil {
		return err
	}
	if err := tableReporters.Delete(tx, name); err != nil {
		return err
	}
	if err := deleteValues(tx, name); err != nil {
		return err
	}
	return c.finish()
}

// setDimensions tells the engine the dimensions: there are few.
func (s *Service) setDimensions(view *store.Reader) error {
	for stored, err := range tableDimensions.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		s.engine.SetDimension(profile.Dimension{Name: stored.Key, Type: stored.Value.Type, StringValues: stored.Value.StringValues})
	}
	return nil
}

// setProfile tells the engine a profile and what it is attached to.
func (s *Service) setProfile(view *store.Reader, name string) error {
	stored, err := getProfile(view, name)
	if err != nil {
		return err
	}
	registry, err := registry(view)
	if err != nil {
		return err
	}
	document := &stored.Document
	attached := detect.Attached{Profile: document, Registry: registry}
	for arn, err := range tableTargets.keysAfter(view, name+"\x00", "") {
		if err != nil {
			return err
		}
		target, err := profile.ParseTarget(arn)
		if err != nil {
			return err
		}
		attached.Targets = append(attached.Targets, target)
	}
	if err := s.engine.SetProfile(attached); err != nil {
		return err
	}
	covered := newCoverage(document, attached.Targets, registry)
	covered.notes = effect.Notes(document, slices.DeleteFunc(s.Without(), func(what string) bool { return what == effect.ML }))
	s.coverage[name] = covered
	return nil
}

func newCoverage(p *profile.Profile, targets []profile.Target, registry profile.Registry) *coverage {
	c := &coverage{
		profile: p.Name, targets: targets,
		metrics: map[profile.MetricRef]profile.Kind{}, models: map[profile.MetricRef][]string{},
		topic: p.AlertTargets["SNS"].AlertTargetARN,
	}
	for _, u := range p.Uses() {
		if m, ok := profile.MetricOf(u.Name, registry); ok {
			c.metrics[u.MetricRef] = m.Kind
		}
		if u.Behavior != nil && criteriaType(u.Behavior) == machineLearning {
			c.models[u.MetricRef] = append(c.models[u.MetricRef], u.Behavior.Name)
		}
	}
	return c
}

// setThing tells the engine a registered thing.
func (s *Service) setThing(name string, stored *storedThing) {
	t := profile.Thing{Name: name, Registered: true, Groups: stored.Placed}
	s.things[name] = t
	s.engine.SetThing(t)
}

// thing returns a thing as it is registered, or as one that is not.
func (s *Service) thing(name string) profile.Thing {
	if t, ok := s.things[name]; ok {
		return t
	}
	return profile.Thing{Name: name}
}

// covering returns the coverage of the profiles that apply to the thing.
func (s *Service) covering(name string) (list []*coverage) {
	t := s.thing(name)
	for _, c := range s.coverage {
		if c.appliesTo(&t) {
			list = append(list, c)
		}
	}
	return list
}

func (c *coverage) appliesTo(t *profile.Thing) bool {
	return slices.ContainsFunc(c.targets, func(target profile.Target) bool { return target.Matches(t) })
}
