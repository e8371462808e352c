package detect

import (
	"container/heap"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

const (
	// reportInterval is AWS's shortest delay between two reports of a thing.
	reportInterval = 300 * time.Second
	// maxSilence is how long an alarm lives without metrics of its thing, and
	// how old a datapoint of a baseline may be.
	maxSilence = 48 * time.Hour
)

// maxTime keeps sums of times within 64 bits of nanoseconds.
var maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// nanoseconds returns the time since 1970, or false for a time that no clock
// shows.
func nanoseconds(t time.Time) (int64, bool) {
	seconds := t.Unix()
	if seconds < 0 || seconds >= maxTime/int64(time.Second) {
		return 0, false
	}
	at := t.UnixNano()
	return at, at > 0
}

func timeOf(at int64) time.Time { return time.Unix(0, at).UTC() }

// Engine evaluates profiles on a fleet that it holds in memory. It is not safe
// for concurrent use. The zero value is not ready; use New.
type Engine struct {
	profiles   map[string]*attached
	dimensions map[string]dimension
	rules      *Rules // nil when they are to be made again
	things     map[string]*member
	queue      queue
	evaluation Evaluation
}

// member is a thing of an engine and its place in the queue.
type member struct {
	*Thing
	due   int64 // no later than Thing.due
	index int
}

// New returns an engine without profiles and things.
func New() *Engine {
	return &Engine{
		profiles: map[string]*attached{}, dimensions: map[string]dimension{}, things: map[string]*member{},
		evaluation: Evaluation{Baselines: memory{}},
	}
}

// SetProfile adds a profile, or replaces the one of its name. A behavior that
// is evaluated as before goes on as before; a changed one starts afresh, and
// the next call on a thing invalidates its alarm. The error says why the
// document is not one that AWS would take; nothing has changed then.
func (e *Engine) SetProfile(a Attached) error {
	p, err := compileProfile(a)
	if err == nil {
		e.profiles[p.name], e.rules = p, nil
	}
	return err
}

// SetDimension adds a dimension, or replaces the topic filters of the one of
// its name: for the topics that come.
func (e *Engine) SetDimension(d profile.Dimension) {
	e.dimensions[d.Name], e.rules = newDimension(d.StringValues), nil
}

// SetThing adds a thing of the registry, or replaces what is known of it.
func (e *Engine) SetThing(t profile.Thing) {
	t.Groups = slices.Clone(t.Groups)
	m := e.thing(t.Name)
	m.Place(e.settle(), t)
	e.reschedule(m)
}

// Ignored returns how many measurements were dropped since New because they
// were out of order or had the wrong type.
func (e *Engine) Ignored() int64 { return e.evaluation.Ignored }

// Trace has f called with every datapoint that is compared. Nil ends it.
func (e *Engine) Trace(f func(Datapoint)) { e.evaluation.Trace = f }

// Observe evaluates what was measured of a thing, in the order of the
// measurements. Times come from one clock and go on; of things at the same
// time, the order makes no difference.
func (e *Engine) Observe(o Observation) []Event {
	if o.Thing == "" {
		e.evaluation.Ignored += int64(len(o.Measurements))
		return nil
	}
	m := e.thing(o.Thing)
	m.Observe(&e.evaluation, o)
	e.reschedule(m)
	return e.events()
}

// ObserveCloud counts an event. When it is the first of a window, the windows
// of the thing before it end. An event of a window that has ended is counted in
// the one under way.
func (e *Engine) ObserveCloud(ev CloudEvent) Outcome {
	if ev.Thing == "" {
		e.evaluation.Ignored++
		return Outcome{}
	}
	m := e.thing(ev.Thing)
	m.ObserveCloud(&e.evaluation, ev)
	e.reschedule(m)
	return e.outcome()
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
	for len(e.queue) > 0 && e.queue[0].due <= at {
		m := e.queue[0]
		switch due := m.Thing.due(); {
		case due == atOnce:
			m.until(&e.evaluation, at)
		case due <= at:
			// Things go on in step, so that they are compared with each other. After
			// a leap in time that is not worth while for more than two days.
			m.until(&e.evaluation, max(due, at-int64(maxSilence)))
		}
		e.reschedule(m)
	}
	return e.outcome()
}

// events hands out the events of this call.
func (e *Engine) events() []Event {
	events := e.evaluation.Events
	e.evaluation.Events = nil
	return events
}

func (e *Engine) outcome() Outcome {
	e.evaluation.Sort()
	measured := e.evaluation.Measured
	e.evaluation.Measured = nil
	return Outcome{e.events(), measured}
}

// settle compiles the rules and brings things to their places after profiles
// changed.
func (e *Engine) settle() *Rules {
	if e.rules != nil {
		return e.rules
	}
	e.rules = newRules(e.profiles, maps.Clone(e.dimensions))
	for _, m := range e.things {
		m.Place(e.rules, m.Thing.Thing)
		m.due = m.Thing.due()
	}
	heap.Init(&e.queue)
	if baselines, ok := e.evaluation.Baselines.(memory); ok {
		maps.DeleteFunc(baselines, func(k BaselineKey, _ *fleetWindows) bool { return !e.rules.Has(k.Mark) })
	}
	return e.rules
}

// thing returns the named thing, making it.
func (e *Engine) thing(name string) *member {
	rules := e.settle()
	m := e.things[name]
	if m == nil {
		name = strings.Clone(name)
		m = &member{Thing: rules.Thing(profile.Thing{Name: name}), due: never}
		e.things[name] = m
		heap.Push(&e.queue, m)
	}
	return m
}

// reschedule puts the thing where it belongs in the queue. A thing that is in
// it too early stays there until its turn comes: with most calls it is only put
// off. What is not worth keeping goes.
func (e *Engine) reschedule(m *member) {
	if !m.Registered && m.empty() {
		e.remove(m)
		return
	}
	if due := m.Thing.due(); due < m.due || m.index == 0 {
		m.due = due
		heap.Fix(&e.queue, m.index)
	}
}

func (e *Engine) remove(m *member) {
	heap.Remove(&e.queue, m.index)
	delete(e.things, m.Name)
}

// queue has the thing that is due first at its beginning.
type queue []*member

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for package heap.
func (q *queue) Push(m any) {
	m.(*member).index = len(*q)
	*q = append(*q, m.(*member))
}

// Pop is for package heap.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Unevaluated lists the behaviors that are kept and not evaluated.
func (e *Engine) Unevaluated() []Unevaluated { return e.settle().Unevaluated() }
