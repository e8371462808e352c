package detect

import (
	"slices"
	"time"
)

// ForgetThing forgets a thing and all that it did, and ends its alarms.
func (e *Engine) ForgetThing(name string, now time.Time) []Event {
	at, ok := nanoseconds(now)
	t := e.things[name]
	if t == nil || !ok {
		return nil
	}
	e.settle()
	for i, s := range t.states {
		if s.alarm {
			e.tell(t, t.class.behaviors[i], AlarmInvalidated, s.since, at, nil, nil)
		}
	}
	for _, d := range t.dormant {
		e.tell(t, d.behavior, AlarmInvalidated, d.state.since, at, nil, nil)
	}
	e.clear(t)
	delete(e.things, name)
	return e.taken()
}

// Restamp brings a thing's time back to now when it is ahead: the clock was
// wrong, and has been set right. Alarms go on; windows that began in that time
// and what was compared in it are dropped. It reports whether something was.
func (e *Engine) Restamp(name string, now time.Time) bool {
	at, ok := nanoseconds(now)
	t := e.things[name]
	if t == nil || !ok {
		return false
	}
	e.settle()
	if window := at / int64(cloudWindow); e.window > window {
		e.window = window
	}
	e.forget = min(e.forget, at+int64(forgetInterval))
	ahead := t.seen > at
	t.seen = min(t.seen, at)
	for i := range t.states {
		ahead = t.restamp(i, at) || ahead
	}
	for i := range t.dormant {
		s := &t.dormant[i].state
		ahead = ahead || s.last > at
		s.last = min(s.last, at)
	}
	if c := t.cloud; c != nil && (c.window > e.window || c.last > at || c.disconnected > at) {
		ahead = true
		c.window, c.last, c.disconnected = min(c.window, e.window), min(c.last, at), min(c.disconnected, at)
	}
	e.watch(t)
	return ahead
}

// restamp brings back the time under one behavior.
func (t *thing) restamp(i int, at int64) (ahead bool) {
	b, s := t.class.behaviors[i], &t.states[i]
	if s.last >= at {
		ahead = true
		s.last, s.begin, s.sum, s.open = 0, 0, 0, false
		if !s.alarm { // whose id is made of it
			s.since = min(s.since, at)
		}
	}
	if b.baseline == nil {
		return ahead
	}
	window := b.baseline.window(at)
	if t.history != nil {
		own := t.contributions(int32(i))
		*own = slices.DeleteFunc(*own, func(c contribution) bool {
			if c.window > window {
				b.baseline.remove(c.window, c.value)
			}
			return c.window > window
		})
	}
	b.baseline.lower(window)
	return ahead
}

// lower makes windows of use again that were taken for over when the clock was
// ahead.
func (p *baseline) lower(window int32) {
	if p.floor > window {
		p.floor, p.baseOf = window, 0
	}
}

// Ahead lists the things whose time is after now, sorted.
func (e *Engine) Ahead(now time.Time) []string {
	at, ok := nanoseconds(now)
	if !ok {
		return nil
	}
	var names []string
	for name, t := range e.things {
		if t.seen > at || t.cloud != nil && (t.cloud.last > at || t.cloud.window > at/int64(cloudWindow)+1) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
