package explore

import (
	"fmt"

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
		views[i] = Violation(&list[i], KnownMetric(list[i].Behavior.Metric))
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
	text := ValueText(v.Behavior, *first, metric)
	if v.Value != nil {
		if last := ValueText(v.Behavior, *v.Value, metric); last != text {
			text += " at first, " + last + " last"
		}
	}
	return text
}

// ValueText is a value of a behavior's metric in words.
func ValueText(b profile.Behavior, value profile.Value, metric profile.Metric) string {
	all := profile.FormatValue(value, metric)
	norm, err := profile.NewNorm(b.Criteria, metric.Kind)
	if err != nil {
		return all
	}
	bad := norm.Offending(value)
	if some := bad.Len(); some > 0 && some < value.Len() {
		return fmt.Sprintf("%s (of %d)", profile.FormatValue(bad, metric), value.Len())
	}
	return all
}
