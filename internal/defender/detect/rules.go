package detect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Rules are profiles and dimensions made ready. They do not change, and are safe
// for concurrent use.
type Rules struct {
	profiles    []*attached // by name
	dimensions  map[string]dimension
	behaviors   map[uint64]*behavior // by their marks, today's and version 0.1's
	unevaluated []Unevaluated
	refused     []Refused

	mu      sync.RWMutex
	classes map[string]*class // by the profiles that apply
}

// Refused is a profile that cannot be evaluated.
type Refused struct {
	Profile string
	Err     error
}

// attached is a profile and its behaviors made ready.
type attached struct {
	name        string
	revision    string
	targets     []profile.Target
	behaviors   []*behavior
	retained    []profile.MetricRef // cloud-side metrics to measure, sorted
	unevaluated []Unevaluated
}

// maxClasses is how many classes are remembered. There are as many as things
// have different sets of profiles.
const maxClasses = 1 << 12

// Compile makes profiles and dimensions ready. A profile that AWS would not
// take is left out; Refused says why.
func Compile(profiles []Attached, dimensions []profile.Dimension) *Rules {
	return new(Rules).Recompile(profiles, dimensions)
}

// Recompile is [Compile] for profiles of which r has most: one that r has by its
// name and revision is not checked and compiled again. Its registry has to be the
// one that it was compiled with. What it is attached to may have changed.
func (r *Rules) Recompile(profiles []Attached, dimensions []profile.Dimension) *Rules {
	ready := map[string]*attached{}
	var refused []Refused
	for _, a := range profiles {
		p, err := r.reuse(a), error(nil)
		if p == nil {
			p, err = compileProfile(a)
		}
		switch {
		case err != nil:
		case ready[p.name] != nil:
			err = fmt.Errorf("profile %q is there twice", p.name)
		default:
			ready[p.name] = p
			continue
		}
		name := ""
		if a.Profile != nil {
			name = a.Profile.Name
		}
		refused = append(refused, Refused{name, err})
	}
	filters := map[string]dimension{}
	for _, d := range dimensions {
		filters[d.Name] = newDimension(d.StringValues)
	}
	next := newRules(ready, filters)
	next.refused = refused
	return next
}

// reuse returns the profile as it was compiled before, and nil if it was not.
func (r *Rules) reuse(a Attached) *attached {
	if a.Profile == nil || a.Revision == "" {
		return nil
	}
	i, found := slices.BinarySearchFunc(r.profiles, a.Profile.Name, func(p *attached, name string) int { return strings.Compare(p.name, name) })
	if !found || r.profiles[i].revision != a.Revision {
		return nil
	}
	p := *r.profiles[i]
	p.targets = slices.Clone(a.Targets)
	return &p
}

func compileProfile(a Attached) (*attached, error) {
	if a.Profile == nil {
		return nil, errors.New("no profile")
	}
	for _, p := range a.Profile.Check(a.Registry) {
		if p.Severity == profile.Error {
			return nil, fmt.Errorf("profile %q: %v", a.Profile.Name, p)
		}
	}
	p := &attached{name: a.Profile.Name, revision: a.Revision, targets: slices.Clone(a.Targets), retained: retained(a.Profile)}
	for _, doc := range a.Profile.Behaviors {
		b, reason, err := compile(p.name, doc, a.Registry)
		switch {
		case err != nil:
			return nil, fmt.Errorf("profile %q: %w", p.name, err)
		case b == nil:
			p.unevaluated = append(p.unevaluated, Unevaluated{p.name, doc.Name, reason})
		default:
			p.behaviors = append(p.behaviors, b)
		}
	}
	return p, nil
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

func newRules(profiles map[string]*attached, dimensions map[string]dimension) *Rules {
	r := &Rules{dimensions: dimensions, behaviors: map[uint64]*behavior{}, classes: map[string]*class{}}
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		p := profiles[name]
		r.profiles = append(r.profiles, p)
		r.unevaluated = append(r.unevaluated, p.unevaluated...)
		for _, b := range p.behaviors {
			r.behaviors[b.mark01] = cmp.Or(r.behaviors[b.mark01], b)
			r.behaviors[b.mark] = b
			if b.Ref.Dimension != "" && dimensions[b.Ref.Dimension] == nil {
				r.unevaluated = append(r.unevaluated, Unevaluated{p.name, b.doc.Name, fmt.Sprintf("dimension %q is not known", b.Ref.Dimension)})
			}
		}
	}
	return r
}

// Refused lists the profiles that were left out, in their order.
func (r *Rules) Refused() []Refused { return r.refused }

// Unevaluated lists the behaviors that are kept and not evaluated, by profile
// and in its order.
func (r *Rules) Unevaluated() []Unevaluated { return r.unevaluated }

// Has reports whether there is a behavior of the mark; see Event. The alarms of
// one that is gone end.
func (r *Rules) Has(mark uint64) bool { return r.behaviors[mark] != nil }

// class is what things have in common to which the same profiles apply.
type class struct {
	behaviors   []*behavior
	byMark      map[uint64]int32              // positions in behaviors
	byMetric    map[string][]int32            // of metrics without dimension
	byDimension map[profile.MetricRef][]int32 // and with
	tallies     []tallyKey
	disconnects bool    // a tally measures how long they last
	statistical []int32 // position among the statistical behaviors, or -1
	statistics  int     // how many are statistical
}

// classOf returns the class of the profiles that apply to a thing.
func (r *Rules) classOf(t *profile.Thing) *class {
	var array [32]byte
	key := append(array[:0], make([]byte, (len(r.profiles)+7)/8)...)
	for i, p := range r.profiles {
		if p.appliesTo(t) {
			key[i/8] |= 1 << (i % 8)
		}
	}
	r.mu.RLock()
	c := r.classes[string(key)]
	r.mu.RUnlock()
	if c != nil {
		return c
	}
	c = r.newClass(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.classes[string(key)]; known != nil {
		return known
	}
	if len(r.classes) >= maxClasses {
		clear(r.classes)
	}
	r.classes[string(key)] = c
	return c
}

func (p *attached) appliesTo(t *profile.Thing) bool {
	return slices.ContainsFunc(p.targets, func(target profile.Target) bool { return target.Matches(t) })
}

func (r *Rules) newClass(applies []byte) *class {
	c := &class{byMark: map[uint64]int32{}, byMetric: map[string][]int32{}, byDimension: map[profile.MetricRef][]int32{}}
	keys := map[profile.MetricRef]bool{}
	for i, p := range r.profiles {
		if applies[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		for _, b := range p.behaviors {
			c.add(b)
		}
		for _, key := range p.retained {
			if key.Dimension == "" || r.dimensions[key.Dimension] != nil {
				keys[key] = true
			}
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(keys), profile.MetricRef.Compare) {
		c.tallies = append(c.tallies, tallyKey{MetricRef: key, topics: r.dimensions[key.Dimension], behaviors: c.positions(key)})
		c.disconnects = c.disconnects || key.Name == disconnectDuration
	}
	return c
}

func (c *class) add(b *behavior) {
	i := int32(len(c.behaviors))
	c.behaviors = append(c.behaviors, b)
	if _, known := c.byMark[b.mark01]; !known {
		c.byMark[b.mark01] = i
	}
	c.byMark[b.mark] = i
	if b.percentile == nil {
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

// positions returns where the metric's behaviors are.
func (c *class) positions(metric profile.MetricRef) []int32 {
	if metric.Dimension == "" {
		return c.byMetric[metric.Name]
	}
	return c.byDimension[metric]
}
