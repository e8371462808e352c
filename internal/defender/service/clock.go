package service

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// maxLeap is how far the clock may go on by itself. What has to be told of a
// leap is that it would delete what is kept for days.
const maxLeap = 24 * time.Hour

// storedClock is the highest time that the clock is known to have had, and when
// that was by the uptime of the machine.
type storedClock struct {
	High   time.Time     `json:"high"`
	Boot   string        `json:"boot,omitempty"`
	Uptime time.Duration `json:"uptime,omitempty"`
}

const clockKey = "clock"

// clock watches the service's clock. One that is set a year ahead for a second
// would have everything deleted in that second.
type clock struct {
	uptime func() (boot string, up time.Duration) // nil: the clock is trusted

	mu   sync.Mutex    // guards the rest
	high time.Time     // the highest time, and what has passed since
	at   time.Duration // uptime of high
	last time.Time     // what the clock said last
	leap time.Duration // how far it is ahead of what can be, 0 if it isn't
}

// startClock goes on from what the database knows of the clock.
func (s *Service) startClock(ctx context.Context) error {
	k := &s.clock
	k.uptime = s.options.Uptime
	if k.uptime == nil && s.options.ownClock {
		k.uptime = machineUptime()
	}
	var stored *storedClock
	err := s.read(ctx, func(view *store.Reader) (err error) {
		stored, err = tableClock.find(view, clockKey)
		return err
	})
	if err != nil {
		return err
	}
	if k.uptime == nil {
		return nil
	}
	boot, up := k.uptime()
	k.high, k.at = s.now(), up
	if stored == nil || s.options.AcceptClock {
		return nil
	}
	k.high = stored.High
	if boot != "" && boot == stored.Boot {
		k.high = k.high.Add(max(0, up-stored.Uptime))
	}
	return nil
}

// look compares the clock with what has passed. It says how far it is ahead of
// what can be, and whether it has gone back since the last look.
func (k *clock) look(now time.Time) (leap time.Duration, back bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	back = now.Before(k.last.Add(-mostAhead)) // never at the first look
	k.last = now
	if k.uptime == nil {
		k.high = later(k.high, now)
		return 0, back
	}
	_, up := k.uptime()
	k.high = k.high.Add(max(0, up-k.at))
	k.at = up
	if k.leap = now.Sub(k.high); k.leap <= maxLeap {
		k.leap = 0
		k.high = later(k.high, now)
	}
	return k.leap, back
}

// leapt is how far the clock was ahead at the last look.
func (k *clock) leapt() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leap
}

// keepClock stores what is known of the clock.
func (s *Service) keepClock(ctx context.Context) error {
	k := &s.clock
	k.mu.Lock()
	record := storedClock{High: k.high, Uptime: k.at}
	k.mu.Unlock()
	if k.uptime != nil {
		record.Boot, _ = k.uptime()
	}
	return s.write(ctx, func(tx *store.Tx) error { return tableClock.Put(tx, clockKey, record) })
}

// leapText says what is wrong with the clock, and what to do.
func leapText(leap time.Duration) string {
	return fmt.Sprintf("the clock is %.1f days ahead of all that this service knows: nothing is deleted until it is set right, or the service is started with --accept-clock", leap.Hours()/24)
}

// watchClock looks at the clock, and says what is wrong with it.
func (s *Service) watchClock(ctx context.Context, now time.Time) {
	before := s.clock.leapt()
	leap, back := s.clock.look(now)
	switch {
	case leap > 0 && before == 0:
		s.log.Error(leapText(leap), "clock", now)
	case leap == 0 && before > 0:
		s.log.Warn("the clock is right again, what is too old is deleted", "clock", now)
	}
	if back {
		s.log.Warn("the clock has gone back", "clock", now)
		if err := s.restamp(ctx); err != nil {
			s.log.Error("setting the time of things back failed", "error", err)
		}
	}
}

// machineUptime returns what tells the boot of this machine, and how long ago it
// was: sleep counts, unlike in Go's monotonic time.
func machineUptime() func() (string, time.Duration) {
	boot := bootID()
	began, first := time.Now(), sinceBoot()
	return func() (string, time.Duration) {
		return boot, max(sinceBoot(), first+time.Since(began))
	}
}
