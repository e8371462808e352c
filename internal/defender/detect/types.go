package detect

import (
	"net/netip"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Attached is a security profile and what it is attached to.
type Attached struct {
	Profile  *profile.Profile
	Targets  []profile.Target
	Registry profile.Registry // the custom metrics and dimensions that it may use
	// Revision tells documents of one name apart, see [Rules.Recompile]. Empty is
	// one that is like no other.
	Revision string
}

// Measurement is one value of one metric. A list that is nil was not
// measured; an empty one was, and is empty.
type Measurement struct {
	Metric profile.MetricRef
	Value  profile.Value
	Cut    *profile.Cut // of a list that does not have all entries; nil is a whole one

	addrs []netip.Addr // Value.CIDRs, parsed and sorted; nil when they are still to be
}

// Observation is what was measured of one thing at one time.
type Observation struct {
	Thing        string
	Time         time.Time
	Measurements []Measurement
}

// CloudEventType says what the cloud saw a thing do.
type CloudEventType int

// What the cloud sees.
const (
	Connect              CloudEventType = iota + 1 // a connection was made
	Disconnect                                     // and ended
	AuthorizationFailure                           // without a topic, it was a connection that was refused
	Publish                                        // a message from the thing
	Deliver                                        // a message to the thing
)

// CloudEvent is one thing that happened between a thing and the cloud.
type CloudEvent struct {
	Thing    string
	Time     time.Time
	Type     CloudEventType
	Topic    string     // of a message, or of what was not authorized
	Bytes    int        // length of the message's payload
	SourceIP netip.Addr // the zero Addr is unknown
	ClientID string     // "" is the thing's name
}

// Outcome is what an Engine answers to events in the cloud and to time passing.
type Outcome struct {
	Events []Event // by time, thing, profile and behavior
	// Measured are the values of cloud-side metrics that profiles use or
	// retain, of the windows that ended; by time and thing. What Engine.Observe
	// ended is in the next Outcome.
	Measured []Observation
}

// EventType is what happened to a violation, as AWS spells it.
type EventType string

// The three types of AWS, and Ongoing.
const (
	InAlarm          EventType = "in-alarm"
	AlarmCleared     EventType = "alarm-cleared"
	AlarmInvalidated EventType = "alarm-invalidated"
	// Ongoing says that a thing in alarm violated the behavior again. AWS has
	// no such event: it shows in a violation's last value and time only.
	Ongoing EventType = "ongoing"
)

// Event is one step in the life of a violation.
type Event struct {
	Type EventType
	// ViolationID is the same in all events of a violation: 32 hexadecimal
	// digits, made from profile, behavior, thing and the start.
	ViolationID string
	Thing       string
	Profile     string
	Behavior    *profile.Behavior // not to be modified
	// Mark tells the behavior from every one that is evaluated differently, in
	// this profile or in another one; see Rules.Has.
	Mark uint64
	// Value is the measurement that made the event, accumulated over the
	// behavior's duration. It is nil when the alarm was invalidated.
	Value *profile.Value
	// Threshold is the number that the value was compared with; of a
	// statistical threshold, the percentile. It is nil for sets.
	Threshold *float64
	Time      time.Time
}

// Unevaluated is a behavior that is kept and not evaluated.
type Unevaluated struct {
	Profile  string
	Behavior string
	Reason   string
}

// Datapoint is one comparison of a measurement with what is normal.
type Datapoint struct {
	Thing    string
	Profile  string
	Behavior *profile.Behavior // not to be modified
	Time     time.Time
	// Value is the number that was compared; of a set, how many of the
	// elements are not as they should be.
	Value     float64
	Threshold float64 // 0 for sets
	Conforms  bool
}
