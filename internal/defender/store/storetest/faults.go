package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Disk is the disk of an embedded engine, which can be made to fail.
type Disk interface {
	// Open opens the engine on what is on the disk.
	Open() (store.Backend, error)
	// Full makes all writes fail for want of room, or ends that.
	Full(bool)
	// FailSyncs makes all syncs fail, or ends that.
	FailSyncs(bool)
	// Crash cuts the power: of what was not synced, the given share of blocks,
	// chosen at random, is on the disk afterwards. What is open stays open, and
	// has no effect on the disk any more.
	Crash(percent int)
	// Tear leaves a write that did not end behind the last one of the log.
	Tear()
}

// patience is how long a call may try what a fault forbids, and how long the
// tests wait for an engine to heal.
const patience = time.Minute

// Faults runs the tests with faults. Each gets a disk of its own.
func Faults(t *testing.T, disk func(t *testing.T) Disk) {
	t.Run("full disk", func(t *testing.T) { fullDisk(t, disk(t)) })
	t.Run("failed sync", func(t *testing.T) { failedSync(t, disk(t)) })
	t.Run("power loss", func(t *testing.T) {
		for _, percent := range []int{0, 50, 100} {
			powerLoss(t, disk(t), percent)
		}
	})
	t.Run("torn write", func(t *testing.T) { tornWrite(t, disk(t)) })
}

func openDisk(t *testing.T, d Disk) *store.Store {
	t.Helper()
	b, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	return store.New(b)
}

// briefly calls Update for a moment.
func briefly(s *store.Store, fn func(*store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return s.Update(ctx, fn)
}

// healed tries until a write succeeds.
func healed(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := s.Update(ctx, func(tx *store.Tx) error { return putAll(tx, "healed=") })
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not healed: %v", err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// wholeSteps checks that of each writer everything is there up to its count.
func wholeSteps(t *testing.T, s *store.Store, acked map[int]int) {
	t.Helper()
	checkSteps(t, s, acknowledged{counts: acked})
}

func fullDisk(t *testing.T, d Disk) {
	s := openDisk(t, d)
	for n := 1; n <= 10; n++ {
		if err := step(s, 0, n); err != nil {
			t.Fatal(err)
		}
	}
	d.Full(true)
	for range 5 {
		err := briefly(s, func(tx *store.Tx) error { return putAll(tx, "total=0", "count-0=0") })
		if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a write to a full disk: %v", err)
		}
	}
	d.Full(false)
	healed(t, s)
	// Of those that were not acknowledged, one may have been written.
	view(t, s, func(r *store.Reader) error {
		count, _, err := plain.Get(r, "count-0")
		total, _, err2 := plain.Get(r, "total")
		if number(count) != number(total) {
			t.Errorf("count %s, total %s: a write in part", count, total)
		}
		return errors.Join(err, err2)
	})
	update(t, s, func(tx *store.Tx) error { return putAll(tx, "total=10", "count-0=10") })
	if err := step(s, 0, 11); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.Crash(0)
	s = openDisk(t, d)
	defer s.Close()
	wholeSteps(t, s, map[int]int{0: 11})
}

func failedSync(t *testing.T, d Disk) {
	s := openDisk(t, d)
	for n := 1; n <= 10; n++ {
		if err := step(s, 0, n); err != nil {
			t.Fatal(err)
		}
	}
	d.FailSyncs(true)
	for range 3 {
		if err := briefly(s, func(tx *store.Tx) error { return putAll(tx, "total=0", "count-0=0") }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a write with a failed sync: %v", err)
		}
	}
	d.FailSyncs(false)
	healed(t, s)
	update(t, s, func(tx *store.Tx) error { return putAll(tx, "total=10", "count-0=10") })
	wholeSteps(t, s, map[int]int{0: 10})
	d.Crash(0)
	again := openDisk(t, d)
	defer again.Close()
	wholeSteps(t, again, map[int]int{0: 10})
}

// powerLoss cuts the power while several write, again and again.
func powerLoss(t *testing.T, d Disk, percent int) {
	acked := map[int]int{}
	for round := range 4 {
		s := openDisk(t, d)
		wholeSteps(t, s, acked)
		var mu sync.Mutex
		enough := make(chan struct{})
		var stop sync.Once
		done := make(chan struct{})
		var all sync.WaitGroup
		crashed := false
		for writer := range killWriters {
			from := 0
			view(t, s, func(r *store.Reader) error {
				v, _, err := plain.Get(r, fmt.Sprint("count-", writer))
				from = number(v)
				return err
			})
			all.Go(func() {
				for n := from + 1; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					if err := step(s, writer, n); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if !crashed {
						acked[writer] = n
					}
					mu.Unlock()
					if n >= from+10+round {
						stop.Do(func() { close(enough) })
					}
				}
			})
		}
		<-enough
		mu.Lock() // no acknowledgement between the crash and the note of it
		crashed = true
		d.Crash(percent)
		mu.Unlock()
		close(done)
		all.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s := openDisk(t, d)
	defer s.Close()
	wholeSteps(t, s, acked)
}

func tornWrite(t *testing.T, d Disk) {
	for n := range 5 {
		s := openDisk(t, d)
		wholeSteps(t, s, map[int]int{0: n})
		if err := step(s, 0, n+1); err != nil {
			t.Fatal(err)
		}
		d.Crash(0)
		d.Tear()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s := openDisk(t, d)
	defer s.Close()
	wholeSteps(t, s, map[int]int{0: 5})
}
