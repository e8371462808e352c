package cli

import "time"

// forwardSpeed is how many times faster than real time a clock runs that was
// set back: what takes five minutes on a device takes five seconds.
const forwardSpeed = 60

// forwardClock returns a clock that begins behind in the past and runs
// forwardSpeed times faster until it has caught up with the real one. Times it
// gives are never in the future, so that what is asked for "the last hour" is
// there.
func forwardClock(behind time.Duration) func() time.Time {
	began := time.Now()
	return func() time.Time {
		now := time.Now()
		fast := began.Add(-behind).Add(forwardSpeed * now.Sub(began))
		if fast.Before(now) {
			return fast
		}
		return now
	}
}
