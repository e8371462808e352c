package explore

import (
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

// Violation is a violation as pages and lists show it.
func Violation(v *finding.Violation, metric profile.Metric) render.Violation {
	return render.Violation{
		ID: v.ID, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior.Name, Metric: v.Behavior.Metric,
		State: render.State(v.State()), Expected: profile.Expectation(v.Behavior, metric), Seen: Seen(v, metric),
		Verification: v.Verification, VerificationNote: v.VerificationNote,
		Started: v.Started, LastSeen: v.LastSeen, Ended: v.Ended,
		Suppressed: v.Behavior.Suppressed(),
	}
}

// Violations are violations as lists show them: of a custom metric without its
// type, which would have to be asked for.
func Violations(list []finding.Violation) []render.Violation {
	views := make([]render.Violation, len(list))
	for i := range list {
		views[i] = Violation(&list[i], profile.KnownMetric(list[i].Behavior.Metric))
	}
	return views
}

// Seen says what was not normal: of a list, the elements that should not be
// there; of a number in alarm that changed since, both.
func Seen(v *finding.Violation, metric profile.Metric) string {
	first := v.Value
	for _, e := range v.Events {
		if e.Type == finding.InAlarm && e.Value != nil {
			first = e.Value
			break
		}
	}
	if first == nil {
		return ""
	}
	text := profile.ValueText(v.Behavior, *first, metric)
	if v.Value != nil {
		if last := profile.ValueText(v.Behavior, *v.Value, metric); last != text {
			text += " at first, " + last + " last"
		}
	}
	return text
}
