package service

import (
	"context"
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
// puts the end of a violation after its start, as both may have one time.
func eventKey(ev *detect.Event) string {
	key := store.TimeKey(ev.Time) + ev.ViolationID + "\x00"
	if ev.Type == detect.InAlarm {
		return key + "\x00"
	}
	return key + "\x01"
}

// splitEventKey returns the time and the violation of a key.
func splitEventKey(key string) (at time.Time, violation string) {
	at, _ = store.KeyTime(key)
	violation, _, _ = strings.Cut(key[8:], "\x00")
	return at, violation
}

// events stores events, and puts the alerts that they are worth into the
// outbox.
func (c *change) events(events []detect.Event) error {
	for i := range events {
		if err := c.event(&events[i]); err != nil {
			return fmt.Errorf("violation %s: %w", events[i].ViolationID, err)
		}
	}
	return nil
}

func (c *change) event(ev *detect.Event) error {
	v, err := tableViolations.find(&c.tx.Reader, ev.ViolationID)
	if err != nil {
		return err
	}
	if v == nil { // the first event, or the first after the others were pruned
		v = &storedViolation{Thing: ev.Thing, Profile: ev.Profile, Behavior: ev.Behavior, Start: ev.Time}
	}
	switch ev.Type {
	case detect.InAlarm:
		err = activate(c.tx, ev.ViolationID, v, storedActive{Value: ev.Value, Time: ev.Time})
	case detect.Ongoing:
		return tableActive.Put(c.tx, ev.ViolationID, storedActive{Value: ev.Value, Time: ev.Time})
	default:
		v.End = ev.Time
		err = deactivate(c.tx, ev.ViolationID, v)
	}
	if err != nil {
		return err
	}
	if err := tableViolations.Put(c.tx, ev.ViolationID, *v); err != nil {
		return err
	}
	if err := tableEvents.Put(c.tx, day(ev.Time), eventKey(ev), storedEvent{Type: ev.Type, Value: ev.Value}); err != nil {
		return err
	}
	c.tx.OnCommit(func() {
		c.s.log.Info("violation", "event", ev.Type, "thing", ev.Thing, "profile", ev.Profile, "behavior", ev.Behavior.Name, "id", ev.ViolationID)
	})
	return c.alert(ev)
}

// activate puts a violation among those that are active.
func activate(tx *store.Tx, id string, v *storedViolation, active storedActive) error {
	return errors.Join(
		tableActive.Put(tx, id, active),
		tableActiveByThing.Put(tx, pairKey(v.Thing, id), struct{}{}),
		tableActiveByProfile.Put(tx, pairKey(v.Profile, id), struct{}{}),
	)
}

// deactivate undoes activate.
func deactivate(tx *store.Tx, id string, v *storedViolation) error {
	return errors.Join(
		tableActive.Delete(tx, id),
		tableActiveByThing.Delete(tx, pairKey(v.Thing, id)),
		tableActiveByProfile.Delete(tx, pairKey(v.Profile, id)),
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

// dropBatch is how many rows are looked at in a transaction that prunes.
const dropBatch = 1000

// dropEvents forgets events of days that ended before the time, and the
// violations that have none left and are over.
func (s *Service) dropEvents(ctx context.Context, before time.Time) error {
	old, err := s.daysBefore(ctx, tableEvents.Days, before)
	for _, day := range old {
		if err == nil {
			err = s.dropViolations(ctx, day, before)
		}
		if err == nil {
			err = tableEvents.Drop(ctx, s.store, day)
		}
	}
	return err
}

// dropViolations forgets violations that have an event on the day and ended
// before the time.
func (s *Service) dropViolations(ctx context.Context, day store.Day, before time.Time) error {
	after := ""
	for {
		var ids []string
		var last string
		err := s.write(ctx, func(tx *store.Tx) error {
			ids = nil
			span := store.Range{Limit: dropBatch}.Resume(after)
			for ev, err := range eventKeys.Scan(&tx.Reader, day, span) {
				if err != nil {
					return err
				}
				_, id := splitEventKey(ev.Key)
				ids, last = append(ids, id), ev.Key
			}
			found, err := tableViolations.GetMany(&tx.Reader, ids)
			if err != nil {
				return err
			}
			for id, v := range found {
				if v.End.IsZero() || !v.End.Before(before) {
					continue
				}
				if err := tableViolations.Delete(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < dropBatch {
			return err
		}
		after = last
	}
}
