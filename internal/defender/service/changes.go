package service

import (
	"context"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// profileChanged says that a profile, its targets, or what they name is created,
// changed or deleted in tx: all reports that commit later are evaluated by what
// it is then. Alarms of behaviors that are gone have ended when the transaction
// is over; if that fails, a job ends them later.
func (s *Service) profileChanged(tx *store.Tx, name string) error {
	if _, err := bump(tx, metaRules); err != nil {
		return err
	}
	tx.OnCommit(func() {
		// Whoever asked for the change may not wait any more.
		ctx := context.Background()
		rules, err := s.currentRules(ctx)
		if err == nil {
			s.sayWithoutEffect(rules, name)
			err = s.endGone(ctx, name)
		}
		if err != nil {
			s.log.Error("ending the alarms of a changed profile failed, it is tried again", "profile", name, "error", err)
		}
	})
	return tableJobs.Put(tx, store.Job[struct{}]{Due: s.now().Add(jobLease), ID: profileJob + name})
}

// thingChanged says that the groups of a thing are changed in tx: other profiles
// may apply to it.
func (s *Service) thingChanged(tx *store.Tx, name string) error { return s.hurry(tx, name) }

// thingCreated says that a thing comes to the registry in tx. It may have
// reported before.
func (s *Service) thingCreated(tx *store.Tx, name string) error {
	row, found, err := tableRows.Get(&tx.Reader, name)
	if err != nil {
		return err
	}
	if found && !row.last.time.IsZero() {
		if err := s.countStranger(tx, -1); err != nil {
			return err
		}
	}
	return s.hurry(tx, name)
}

// countStranger adds to the tally of the operator's lane.
func (s *Service) countStranger(tx *store.Tx, n int64) error {
	tally, _, err := tableStrangers.Get(&tx.Reader, s.operator.name)
	if err != nil {
		return err
	}
	tally.Things += n
	return tableStrangers.Put(tx, s.operator.name, tally)
}

// forgetThing deletes what a thing said, which is deleted from the registry in
// tx, and ends its alarms. If it goes on reporting, it is a new thing.
// registered is what it was before.
func (s *Service) forgetThing(tx *store.Tx, name string, registered bool) error {
	s.evict(name)
	b, err := s.newBatch(tx, s.operator)
	if err != nil {
		return err
	}
	k, err := b.thing(s.operator, name)
	if err != nil {
		return err
	}
	if !k.stored {
		return nil
	}
	if !registered && !k.row.last.time.IsZero() {
		if err := b.countStranger(-1); err != nil {
			return err
		}
	}
	k.registry = profile.Thing{Name: name}
	k.thing.Forget(&b.eval, b.now)
	if err := b.settle(k); err != nil {
		return err
	}
	k.row.last, k.open = lastReport{}, nil
	if err := b.finish(); err != nil {
		return err
	}
	return deleteValues(tx, name)
}
