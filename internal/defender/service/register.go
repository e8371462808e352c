package service

import (
	"context"
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Register puts a thing into the registry, as CreateThing does, unless it is
// there.
func (s *Service) Register(ctx context.Context, thing string) error {
	if err := report.CheckThingName(thing); err != nil {
		return fmt.Errorf("registering a thing: %w", err)
	}
	err := s.write(ctx, func(tx *store.Tx) error {
		if there, err := tableThings.has(&tx.Reader, thing); err != nil || there {
			return err
		}
		if err := tableThings.Put(tx, thing, storedThing{ID: awsrest.NewID(), Version: 1, Created: s.now()}); err != nil {
			return err
		}
		return s.thingCreated(tx, thing)
	})
	if err != nil {
		return fmt.Errorf("registering thing %s: %w", thing, err)
	}
	return nil
}

// Enroll registers a thing unless it is there, or its name is none of the registry. It is
// cheap for one that is there.
func (s *Service) Enroll(ctx context.Context, thing string) error {
	if profile.CheckName(thing) != nil {
		return nil
	}
	there := false
	err := s.read(ctx, func(view *store.Reader) (err error) {
		there, err = tableThings.has(view, thing)
		return err
	})
	if err != nil || there {
		return err
	}
	if err := s.Register(ctx, thing); err != nil {
		return err
	}
	s.log.Info("thing registered by its report", "thing", thing)
	return nil
}
