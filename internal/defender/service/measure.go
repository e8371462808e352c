package service

import (
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Measurement is what programs are told that watch the service. It costs nothing
// that grows with the fleet.
type Measurement struct {
	Now          time.Time
	WaysIn       []WayIn
	Lanes        []LaneState
	Transactions uint64 // of lanes
	Tasks        uint64 // reports, events and jobs in them
	Events       map[EventName]uint64
	Deliveries   map[DeliveryName]uint64
	TurnedAway   map[string]uint64 // reports of things that are not registered, by reason
	ClockLeap    time.Duration     // how far the clock is ahead of what can be
	LastBackup   time.Time         // zero: none since the service was opened
	Store        store.Measurement
	StoreErr     error
	Census       *Census // nil: none yet
}

// LaneState is what a lane is at.
type LaneState struct {
	Name    string
	Waiting int           // tasks
	Room    int           // most tasks that can wait; their senders wait then
	Busy    time.Duration // since its transaction began; 0: it has none
}

// turnAwayNames are reasons in the order of their constants.
var turnAwayNames = [turnAways]string{"too-many-things", "too-much-of-thing", "too-much-of-all"}

// Measure measures the service. The census in it is the last one that was taken;
// Run takes another one for the next time.
func (s *Service) Measure() Measurement {
	s.wake(s.census.wanted)
	m := Measurement{
		Now: s.now(), WaysIn: s.waysIn(), Transactions: s.tallies.transactions.Load(), Tasks: s.tallies.tasks.Load(),
		Events: s.tallies.events.all(), Deliveries: s.tallies.deliveries.all(), TurnedAway: map[string]uint64{},
		ClockLeap: s.clock.leapt(), Census: s.census.last.Load(),
	}
	for _, l := range s.intake.lanes {
		state := LaneState{Name: l.name, Waiting: len(l.tasks), Room: cap(l.tasks)}
		if began := l.began.Load(); began != 0 {
			state.Busy = time.Since(time.Unix(0, began))
		}
		m.Lanes = append(m.Lanes, state)
	}
	func() {
		s.turnedAway.mu.Lock()
		defer s.turnedAway.mu.Unlock()
		for i, name := range turnAwayNames {
			m.TurnedAway[name] = uint64(s.turnedAway.why[i].count)
		}
	}()
	if last := s.tallies.lastBackup.Load(); last != 0 {
		m.LastBackup = time.UnixMilli(last)
	}
	m.Store, m.StoreErr = s.store.Measure()
	return m
}
