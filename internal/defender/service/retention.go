package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// How long things are kept (AWS General Reference, quotas of Detect).
const (
	keepValues     = 14 * 24 * time.Hour
	keepViolations = 30 * 24 * time.Hour
	keepTasks      = 90 * 24 * time.Hour
)

// prune forgets what is older than AWS keeps it. Days go as a whole; what is
// too old in a day that still counts, the operations don't list. While the clock
// can't be right, nothing goes.
func (s *Service) prune(ctx context.Context) error {
	now := s.now()
	s.watchClock(ctx, now)
	if leap := s.clock.leapt(); leap > 0 {
		s.log.Error(leapText(leap), "clock", now)
		return nil
	}
	// Each is a transaction: on a disk that is full, what one can't delete
	// another may.
	return errors.Join(
		s.dropDays(ctx, tableValues.Days, tableValues.Drop, now.Add(-keepValues)),
		s.dropDays(ctx, tableModels.Days, tableModels.Drop, now.Add(-keepValues)),
		s.dropEvents(ctx, now.Add(-keepViolations)),
		s.change(ctx, func(c *change) error { return dropTasks(c.tx, now.Add(-keepTasks)) }),
		s.change(ctx, func(c *change) error { return sweepOutbox(c.tx, s.options.Webhook != "") }),
		s.change(ctx, func(c *change) error { return c.dropReporters(now.Add(-keepValues)) }),
		s.change(ctx, (*change).dropStates),
	)
}

// dropDays drops the days of a table that ended before the time.
func (s *Service) dropDays(ctx context.Context, days func(*store.Reader) ([]store.Day, error), drop func(context.Context, *store.Store, store.Day) error, before time.Time) error {
	old, err := s.daysBefore(ctx, days, before)
	for _, day := range old {
		if err == nil {
			err = drop(ctx, s.store, day)
		}
	}
	return err
}

// daysBefore returns the days of a table that ended before the time.
func (s *Service) daysBefore(ctx context.Context, days func(*store.Reader) ([]store.Day, error), before time.Time) (old []store.Day, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		old, err = days(view)
		return err
	})
	first := day(before)
	return slices.DeleteFunc(old, func(d store.Day) bool { return d >= first }), err
}

// dropReporters forgets things that are not registered and have not reported
// since the time: nothing that they said is kept any more.
func (c *change) dropReporters(before time.Time) error {
	for last, err := range tableReporters.Scan(&c.tx.Reader, store.Range{}) {
		if err != nil {
			return err
		}
		if c.s.thing(last.Key).Registered || !last.Value.Time.Before(before) {
			continue
		}
		if err := tableReporters.Delete(c.tx, last.Key); err != nil {
			return err
		}
		c.s.unregistered--
	}
	return nil
}

// dropStates deletes the states of things of which the engine has none any
// more: it forgets what has been silent.
func (c *change) dropStates() error {
	for thing, err := range tableStates.keysAfter(&c.tx.Reader, "", "") {
		if err != nil {
			return err
		}
		state, err := c.s.engine.SaveThing(thing)
		if err != nil {
			return fmt.Errorf("state of %q: %w", thing, err)
		}
		if len(state) > 0 {
			continue
		}
		if err := tableStates.Delete(c.tx, thing); err != nil {
			return err
		}
	}
	return nil
}
