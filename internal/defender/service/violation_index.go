package service

import (
	"context"
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

// indexAll puts the violations of a database that was written without these
// indexes into them.
func (s *Service) indexAll(ctx context.Context) error {
	indexed := false
	err := s.read(ctx, func(view *store.Reader) (err error) {
		indexed, err = tableMeta.has(view, metaIndexed)
		return err
	})
	for after := ""; err == nil && !indexed; {
		last := after
		err = s.write(ctx, func(tx *store.Tx) error {
			n := 0
			for v, err := range tableViolations.Scan(&tx.Reader, store.Range{Limit: pruneStep}.Resume(after)) {
				if err != nil {
					return err
				}
				if err := index(tx, v.Key, &v.Value); err != nil {
					return err
				}
				active, err := tableActive.has(&tx.Reader, v.Key)
				if err != nil {
					return err
				}
				if active {
					if err := tableActiveByStart.Put(tx, activeByStart(v.Key, &v.Value), struct{}{}); err != nil {
						return err
					}
				}
				n, last = n+1, v.Key
			}
			if indexed = n < pruneStep; indexed {
				return tableMeta.Put(tx, metaIndexed, 1)
			}
			return nil
		})
		after = last
	}
	return err
}
