package backtest

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// maxSilence is how long a thing may be silent before the engine begins afresh.
const maxSilence = 48 * time.Hour

// pass is one reading of a recording.
type pass struct {
	options  Options
	engine   *detect.Engine
	plans    []*plan
	registry map[string]string // custom metrics
	// unknown are the custom metrics whose type is not known, with the reason
	// if a value has been seen already.
	unknown map[string]string
	used    map[profile.MetricRef]*usage // metrics of behaviors
	groups  map[string][]string          // by thing
	things  map[string]*seenThing        // by name
	tallies map[*profile.Behavior]*tally // by the engine's own documents

	now      *detect.Observation
	thing    *seenThing
	advanced time.Time

	values  int64
	events  []Event
	omitted int
}

// usage is a metric that behaviors use.
type usage struct {
	values int64
	cut    int64 // lists that do not have all of their entries
}

type seenThing struct {
	last   time.Time
	silent int // how often it was silent for so long
}

// tally is what comes of one behavior.
type tally struct {
	plan  *plan
	doc   profile.Behavior
	usage *usage
	norm  profile.Norm // nil without one
	list  bool         // compares lists
	keeps bool         // the values of datapoints

	datapoints, violating, inAlarm int64
	alarms, cleared, invalidated   int
	things                         map[string]*thingTally
	nearMisses                     int64
	closest                        *NearMiss
	closeness                      float64
	offending                      map[string]int64
	more                           bool // than maxOffending
}

// maxOffending is how many elements are counted for a behavior.
const maxOffending = 10_000

type thingTally struct {
	first, last time.Time
	alarms      int
	active      bool
	since       time.Time
	inAlarm     time.Duration
	values      []float64 // of datapoints; NaN where the engine began afresh
	silent      int
}

func newPass(o Options) *pass {
	p := &pass{
		options: o, engine: detect.New(), unknown: map[string]string{}, used: map[profile.MetricRef]*usage{},
		groups: map[string][]string{}, things: map[string]*seenThing{}, tallies: map[*profile.Behavior]*tally{},
	}
	for group, things := range o.Groups {
		for _, thing := range things {
			p.groups[thing] = append(p.groups[thing], group)
		}
	}
	p.engine.Trace(p.datapoint)
	return p
}

// read evaluates the recording.
func (p *pass) read(ctx context.Context, rec *Recording, progress func(lines int64)) error {
	p.registry = maps.Clone(p.registry)
	for _, plan := range p.plans {
		for _, t := range plan.tallies {
			p.use(t)
		}
	}
	for _, plan := range p.plans {
		if err := p.attach(plan); err != nil {
			return err
		}
	}
	var failed error
	err := rec.Read(ctx, progress, func(o *detect.Observation) {
		if failed == nil {
			failed = p.observe(o)
		}
	})
	if err != nil {
		return err
	}
	if failed == nil {
		p.advance(rec.To)
	}
	return failed
}

// use notes the metric of a behavior.
func (p *pass) use(t *tally) {
	metric := t.doc.Ref()
	if norm, err := profile.NewNorm(t.doc.Criteria, ""); err == nil {
		t.norm, t.list = norm, norm.Kind().List()
	}
	if _, known := profile.MetricOf(metric.Name, profile.Registry{CustomMetrics: p.registry}); !known && metric.Name != "" {
		p.unknown[metric.Name] = ""
	}
	if metric.Dimension != "" {
		// Which topics it has does not matter: what was recorded is counted.
		p.engine.SetDimension(profile.Dimension{Name: metric.Dimension, StringValues: []string{"#"}})
	}
	if p.used[metric] == nil {
		p.used[metric] = &usage{}
	}
	t.usage = p.used[metric]
}

// observe evaluates a line.
func (p *pass) observe(o *detect.Observation) error {
	p.advance(o.Time)
	p.now = o
	p.thing = p.things[o.Thing]
	if p.thing == nil {
		p.thing = &seenThing{}
		p.things[o.Thing] = p.thing
		p.engine.SetThing(*p.registered(o.Thing))
	}
	if len(o.Measurements) > 0 {
		if !p.thing.last.IsZero() && o.Time.Sub(p.thing.last) > maxSilence {
			p.thing.silent++
		}
		p.thing.last = o.Time
	}
	p.values += int64(len(o.Measurements))
	for i := range o.Measurements {
		m := &o.Measurements[i]
		if u := p.used[m.Metric]; u != nil {
			u.values++
			if m.Cut != nil {
				u.cut++
			}
		}
		if reason, unknown := p.unknown[m.Metric.Name]; unknown && reason == "" {
			if err := p.learn(m.Metric.Name, m.Value); err != nil {
				return err
			}
		}
	}
	p.take(p.engine.Observe(*o))
	return nil
}

// registered returns a thing of the recording: they are taken for things of the
// registry.
func (p *pass) registered(name string) *profile.Thing {
	return &profile.Thing{Name: name, Registered: true, Groups: p.groups[name]}
}

// advance lets time go on: alarms of things that are silent end.
func (p *pass) advance(to time.Time) {
	if to.After(p.advanced) {
		p.advanced = to
		p.take(p.engine.Advance(to).Events)
	}
}

func (p *pass) tallyOf(profileName, behavior string) *tally {
	for _, plan := range p.plans {
		if plan.name != profileName {
			continue
		}
		for _, t := range plan.tallies {
			if t.doc.Name == behavior {
				return t
			}
		}
	}
	return nil
}

// of returns the tally of a behavior as the engine has it.
func (p *pass) of(profileName string, doc *profile.Behavior) *tally {
	t := p.tallies[doc]
	if t == nil {
		t = p.tallyOf(profileName, doc.Name)
		p.tallies[doc] = t
	}
	return t
}

// datapoint counts what the engine compared.
func (p *pass) datapoint(d detect.Datapoint) {
	t := p.of(d.Profile, d.Behavior)
	thing := t.things[d.Thing]
	if thing == nil {
		thing = &thingTally{first: d.Time}
		t.things[d.Thing] = thing
	}
	thing.last = d.Time
	t.datapoints++
	if thing.active {
		t.inAlarm++
	}
	switch {
	case !d.Conforms:
		t.violating++
		if t.list {
			t.offend(p.now)
		}
	case !t.list:
		t.near(d)
	}
	if thing.silent != p.thing.silent {
		thing.silent = p.thing.silent
		if thing.values != nil {
			thing.values = append(thing.values, math.NaN())
		}
	}
	if t.keeps {
		thing.values = append(thing.values, d.Value)
	}
}

// nearly is how near to the threshold a near miss is.
const nearly = 0.1

func (t *tally) near(d detect.Datapoint) {
	if d.Threshold == 0 {
		return
	}
	away := math.Abs(d.Value-d.Threshold) / math.Abs(d.Threshold)
	if away > nearly {
		return
	}
	t.nearMisses++
	if t.closest == nil || away < t.closeness {
		t.closeness = away
		t.closest = &NearMiss{d.Thing, d.Time, d.Value, d.Threshold}
	}
}

// offend counts the elements that should not be there.
func (t *tally) offend(o *detect.Observation) {
	i := slices.IndexFunc(o.Measurements, func(m detect.Measurement) bool { return m.Metric == t.doc.Ref() })
	if i < 0 {
		return
	}
	if t.offending == nil {
		t.offending = map[string]int64{}
	}
	elements := slices.Sorted(slices.Values(t.norm.Offending(o.Measurements[i].Value).Elements()))
	for _, e := range slices.Compact(elements) {
		if _, known := t.offending[e]; !known && len(t.offending) >= maxOffending {
			t.more = true
			continue
		}
		t.offending[e]++
	}
}

// take counts events.
func (p *pass) take(events []detect.Event) {
	for i := range events {
		e := &events[i]
		if e.Type == detect.Ongoing {
			continue
		}
		t := p.of(e.Profile, e.Behavior)
		thing := t.things[e.Thing]
		switch e.Type {
		case detect.InAlarm:
			t.alarms++
			t.inAlarm++
			thing.alarms++
			thing.active, thing.since = true, e.Time
		case detect.AlarmCleared:
			t.cleared++
			t.inAlarm--
			thing.end(e.Time)
		case detect.AlarmInvalidated:
			t.invalidated++
			thing.end(e.Time)
		}
		if len(p.events) == MaxEvents {
			p.omitted++
			continue
		}
		p.events = append(p.events, Event{e.Time, e.Type, e.Thing, e.Profile, e.Behavior.Name, e.Behavior.Metric, e.Value, e.Threshold})
	}
}

func (t *thingTally) end(at time.Time) {
	t.active = false
	t.inAlarm += at.Sub(t.since)
}
