package service

import (
	"math"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// What things that are not registered may do, see Options.
const (
	defaultUnregistered      = 100_000
	defaultUnregisteredBytes = 512 << 20
	// maxThingBytes is what one of them may send in a day: a device with long
	// lists and AWS's shortest interval sends half of it.
	maxThingBytes = 16 << 20
)

// strangerTally is what a lane has counted of things that are not registered.
// The tallies of all lanes add up to what there is.
type strangerTally struct {
	Things int64     `json:"things"` // that have reported; may be negative
	Day    store.Day `json:"day,omitempty"`
	Bytes  int64     `json:"bytes,omitempty"` // that they sent on the day
}

// strangers are the tallies as a transaction sees them.
type strangers struct {
	own    strangerTally // of the lane
	others strangerTally // all but own
}

// strangers reads the tallies, once in a transaction.
func (b *batch) strangers() (*strangers, error) {
	if b.tally != nil {
		return b.tally, nil
	}
	today := store.DayOf(b.now)
	tally := &strangers{}
	rows, err := tableStrangers.GetMany(&b.tx.Reader, laneNames)
	if err != nil {
		return nil, err
	}
	for lane, row := range rows {
		if lane == b.lane {
			tally.own = row
			continue
		}
		tally.others.Things += row.Things
		if row.Day == today {
			tally.others.Bytes += row.Bytes
		}
	}
	if tally.own.Day != today {
		tally.own.Day, tally.own.Bytes = today, 0
	}
	b.tally = tally
	return tally, nil
}

// countStranger adds n to the number of things that are not registered and have
// reported.
func (b *batch) countStranger(n int64) error {
	tally, err := b.strangers()
	if err == nil {
		tally.own.Things += n
	}
	return err
}

// admit counts a report of a thing that is not registered. It returns why it is
// turned away, if it is.
func (b *batch) admit(k *known, size int64, next *lastReport) (refusal string, err error) {
	if k.registry.Registered {
		return "", nil
	}
	if registry := b.s.options.Registry; registry != nil {
		b.tx.OnCommit(func() { registry.Stranger(k.name) })
	}
	tally, err := b.strangers()
	if err != nil {
		return "", err
	}
	last := &k.row.last
	next.day, next.bytes = store.DayOf(b.now), size
	if last.day == next.day {
		next.bytes += last.bytes
	}
	first := last.time.IsZero()
	s := b.s
	switch {
	case first && tally.own.Things+tally.others.Things >= s.maxUnregistered():
		b.turnedAway(tooManyThings, k.name)
		return "Too many unregistered things", nil
	case next.bytes > maxThingBytes:
		b.turnedAway(tooMuchOfThing, k.name)
		return "Too much of an unregistered thing", nil
	case size > s.maxUnregisteredBytes()-tally.own.Bytes-tally.others.Bytes:
		b.turnedAway(tooMuchOfAll, k.name)
		return "Too much of unregistered things", nil
	}
	tally.own.Bytes += size
	if first {
		tally.own.Things++
	}
	return "", nil
}

// turnedAway notes it when the transaction has committed.
func (b *batch) turnedAway(why turnAway, thing string) {
	b.tx.OnCommit(func() { b.s.turn(why, thing, b.now) })
}

func (s *Service) maxUnregistered() int64 {
	switch n := s.options.MaxUnregistered; {
	case n == 0:
		return defaultUnregistered
	case n < 0:
		return math.MaxInt64
	default:
		return int64(n)
	}
}

func (s *Service) maxUnregisteredBytes() int64 {
	switch n := s.options.MaxUnregisteredBytes; {
	case n == 0:
		return defaultUnregisteredBytes
	case n < 0:
		return math.MaxInt64
	default:
		return n
	}
}
