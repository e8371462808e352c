package backtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

const (
	week = 7 * 24 * time.Hour
	// reportInterval is how long a value without a duration stands for.
	reportInterval = 5 * time.Minute
	// fewThings are so few that a percentile of them says little.
	fewThings = 10
)

// result puts together what was found.
func (p *pass) result(rec *Recording) *Result {
	r := &Result{
		Recording: Summary{
			From: rec.From.UTC(), To: rec.To.UTC(), Things: len(p.things), Lines: rec.Lines, Values: p.values, Ignored: p.engine.Ignored(),
		},
		Behaviors: []Behavior{}, NotEvaluated: []NotEvaluated{}, Events: append([]Event{}, p.events...), EventsOmitted: p.omitted,
	}
	unevaluated := map[[2]string]string{}
	for _, u := range p.engine.Unevaluated() {
		unevaluated[[2]string{u.Profile, u.Behavior}] = u.Reason
	}
	for _, plan := range p.plans {
		for _, t := range plan.tallies {
			if t.datapoints > 0 {
				r.Behaviors = append(r.Behaviors, p.behavior(plan, t, rec))
				continue
			}
			reason := cmp.Or(plan.reason, unevaluated[[2]string{plan.name, t.doc.Name}], p.reason(plan, t))
			r.NotEvaluated = append(r.NotEvaluated, NotEvaluated{plan.name, t.doc.Name, reason})
		}
	}
	return r
}

// reason says why a behavior has no datapoint.
func (p *pass) reason(plan *plan, t *tally) string {
	metric := t.doc.Ref()
	if reason := p.unknown[t.doc.Metric]; reason != "" {
		return reason
	}
	if t.usage.values == 0 {
		return fmt.Sprintf("no value of %v in the recording", metric)
	}
	if !slices.ContainsFunc(plan.targets, func(target profile.Target) bool {
		for name := range p.things {
			if target.Matches(p.registered(name)) {
				return true
			}
		}
		return false
	}) {
		return "none of the things that it is for is in the recording"
	}
	switch c := t.doc.Criteria; {
	case t.usage.cut > 0:
		return fmt.Sprintf("no list of %v is whole or violates: %d of %d are cut", metric, t.usage.cut, t.usage.values)
	case c != nil && c.StatisticalThreshold != nil:
		return fmt.Sprintf("too few things, or too short a recording, for a percentile: it takes 10 datapoints of windows before (%s)", things(len(p.things)))
	case c != nil && c.DurationSeconds != nil:
		return fmt.Sprintf("no value of %v makes a datapoint: none of its things reports it, or no window of %d seconds is complete", metric, *c.DurationSeconds)
	}
	return fmt.Sprintf("no value of %v is of its type, or of a thing that it is for", metric)
}

func things(n int) string {
	if n == 1 {
		return "1 thing"
	}
	return fmt.Sprintf("%d things", n)
}

// behavior sums up one behavior.
func (p *pass) behavior(plan *plan, t *tally, rec *Recording) Behavior {
	model, _ := profile.MetricOf(t.doc.Metric, profile.Registry{CustomMetrics: p.registry})
	b := Behavior{
		Profile: plan.name, Name: t.doc.Name, Metric: t.doc.Metric, Expected: profile.Expectation(t.doc, model), Definition: t.doc, Model: model,
		Things: len(t.things), Datapoints: t.datapoints, Violating: t.violating,
		Alarms: t.alarms, Cleared: t.cleared, Invalidated: t.invalidated, InAlarm: share(t.inAlarm, t.datapoints),
		NearMisses: t.nearMisses, Closest: t.closest, OffendingDistinct: len(t.offending),
		ByThing: []ThingAlarms{}, Suggestions: []Suggestion{}, Notes: append([]string{}, plan.notes...),
	}
	window := cmp.Or(t.doc.Criteria.Duration(), reportInterval)
	var observed, inAlarm time.Duration
	for _, name := range slices.Sorted(maps.Keys(t.things)) {
		thing := t.things[name]
		observed += thing.last.Sub(thing.first) + window
		if thing.alarms == 0 {
			continue
		}
		minutes := thing.inAlarm
		if thing.active {
			minutes += rec.To.Sub(thing.since)
		}
		inAlarm += minutes
		b.ByThing = append(b.ByThing, ThingAlarms{name, thing.alarms, minutes.Minutes(), thing.active})
	}
	slices.SortStableFunc(b.ByThing, func(a, b ThingAlarms) int { return cmp.Compare(b.Minutes, a.Minutes) })
	b.AlarmMinutes = inAlarm.Minutes()
	b.ThingWeeks = observed.Hours() / week.Hours()
	b.AlarmsPerThingWeek = float64(b.Alarms) / b.ThingWeeks
	b.Excessive = b.Alarms > 0 && limits{b.ThingWeeks * p.options.MaxAlarmsPerWeek}.excessive(outcome{t.alarms, t.inAlarm, t.datapoints})
	for _, e := range t.offenders()[:min(len(t.offending), MaxOffending)] {
		b.Offending = append(b.Offending, Offender{e, t.offending[e]})
	}
	if t.more {
		b.Notes = append(b.Notes, fmt.Sprintf("more than %d elements should not be there; the first of them are counted", maxOffending))
	}
	if t.list && t.usage.cut > 0 {
		b.Notes = append(b.Notes, fmt.Sprintf("%d of %d lists are cut, shorter than their total: they may raise an alarm and never clear one", t.usage.cut, t.usage.values))
	}
	if s := t.doc.Criteria.StatisticalThreshold; s != nil && b.Things < fewThings {
		b.Notes = append(b.Notes, fmt.Sprintf("%s is of %s only, and of their past", s.Statistic, things(b.Things)))
	}
	return b
}
