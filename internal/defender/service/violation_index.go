package service

import (
	"errors"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// latestFirst is a time as a part of keys, the latest first.
func latestFirst(t time.Time) string {
	key := []byte(store.TimeKey(t))
	for i := range key {
		key[i] ^= 0xff
	}
	return string(key)
}

// byStart is the key of a violation among those of a name.
func byStart(name, id string, v *storedViolation) string {
	return pairKey(name, latestFirst(v.Start)+id)
}

// activeByStart is the key of a violation among all that are in alarm.
func activeByStart(id string, v *storedViolation) string {
	behavior := ""
	if v.Behavior != nil { // or it is damaged
		behavior = v.Behavior.Name
	}
	return latestFirst(v.Start) + strings.Join([]string{v.Thing, v.Profile, behavior, id}, "\x00")
}

// index puts a violation into the lists of its thing and profile.
func index(tx *store.Tx, id string, v *storedViolation) error {
	return errors.Join(
		tableByThing.Put(tx, byStart(v.Thing, id, v), struct{}{}),
		tableByProfile.Put(tx, byStart(v.Profile, id, v), struct{}{}),
	)
}

// forget deletes a violation.
func forget(tx *store.Tx, id string, v *storedViolation) error {
	return errors.Join(
		tableViolations.Delete(tx, id),
		tableByThing.Delete(tx, byStart(v.Thing, id, v)),
		tableByProfile.Delete(tx, byStart(v.Profile, id, v)),
	)
}
