package service

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
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

// day names the bucket of a time.
func day(t time.Time) []byte { return []byte(t.UTC().Format(time.DateOnly)) }

// timeKey is a time as it stands in keys: their order is that of time.
func timeKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(0, t.UnixMilli())))
}

// keyTime is the inverse of timeKey.
func keyTime(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key))).UTC()
}

// eventKey begins with the time and goes on with the violation. The last byte
// puts the end of a violation after its start, as both may have one time.
func eventKey(ev *detect.Event) []byte {
	key := append(append(timeKey(ev.Time), ev.ViolationID...), 0)
	if ev.Type == detect.InAlarm {
		return append(key, 0)
	}
	return append(key, 1)
}

// splitEventKey returns the time and the violation of a key.
func splitEventKey(key []byte) (at time.Time, violation string) {
	id, _, _ := bytes.Cut(key[8:], []byte{0})
	return keyTime(key), string(id)
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
	v, err := get[storedViolation](c.tx, bucketViolations, ev.ViolationID)
	if err != nil {
		return err
	}
	if v == nil { // the first event, or the first after the others were pruned
		v = &storedViolation{Thing: ev.Thing, Profile: ev.Profile, Behavior: ev.Behavior, Start: ev.Time}
	}
	switch ev.Type {
	case detect.InAlarm, detect.Ongoing:
		err = put(c.tx, bucketActive, ev.ViolationID, storedActive{Value: ev.Value, Time: ev.Time})
	default:
		v.End = ev.Time
		err = c.tx.Bucket(bucketActive).Delete([]byte(ev.ViolationID))
	}
	if err != nil || ev.Type == detect.Ongoing {
		return err
	}
	if err := put(c.tx, bucketViolations, ev.ViolationID, v); err != nil {
		return err
	}
	days, err := c.tx.Bucket(bucketEventDays).CreateBucketIfNotExists(day(ev.Time))
	if err != nil {
		return err
	}
	record, err := json.Marshal(storedEvent{Type: ev.Type, Value: ev.Value})
	if err != nil {
		return err
	}
	if err := days.Put(eventKey(ev), record); err != nil {
		return err
	}
	c.s.log.Info("violation", "event", ev.Type, "thing", ev.Thing, "profile", ev.Profile, "behavior", ev.Behavior.Name, "id", ev.ViolationID)
	return c.alert(ev)
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

// dropEvents forgets events of days that ended before the time, and the
// violations that have none left and are over.
func dropEvents(tx *bbolt.Tx, before time.Time) error {
	return dropDays(tx.Bucket(bucketEventDays), before, func(b *bbolt.Bucket) error {
		return b.ForEach(func(key, _ []byte) error {
			_, id := splitEventKey(key)
			v, err := get[storedViolation](tx, bucketViolations, id)
			if err != nil || v == nil || v.End.IsZero() || !v.End.Before(before) {
				return err
			}
			return tx.Bucket(bucketViolations).Delete([]byte(id))
		})
	})
}
