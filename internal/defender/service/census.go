package service

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// A census goes through all things, active violations and alerts that wait. It is
// taken when somebody has asked for it, not more often than this, and at most a
// twentieth of the time.
const (
	censusEvery = 15 * time.Second
	censusShare = 20
)

// Census is what was counted of all that the service keeps.
type Census struct {
	Time      time.Time
	Took      time.Duration
	Reporting int // things whose reports come
	Silent    int // things of which three reports and more are missing
	Never     int // registered things that never reported
	Active    []ActiveCount
	Waiting   []WaitingCount
}

// ActiveCount is how many violations of a behavior are in alarm. Those beyond the
// most frequent ones are counted as of Other.
type ActiveCount struct {
	Profile, Behavior string
	Count             int
}

// WaitingCount is how many alerts wait for a target, and since when the oldest does.
type WaitingCount struct {
	Target string // as it may be shown
	Count  int
	Oldest time.Time
}

// census is the last one, and the wish for another.
type census struct {
	last   atomic.Pointer[Census]
	wanted chan struct{}
}

// takeCensuses takes a census when one is wanted, until ctx ends.
func (s *Service) takeCensuses(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.census.wanted:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		c, err := s.takeCensus(ctx)
		c.Took = time.Since(began)
		switch {
		case err == nil:
			s.census.last.Store(&c)
		case ctx.Err() == nil:
			s.log.Error("counting things and violations failed", "error", err)
		}
		pause.Reset(max(censusEvery, censusShare*c.Took))
	}
}

func (s *Service) takeCensus(ctx context.Context) (c Census, err error) {
	c.Time = s.now()
	err = s.read(ctx, func(view *store.Reader) error {
		if err := s.countThings(view, &c); err != nil {
			return err
		}
		if c.Active, err = countActive(view); err != nil {
			return err
		}
		c.Waiting, err = s.countWaiting(view)
		return err
	})
	return c, err
}

// countThings counts things by the rows of reports and those of the registry, which
// are both sorted by name.
func (s *Service) countThings(view *store.Reader, c *Census) error {
	registered, stop := iter.Pull2(tableThings.keysAfter(view, "", ""))
	defer stop()
	name, err, more := registered()
	// until counts the registered things before the name, and passes it.
	until := func(reported string, last bool) error {
		for more && err == nil && (last || name <= reported) {
			if last || name < reported {
				c.Never++
			}
			name, err, more = registered()
		}
		return err
	}
	for row, err := range tableLast.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		if row.Value.time.IsZero() {
			continue
		}
		var state ThingState
		if state.reported(s, &row.Value); state.Silent {
			c.Silent++
		} else {
			c.Reporting++
		}
		if err := until(row.Key, false); err != nil {
			return err
		}
	}
	return until("", true)
}

// mostActive is how many behaviors are told apart.
const mostActive = 100

func countActive(view *store.Reader) ([]ActiveCount, error) {
	type behavior struct{ profile, name string }
	counted := map[behavior]int{}
	for key, err := range tableActiveByStart.keysAfter(view, "", "") {
		if err != nil {
			return nil, err
		}
		if parts := strings.Split(key[min(8, len(key)):], "\x00"); len(parts) == 4 {
			counted[behavior{parts[1], parts[2]}]++
		}
	}
	var list []ActiveCount
	for b, n := range counted {
		list = append(list, ActiveCount{b.profile, b.name, n})
	}
	slices.SortFunc(list, func(a, b ActiveCount) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Profile, b.Profile), strings.Compare(a.Behavior, b.Behavior))
	})
	if len(list) > mostActive {
		rest := ActiveCount{Profile: Other, Behavior: Other}
		for _, a := range list[mostActive:] {
			rest.Count += a.Count
		}
		list = append(list[:mostActive], rest)
	}
	return list, nil
}

// mostTargets is how many targets are told apart.
const mostTargets = 50

func (s *Service) countWaiting(view *store.Reader) ([]WaitingCount, error) {
	shown := s.targetName()
	waiting := map[string]*WaitingCount{}
	for key, err := range tableOutbox.keysAfter(view, "", "") {
		if err != nil {
			return nil, err
		}
		target, _ := splitOutboxKey(key)
		w, known := waiting[target]
		if !known {
			// The first of a target is its oldest.
			alert, err := tableOutbox.find(view, key)
			if err != nil {
				return nil, err
			}
			w = &WaitingCount{Target: shown(target)}
			if alert != nil {
				w.Oldest = alert.Time
			}
			waiting[target] = w
		}
		w.Count++
	}
	var list []WaitingCount
	for i, target := range slices.Sorted(maps.Keys(waiting)) {
		w := *waiting[target]
		if i < mostTargets {
			list = append(list, w)
			continue
		}
		if i == mostTargets {
			list = append(list, WaitingCount{Target: Other, Oldest: w.Oldest})
		}
		rest := &list[mostTargets]
		rest.Count += w.Count
		if w.Oldest.Before(rest.Oldest) {
			rest.Oldest = w.Oldest
		}
	}
	return list, nil
}
