package detect

import (
	"math"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Thing is the state of one thing under rules. One goroutine at a time may use
// it. When an evaluation is thrown away, so is its Thing: Restore makes it again
// from what was saved before.
type Thing struct {
	profile.Thing
	rules   *Rules
	class   *class
	seen    int64            // last sign of life; 0 is none, or none that is still of interest
	states  []state          // by the class's behaviors; nil until something is measured
	own     [][]contribution // by the class's statistical behaviors; nil until there is one
	dormant []dormant
	cloud   *cloud

	inherited []inherited // datapoints that version 0.1 kept here
}

// state is how a thing stands under a behavior. Times are in nanoseconds.
type state struct {
	last  int64  // of the last measurement; 0 is none
	begin int64  // of the window under way
	sum   amount // of the window under way
	// since is the first of the violating datapoints in a row or, in alarm, of
	// those that led to it.
	since      int64
	violating  uint8 // datapoints in a row, up to what makes an alarm
	conforming uint8 // datapoints in a row since the alarm
	given      uint8 // datapoints to the baseline, in the window of the last one
	open       bool  // a window is under way
	alarm      bool
}

// runs reports whether there is a violation, or may be one soon.
func (s *state) runs() bool { return s.alarm || s.violating > 0 }

// dormant is an alarm under a behavior that does not apply any more.
type dormant struct {
	behavior *behavior
	state    state
	own      []contribution
	gone     bool // no profile has the behavior any more
}

// Thing returns the state of a thing of which nothing is known yet.
func (r *Rules) Thing(t profile.Thing) *Thing {
	return &Thing{Thing: t, rules: r, class: r.classOf(&t)}
}

// Place brings the thing under other rules, or to another place in the
// registry. It keeps its state under the behaviors that go on to apply, and its
// alarms under the others. The registry's Groups are kept, not copied.
func (t *Thing) Place(r *Rules, registry profile.Thing) {
	same := t.rules == r && t.Registered == registry.Registered && slices.Equal(t.Groups, registry.Groups)
	t.Registered, t.Groups = registry.Registered, registry.Groups
	if same {
		return
	}
	old, states, own, asleep := t.class, t.states, t.own, t.dormant
	t.rules, t.class = r, r.classOf(&t.Thing)
	t.states, t.own, t.dormant = nil, nil, nil
	for i, s := range states {
		k := old.statistical[i]
		if k < 0 || own == nil {
			t.enter(old.behaviors[i], s, nil)
		} else {
			t.enter(old.behaviors[i], s, own[k])
		}
	}
	for _, d := range asleep {
		t.enter(d.behavior, d.state, d.own)
	}
	if t.cloud != nil {
		t.cloud.move(old, t.class)
	}
}

// enter gives the thing its state under a behavior. If that does not apply, only
// an alarm stays.
func (t *Thing) enter(b *behavior, s state, own []contribution) {
	i, applies := t.class.byMark[b.mark]
	switch {
	case s == state{}:
	case applies:
		b = t.class.behaviors[i]
		// Stored bytes may say anything.
		s.violating, s.conforming = min(s.violating, b.ToAlarm-1), min(s.conforming, b.ToClear-1)
		t.need()
		t.states[i] = s
		if len(own) > 0 && b.percentile != nil {
			*t.ownUnder(i) = own
		}
	case s.alarm:
		d := dormant{b, s, own, true}
		if now := t.rules.behaviors[b.mark]; now != nil {
			d.behavior, d.gone = now, false
		}
		t.dormant = append(t.dormant, d)
	}
}

// need makes room for states.
func (t *Thing) need() {
	if t.states == nil {
		t.states = make([]state, len(t.class.behaviors))
	}
}

// ownUnder returns the thing's own datapoints in a statistical behavior's
// baseline since its violation began.
func (t *Thing) ownUnder(i int32) *[]contribution {
	if t.own == nil {
		t.own = make([][]contribution, t.class.statistics)
	}
	return &t.own[t.class.statistical[i]]
}

// empty reports whether nothing is known of the thing.
func (t *Thing) empty() bool {
	return t.seen == 0 && t.states == nil && t.dormant == nil && t.cloud == nil
}

// clear forgets all that the thing did.
func (t *Thing) clear() { *t = Thing{Thing: t.Thing, rules: t.rules, class: t.class} }

const (
	never  = math.MaxInt64
	atOnce = 1
)

// Due returns when Advance has something to do next unless something else
// happens before, the zero Time for never. It may be long past. A clock that
// shows milliseconds shows it in the one after it.
func (t *Thing) Due() time.Time {
	if due := t.due(); due != never {
		return timeOf(due)
	}
	return time.Time{}
}

func (t *Thing) due() int64 {
	due := int64(never)
	if len(t.inherited) > 0 {
		due = atOnce
	}
	for i := range t.dormant {
		if d := &t.dormant[i]; d.gone {
			due = atOnce
		} else {
			due = min(due, d.state.last+int64(maxSilence)+1)
		}
	}
	if c := t.cloud; c != nil && (len(t.class.tallies) > 0 && c.active() || t.class.disconnects && t.lasting()) {
		due = min(due, c.end())
	}
	if t.seen != 0 && t.endsInSilence() {
		due = min(due, t.seen+int64(maxSilence)+1)
	}
	return due
}
