package alert

import (
	"fmt"
	"path"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/finding"
)

// Filter says which alerts a channel gets. Each list that is not empty has to have
// one that fits. Names may have the wildcards of [path.Match].
type Filter struct {
	Profiles  []string
	Behaviors []string
	Things    []string
	Groups    []string // thing groups, with those that are above them
	Events    []string // types of events, see EventTypes
}

// EventTypes are the types of events.
var EventTypes = []string{finding.InAlarm, finding.AlarmCleared, finding.AlarmInvalidated}

// Takes reports whether the channel gets the alert of a thing in these groups.
func (f *Filter) Takes(a *Alert, groups []string) bool {
	return fits(f.Profiles, a.Profile) && fits(f.Behaviors, a.Behavior.Name) && fits(f.Things, a.Thing) &&
		fits(f.Groups, groups...) && fits(f.Events, a.Type)
}

// fits reports whether one of the patterns is for one of the names.
func fits(patterns []string, names ...string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			matched, err := path.Match(pattern, name)
			return err == nil && matched
		})
	})
}

// CheckPattern says whether a name may be looked for with the pattern.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return fmt.Errorf("%q is not a pattern: want a name, which may have * and ?", pattern)
	}
	return nil
}
