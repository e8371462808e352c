package agent

import (
	"hash/fnv"
	"time"
)

// spread is the share of an interval over which a fleet that was started in
// the same second spreads: 30 of 300 seconds, so that 100,000 devices stay
// below an account's peak rate of 3,500 reports per second, and no report
// covers much more than an interval.
const spread = 10

// maxSlowdown bounds how much Throttled replies stretch the interval.
const maxSlowdown = 8

// schedule says when the next sample is due. Samples are a whole number of
// intervals apart from the second one on, whatever publishing takes; the
// thing's phase stands between the first and the second.
type schedule struct {
	interval time.Duration
	phase    float64 // this thing's share of the interval's spread, 0 to 1
	slowdown int     // what the service's throttling multiplies the interval by
	last     time.Time
	next     time.Time
	samples  int // in this process
}

func newSchedule(thing string, interval time.Duration) *schedule {
	h := fnv.New32a()
	h.Write([]byte(thing))
	return &schedule{interval: interval, phase: float64(h.Sum32()) / (1 << 32), slowdown: 1}
}

// start sets the first sample: at once, or least after the one that an
// earlier process took, if that is not yet so long ago.
func (s *schedule) start(now, earlier time.Time, least time.Duration) {
	s.last, s.next = earlier, now
	if due := earlier.Add(least); !earlier.IsZero() && due.After(now) {
		s.next = due
	}
}

// period is the time between two samples.
func (s *schedule) period() time.Duration { return s.interval * time.Duration(s.slowdown) }

// sampled notes a sample and sets the next.
func (s *schedule) sampled(now time.Time) {
	period := s.period()
	if late := now.Sub(s.next); late > period/100 {
		s.next = now // after a stall, keep the distance rather than the grid
	}
	s.next = s.next.Add(period)
	if s.samples == 0 {
		s.next = s.next.Add(time.Duration(s.phase * float64(period/spread)))
	}
	s.last = now
	s.samples++
}

// published notes when a report really left. After one that needed retries the
// next keeps its distance: the service counts from arrival to arrival. The few
// seconds of an ordinary publish move nothing.
func (s *schedule) published(now time.Time, least time.Duration) {
	if due := now.Add(least); due.Sub(s.next) > publishTimeout {
		s.next = due
	}
}

// setInterval moves the next sample to the new interval's distance from the
// last one.
func (s *schedule) setInterval(interval time.Duration) {
	if interval == s.interval {
		return
	}
	s.interval = interval
	s.reckon()
}

// throttled doubles the distance; accepted halves it again.
func (s *schedule) throttled() {
	s.slowdown = min(2*s.slowdown, maxSlowdown)
	s.reckon()
}

func (s *schedule) accepted() {
	s.slowdown = max(s.slowdown/2, 1)
}

func (s *schedule) reckon() {
	if s.samples > 0 {
		s.next = s.last.Add(s.period())
	}
}
