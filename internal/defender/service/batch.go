package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

// batch is a transaction that evaluates things. It loads their rows, and writes
// them with all that follows: values, events, alerts, counters, jobs. It may be
// run again after a conflict, and so changes nothing but its transaction.
type batch struct {
	s     *Service
	tx    *store.Tx
	lane  string // names the rows of counters that are this one's own
	now   time.Time
	rules *ruleSet

	things map[string]*known
	eval   detect.Evaluation
	base   *baselines
	tally  *strangers
	models map[string]uint64 // datapoints for models
}

// storeFailed reports whether the error is of the store, and not of what was to
// be stored.
func storeFailed(err error) bool {
	for _, of := range []error{store.ErrFull, store.ErrUnavailable, store.ErrClosed, store.ErrConflict, context.DeadlineExceeded} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// evaluate runs fn in a transaction that evaluates things. Things that l holds
// in memory need not be read.
func (s *Service) evaluate(ctx context.Context, l *lane, fn func(*batch) error) error {
	var b *batch
	var generation uint64
	err := s.write(ctx, func(tx *store.Tx) (err error) {
		generation = l.cache.generation()
		if b, err = s.newBatch(tx, l); err != nil {
			return err
		}
		return b.run(fn)
	})
	if err == nil {
		l.cache.put(generation, b.things)
	}
	return err
}

func (s *Service) newBatch(tx *store.Tx, l *lane) (*batch, error) {
	rules, err := s.guardedRules(tx)
	if err != nil {
		return nil, err
	}
	base := newBaselines(tx, l.name)
	return &batch{
		s: s, tx: tx, lane: l.name, now: s.now(), rules: rules,
		things: map[string]*known{}, eval: detect.Evaluation{Baselines: base}, base: base, models: map[string]uint64{},
	}, nil
}

// run calls fn and writes what it has left to write. Whatever a report holds,
// the service stays up; and as nothing of the transaction remains, neither does
// what a panic left half done.
func (b *batch) run(fn func(*batch) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if err := fn(b); err != nil {
		return err
	}
	return b.finish()
}

// finish writes the rows of things and the counters.
func (b *batch) finish() error {
	for _, k := range b.things {
		if !k.changed {
			continue
		}
		if err := b.save(k); err != nil {
			return fmt.Errorf("thing %q: %w", k.name, err)
		}
		k.changed = false
	}
	if err := b.base.finish(); err != nil {
		return err
	}
	if b.tally != nil {
		if err := tableStrangers.Put(b.tx, b.lane, b.tally.own); err != nil {
			return err
		}
	}
	return b.countModels()
}

// load reads things, in two round trips.
func (b *batch) load(l *lane, names []string) error {
	var missing []string
	for _, name := range names {
		if b.things[name] != nil {
			continue
		}
		k := l.cache.take(name)
		if k == nil {
			missing = append(missing, name)
			b.things[name] = &known{name: name} // so that a name is read once
			continue
		}
		if k.rules != b.rules {
			b.place(k)
		}
		b.things[name] = k
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := tableRows.GetMany(&b.tx.Reader, missing)
	if err != nil {
		return err
	}
	registered, err := tableThings.GetMany(&b.tx.Reader, missing)
	if err != nil {
		return err
	}
	for _, name := range missing {
		k := b.things[name]
		k.registry = profile.Thing{Name: name}
		if thing, ok := registered[name]; ok {
			k.registry.Registered, k.registry.Groups = true, thing.Placed
		}
		if row, ok := rows[name]; ok {
			k.row, k.stored = row, true
		}
		if err := b.unpack(k); err != nil {
			return fmt.Errorf("thing %q: %w", name, err)
		}
	}
	return nil
}

// thing returns a thing that was loaded, or loads it.
func (b *batch) thing(l *lane, name string) (*known, error) {
	if err := b.load(l, []string{name}); err != nil {
		return nil, err
	}
	return b.things[name], nil
}

// place puts a thing that was loaded before under the rules of now.
func (b *batch) place(k *known) {
	k.rules, k.covered = b.rules, b.rules.covering(&k.registry)
	k.thing.Place(b.rules.rules, k.registry)
}

// unpack takes a row apart. A state or chunk that cannot be read is lost, and
// the thing is evaluated afresh: nothing else would end its alarms.
func (b *batch) unpack(k *known) (err error) {
	k.rules, k.covered = b.rules, b.rules.covering(&k.registry)
	if k.thing, err = b.rules.rules.Restore(k.registry, k.row.state); err != nil {
		b.s.log.Error("state of a thing is lost, it is evaluated afresh", "thing", k.name, "error", err)
		k.changed = true
		k.thing = b.rules.rules.Thing(k.registry)
		if err := b.endAlarms(k.name); err != nil {
			return err
		}
	}
	if len(k.row.chunk) > 0 {
		if k.open, err = chunk.Resume(k.row.chunk); err != nil {
			b.s.log.Error("values of a thing are lost, of up to an hour", "thing", k.name, "error", err)
			k.open = nil
		}
	}
	k.row.state, k.row.chunk = nil, nil
	// Its clock was ahead when it was saved.
	if k.thing.Ahead(b.now.Add(b.s.mostAhead())) {
		k.changed = k.thing.Restamp(b.now) || k.changed
	}
	return nil
}

// endAlarms ends the alarms of a thing that has no state any more.
func (b *batch) endAlarms(name string) error {
	for entry, err := range tableActiveByThing.Scan(&b.tx.Reader, store.Prefix(name+"\x00")) {
		if err != nil {
			return err
		}
		id := entry.Key[len(name)+1:]
		v, found, err := tableViolations.Get(&b.tx.Reader, id)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		b.eval.Events = append(b.eval.Events, detect.Event{
			Type: detect.AlarmInvalidated, ViolationID: id, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Time: b.now,
		})
	}
	return nil
}

// settle stores what the evaluation of a thing has come to.
func (b *batch) settle(k *known) error {
	k.changed = true
	measured, events := b.eval.Measured, b.eval.Events
	b.eval.Measured, b.eval.Events = nil, nil
	for _, o := range measured {
		if err := b.keep(k, o); err != nil {
			return err
		}
	}
	return b.events(events)
}

// retire closes the chunk of a thing that was silent for so long that it has no
// state, and forgets it when nothing that it said is kept any more. While the
// clock cannot be right, nothing is forgotten.
func (b *batch) retire(k *known) error {
	if err := b.closeChunk(k); err != nil {
		return err
	}
	last := k.row.last.time
	if k.registry.Registered || last.IsZero() || b.now.Sub(last) < keepValues || b.s.clock.leapt() > 0 {
		return nil
	}
	k.row.last = lastReport{}
	return b.countStranger(-1)
}

// save writes the row of a thing, or deletes it when nothing is left to know.
func (b *batch) save(k *known) error {
	state := k.thing.AppendSaved(nil)
	if len(state) == 0 {
		if err := b.retire(k); err != nil {
			return err
		}
	}
	if err := b.plan(k, len(state) > 0); err != nil {
		return err
	}
	if len(state) == 0 && k.row.last.time.IsZero() {
		if !k.stored {
			return nil
		}
		k.stored = false
		return tableRows.Delete(b.tx, k.name)
	}
	k.stored = true
	row := k.row
	row.state = state
	if k.open != nil {
		row.chunk = k.open.Bytes()
	}
	return tableRows.Put(b.tx, k.name, row)
}
