package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Observe evaluates what was measured of a thing, in the order of the
// measurements. Times come from one clock and go on; of things at the same
// time, the order makes no difference.
func (e *Engine) Observe(o Observation) []Event {
	e.settle()
	at, ok := nanoseconds(o.Time)
	if !ok || o.Thing == "" {
		e.ignored += int64(len(o.Measurements))
		return nil
	}
	if len(o.Measurements) == 0 {
		return nil
	}
	t := e.thing(o.Thing)
	e.alive(t, at)
	for i := range o.Measurements {
		m := &o.Measurements[i]
		if positions := t.class.positions(m.Metric); len(positions) > 0 {
			e.measure(t, positions, at, m)
		}
	}
	return e.taken()
}

// taken hands out the events of this call.
func (e *Engine) taken() []Event {
	events := e.events
	e.events = nil
	return events
}

// alive notes a sign of life of the thing.
func (e *Engine) alive(t *thing, at int64) {
	e.silence(t, at)
	t.seen = max(t.seen, at)
}

// measure gives one measurement to the behaviors of its metric.
func (e *Engine) measure(t *thing, positions []int32, at int64, m *Measurement) {
	if t.states == nil {
		t.states = make([]state, len(t.class.behaviors))
	}
	for _, i := range positions {
		b, s := t.class.behaviors[i], &t.states[i]
		if at <= s.last || !m.is(b.metric.Kind) {
			e.ignored++
			continue
		}
		switch b.metric.Kind {
		case profile.Count:
			e.measureNumber(t, i, at, amount(*m.Value.Count))
		case profile.Number:
			e.measureNumber(t, i, at, amount(math.Float64bits(*m.Value.Number)))
		default:
			e.measureList(t, b, s, at, m)
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
	m.addrs = addrs
	return true
}

// measureNumber adds a measurement to the window of the thing, and compares
// the window when it is complete.
func (e *Engine) measureNumber(t *thing, i int32, at int64, v amount) {
	b, s := t.class.behaviors[i], &t.states[i]
	interval := int64(reportInterval)
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
		s.sum = 0
	}
	if b.baseline == nil {
		e.conclude(t, b, s, at, v, b.static.Limit(), b.met(v))
		return
	}
	window, since := b.baseline.window(at), int32(math.MaxInt32)
	if s.violating > 0 || s.alarm {
		since = b.baseline.window(s.since)
	}
	own := t.contributions(i)
	limit, ok := b.baseline.percentile(window, *own, since)
	b.contribute(own, window, b.float(v))
	if ok {
		e.conclude(t, b, s, at, v, limit, b.compare.Met(b.float(v), limit))
	}
}

// contribute takes the thing's datapoint into the baseline.
func (b *behavior) contribute(own *[]contribution, window int32, value float64) {
	same := 0
	kept := (*own)[:0]
	for _, c := range *own {
		if c.window < b.baseline.floor {
			continue
		}
		if c.window == window {
			same++
		}
		kept = append(kept, c)
	}
	if same < maxPerWindow && b.baseline.add(window, value) {
		kept = append(kept, contribution{value, window})
	}
	*own = kept
}

// conclude takes a number that was compared.
func (e *Engine) conclude(t *thing, b *behavior, s *state, at int64, v amount, limit float64, met bool) {
	if e.trace != nil {
		e.trace(Datapoint{Thing: t.Name, Profile: b.profile, Behavior: b.doc, Time: timeOf(at), Value: b.float(v), Threshold: limit, Conforms: met})
	}
	if kind, since := s.step(b, at, met, false); kind != "" {
		e.tell(t, b, kind, since, at, b.value(v), &limit)
	}
}

// measureList compares a list. One that is cut and has nothing that violates
// is no datapoint: what was left out of it may.
func (e *Engine) measureList(t *thing, b *behavior, s *state, at int64, m *Measurement) {
	s.last = at
	odd, length := b.odd(m)
	if m.Cut != nil && odd == 0 {
		return
	}
	if e.trace != nil {
		e.trace(Datapoint{Thing: t.Name, Profile: b.profile, Behavior: b.doc, Time: timeOf(at), Value: float64(odd), Conforms: odd == 0})
	}
	if kind, since := s.step(b, at, odd == 0, length == 0); kind != "" {
		e.tell(t, b, kind, since, at, new(b.set.First(m.Value, maxEventElements)), nil)
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

// tell adds an event.
func (e *Engine) tell(t *thing, b *behavior, kind EventType, since, at int64, value *profile.Value, limit *float64) {
	e.events = append(e.events, Event{
		Type:        kind,
		ViolationID: violationID(b, t.Name, since),
		Thing:       t.Name,
		Profile:     b.profile,
		Behavior:    b.doc,
		Value:       value,
		Threshold:   limit,
		Time:        timeOf(at),
	})
	if kind == InAlarm {
		e.alarmed[t] = struct{}{}
		e.due = min(e.due, t.seen+int64(maxSilence))
	}
}

// violationID is the same for the same violation wherever it is evaluated.
func violationID(b *behavior, thing string, since int64) string {
	text := strings.Join([]string{b.profile, b.doc.Name, thing, strconv.FormatInt(since, 10)}, "\x00")
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// Advance tells the engine that time has gone on: cloud windows end, and
// alarms of silent things are invalidated. Call it as often as events should
// be known.
func (e *Engine) Advance(now time.Time) Outcome {
	e.settle()
	at, ok := nanoseconds(now)
	if !ok {
		return Outcome{}
	}
	measured := e.closeWindows(at)
	if at > e.due {
		e.sweep(at)
	}
	if at >= e.forget {
		e.forgetSilent(at)
		e.forget = at + int64(forgetInterval)
	}
	return e.outcome(measured)
}

// outcome puts the events in order.
func (e *Engine) outcome(measured []Observation) Outcome {
	events := e.taken()
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Thing, b.Thing), strings.Compare(a.Profile, b.Profile), strings.Compare(a.Behavior.Name, b.Behavior.Name))
	})
	slices.SortStableFunc(measured, func(a, b Observation) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Thing, b.Thing))
	})
	return Outcome{Events: events, Measured: measured}
}

// sweep invalidates the alarms that are due.
func (e *Engine) sweep(now int64) {
	e.due = math.MaxInt64
	for t := range e.alarmed {
		e.silence(t, now)
		dormant := t.dormant
		t.dormant = nil
		for _, d := range dormant {
			if d.behavior.gone {
				e.tell(t, d.behavior, AlarmInvalidated, d.state.since, now, nil, nil)
				continue
			}
			t.dormant = append(t.dormant, d)
		}
		delete(e.alarmed, t)
		e.watch(t)
	}
}

// outlivesSilence reports whether the state under a behavior is kept though
// the thing is silent: a disconnected thing of the registry goes on being
// measured by how long it is.
func (t *thing) outlivesSilence(b *behavior) bool {
	return b.Ref.Name == disconnectDuration && t.Registered && t.cloud != nil && t.cloud.disconnected != 0
}

// silence ends what does not outlive two days without a sign of life.
func (e *Engine) silence(t *thing, now int64) {
	dormant := t.dormant
	t.dormant = nil
	for _, d := range dormant {
		if end := d.state.last + int64(maxSilence); now > end {
			e.tell(t, d.behavior, AlarmInvalidated, d.state.since, end, nil, nil)
			continue
		}
		t.dormant = append(t.dormant, d)
	}
	end := t.seen + int64(maxSilence)
	if t.seen == 0 || now <= end {
		return
	}
	for i := range t.states {
		b, s := t.class.behaviors[i], &t.states[i]
		if t.outlivesSilence(b) {
			continue
		}
		if s.alarm {
			// It may have outlived the silence until now.
			e.tell(t, b, AlarmInvalidated, s.since, max(end, s.last), nil, nil)
		}
		*s = state{}
	}
	// What it gave to baselines is too old to be compared with.
	t.history = nil
}

// forgetSilent frees what is kept of things that are silent, and the classes
// that no thing is in any more.
func (e *Engine) forgetSilent(now int64) {
	classes := map[*class]bool{}
	for name, t := range e.things {
		classes[t.class] = true
		e.silence(t, now)
		if t.seen == 0 || now <= t.seen+int64(maxSilence) {
			continue
		}
		if !slices.ContainsFunc(t.states, func(s state) bool { return s != state{} }) {
			t.states = nil
		}
		if t.states == nil && t.dormant == nil && (!t.Registered || t.cloud == nil) {
			t.seen = 0
			e.dropCloud(t)
		}
		if t.empty() {
			delete(e.alarmed, t)
			delete(e.things, name)
		}
	}
	maps.DeleteFunc(e.classes, func(_ string, c *class) bool { return !classes[c] })
}
