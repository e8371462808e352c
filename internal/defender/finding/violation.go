package finding

import (
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// How long AWS keeps what Detect found, and our service like it.
const (
	ViolationRetention = 30 * 24 * time.Hour
	ValueRetention     = 14 * 24 * time.Hour
)

// Event types of a violation, as AWS spells them.
const (
	InAlarm          = "in-alarm"
	AlarmCleared     = "alarm-cleared"
	AlarmInvalidated = "alarm-invalidated"
)

// Violation is one violation, put together from the list of active ones and
// from events: AWS has no operation that describes one.
type Violation struct {
	ID       string
	Thing    string
	Profile  string
	Behavior profile.Behavior
	// Active says that the thing is in alarm.
	Active bool
	// Value is the last value known that was not normal; nil when no event or
	// list carries one.
	Value *profile.Value
	// Started is zero when the start is older than what was read. LastSeen is
	// the time of Value. Ended is zero while in alarm.
	Started, LastSeen, Ended time.Time
	// Verification is FALSE_POSITIVE, BENIGN_POSITIVE, TRUE_POSITIVE or UNKNOWN.
	Verification     string
	VerificationNote string
	Events           []Event // in order of time; empty when none were read
}

// State is the type of the violation's last event.
func (v *Violation) State() string {
	if v.Active || len(v.Events) == 0 {
		return InAlarm
	}
	return v.Events[len(v.Events)-1].Type
}

// Event is one step in a violation.
type Event struct {
	Time  time.Time
	Type  string         // InAlarm, AlarmCleared or AlarmInvalidated
	Value *profile.Value // nil in AlarmInvalidated
}

// Settle orders the events and takes from them when the violation began, what
// was last seen and when it ended.
func (v *Violation) Settle() {
	slices.SortStableFunc(v.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	for _, e := range v.Events {
		switch e.Type {
		case InAlarm:
			if v.Started.IsZero() {
				v.Started = e.Time
			}
			if e.Time.After(v.LastSeen) && e.Value != nil {
				v.LastSeen, v.Value = e.Time, e.Value
			}
		case AlarmCleared, AlarmInvalidated:
			v.Ended = e.Time
		}
	}
	if v.State() == InAlarm {
		v.Ended = time.Time{}
	}
}

// Last is the time of the last event.
func (v *Violation) Last() time.Time { return v.Events[len(v.Events)-1].Time }
