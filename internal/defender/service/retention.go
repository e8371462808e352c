package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
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
func (s *Service) prune() error {
	now := s.now()
	s.watchClock(now)
	if leap := s.clock.leapt(); leap > 0 {
		s.log.Error(leapText(leap), "clock", now)
		return nil
	}
	// Each is a transaction: on a disk that is full, what one can't delete
	// another may.
	var errs []error
	for _, drop := range []func(*change) error{
		func(c *change) error { return dropDays(c.tx.Bucket(bucketValueDays), now.Add(-keepValues), nil) },
		func(c *change) error { return dropDays(c.tx.Bucket(bucketModelDays), now.Add(-keepValues), nil) },
		func(c *change) error { return dropEvents(c.tx, now.Add(-keepViolations)) },
		func(c *change) error { return dropTasks(c.tx, now.Add(-keepTasks)) },
		func(c *change) error { return sweepOutbox(c.tx, s.options.Webhook != "") },
		func(c *change) error { return c.dropReporters(now.Add(-keepValues)) },
		(*change).dropStates,
	} {
		errs = append(errs, s.change(drop))
	}
	return errors.Join(errs...)
}

// dropDays deletes the buckets of days that ended before the time, after
// calling last with each.
func dropDays(days *bbolt.Bucket, before time.Time, last func(*bbolt.Bucket) error) error {
	var old [][]byte
	first := day(before)
	err := days.ForEachBucket(func(name []byte) error {
		if bytes.Compare(name, first) < 0 {
			old = append(old, bytes.Clone(name))
		}
		return nil
	})
	for _, name := range old {
		if err == nil && last != nil {
			err = last(days.Bucket(name))
		}
		if err == nil {
			err = days.DeleteBucket(name)
		}
	}
	return err
}

// dropReporters forgets things that are not registered and have not reported
// since the time: nothing that they said is kept any more.
func (c *change) dropReporters(before time.Time) error {
	var gone []string
	for thing, record := range keysAfter(c.tx, bucketReporters, "", "") {
		if c.s.thing(thing).Registered {
			continue
		}
		var last storedReporter
		if err := json.Unmarshal(record, &last); err != nil {
			return fmt.Errorf("last report of %q: %w", thing, err)
		}
		if last.Time.Before(before) {
			gone = append(gone, thing)
		}
	}
	for _, thing := range gone {
		if err := c.tx.Bucket(bucketReporters).Delete([]byte(thing)); err != nil {
			return err
		}
	}
	c.s.unregistered -= len(gone)
	return nil
}

// dropStates deletes the states of things of which the engine has none any
// more: it forgets what has been silent.
func (c *change) dropStates() error {
	var gone []string
	for thing := range keysAfter(c.tx, bucketEngine, "", "") {
		state, err := c.s.engine.SaveThing(thing)
		if err != nil {
			return fmt.Errorf("state of %q: %w", thing, err)
		}
		if len(state) == 0 {
			gone = append(gone, thing)
		}
	}
	for _, thing := range gone {
		if err := c.tx.Bucket(bucketEngine).Delete([]byte(thing)); err != nil {
			return err
		}
	}
	return nil
}
