package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Evaluation collects what comes of calls on things. It is not safe for
// concurrent use.
type Evaluation struct {
	Baselines Baselines       // nil compares nothing with percentiles
	Trace     func(Datapoint) // called with every datapoint that is compared; may be nil

	Events []Event
	// Measured are the values of cloud-side metrics that profiles use or
	// retain, of the windows that ended.
	Measured []Observation
	// Ignored counts the measurements and cloud events that were dropped because
	// they were out of order or had the wrong type.
	Ignored int64
}

// Sort orders the events by time, thing, profile and behavior, and what was
// measured by time and thing.
func (e *Evaluation) Sort() {
	slices.SortStableFunc(e.Events, func(a, b Event) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Thing, b.Thing), strings.Compare(a.Profile, b.Profile), strings.Compare(a.Behavior.Name, b.Behavior.Name))
	})
	slices.SortStableFunc(e.Measured, func(a, b Observation) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Thing, b.Thing))
	})
}

func (e *Evaluation) before(key BaselineKey, window int32) *Base {
	if e.Baselines == nil {
		return nil
	}
	return e.Baselines.Before(key, window)
}

func (e *Evaluation) add(key BaselineKey, window int32, value float64) {
	if e.Baselines != nil {
		e.Baselines.Add(key, window, value)
	}
}

// emit adds an event.
func (e *Evaluation) emit(t *Thing, b *behavior, kind EventType, since, at int64, value *profile.Value, limit *float64) {
	e.Events = append(e.Events, Event{
		Type:        kind,
		ViolationID: violationID(b, t.Name, since),
		Thing:       t.Name,
		Profile:     b.profile,
		Behavior:    b.doc,
		Mark:        b.mark,
		Value:       value,
		Threshold:   limit,
		Time:        timeOf(at),
	})
}

// invalidate emits the end of an alarm that no datapoint ended.
func (e *Evaluation) invalidate(t *Thing, b *behavior, s *state, at int64) {
	e.emit(t, b, AlarmInvalidated, s.since, at, nil, nil)
}

// violationID is the same for the same violation wherever it is evaluated.
func violationID(b *behavior, thing string, since int64) string {
	text := strings.Join([]string{b.profile, b.doc.Name, thing, strconv.FormatInt(since, 10)}, "\x00")
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
