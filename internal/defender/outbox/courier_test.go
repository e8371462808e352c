package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store that forgets when it is told to, unless the disk is full.
// Its cost does not grow with what waits, as that of a database does not.
type memory struct {
	mu     sync.Mutex
	alerts map[string]map[uint64]Alert // by target and number
	gone   map[string]uint64           // by target: alerts up to this number are not there
	number uint64                      // of the last one
	full   bool
	wake   chan struct{}
}

func newMemory() *memory {
	return &memory{alerts: map[string]map[uint64]Alert{}, gone: map[string]uint64{}, wake: make(chan struct{}, 1)}
}

// add has an alert delivered whose message is the violation and the event.
func (m *memory) add(target, violation, event string) {
	m.mu.Lock()
	m.number++
	if m.alerts[target] == nil {
		m.alerts[target], m.gone[target] = map[uint64]Alert{}, m.number-1
	}
	m.alerts[target][m.number] = Alert{m.number, time.Now(), violation, []byte(violation + event)}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *memory) left(target string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.alerts[target])
}

func (m *memory) Targets() (targets []string, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for target, list := range m.alerts {
		if len(list) > 0 {
			targets = append(targets, target)
		}
	}
	return targets, nil
}

func (m *memory) Next(target string, after uint64, most int) (list []Alert, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := max(after, m.gone[target]) + 1; n <= m.number && len(list) < most; n++ {
		if a, ok := m.alerts[target][n]; ok {
			list = append(list, a)
		}
	}
	return list, nil
}

func (m *memory) Delete(target string, numbers []uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return errors.New("no space left on device")
	}
	alerts := m.alerts[target]
	for _, n := range numbers {
		delete(alerts, n)
	}
	for n := m.gone[target] + 1; n <= m.number; n++ {
		if _, ok := alerts[n]; ok {
			break
		}
		m.gone[target] = n
	}
	return nil
}

// target answers alerts, and remembers them.
type target struct {
	mu       sync.Mutex
	attempts int
	got      []string
	sizes    []int // of deliveries, in alerts
	fails    func(message string) error
}

func (g *target) send(_ context.Context, _ string, alerts []Alert) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts++
	for _, a := range alerts {
		if err := g.fails(string(a.Message)); err != nil {
			return err
		}
	}
	g.sizes = append(g.sizes, len(alerts))
	for _, a := range alerts {
		g.got = append(g.got, string(a.Message))
	}
	return nil
}

// delivers runs a courier in a bubble, for as long as the function takes.
func delivers(t *testing.T, fails func(message string) error, during func(*memory, *target, *strings.Builder)) {
	t.Helper()
	deliversGroups(t, nil, fails, during)
}

// deliversGroups does so with alerts that go together.
func deliversGroups(t *testing.T, group func(string, Alert) (string, time.Duration), fails func(message string) error, during func(*memory, *target, *strings.Builder)) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		var log strings.Builder
		m, g := newMemory(), &target{fails: fails}
		c := &Courier{
			Store: m, Send: g.send, Group: group, Name: func(target string) string { return target },
			Age: func(a Alert) time.Duration { return time.Since(a.Time) },
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); c.Run(ctx, m.wake) }()
		during(m, g, &log)
		cancel()
		<-ended
	})
}

// seen returns how often it was asked, and what it got, in how many alerts each.
func (g *target) seen() (attempts int, got []string, sizes []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attempts, slices.Clone(g.got), slices.Clone(g.sizes)
}

var errDown = errors.New("500 Internal Server Error")

// An alert that its target answers with an error holds up no other, but for
// those of its violation, which keep their order.
func TestFailingAlertWaitsOnItsOwn(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	delivers(t, func(message string) error {
		if broken.Load() && message == "bad in-alarm" {
			return errDown
		}
		return nil
	}, func(m *memory, g *target, _ *strings.Builder) {
		m.add("topic", "bad", " in-alarm")
		for i := range 100 {
			m.add("topic", fmt.Sprint("good-", i), " in-alarm")
		}
		m.add("topic", "bad", " alarm-cleared")
		synctest.Wait()
		if len(g.got) != 100 || m.left("topic") != 2 {
			t.Errorf("%d of 100 are delivered at once, %d wait", len(g.got), m.left("topic"))
		}
		time.Sleep(time.Hour)
		broken.Store(false)
		time.Sleep(longestRetry)
		synctest.Wait()
		if diff := cmp.Diff([]string{"bad in-alarm", "bad alarm-cleared"}, g.got[100:]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if m.left("topic") != 0 {
			t.Errorf("%d wait", m.left("topic"))
		}
	})
}

// A target that takes nothing is not asked with every alert that waits for it,
// has all of them when it is back, and stops no other target.
func TestTargetIsDown(t *testing.T) {
	const waiting = 20_000
	var down atomic.Bool
	down.Store(true)
	delivers(t, func(message string) error {
		if down.Load() && !strings.HasPrefix(message, "other") {
			return errDown
		}
		return nil
	}, func(m *memory, g *target, _ *strings.Builder) {
		for i := range waiting {
			m.add("down", fmt.Sprint("v", i), "")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if g.attempts > 1000 {
			t.Errorf("%d attempts in a day", g.attempts)
		}
		m.add("up", "other", "")
		synctest.Wait()
		if len(g.got) != 1 {
			t.Errorf("another target has %v", g.got)
		}
		down.Store(false)
		time.Sleep(2 * longestRetry)
		synctest.Wait()
		if len(g.got) != waiting+1 || m.left("down") != 0 {
			t.Errorf("%d are delivered, and %d wait, of %d", len(g.got)-1, m.left("down"), waiting)
		}
	})
}

// Nothing is given up before three days are over, and everything then.
func TestGivenUpAfterThreeDays(t *testing.T) {
	const waiting = 300
	delivers(t, func(string) error { return errDown }, func(m *memory, _ *target, log *strings.Builder) {
		for i := range waiting {
			m.add("down", fmt.Sprint("v", i), " in-alarm")
			m.add("down", fmt.Sprint("v", i), " alarm-cleared")
		}
		time.Sleep(Life - time.Minute)
		synctest.Wait()
		if m.left("down") != 2*waiting {
			t.Errorf("%d of %d wait before three days are over", m.left("down"), 2*waiting)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "alert given up"); m.left("down") != 0 || n != 2*waiting {
			t.Errorf("%d are left after three days, %d said to be given up", m.left("down"), n)
		}
		m.add("down", "v0", " in-alarm") // and it goes on
		synctest.Wait()
		if m.left("down") != 1 {
			t.Errorf("%d wait, want the new one", m.left("down"))
		}
	})
}

func TestRefusedIsGivenUpAtOnce(t *testing.T) {
	delivers(t, func(message string) error {
		if strings.HasSuffix(message, "refused") {
			return fmt.Errorf("too long: %w", ErrRefused)
		}
		return nil
	}, func(m *memory, g *target, _ *strings.Builder) {
		for range 50 {
			m.add("topic", "v", " refused")
		}
		m.add("topic", "v", " cleared")
		synctest.Wait()
		if m.left("topic") != 0 || len(g.got) != 1 {
			t.Errorf("%d are left, delivered %v", m.left("topic"), g.got)
		}
	})
}

// While the disk is full, what was delivered can't be forgotten, and isn't
// delivered again and again.
func TestDiskIsFull(t *testing.T) {
	delivers(t, func(string) error { return nil }, func(m *memory, g *target, _ *strings.Builder) {
		m.mu.Lock()
		m.full = true
		m.mu.Unlock()
		m.add("topic", "a", "")
		m.add("topic", "b", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		if g.attempts != 2 {
			t.Errorf("%d attempts for two alerts", g.attempts)
		}
		m.mu.Lock()
		m.full = false
		m.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if m.left("topic") != 0 {
			t.Errorf("%d are left", m.left("topic"))
		}
	})
}
