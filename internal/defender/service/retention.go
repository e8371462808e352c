package service

import (
	"context"
	"errors"
	"time"

	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// How long things are kept (AWS General Reference, quotas of Detect).
const (
	keepValues     = 14 * 24 * time.Hour
	keepViolations = 30 * 24 * time.Hour
	keepTasks      = 90 * 24 * time.Hour
	keepAudit      = 90 * 24 * time.Hour
	// baselineReach is how far back a window may be that is compared with.
	baselineReach  = 2 * 24 * time.Hour
	keepHistograms = baselineReach + 24*time.Hour
)

// pruneStep is how many rows a transaction of pruning deletes.
const pruneStep = 500

// dayTable is what pruning asks of a table with days.
type dayTable interface {
	Days(r *store.Reader) ([]store.Day, error)
	Drop(ctx context.Context, s *store.Store, day store.Day) error
}

// prune forgets what is older than AWS keeps it. Days go as a whole; what is
// too old in a day that still counts, the operations do not list. What is kept
// of things goes with their jobs. While the clock cannot be right, nothing goes.
func (s *Service) prune(ctx context.Context) error {
	now := s.now()
	s.watchClock(ctx, now)
	if leap := s.clock.leapt(); leap > 0 {
		s.log.Error(leapText(leap), "clock", now)
		return nil
	}
	// On a disk that is full, what one cannot delete another may.
	return errors.Join(
		s.dropDays(ctx, tableValues, now.Add(-keepValues), nil),
		s.dropDays(ctx, tableModels, now.Add(-keepValues), nil),
		s.dropDays(ctx, tableHistograms, now.Add(-keepHistograms), nil),
		s.dropDays(ctx, tableEvents, now.Add(-keepViolations), s.dropViolations),
		s.dropDays(ctx, tableAudit, now.Add(-keepAudit), nil),
		s.write(ctx, func(tx *store.Tx) error { return dropTasks(tx, now.Add(-keepTasks)) }),
		s.sweepOutbox(ctx),
		s.dropSessions(ctx),
	)
}

// dropDays drops the days that ended before the time, after calling last with
// each.
func (s *Service) dropDays(ctx context.Context, table dayTable, before time.Time, last func(context.Context, store.Day) error) error {
	var days []store.Day
	err := s.read(ctx, func(r *store.Reader) (err error) {
		days, err = table.Days(r)
		return err
	})
	if err != nil {
		return err
	}
	for _, day := range days {
		if day >= store.DayOf(before) {
			break
		}
		if last != nil {
			if err := last(ctx, day); err != nil {
				return err
			}
		}
		if err := table.Drop(ctx, s.store, day); err != nil {
			return err
		}
		s.log.Info("a day is over and deleted", "day", day)
	}
	return nil
}

// dropViolations deletes the violations whose last event is in the day, and that
// are over.
func (s *Service) dropViolations(ctx context.Context, day store.Day) error {
	end := (day + 1).Time()
	after := ""
	for more := true; more; {
		last := after
		err := s.write(ctx, func(tx *store.Tx) error {
			more, last = false, after
			for entry, err := range tableEvents.Scan(&tx.Reader, day, store.Range{Limit: pruneStep}.Resume(after)) {
				if err != nil {
					return err
				}
				last, more = entry.Key, true
				_, id, _ := splitEventKey(entry.Key)
				v, err := tableViolations.find(&tx.Reader, id)
				if err != nil {
					return err
				}
				if v == nil || v.End.IsZero() || !v.End.Before(end) {
					continue
				}
				if err := forget(tx, id, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = last
	}
	return nil
}

// sweepOutbox forgets old alerts for channels that are not there any more, and for
// topics that are not allowed any more. The courier sees to all others.
func (s *Service) sweepOutbox(ctx context.Context) error {
	span, given := store.Range{Limit: pruneStep}, 0
	for more := true; more; {
		var old []string
		next := span
		err := s.read(ctx, func(view *store.Reader) error {
			old, more = nil, false
			for stored, err := range tableOutbox.Scan(view, span) {
				if err != nil {
					return err
				}
				more = true
				target, _ := splitOutboxKey(stored.Key)
				if s.serves(target) {
					next.From = target + "\x01" // behind all of its alerts
					break
				}
				next = span.Resume(stored.Key)
				if s.now().Sub(stored.Value.Time) >= outbox.Life {
					old = append(old, stored.Key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if span = next; len(old) == 0 {
			continue
		}
		err = s.write(ctx, func(tx *store.Tx) error {
			for _, key := range old {
				if err := tableOutbox.Delete(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		given += len(old)
	}
	if given > 0 {
		s.log.Error("alerts given up, what they waited for is not configured any more", "alerts", given)
	}
	return nil
}
