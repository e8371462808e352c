package service

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// Verdicts on reports that are counted apart.
var verdicts = [...]string{"accepted", codeInvalid, codeThrottled, codeUnavailable, "other"}

// LatencyBounds are the upper bounds in seconds of the buckets that times from a
// report to its answer are counted in. One more has what is beyond.
var LatencyBounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// Tally counts what comes in by one way, such as HTTP. It costs a report some
// atomic additions.
type Tally struct {
	name      string
	verdicts  [len(verdicts)]atomic.Uint64
	latency   [len(LatencyBounds) + 1]atomic.Uint64
	took      atomic.Int64 // nanoseconds, of all reports
	last      atomic.Int64 // milliseconds since 1970; 0 is never
	connected atomic.Int32 // 1 is yes, -1 no, 0 that it has no connection
}

// Tally returns the tally of a way in, which is made when it is asked for first.
// Names are of the program, not of callers: each is kept.
func (s *Service) Tally(name string) *Tally {
	s.tallies.Lock()
	defer s.tallies.Unlock()
	for _, t := range s.tallies.ways {
		if t.name == name {
			return t
		}
	}
	t := &Tally{name: name}
	s.tallies.ways = append(s.tallies.ways, t)
	return t
}

// Took counts a report: the answer to it, when that was, and how long it took.
func (t *Tally) Took(reply report.Reply, at time.Time, took time.Duration) {
	verdict := len(verdicts) - 1
	if reply.Status == report.Accepted {
		verdict = 0
	} else if i := slices.Index(verdicts[:], reply.ErrorCode); i > 0 {
		verdict = i
	}
	t.verdicts[verdict].Add(1)
	bucket, _ := slices.BinarySearch(LatencyBounds[:], took.Seconds())
	t.latency[bucket].Add(1)
	t.took.Add(int64(took))
	t.last.Store(at.UnixMilli())
}

// Connected says whether a source that connects to something is connected.
func (t *Tally) Connected(is bool) {
	state := int32(-1)
	if is {
		state = 1
	}
	t.connected.Store(state)
}

// most labels that are counted apart. Names of profiles are the operator's, but
// there can be any number of them.
const mostCounted = 200

// Other is the name of all that is not counted apart.
const Other = "other"

// EventName is an event of violations by what it is counted by.
type EventName struct{ Profile, Behavior, Type string }

// DeliveryName is a delivery of an alert by what it is counted by: the target as it
// may be shown, and delivered, failed or refused.
type DeliveryName struct{ Target, Outcome string }

// counts counts by names, within bounds.
type counts[K comparable] struct {
	mu sync.Mutex
	by map[K]uint64
}

func (c *counts[K]) add(key, other K, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[K]uint64{}
	}
	if _, known := c.by[key]; !known && len(c.by) >= mostCounted {
		key = other
	}
	c.by[key] += uint64(n)
}

func (c *counts[K]) all() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		return map[K]uint64{}
	}
	return maps.Clone(c.by)
}

// tallies are the counters since the service was opened.
type tallies struct {
	sync.Mutex // guards ways
	ways       []*Tally

	events       counts[EventName]
	deliveries   counts[DeliveryName]
	transactions atomic.Uint64
	tasks        atomic.Uint64
	lastBackup   atomic.Int64 // milliseconds since 1970
}

// WayIn is what was counted of one way in.
type WayIn struct {
	Name     string
	Verdicts map[string]uint64
	// Latency has the reports of each bucket of LatencyBounds and those beyond, Took the
	// sum of their times.
	Latency []uint64
	Took    time.Duration
	Last    time.Time // zero: never
	// Connects says that it connects to something, and Connected whether it is.
	Connects, Connected bool
}

func (t *Tally) read() WayIn {
	w := WayIn{Name: t.name, Verdicts: map[string]uint64{}, Took: time.Duration(t.took.Load())}
	for i, name := range verdicts {
		w.Verdicts[name] = t.verdicts[i].Load()
	}
	for i := range t.latency {
		w.Latency = append(w.Latency, t.latency[i].Load())
	}
	if last := t.last.Load(); last != 0 {
		w.Last = time.UnixMilli(last)
	}
	connected := t.connected.Load()
	w.Connects, w.Connected = connected != 0, connected > 0
	return w
}

func (s *Service) waysIn() (ways []WayIn) {
	s.tallies.Lock()
	defer s.tallies.Unlock()
	for _, t := range s.tallies.ways {
		ways = append(ways, t.read())
	}
	slices.SortFunc(ways, func(a, b WayIn) int { return strings.Compare(a.Name, b.Name) })
	return ways
}
