package detect

import (
	"slices"
	"time"
)

// Advance tells the thing that time has gone on: its cloud windows that are over
// end, and so do its alarms after two days of silence and those of behaviors
// that are gone. What is silent is forgotten.
func (t *Thing) Advance(e *Evaluation, now time.Time) {
	if at, ok := nanoseconds(now); ok {
		t.until(e, at)
	}
}

// until brings the thing to a time, before what happens then.
func (t *Thing) until(e *Evaluation, at int64) {
	t.giveInherited(e)
	for t.cloud != nil && t.cloud.end() <= at {
		t.silence(e, t.cloud.end())
		if t.cloud != nil {
			t.closeWindow(e, at)
		}
	}
	t.silence(e, at)
	if slices.ContainsFunc(t.dormant, func(d dormant) bool { return d.gone }) {
		t.endDormant(e, func(d *dormant) (int64, bool) { return at, d.gone })
	}
}

// endDormant invalidates those alarms for which ends says when.
func (t *Thing) endDormant(e *Evaluation, ends func(*dormant) (at int64, ok bool)) {
	asleep := t.dormant
	t.dormant = nil
	for i := range asleep {
		d := &asleep[i]
		if at, over := ends(d); over {
			e.invalidate(t, d.behavior, &d.state, at)
		} else {
			t.dormant = append(t.dormant, *d)
		}
	}
}

// silence ends what does not outlive two days without a sign of life.
func (t *Thing) silence(e *Evaluation, now int64) {
	if len(t.dormant) > 0 {
		t.endDormant(e, func(d *dormant) (int64, bool) {
			end := d.state.last + int64(maxSilence)
			return end, now > end
		})
	}
	end := t.seen + int64(maxSilence)
	if t.seen == 0 || now <= end {
		return
	}
	left := false
	for i := range t.states {
		b, s := t.class.behaviors[i], &t.states[i]
		if t.outlivesSilence(b) {
			left = left || *s != state{}
			continue
		}
		if s.alarm {
			// It may have outlived the silence until now.
			e.invalidate(t, b, s, max(end, s.last))
		}
		*s = state{}
	}
	t.own = nil
	if !left {
		t.states = nil
	}
	if !t.lasting() {
		t.seen, t.cloud = 0, nil
	}
}

// lasting reports whether the thing goes on being measured though it is silent:
// as one of the registry, by how long it is disconnected.
func (t *Thing) lasting() bool {
	return t.Registered && t.cloud != nil && t.cloud.disconnected != 0
}

// outlivesSilence reports whether the state under a behavior is kept though
// the thing is silent.
func (t *Thing) outlivesSilence(b *behavior) bool {
	return b.Ref.Name == disconnectDuration && t.lasting()
}

// endsInSilence reports whether two days of silence end something.
func (t *Thing) endsInSilence() bool {
	if !t.lasting() {
		return true
	}
	for i, s := range t.states {
		if (s != state{}) && !t.outlivesSilence(t.class.behaviors[i]) {
			return true
		}
	}
	return false
}

// Forget forgets all that the thing did, and ends its alarms: it is deleted.
func (t *Thing) Forget(e *Evaluation, now time.Time) {
	at, ok := nanoseconds(now)
	if !ok {
		return
	}
	for i := range t.states {
		if s := &t.states[i]; s.alarm {
			e.invalidate(t, t.class.behaviors[i], s, at)
		}
	}
	t.endDormant(e, func(*dormant) (int64, bool) { return at, true })
	t.clear()
}
