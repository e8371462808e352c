package agent

import (
	"hash/fnv"
	"time"
)

const (
	// spread is the share of an interval over which a fleet that was started in
	// the same second spreads: 30 of 300 seconds, so that 100,000 devices stay
	// below an account's peak rate of 3,500 reports per second, and no report
	// covers much more than an interval.
	spread = 10
	// maxSlowdown bounds how much Throttled replies stretch the interval.
	maxSlowdown = 8
	// prompt is how long after its sample a report may leave without moving the
	// next one: the grid is worth more than a second.
	prompt = time.Second
)

// schedule says when the next sample is due: one period after the last on a
// grid that does not drift, but not before the service takes another report.
type schedule struct {
	interval  time.Duration
	least     time.Duration // between two reports that leave
	phase     float64       // this thing's share of the spread, 0 to 1
	slowdown  int           // what the service's throttling multiplies the interval by
	throttled bool          // since the last sample

	samples  int       // in this process
	grid     time.Time // when the last sample was due; before the first, when that is
	earliest time.Time // for the next report to leave
}

func newSchedule(thing string, interval, least time.Duration) *schedule {
	h := fnv.New32a()
	h.Write([]byte(thing))
	return &schedule{interval: interval, least: least, phase: float64(h.Sum32()) / (1 << 32), slowdown: 1}
}

// start sets the first sample: at once, or when the service takes another
// report after the one that an earlier process sent, zero if there is none.
func (s *schedule) start(now, earlier time.Time) {
	s.grid = now
	if !earlier.IsZero() {
		s.earliest = earlier.Add(s.least)
	}
}

// period is the time between two samples.
func (s *schedule) period() time.Duration {
	return min(s.interval*time.Duration(s.slowdown), MaxSampleInterval)
}

// next is when a sample is due.
func (s *schedule) next() time.Time {
	due := s.grid
	if s.samples > 0 {
		due = due.Add(s.period())
	}
	if s.samples == 1 {
		due = due.Add(time.Duration(s.phase * float64(s.interval/spread)))
	}
	if due.Before(s.earliest) {
		return s.earliest
	}
	return due
}

// sampled notes a sample. One that the service did not throttle brings the
// interval back by half.
func (s *schedule) sampled(now time.Time) {
	due := s.next()
	if now.Sub(due) > prompt {
		due = now // after a stall, keep the distance rather than the grid
	}
	s.grid = due
	s.samples++
	if !s.throttled {
		s.slowdown = max(s.slowdown/2, 1)
	}
	s.throttled = false
}

// departed notes when the last sample's report left, and reports whether that
// was late.
func (s *schedule) departed(now time.Time) (late bool) {
	left := s.grid
	if late = now.Sub(s.grid) > prompt; late {
		left = now
	}
	s.earliest = left.Add(s.least)
	return late
}

// throttle doubles the interval for a while, once for each sample. It reports
// whether it did.
func (s *schedule) throttle() bool {
	if s.throttled {
		return false
	}
	s.throttled = true
	s.slowdown = min(2*s.slowdown, maxSlowdown)
	return true
}

// relent takes the throttling since the last sample back. It reports whether
// there was any.
func (s *schedule) relent() bool {
	if !s.throttled {
		return false
	}
	s.throttled = false
	s.slowdown = max(s.slowdown/2, 1)
	return true
}

// setInterval changes the interval, from the last sample on.
func (s *schedule) setInterval(interval time.Duration) {
	if interval != s.interval {
		s.interval, s.slowdown = interval, 1
	}
}
