package detect

import (
	"errors"
	"fmt"
	"maps"
	"math"
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
	// forgetInterval is how often the engine looks for things to forget.
	forgetInterval = time.Hour
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

// Engine evaluates security profiles. It is not safe for concurrent use. The
// zero value is not ready; use New.
type Engine struct {
	profiles   map[string]*attached
	dimensions map[string]dimension
	things     map[string]*thing

	order   []*attached       // profiles by name
	classes map[string]*class // by the profiles that apply
	stale   bool              // order, classes and the things' places are to be rebuilt

	alarmed map[*thing]struct{} // have an alarm, or had one under a behavior that is gone
	due     int64               // no alarm is to be invalidated before; math.MaxInt64 is never
	forget  int64               // when to look for things to forget

	clouded map[*thing]struct{} // have cloud state
	window  int64               // index of the cloud window under way; 0 is none yet

	// moved are the statistical behaviors that things have left while profiles
	// changed; nil at other times.
	moved map[*behavior]bool

	events  []Event
	ignored int64
	trace   func(Datapoint)
}

// attached is a profile and its behaviors made ready.
type attached struct {
	name        string
	targets     []profile.Target
	behaviors   []*behavior
	retained    []profile.MetricRef // cloud-side metrics to measure, sorted
	unevaluated []Unevaluated
}

// New returns an engine without profiles and things.
func New() *Engine {
	return &Engine{
		profiles:   map[string]*attached{},
		dimensions: map[string]dimension{},
		things:     map[string]*thing{},
		classes:    map[string]*class{},
		alarmed:    map[*thing]struct{}{},
		clouded:    map[*thing]struct{}{},
		due:        math.MaxInt64,
	}
}

// SetProfile adds a profile, or replaces the one of its name. A behavior that
// is evaluated as before goes on as before; a changed one starts afresh, and
// the next call of Advance invalidates its alarms. The error says why the
// document is not one that AWS would take; nothing has changed then.
func (e *Engine) SetProfile(a Attached) error {
	if a.Profile == nil {
		return errors.New("no profile")
	}
	for _, p := range a.Profile.Check(a.Registry) {
		if p.Severity == profile.Error {
			return fmt.Errorf("profile %q: %v", a.Profile.Name, p)
		}
	}
	next := &attached{name: a.Profile.Name, targets: slices.Clone(a.Targets)}
	var fresh []*behavior
	for _, doc := range a.Profile.Behaviors {
		b, reason, err := compile(next.name, doc, a.Registry)
		if err != nil {
			return fmt.Errorf("profile %q: %w", next.name, err)
		}
		if b == nil {
			next.unevaluated = append(next.unevaluated, Unevaluated{next.name, doc.Name, reason})
		} else {
			fresh = append(fresh, b)
		}
	}
	next.retained = retained(a.Profile)
	before := e.profiles[next.name]
	if before == nil {
		before = &attached{}
	}
	for _, b := range fresh {
		i := slices.IndexFunc(before.behaviors, func(old *behavior) bool { return old.mark == b.mark })
		if i >= 0 && !slices.Contains(next.behaviors, before.behaviors[i]) {
			before.behaviors[i].doc, before.behaviors[i].text = b.doc, b.text
			b = before.behaviors[i]
		}
		next.behaviors = append(next.behaviors, b)
	}
	for _, old := range before.behaviors {
		old.gone = !slices.Contains(next.behaviors, old)
	}
	e.profiles[next.name] = next
	e.stale = true
	return nil
}

// retained lists the cloud-side metrics whose values are kept.
func retained(p *profile.Profile) []profile.MetricRef {
	var list []profile.MetricRef
	for _, u := range p.Uses() {
		if m, ok := profile.FindMetric(u.Name); ok && m.Side == profile.CloudSide {
			list = append(list, u.MetricRef)
		}
	}
	slices.SortFunc(list, profile.MetricRef.Compare)
	return slices.Compact(list)
}

// RemoveProfile removes a profile. The next call of Advance invalidates its
// alarms.
func (e *Engine) RemoveProfile(name string) {
	if p := e.profiles[name]; p != nil {
		for _, b := range p.behaviors {
			b.gone = true
		}
		delete(e.profiles, name)
		e.stale = true
	}
}

// SetDimension adds a dimension, or replaces the topic filters of the one of
// its name: for the topics that come.
func (e *Engine) SetDimension(d profile.Dimension) {
	e.dimensions[d.Name] = newDimension(d.StringValues)
	e.stale = true
}

// RemoveDimension removes a dimension. A behavior that uses it is not
// evaluated any more.
func (e *Engine) RemoveDimension(name string) {
	delete(e.dimensions, name)
	e.stale = true
}

// SetThing adds a thing of the registry, or replaces what is known of it.
func (e *Engine) SetThing(t profile.Thing) {
	known := e.thing(t.Name)
	known.Registered, known.Groups = t.Registered, slices.Clone(t.Groups)
	if !e.stale {
		e.place(known)
	}
}

// RemoveThing takes a thing out of the registry. If it goes on reporting, it
// is an unregistered thing.
func (e *Engine) RemoveThing(name string) {
	t := e.things[name]
	if t == nil {
		return
	}
	t.Registered, t.Groups = false, nil
	if !e.stale {
		e.place(t)
	}
	if t.empty() {
		delete(e.things, name)
	}
}

// Unevaluated lists the behaviors that are kept and not evaluated, by profile
// and in its order.
func (e *Engine) Unevaluated() []Unevaluated {
	e.settle()
	var list []Unevaluated
	for _, p := range e.order {
		list = append(list, p.unevaluated...)
		for _, b := range p.behaviors {
			if b.Ref.Dimension != "" && e.dimensions[b.Ref.Dimension] == nil {
				list = append(list, Unevaluated{p.name, b.doc.Name, fmt.Sprintf("dimension %q is not known", b.Ref.Dimension)})
			}
		}
	}
	return list
}

// Ignored returns how many measurements were dropped since New because they
// were out of order or had the wrong type.
func (e *Engine) Ignored() int64 { return e.ignored }

// Trace has f called with every datapoint that is compared. Nil ends it.
func (e *Engine) Trace(f func(Datapoint)) { e.trace = f }

// class is what things have in common to which the same profiles apply.
type class struct {
	behaviors   []*behavior
	byMetric    map[string][]int32            // positions in behaviors, without dimension
	byDimension map[profile.MetricRef][]int32 // and with
	tallies     []tallyKey
	statistical []int32 // position among the statistical behaviors, or -1
	statistics  int     // how many are statistical
}

// settle brings things to their places after profiles changed.
func (e *Engine) settle() {
	if !e.stale {
		return
	}
	e.stale = false
	e.order = slices.SortedFunc(maps.Values(e.profiles), func(a, b *attached) int { return strings.Compare(a.name, b.name) })
	e.classes = map[string]*class{}
	e.moved = map[*behavior]bool{}
	for _, t := range e.things {
		e.place(t)
	}
	e.refill()
	e.moved = nil
}

// refill rebuilds the baselines that things have left: a whole fleet may
// have, and to withdraw the datapoints one by one takes too long.
func (e *Engine) refill() {
	if len(e.moved) == 0 {
		return
	}
	for b := range e.moved {
		b.baseline.windows, b.baseline.baseOf = nil, 0
	}
	for _, t := range e.things {
		if t.history == nil {
			continue
		}
		for i, b := range t.class.behaviors {
			if !e.moved[b] {
				continue
			}
			for _, c := range *t.contributions(int32(i)) {
				b.baseline.add(c.window, c.value)
			}
		}
	}
}

// place gives the thing the class of the profiles that apply to it.
func (e *Engine) place(t *thing) {
	key := make([]byte, (len(e.order)+7)/8)
	for i, p := range e.order {
		if p.appliesTo(t) {
			key[i/8] |= 1 << (i % 8)
		}
	}
	c := e.classes[string(key)]
	if c == nil {
		c = e.newClass(t)
		e.classes[string(key)] = c
	}
	e.move(t, c)
}

func (p *attached) appliesTo(t *thing) bool {
	return slices.ContainsFunc(p.targets, func(target profile.Target) bool { return target.Matches(&t.Thing) })
}

func (e *Engine) newClass(t *thing) *class {
	c := &class{byMetric: map[string][]int32{}, byDimension: map[profile.MetricRef][]int32{}}
	keys := map[profile.MetricRef]bool{}
	for _, p := range e.order {
		if !p.appliesTo(t) {
			continue
		}
		for _, b := range p.behaviors {
			i := int32(len(c.behaviors))
			c.behaviors = append(c.behaviors, b)
			if b.baseline == nil {
				c.statistical = append(c.statistical, -1)
			} else {
				c.statistical = append(c.statistical, int32(c.statistics))
				c.statistics++
			}
			if b.Ref.Dimension == "" {
				c.byMetric[b.Ref.Name] = append(c.byMetric[b.Ref.Name], i)
			} else {
				c.byDimension[b.Ref] = append(c.byDimension[b.Ref], i)
			}
		}
		for _, key := range p.retained {
			if key.Dimension == "" || e.dimensions[key.Dimension] != nil {
				keys[key] = true
			}
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(keys), profile.MetricRef.Compare) {
		c.tallies = append(c.tallies, tallyKey{MetricRef: key, topics: e.dimensions[key.Dimension], behaviors: c.positions(key)})
	}
	return c
}

// positions returns where the metric's behaviors are.
func (c *class) positions(metric profile.MetricRef) []int32 {
	if metric.Dimension == "" {
		return c.byMetric[metric.Name]
	}
	return c.byDimension[metric]
}
