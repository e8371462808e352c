package service

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// machine is a machine whose clock may be set, and whose uptime may not.
type machine struct {
	boot   string
	uptime atomic.Int64
	bench  *bench
	log    strings.Builder
}

func newMachine(t *testing.T) *machine {
	m := &machine{boot: "first"}
	m.bench = newBench(t, Options{
		Log:    newTextLog(&m.log),
		Uptime: func() (string, time.Duration) { return m.boot, time.Duration(m.uptime.Load()) },
	})
	m.bench.attach(profileOf("Ports", onlyPort(443), atMost(100)))
	return m
}

// passes lets time pass, by the clock and in truth.
func (m *machine) passes(d time.Duration) {
	m.bench.t.Helper()
	m.uptime.Add(int64(d))
	m.bench.after(d)
	m.turn()
}

// turn does what Run does when an hour is over.
func (m *machine) turn() {
	m.bench.t.Helper()
	ok(m.bench, 0, m.bench.advance(m.bench.t.Context()))
	ok(m.bench, 0, m.bench.prune(m.bench.t.Context()))
}

// kept counts what pruning deletes.
func (m *machine) kept() int {
	n := m.bench.rows()
	return n["values"] + n["events"]
}

// fill has values and an alarm that is over in the database, and some days ago.
func (m *machine) fill() int {
	for _, port := range []int{8080, 443} {
		m.bench.reports("thing-1", ports(port)+","+packets(1))
		m.passes(time.Hour)
	}
	return m.kept()
}

func (m *machine) says(text string) {
	m.bench.t.Helper()
	if !strings.Contains(m.log.String(), text) {
		m.bench.t.Errorf("the log has no %q:\n%s", text, m.log.String())
	}
	m.log.Reset()
}

// A clock that is a year ahead, for the time of a prune or for a day, deletes
// nothing, and what is too old is deleted when it is right again.
func TestClockLeapDeletesNothing(t *testing.T) {
	m := newMachine(t)
	had := m.fill()
	m.bench.after(365 * 24 * time.Hour)
	m.turn()
	m.says("the clock is 365.0 days ahead of all that this service knows: nothing is deleted until it is set right")
	m.passes(24 * time.Hour)
	m.bench.restart()
	m.turn()
	if n := m.kept(); n < had {
		t.Errorf("%d values and events are left of %d", n, had)
	}
	m.says("--accept-clock")
	m.bench.after(-365 * 24 * time.Hour)
	m.turn()
	m.says("the clock is right again")
	m.passes(32 * 24 * time.Hour)
	if n := m.kept(); n != 0 {
		t.Errorf("%d values and events are left after a month", n)
	}
}

// What the operator confirms is the time.
func TestClockLeapIsConfirmed(t *testing.T) {
	m := newMachine(t)
	m.fill()
	m.bench.after(365 * 24 * time.Hour)
	m.turn()
	m.bench.options.AcceptClock = true
	m.bench.restart()
	m.turn()
	if n := m.kept(); n != 0 {
		t.Errorf("%d values and events are left after a year", n)
	}
	m.bench.options.AcceptClock = false
	m.bench.restart()
	m.log.Reset()
	m.turn()
	if strings.Contains(m.log.String(), "ahead") {
		t.Error(m.log.String())
	}
}

// Time in which the service was not running is known by the uptime of the
// machine, as long as it is the same boot.
func TestClockWhileStopped(t *testing.T) {
	for boot, kept := range map[string]bool{"first": false, "second": true} {
		m := newMachine(t)
		m.fill()
		ok(m.bench, 0, m.bench.Close())
		m.uptime.Add(int64(40 * 24 * time.Hour))
		m.bench.after(40 * 24 * time.Hour)
		m.boot = boot
		m.bench.open()
		m.turn()
		if n := m.kept(); (n > 0) != kept {
			t.Errorf("boot %s: %d values and events are left after 40 days", boot, n)
		}
	}
}

// A disk that is full stops nothing, and when it has room again all goes on by
// itself.
func TestRunOutlivesAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		disk := &disk{}
		s := openService(t, Options{Log: newTextLog(&log), wrap: disk.wrap})
		err := s.write(t.Context(), func(tx *store.Tx) error {
			return tableValues.Put(tx, day(s.now().AddDate(0, 0, -20)), pairKey("thing-1", store.TimeKey(s.now())), nil)
		})
		if err != nil {
			t.Fatal(err)
		}
		disk.full.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("Run ended: %v", err)
		default:
		}
		if !strings.Contains(log.String(), "pruning failed") {
			t.Errorf("the log does not say that pruning failed:\n%s", log.String())
		}
		disk.full.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		var left []store.Day
		err = s.read(t.Context(), func(view *store.Reader) (err error) {
			left, err = tableValues.Days(view)
			return err
		})
		if err != nil || len(left) != 0 {
			t.Errorf("days %v are left, %v", left, err)
		}
		cancel()
		<-ended
		s.Close()
	})
}
