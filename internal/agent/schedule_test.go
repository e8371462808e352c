package agent

import (
	"fmt"
	"testing"
	"time"
)

// sampleTimes runs a schedule for n samples and returns when they are due,
// relative to the start. work is how late each one is done.
func sampleTimes(s *schedule, start time.Time, n int, late time.Duration) []time.Duration {
	s.start(start, time.Time{}, MinSampleInterval)
	var due []time.Duration
	for range n {
		due = append(due, s.next.Sub(start))
		s.sampled(s.next.Add(late))
	}
	return due
}

func TestScheduleKeepsItsGrid(t *testing.T) {
	s := newSchedule("thing", 300*time.Second)
	times := sampleTimes(s, time.Unix(1e9, 0), 1000, 2*time.Second)
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
	s := newSchedule("thing", 300*time.Second)
	start := time.Unix(1e9, 0)
	s.start(start, time.Time{}, MinSampleInterval)
	s.sampled(start)
	late := s.next.Add(200 * time.Second)
	s.sampled(late)
	if got := s.next.Sub(late); got != 300*time.Second {
		t.Errorf("next sample %v after a late one, want 300s", got)
	}
}

func TestFleetSpreads(t *testing.T) {
	const things, seconds = 3000, 30
	var perSecond [seconds]int
	for i := range things {
		s := newSchedule(fmt.Sprintf("device-%d", i), 300*time.Second)
		times := sampleTimes(s, time.Unix(1e9, 0), 2, 0)
		perSecond[int((times[1]-300*time.Second)/time.Second)]++
	}
	for second, n := range perSecond {
		if n < things/seconds/2 || n > things/seconds*2 {
			t.Errorf("%d of %d things report in second %d, want about %d", n, things, second, things/seconds)
		}
	}
}

func TestRestartContinues(t *testing.T) {
	now := time.Unix(1e9, 0)
	tests := []struct {
		ago  time.Duration // since the last process' sample
		want time.Duration
	}{
		{50 * time.Second, 250 * time.Second},
		{300 * time.Second, 0},
		{500 * time.Second, 0},
	}
	for _, test := range tests {
		s := newSchedule("thing", 600*time.Second)
		s.start(now, now.Add(-test.ago), MinSampleInterval)
		if got := s.next.Sub(now); got != test.want {
			t.Errorf("restart %v after a sample: next in %v, want %v", test.ago, got, test.want)
		}
	}
}

func TestIntervalChange(t *testing.T) {
	start := time.Unix(1e9, 0)
	s := newSchedule("thing", 600*time.Second)
	s.start(start, time.Time{}, MinSampleInterval)
	s.setInterval(900 * time.Second)
	if s.next != start {
		t.Error("a change before the first sample must not delay it")
	}
	s.sampled(start)
	s.setInterval(300 * time.Second)
	if got := s.next.Sub(start); got != 300*time.Second {
		t.Errorf("next sample %v after the last, want 300s", got)
	}
	next := s.next
	s.setInterval(300 * time.Second)
	if s.next != next {
		t.Error("the same interval again moved the schedule")
	}
}

func TestThrottledSlowsDownForAWhile(t *testing.T) {
	start := time.Unix(1e9, 0)
	s := newSchedule("thing", 300*time.Second)
	s.start(start, time.Time{}, MinSampleInterval)
	s.sampled(start)
	for _, want := range []int{2, 4, 8, 8} {
		s.throttled()
		if got := s.next.Sub(start); got != time.Duration(want)*300*time.Second {
			t.Errorf("next sample after %v, want %d intervals", got, want)
		}
	}
	for _, want := range []time.Duration{1200, 600, 300, 300} {
		s.accepted()
		if got := s.period(); got != want*time.Second {
			t.Errorf("period %v, want %v", got, want*time.Second)
		}
	}
}
