package detect

import (
	"slices"
	"time"
)

// Ahead reports whether the thing's time is after now.
func (t *Thing) Ahead(now time.Time) bool {
	at, ok := nanoseconds(now)
	return ok && (t.seen > at || t.cloud != nil && (t.cloud.last > at || t.cloud.window > at/int64(cloudWindow)+1))
}

// Restamp brings the thing's time back to now when it is ahead: the clock was
// wrong, and has been set right. Alarms go on; windows that began in that time
// are dropped. What the thing gave to baselines stays there: nothing is compared
// with it before its time. It reports whether something was ahead.
func (t *Thing) Restamp(now time.Time) bool {
	at, ok := nanoseconds(now)
	if !ok {
		return false
	}
	ahead := t.seen > at
	t.seen = min(t.seen, at)
	for i := range t.states {
		ahead = t.restamp(int32(i), at) || ahead
	}
	for i := range t.dormant {
		s := &t.dormant[i].state
		ahead = ahead || s.last > at
		s.last = min(s.last, at)
	}
	window := at / int64(cloudWindow)
	if c := t.cloud; c != nil && (c.window > window || c.last > at || c.disconnected > at) {
		ahead = true
		c.window, c.last, c.disconnected = min(c.window, window), min(c.last, at), min(c.disconnected, at)
	}
	return ahead
}

// restamp brings back the time under one behavior.
func (t *Thing) restamp(i int32, at int64) (ahead bool) {
	b, s := t.class.behaviors[i], &t.states[i]
	if b.percentile != nil && t.own != nil {
		own := t.ownUnder(i)
		*own = slices.DeleteFunc(*own, func(c contribution) bool { return c.window > b.percentile.window(at) })
	}
	if s.last < at {
		return false
	}
	s.last, s.begin, s.sum, s.given, s.open = 0, 0, 0, 0, false
	if !s.alarm { // whose id is made of it
		s.since = min(s.since, at)
	}
	return true
}
