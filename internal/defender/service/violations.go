package service

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// storedViolation is what a violation's events share. It is kept as long as
// one of them is.
type storedViolation struct {
	Thing    string            `json:"thing"`
	Profile  string            `json:"profile"`
	Behavior *profile.Behavior `json:"behavior"`
	Start    time.Time         `json:"start"`
	End      time.Time         `json:"end,omitzero"` // zero while it is active

	// Topic is the profile's alert target when the last event happened: the
	// profile may be gone when the alarm ends.
	Topic string `json:"topic,omitempty"`
	// Groups are those of the thing when the alarm began, if channels ask for them:
	// whoever was told of that is told of the end, wherever the thing is by then.
	Groups []string `json:"groups,omitempty"`

	Verification string `json:"verification,omitempty"` // empty is UNKNOWN
	Description  string `json:"description,omitempty"`
}

// suppressed reports whether the violation's alerts are not sent.
func (v *storedViolation) suppressed() bool {
	return v.Behavior.Suppressed()
}

// storedActive is what changes while a violation lasts.
type storedActive struct {
	Value *profile.Value `json:"value,omitempty"`
	Time  time.Time      `json:"time"`
}

// storedEvent is what an event has of its own. Its time and its violation are
// in the key.
type storedEvent struct {
	Type  detect.EventType `json:"type"`
	Value *profile.Value   `json:"value,omitempty"`
}

// day is the day whose rows a time belongs to. The zero day is none: a clock that
// has never been set begins in it.
func day(t time.Time) store.Day { return max(1, store.DayOf(t)) }

// eventKey begins with the time and goes on with the violation. The last byte
// puts the end of a violation after its start, as both may have one time. A
// violation has no other events.
func eventKey(at time.Time, violation string, end bool) string {
	key := store.TimeKey(at) + violation + "\x00"
	if end {
		return key + "\x01"
	}
	return key + "\x00"
}

// splitEventKey is the inverse of eventKey.
func splitEventKey(key string) (at time.Time, violation string, end bool) {
	at, _ = store.KeyTime(key)
	violation, kind, _ := strings.Cut(key[8:], "\x00")
	return at, violation, kind == "\x01"
}

// events stores events, and puts the alerts that they are worth into the
// outbox.
func (b *batch) events(events []detect.Event) error {
	for i := range events {
		if err := b.event(&events[i]); err != nil {
			return fmt.Errorf("violation %s: %w", events[i].ViolationID, err)
		}
	}
	return nil
}

func (b *batch) event(ev *detect.Event) error {
	if ev.Type == detect.Ongoing {
		return tableActive.Put(b.tx, ev.ViolationID, storedActive{Value: ev.Value, Time: ev.Time})
	}
	v, err := tableViolations.find(&b.tx.Reader, ev.ViolationID)
	if err != nil {
		return err
	}
	if v == nil { // the first event, or the first after the others were pruned
		v = &storedViolation{Thing: ev.Thing, Profile: ev.Profile, Behavior: ev.Behavior, Start: ev.Time}
		if err := index(b.tx, ev.ViolationID, v); err != nil {
			return err
		}
	}
	if topic, there := b.rules.topic(ev.Profile); there {
		v.Topic = topic
	}
	if ev.Type == detect.InAlarm {
		v.Groups = b.groupsForChannels(ev.Thing)
		err = activate(b.tx, ev.ViolationID, v, storedActive{Value: ev.Value, Time: ev.Time})
	} else {
		v.End = ev.Time
		err = deactivate(b.tx, ev.ViolationID, v)
	}
	if err != nil {
		return err
	}
	if err := tableViolations.Put(b.tx, ev.ViolationID, *v); err != nil {
		return err
	}
	if err := tableEvents.Put(b.tx, day(ev.Time), eventKey(ev.Time, ev.ViolationID, ev.Type != detect.InAlarm), storedEvent{Type: ev.Type, Value: ev.Value}); err != nil {
		return err
	}
	b.tx.OnCommit(func() {
		b.s.tallies.events.add(EventName{ev.Profile, ev.Behavior.Name, string(ev.Type)}, EventName{Other, Other, string(ev.Type)}, 1)
		b.s.log.Info("violation", "event", ev.Type, "thing", ev.Thing, "profile", ev.Profile, "behavior", ev.Behavior.Name, "id", ev.ViolationID)
	})
	return b.alert(ev, v)
}

// activate puts a violation among those that are active.
func activate(tx *store.Tx, id string, v *storedViolation, active storedActive) error {
	return errors.Join(
		tableActive.Put(tx, id, active),
		tableActiveByThing.Put(tx, pairKey(v.Thing, id), struct{}{}),
		tableActiveByProfile.Put(tx, pairKey(v.Profile, id), struct{}{}),
		tableActiveByStart.Put(tx, activeByStart(id, v), struct{}{}),
	)
}

// deactivate undoes activate.
func deactivate(tx *store.Tx, id string, v *storedViolation) error {
	return errors.Join(
		tableActive.Delete(tx, id),
		tableActiveByThing.Delete(tx, pairKey(v.Thing, id)),
		tableActiveByProfile.Delete(tx, pairKey(v.Profile, id)),
		tableActiveByStart.Delete(tx, activeByStart(id, v)),
	)
}

const machineLearning = "MACHINE_LEARNING"

// criteriaType is what the API calls the kind of threshold.
func criteriaType(b *profile.Behavior) string {
	switch c := b.Criteria; {
	case c == nil:
		return ""
	case c.StatisticalThreshold != nil:
		return "STATISTICAL"
	case c.MLDetectionConfig != nil:
		return machineLearning
	default:
		return "STATIC"
	}
}
