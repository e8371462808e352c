package agent

import (
	"fmt"
	"testing"
	"time"
)

func newTestSchedule(interval time.Duration) *schedule {
	return newSchedule("thing", interval, MinSampleInterval)
}

// sampleTimes runs a schedule for n samples, each taken late and published
// after work, and returns when they were due, relative to the start.
func sampleTimes(s *schedule, n int, late, work time.Duration) []time.Duration {
	start := time.Unix(1e9, 0)
	s.start(start, time.Time{})
	var due []time.Duration
	for range n {
		next := s.next()
		due = append(due, next.Sub(start))
		s.sampled(next.Add(late))
		s.departed(next.Add(late + work))
	}
	return due
}

func TestScheduleKeepsItsGrid(t *testing.T) {
	times := sampleTimes(newTestSchedule(300*time.Second), 1000, 400*time.Millisecond, 500*time.Millisecond)
	if times[0] != 0 {
		t.Errorf("first sample after %v, want at once", times[0])
	}
	phase := times[1] - 300*time.Second
	if phase < 0 || phase >= 30*time.Second {
		t.Errorf("phase %v, want 0 to 30s", phase)
	}
	for i := 2; i < len(times); i++ {
		if want := time.Duration(i)*300*time.Second + phase; times[i] != want {
			t.Fatalf("sample %d after %v, want %v: the schedule drifts", i, times[i], want)
		}
	}
}

func TestScheduleKeepsItsDistanceAfterAStall(t *testing.T) {
	s := newTestSchedule(300 * time.Second)
	start := time.Unix(1e9, 0)
	s.start(start, time.Time{})
	s.sampled(start)
	late := s.next().Add(200 * time.Second)
	s.sampled(late)
	if got := s.next().Sub(late); got != 300*time.Second {
		t.Errorf("next sample %v after a late one, want 300s", got)
	}
}

// What leaves late moves the next report, whatever else changes.
func TestScheduleKeepsItsDistanceAfterALatePublish(t *testing.T) {
	start := time.Unix(1e9, 0)
	left := start.Add(120 * time.Second)
	want := left.Add(MinSampleInterval)
	s := newTestSchedule(300 * time.Second)
	s.start(start, time.Time{})
	s.sampled(start)
	if late := s.departed(left); !late {
		t.Error("two minutes are not late")
	}
	if got := s.next(); got.Before(want) {
		t.Errorf("next sample %v after the last report left", got.Sub(left))
	}
	s.setInterval(301 * time.Second)
	if got := s.next(); got.Before(want) {
		t.Errorf("next sample %v after the last report left and the interval changed", got.Sub(left))
	}
	restarted := newTestSchedule(300 * time.Second)
	restarted.start(left.Add(10*time.Second), left)
	if got := restarted.next(); got != want {
		t.Errorf("next sample %v after the last report left, in a new process", got.Sub(left))
	}
}

func TestFleetSpreads(t *testing.T) {
	const things, seconds = 3000, 30
	for _, changed := range []bool{false, true} {
		var perSecond [seconds]int
		for i := range things {
			s := newSchedule(fmt.Sprintf("device-%d", i), 300*time.Second, MinSampleInterval)
			start := time.Unix(1e9, 0)
			s.start(start, time.Time{})
			s.sampled(start)
			if changed { // a deployment to all of them
				s.setInterval(600 * time.Second)
				s.setInterval(300 * time.Second)
			}
			perSecond[int((s.next().Sub(start)-300*time.Second)/time.Second)]++
		}
		for second, n := range perSecond {
			if n < things/seconds/2 || n > things/seconds*2 {
				t.Errorf("%d of %d things report in second %d, want about %d", n, things, second, things/seconds)
			}
		}
	}
}

func TestRestartWaitsForTheService(t *testing.T) {
	now := time.Unix(1e9, 0)
	tests := []struct {
		ago  time.Duration // since the last process' report
		want time.Duration
	}{
		{50 * time.Second, 250 * time.Second},
		{300 * time.Second, 0},
		{500 * time.Second, 0},
	}
	for _, test := range tests {
		s := newTestSchedule(600 * time.Second)
		s.start(now, now.Add(-test.ago))
		if got := s.next().Sub(now); got != test.want {
			t.Errorf("restart %v after a report: next in %v, want %v", test.ago, got, test.want)
		}
	}
}

func TestIntervalChange(t *testing.T) {
	start := time.Unix(1e9, 0)
	s := newTestSchedule(600 * time.Second)
	s.start(start, time.Time{})
	s.setInterval(900 * time.Second)
	if s.next() != start {
		t.Error("a change before the first sample must not delay it")
	}
	s.sampled(start)
	s.sampled(s.next())
	last := s.grid
	s.setInterval(300 * time.Second)
	if got := s.next().Sub(last); got != 300*time.Second {
		t.Errorf("next sample %v after the last, want 300s", got)
	}
	next := s.next()
	s.setInterval(300 * time.Second)
	if s.next() != next {
		t.Error("the same interval again moved the schedule")
	}
}

func TestThrottledSlowsDownForAWhile(t *testing.T) {
	s := newTestSchedule(300 * time.Second)
	s.start(time.Unix(1e9, 0), time.Time{})
	for _, want := range []time.Duration{600, 1200, 2400, 2400} {
		s.sampled(s.next())
		s.throttle()
		if got := s.period(); got != want*time.Second {
			t.Errorf("period %v, want %v", got, want*time.Second)
		}
	}
	s.sampled(s.next()) // the one after the last that was throttled
	for _, want := range []time.Duration{1200, 600, 300, 300} {
		s.sampled(s.next())
		if got := s.period(); got != want*time.Second {
			t.Errorf("period %v, want %v", got, want*time.Second)
		}
	}
	s.interval = MaxSampleInterval
	s.throttle()
	if got := s.period(); got != MaxSampleInterval {
		t.Errorf("period %v, over the longest interval", got)
	}
}
