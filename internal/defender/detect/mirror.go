package detect

import (
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// This file is for a service that holds the whole fleet in an Engine. It goes
// when that evaluates things by Rules.

// RemoveProfile removes a profile. The next call on a thing invalidates its
// alarms.
func (e *Engine) RemoveProfile(name string) {
	delete(e.profiles, name)
	e.rules = nil
}

// RemoveDimension removes a dimension. A behavior that uses it is not
// evaluated any more.
func (e *Engine) RemoveDimension(name string) {
	delete(e.dimensions, name)
	e.rules = nil
}

// RemoveThing takes a thing out of the registry. If it goes on reporting, it
// is an unregistered thing.
func (e *Engine) RemoveThing(name string) { e.SetThing(profile.Thing{Name: name}) }

// Unevaluated lists the behaviors that are kept and not evaluated.
func (e *Engine) Unevaluated() []Unevaluated { return e.settle().Unevaluated() }

// savedNamed is the first byte of what SaveThing returns.
const savedNamed = 0

// SaveThing returns what the engine knows of a thing, nil when that is nothing.
func (e *Engine) SaveThing(name string) ([]byte, error) {
	e.settle()
	m := e.things[name]
	if m == nil || m.empty() {
		return nil, nil
	}
	w := &writer{buffer: []byte{savedNamed}}
	w.text(name)
	return m.AppendSaved(w.buffer), nil
}

// RestoreThing gives a thing the state that it had when it was saved.
func (e *Engine) RestoreThing(data []byte) error {
	r := &reader{rest: data}
	if version := r.byte(); version == savedNamed || version == savedVersion01 {
		name := string(r.text())
		if version == savedNamed {
			data = r.rest
		}
		if r.fault || name == "" {
			return errSaved
		}
		return e.restore(name, data)
	}
	return errSaved
}

func (e *Engine) restore(name string, data []byte) error {
	known := e.thing(name)
	t, err := e.rules.Restore(known.Thing.Thing, data)
	if err == nil {
		known.Thing = t
	}
	e.reschedule(known)
	return err
}

// ForgetThing forgets a thing and all that it did, and ends its alarms.
func (e *Engine) ForgetThing(name string, now time.Time) []Event {
	e.settle()
	m := e.things[name]
	if m == nil {
		return nil
	}
	m.Forget(&e.evaluation, now)
	e.remove(m)
	return e.events()
}

// Restamp brings a thing's time back to now when it is ahead.
func (e *Engine) Restamp(name string, now time.Time) bool {
	e.settle()
	m := e.things[name]
	if m == nil {
		return false
	}
	ahead := m.Restamp(now)
	e.reschedule(m)
	return ahead
}

// Ahead lists the things whose time is after now, sorted.
func (e *Engine) Ahead(now time.Time) []string {
	var names []string
	for name, m := range e.things {
		if m.Ahead(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
