package detect

import (
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// What tests do with an engine, and recordings do not.

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
