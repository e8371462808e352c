package detect

import (
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// thing is the state of one thing.
type thing struct {
	profile.Thing
	seen    int64 // last sign of life; 0 is none, or none that is still of interest
	class   *class
	states  []state          // by the class's behaviors; nil until something is measured
	history [][]contribution // by the class's statistical behaviors; nil until there is one
	dormant []dormant
	cloud   *cloud
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
	open       bool  // a window is under way
	alarm      bool
}

// dormant is an alarm under a behavior that does not apply any more.
type dormant struct {
	behavior *behavior
	state    state
}

// thing returns the state of the named thing, making it.
func (e *Engine) thing(name string) *thing {
	t := e.things[name]
	if t == nil {
		t = &thing{Thing: profile.Thing{Name: strings.Clone(name)}}
		e.things[t.Name] = t
		if !e.stale {
			e.place(t)
		}
	}
	return t
}

// empty reports whether nothing would be lost with the thing.
func (t *thing) empty() bool {
	return !t.Registered && t.seen == 0 && t.states == nil && t.dormant == nil && t.cloud == nil
}

// move gives the thing its class, with the state that it has under the
// behaviors of both the old and the new one.
func (e *Engine) move(t *thing, c *class) {
	old := t.class
	t.class = c
	if t.cloud != nil {
		t.cloud.move(old, c)
	}
	if old == nil {
		return
	}
	if t.states == nil && t.dormant == nil || slices.Equal(old.behaviors, c.behaviors) {
		e.watch(t)
		return
	}
	at := make(map[*behavior]int, len(c.behaviors))
	for i, b := range c.behaviors {
		at[b] = i
	}
	states, history := t.states, t.history
	t.states, t.history = make([]state, len(c.behaviors)), nil
	for i, s := range states {
		b := old.behaviors[i]
		var own []contribution
		if k := old.statistical[i]; k >= 0 && history != nil {
			own = history[k]
		}
		if k, stays := at[b]; stays {
			t.states[k] = s
			if own != nil {
				*t.contributions(int32(k)) = own
			}
			continue
		}
		switch {
		case own == nil || b.gone:
		case e.moved != nil:
			e.moved[b] = true
		default:
			b.withdraw(own)
		}
		if s.alarm {
			t.dormant = append(t.dormant, dormant{b, s})
		}
	}
	asleep := t.dormant
	t.dormant = nil
	for _, d := range asleep {
		if k, back := at[d.behavior]; back {
			t.states[k] = d.state
			continue
		}
		t.dormant = append(t.dormant, d)
	}
	e.watch(t)
}

// contributions returns the thing's own part of a statistical behavior's
// baseline.
func (t *thing) contributions(i int32) *[]contribution {
	if t.history == nil {
		t.history = make([][]contribution, t.class.statistics)
	}
	return &t.history[t.class.statistical[i]]
}

func (b *behavior) withdraw(own []contribution) {
	for _, c := range own {
		b.baseline.remove(c.window, c.value)
	}
}

// watch has the thing's alarms looked at when they are due.
func (e *Engine) watch(t *thing) {
	for i := range t.states {
		if t.states[i].alarm && !t.outlivesSilence(t.class.behaviors[i]) {
			e.alarmed[t] = struct{}{}
			e.due = min(e.due, t.seen+int64(maxSilence))
		}
	}
	for _, d := range t.dormant {
		e.alarmed[t] = struct{}{}
		if d.behavior.gone {
			e.due = 0
		}
		e.due = min(e.due, d.state.last+int64(maxSilence))
	}
}
