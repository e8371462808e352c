package detect

import (
	"math"
	"net/netip"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Observe evaluates what was measured of the thing, in the order of the
// measurements; o.Thing is not looked at. Times come from one clock and go on.
func (t *Thing) Observe(e *Evaluation, o Observation) {
	at, ok := nanoseconds(o.Time)
	if !ok {
		e.Ignored += int64(len(o.Measurements))
		return
	}
	if len(o.Measurements) == 0 {
		return
	}
	t.until(e, at)
	t.seen = max(t.seen, at)
	for i := range o.Measurements {
		m := &o.Measurements[i]
		if positions := t.class.positions(m.Metric); len(positions) > 0 {
			t.measure(e, positions, at, m)
		}
	}
}

// measure gives one measurement to the behaviors of its metric.
func (t *Thing) measure(e *Evaluation, positions []int32, at int64, m *Measurement) {
	t.need()
	for _, i := range positions {
		b, s := t.class.behaviors[i], &t.states[i]
		if at <= s.last || !m.is(b.metric.Kind) {
			e.Ignored++
			continue
		}
		switch b.metric.Kind {
		case profile.Count:
			t.measureNumber(e, i, at, amount(*m.Value.Count))
		case profile.Number:
			t.measureNumber(e, i, at, amount(math.Float64bits(*m.Value.Number)))
		default:
			t.measureList(e, b, s, at, m)
		}
	}
}

// is reports whether the measurement is a value of that kind.
func (m *Measurement) is(kind profile.Kind) bool {
	if !m.Value.Has(kind) {
		return false
	}
	switch v := &m.Value; kind {
	case profile.Count:
		return *v.Count >= 0
	case profile.Number:
		return !math.IsNaN(*v.Number) && !math.IsInf(*v.Number, 0)
	case profile.CIDRs:
		return m.parse()
	}
	return true
}

// parse reads the addresses of a list, and reports false when one is none.
func (m *Measurement) parse() bool {
	if len(m.addrs) == len(m.Value.CIDRs) {
		return true
	}
	addrs := make([]netip.Addr, 0, len(m.Value.CIDRs))
	for _, text := range m.Value.CIDRs {
		a, err := profile.ParseAddress(text)
		if err != nil {
			return false
		}
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	m.addrs = addrs
	return true
}

// measureNumber adds a measurement to the window of the thing, and compares
// the window when it is complete.
func (t *Thing) measureNumber(e *Evaluation, i int32, at int64, v amount) {
	b, s := t.class.behaviors[i], &t.states[i]
	interval, before := int64(reportInterval), s.lastDatapoint()
	if s.last != 0 {
		interval = at - s.last
	}
	s.last = at
	if b.duration > 0 {
		if s.open && interval < b.duration {
			v = b.accumulate(s.sum, v)
		} else {
			s.begin = at - interval
		}
		s.open = at-s.begin < b.duration-interval/2
		if s.open {
			s.sum = v
			return
		}
		s.begin, s.sum = 0, 0
	}
	if b.percentile == nil {
		t.conclude(e, b, s, at, v, b.static.Limit(), b.met(v))
	} else {
		t.compare(e, i, at, before, v)
	}
}

// lastDatapoint returns when there was one, if ever. A window begins with it.
func (s *state) lastDatapoint() int64 {
	if s.open {
		return s.begin
	}
	return s.last
}

// compare takes a datapoint of a statistical behavior, the one before it being
// of the time before, and adds it to the baseline.
func (t *Thing) compare(e *Evaluation, i int32, at, before int64, v amount) {
	b, s := t.class.behaviors[i], &t.states[i]
	key, value := *b.percentile, b.float(v)
	window := key.window(at)
	if key.window(before) != window {
		s.given = 0
	}
	var own []contribution
	if s.runs() {
		own = *t.ownUnder(i)
	}
	base := e.before(key, window)
	limit, ok := key.percentile(base, own, window)
	gives := s.given < maxPerWindow
	if gives {
		s.given++
		e.add(key, window, value)
	}
	if ok {
		t.conclude(e, b, s, at, v, limit, b.compare.Met(value, limit))
	}
	switch {
	case s.runs():
		if gives {
			own = append(own[max(0, len(own)+1-maxLeftOut):], contribution{value, window})
		}
		*t.ownUnder(i) = slices.DeleteFunc(own, func(c contribution) bool { return base.lacks(c.window) && c.window < window })
	case t.own != nil:
		*t.ownUnder(i) = nil
	}
}

// conclude takes a number that was compared.
func (t *Thing) conclude(e *Evaluation, b *behavior, s *state, at int64, v amount, limit float64, met bool) {
	if e.Trace != nil {
		e.Trace(Datapoint{Thing: t.Name, Profile: b.profile, Behavior: b.doc, Time: timeOf(at), Value: b.float(v), Threshold: limit, Conforms: met})
	}
	if kind, since := s.step(b, at, met, false); kind != "" {
		e.emit(t, b, kind, since, at, b.value(v), &limit)
	}
}

// measureList compares a list. One that is cut and has nothing that violates
// is no datapoint: what was left out of it may.
func (t *Thing) measureList(e *Evaluation, b *behavior, s *state, at int64, m *Measurement) {
	s.last = at
	odd, length := b.odd(m)
	if m.Cut != nil && odd == 0 {
		return
	}
	if e.Trace != nil {
		e.Trace(Datapoint{Thing: t.Name, Profile: b.profile, Behavior: b.doc, Time: timeOf(at), Value: float64(odd), Conforms: odd == 0})
	}
	if kind, since := s.step(b, at, odd == 0, length == 0); kind != "" {
		e.emit(t, b, kind, since, at, new(b.set.First(m.Value, maxEventElements)), nil)
	}
}

// step counts a datapoint. It says what the datapoint makes, "" for nothing,
// and when the violation began.
func (s *state) step(b *behavior, at int64, met, clears bool) (EventType, int64) {
	if !met {
		s.conforming = 0
		if s.alarm {
			return Ongoing, s.since
		}
		if s.violating == 0 {
			s.since = at
		}
		s.violating++
		if s.violating < b.ToAlarm {
			return "", 0
		}
		s.violating, s.alarm = 0, true
		return InAlarm, s.since
	}
	s.violating = 0
	if !s.alarm {
		s.since = 0
		return "", 0
	}
	s.conforming++
	if s.conforming < b.ToClear && !clears {
		return "", 0
	}
	since := s.since
	s.since, s.conforming, s.alarm = 0, 0, false
	return AlarmCleared, since
}
