package service

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootID tells one boot of the machine from another; "" when that is not known.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}

// sinceBoot is the time since then, with that of sleep; 0 when it can't be read.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
