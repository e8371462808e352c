package outbox

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const hold = 30 * time.Second

// byEvent groups alerts by their last word.
func byEvent(_ string, a Alert) (string, time.Duration) {
	words := strings.Fields(string(a.Message))
	return words[len(words)-1], hold
}

func works(string) error { return nil }

// A burst is one message for each group, half a minute after its first alert. What a
// violation says later is not before what it said first.
func TestBurstIsOneMessage(t *testing.T) {
	deliversGroups(t, byEvent, works, func(m *memory, g *target, _ *strings.Builder) {
		for i := range 63 {
			m.add("team", fmt.Sprint("v", i), " in-alarm")
			time.Sleep(100 * time.Millisecond)
		}
		m.add("team", "v0", " cleared")
		m.add("team", "other", " cleared")
		time.Sleep(hold - 63*100*time.Millisecond - time.Millisecond)
		synctest.Wait()
		if attempts, _, _ := g.seen(); attempts != 0 {
			t.Errorf("%d messages before half a minute is over", attempts)
		}
		time.Sleep(hold)
		synctest.Wait()
		_, got, sizes := g.seen()
		if diff := cmp.Diff([]int{63, 2}, sizes); diff != "" || m.left("team") != 0 {
			t.Errorf("%d left; messages (-want +got):\n%s", m.left("team"), diff)
		}
		if first, last := slices.Index(got, "v0 in-alarm"), slices.Index(got, "v0 cleared"); first < 0 || last < first {
			t.Errorf("at %d and %d: %v", first, last, got)
		}
		time.Sleep(time.Hour)
		m.add("team", "v0", " in-alarm") // and it goes on
		time.Sleep(hold)
		synctest.Wait()
		if _, _, sizes := g.seen(); len(sizes) != 3 {
			t.Errorf("messages of %v", sizes)
		}
	})
}

// What could not be delivered is tried again, whole; what comes meanwhile goes by
// itself.
func TestGroupIsTriedAgain(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	deliversGroups(t, byEvent, func(string) error {
		if down.Load() {
			return errDown
		}
		return nil
	}, func(m *memory, g *target, _ *strings.Builder) {
		for i := range 5 {
			m.add("team", fmt.Sprint("v", i), " in-alarm")
		}
		time.Sleep(hold)
		synctest.Wait()
		m.add("team", "new", " in-alarm")
		m.add("team", "v3", " cleared")
		time.Sleep(time.Hour)
		down.Store(false)
		time.Sleep(2 * longestRetry)
		synctest.Wait()
		_, _, sizes := g.seen()
		if diff := cmp.Diff([]int{1, 1, 5}, slices.Sorted(slices.Values(sizes))); diff != "" || m.left("team") != 0 {
			t.Errorf("%d left; messages (-want +got):\n%s", m.left("team"), diff)
		}
	})
}

// While a team's channel is down, memory does not grow with what waits for it; it
// gets all of it later, and at last nothing is kept in memory.
func TestGroupsWhileDown(t *testing.T) {
	const waiting = 3 * maxHeld
	var down atomic.Bool
	down.Store(true)
	deliversGroups(t, byEvent, func(string) error {
		if down.Load() {
			return errDown
		}
		return nil
	}, func(m *memory, g *target, _ *strings.Builder) {
		for i := range waiting {
			m.add("team", fmt.Sprint("v", i), " in-alarm")
		}
		m.add("other", "x", " in-alarm")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if attempts, _, _ := g.seen(); attempts > 4000 {
			t.Errorf("%d attempts in a day", attempts)
		}
		down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		_, got, sizes := g.seen()
		if len(got) != waiting+1 || m.left("team") != 0 {
			t.Errorf("%d delivered, %d left", len(got), m.left("team"))
		}
		if largest := slices.Max(sizes); largest > maxInParcel {
			t.Errorf("a message of %d", largest)
		}
	})
}

func TestLaneIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 2 * maxHeld {
		m.add("team", fmt.Sprint("v", i), " in-alarm")
	}
	l := newLane("team", func(a Alert) (string, time.Duration) { return byEvent("", a) })
	l.more = true
	if p, _, err := l.fresh(m, time.Now()); p != nil || err != nil || len(l.heads) != maxHeld || l.mayRead() {
		t.Errorf("%d held, %v, %v", len(l.heads), p, err)
	}
}
