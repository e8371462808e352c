package backtest

import (
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Result is what profiles would have told of a recording.
type Result struct {
	Recording    Summary        `json:"recording"`
	Behaviors    []Behavior     `json:"behaviors"` // in the order of the profiles
	NotEvaluated []NotEvaluated `json:"notEvaluated"`
	Events       []Event        `json:"events"` // in order of time, MaxEvents at most
	// EventsOmitted counts the events after those.
	EventsOmitted int `json:"eventsOmitted"`
}

// MaxEvents is how many events a result has; all are counted.
const MaxEvents = 10_000

// Alarms is the number of alarms of all behaviors.
func (r *Result) Alarms() (n int) {
	for _, b := range r.Behaviors {
		n += b.Alarms
	}
	return n
}

// Summary is what there is in a recording.
type Summary struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Things int       `json:"things"`
	Lines  int64     `json:"lines"`
	Values int64     `json:"values"` // of metrics
	// Ignored are values that the engine passed over: not newer than the one
	// before, such as what is recorded twice, or not of the metric's type.
	Ignored int64 `json:"ignored"`
}

// Behavior is what became of one behavior. A datapoint is here what is
// compared: a value, or what is accumulated in a window.
type Behavior struct {
	Profile    string           `json:"profile"`
	Name       string           `json:"behavior"`
	Metric     string           `json:"metric"`
	Expected   string           `json:"expected"` // in words
	Definition profile.Behavior `json:"-"`
	Model      profile.Metric   `json:"-"`

	Things      int     `json:"things"`
	ThingWeeks  float64 `json:"thingWeeks"` // the time of all things together
	Datapoints  int64   `json:"datapoints"`
	Violating   int64   `json:"violating"` // of the datapoints
	Alarms      int     `json:"alarms"`
	Cleared     int     `json:"cleared"`
	Invalidated int     `json:"invalidated"`
	// AlarmMinutes go from an alarm to its end, or that of the recording.
	AlarmMinutes       float64 `json:"alarmMinutes"`
	AlarmsPerThingWeek float64 `json:"alarmsPerThingWeek"`
	// InAlarm is the share of datapoints that leave their thing in alarm.
	InAlarm   float64       `json:"inAlarmShare"`
	Excessive bool          `json:"excessive"`
	ByThing   []ThingAlarms `json:"byThing"` // with alarms, the longest in alarm first
	// NearMisses counts the datapoints that conform and are within a tenth of
	// the threshold. Sets have none.
	NearMisses int64     `json:"nearMisses"`
	Closest    *NearMiss `json:"closest"`
	// Offending are the elements that should not be there, of a set: the
	// MaxOffending that come most often, of OffendingDistinct.
	Offending         []Offender   `json:"offending,omitempty"`
	OffendingDistinct int          `json:"offendingDistinct,omitempty"`
	Suggestions       []Suggestion `json:"suggestions"` // of an excessive behavior
	Notes             []string     `json:"notes"`
}

// MaxOffending is how many elements a result lists for a behavior.
const MaxOffending = 20

// ThingAlarms are the alarms of a thing under a behavior.
type ThingAlarms struct {
	Thing   string  `json:"thing"`
	Alarms  int     `json:"alarms"`
	Minutes float64 `json:"alarmMinutes"`
	Active  bool    `json:"active"` // in alarm at the end
}

// NearMiss is a datapoint that nearly violated.
type NearMiss struct {
	Thing     string    `json:"thing"`
	Time      time.Time `json:"time"`
	Value     float64   `json:"value"`
	Threshold float64   `json:"threshold"`
}

// Offender is an element of a list.
type Offender struct {
	Element    string `json:"element"`
	Datapoints int64  `json:"datapoints"` // that it made violate
}

// Suggestion is a change after which the behavior is not excessive on the
// recording.
type Suggestion struct {
	What     string           `json:"what"` // threshold, consecutive, statistic, operator, elements
	Criteria profile.Criteria `json:"criteria"`
	Expected string           `json:"expected"` // in words
	Alarms   int              `json:"alarms"`   // that it would have raised
	InAlarm  float64          `json:"inAlarmShare"`
	// Elements are what is added to the set or taken out of it.
	Elements []string `json:"elements,omitempty"`
}

// NotEvaluated is a behavior of which the recording tells nothing.
type NotEvaluated struct {
	Profile  string `json:"profile"`
	Behavior string `json:"behavior"`
	Reason   string `json:"reason"`
}

// Event is an event of a violation.
type Event struct {
	Time      time.Time        `json:"time"`
	Type      detect.EventType `json:"type"`
	Thing     string           `json:"thing"`
	Profile   string           `json:"profile"`
	Behavior  string           `json:"behavior"`
	Metric    string           `json:"metric"`
	Value     *profile.Value   `json:"value"` // null when invalidated
	Threshold *float64         `json:"threshold"`
}
