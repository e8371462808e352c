package backtest

import (
	"context"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Options say how to evaluate.
type Options struct {
	// MaxAlarmsPerWeek is how many alarms of a behavior a thing may have in a
	// week before the behavior is excessive.
	MaxAlarmsPerWeek float64
	// Groups are the things that are in thing groups, by the group's name.
	Groups map[string][]string
	// AllThings evaluates every profile for all things, whatever its targets.
	AllThings bool
	// Progress hears how many lines are done, of how many. They are read a
	// second time, in a trial, if a behavior is excessive. Nil is nobody.
	Progress func(trial bool, done, lines int64)
}

// mostInAlarm is the largest share of datapoints in alarm of a behavior that is
// not excessive.
const mostInAlarm = 0.1

// Run evaluates profiles, which have been validated. The registry has the custom
// metrics that are known beforehand; the types of others are taken from the
// recording.
func Run(ctx context.Context, profiles []profile.Profile, registry profile.Registry, rec *Recording, o Options) (*Result, error) {
	if o.Progress == nil {
		o.Progress = func(bool, int64, int64) {}
	}
	first := newPass(o)
	first.registry = registry.CustomMetrics
	for i := range profiles {
		first.plans = append(first.plans, planOf(&profiles[i], o))
	}
	if err := first.read(ctx, rec, func(done int64) { o.Progress(false, done, rec.Lines) }); err != nil {
		return nil, err
	}
	result := first.result(rec)

	second := newPass(o)
	second.registry = first.registry
	var all []*trial
	for i := range result.Behaviors {
		if b := &result.Behaviors[i]; b.Excessive {
			trials := trialsOf(b, first.tallyOf(b.Profile, b.Name), o)
			for _, t := range trials {
				second.plans = append(second.plans, t.plan(len(all)))
				all = append(all, t)
			}
		}
	}
	if len(all) == 0 {
		return result, nil
	}
	if err := second.read(ctx, rec, func(done int64) { o.Progress(true, done, rec.Lines) }); err != nil {
		return nil, err
	}
	for i, t := range all {
		t.conclude(second.plans[i].tallies[0])
	}
	return result, nil
}
