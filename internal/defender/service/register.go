package service

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// Register puts a thing into the registry, as CreateThing does, unless it is
// there.
func (s *Service) Register(thing string) error {
	if err := report.CheckThingName(thing); err != nil {
		return fmt.Errorf("registering a thing: %w", err)
	}
	err := s.write(func(tx *bbolt.Tx) error {
		if stored, err := get[storedThing](tx, bucketThings, thing); err != nil || stored != nil {
			return err
		}
		if err := put(tx, bucketThings, thing, &storedThing{ID: newID(), Version: 1, Created: s.now()}); err != nil {
			return err
		}
		return s.thingChanged(tx, thing)
	})
	if err != nil {
		return fmt.Errorf("registering thing %s: %w", thing, err)
	}
	return nil
}
