package backtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// plan is a profile to evaluate.
type plan struct {
	name    string
	targets []profile.Target
	reason  string   // why nothing of it is evaluated, "" if it is
	notes   []string // what a reader must know of its targets
	tallies []*tally // its behaviors
}

// planOf finds out for which things of the recording a profile is.
func planOf(p *profile.Profile, o Options) *plan {
	plan := &plan{name: p.Name}
	for _, b := range p.Behaviors {
		b.ExportMetric = nil // needs what is nothing to us
		plan.add(b)
	}
	everything := []profile.Target{{Kind: profile.AllThings}}
	switch {
	case o.AllThings || p.Targets == nil:
		plan.targets = everything
		return plan
	case len(p.Targets) == 0:
		plan.reason = "its list of targets is empty"
		return plan
	}
	var missing []string
	for _, text := range p.Targets {
		t, err := profile.ParseTarget(text)
		switch {
		case err != nil:
			missing = append(missing, text) // Validate has told
		case t.Kind == profile.AllThings || t.Kind == profile.AllRegistered:
			plan.targets = everything
			return plan
		case t.Kind == profile.ThingGroup && len(o.Groups[t.Group]) > 0:
			plan.targets = append(plan.targets, t)
		case t.Kind == profile.ThingGroup:
			missing = append(missing, "thing group "+t.Group+" (what is in it is not known)")
		default:
			missing = append(missing, t.Short()+" (recorded things are taken for registered ones)")
		}
	}
	text := strings.Join(missing, ", ")
	if len(plan.targets) == 0 {
		plan.reason = "none of its targets is in the recording: " + text
	} else if len(missing) > 0 {
		plan.notes = append(plan.notes, "without "+text)
	}
	return plan
}

// add adds a behavior.
func (p *plan) add(b profile.Behavior) *tally {
	t := &tally{plan: p, doc: b, things: map[string]*thingTally{}}
	p.tallies = append(p.tallies, t)
	return t
}

// attach gives the engine the profile with those of its behaviors whose metric
// is known.
func (p *pass) attach(plan *plan) error {
	if plan.reason != "" {
		return nil
	}
	reduced := &profile.Profile{Name: plan.name}
	for _, t := range plan.tallies {
		if _, unknown := p.unknown[t.doc.Metric]; !unknown {
			reduced.Behaviors = append(reduced.Behaviors, t.doc)
		}
	}
	return p.engine.SetProfile(detect.Attached{
		Profile: reduced, Targets: plan.targets, Registry: profile.Registry{CustomMetrics: p.registry},
	})
}

// typeOf returns the type of a custom metric that is recorded so.
func typeOf(kind profile.Kind) (string, bool) {
	types := map[profile.Kind]string{
		profile.Number: profile.NumberType, profile.Numbers: profile.NumberList,
		profile.Strings: profile.StringList, profile.CIDRs: profile.IPAddressList,
	}
	t, ok := types[kind]
	return t, ok
}

// learn takes the type of a custom metric from its first value.
func (p *pass) learn(metric string, v profile.Value) error {
	kind := v.Kind()
	if kind == "" {
		return nil
	}
	metricType, ok := typeOf(kind)
	if !ok {
		p.unknown[metric] = fmt.Sprintf("%s is recorded with %s, which no custom metric has", metric, kind)
		return nil
	}
	p.registry[metric] = metricType
	delete(p.unknown, metric)
	for _, plan := range p.plans {
		if !slices.ContainsFunc(plan.tallies, func(t *tally) bool { return t.doc.Metric == metric }) {
			continue
		}
		if err := p.attach(plan); err != nil {
			// The behavior is not one for values of this type.
			delete(p.registry, metric)
			p.unknown[metric] = fmt.Sprintf("%s is recorded as %s: %v", metric, metricType, err)
			break
		}
	}
	if _, failed := p.unknown[metric]; !failed {
		return nil
	}
	// Of the profiles before, take it out again.
	for _, plan := range p.plans {
		if err := p.attach(plan); err != nil {
			return err
		}
	}
	return nil
}
