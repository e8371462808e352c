package hostproc

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Uptime returns the time since the host booted, time asleep included, from
// uptime. The kernel counts hundredths of a second.
func (h *Host) Uptime() (time.Duration, error) {
	return parseFile(filepath.Join(h.root, "uptime"), parseUptime)
}

// Clock returns a time since boot against which earlier ones can be measured. It
// is the Uptime, or if that can't be read, the kernel's own clock: lxcfs, which
// stands in for the file in containers, has shown 1.8e19 seconds (its issue
// 732), and that must not cost what is measured over an interval.
//
// The kernel's clock is right for a mounted /proc as well: it is the same kernel,
// and a reader in a time namespace has the same offset in both. It is not the
// Uptime, as lxcfs counts from the start of its container.
func (h *Host) Clock() (time.Duration, error) {
	if uptime, err := h.Uptime(); err == nil {
		return uptime, nil
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("reading the clock since boot: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// parseUptime takes "2377.96 4705.18": seconds since boot, and seconds idle.
func parseUptime(r io.Reader) (time.Duration, error) {
	const most = 1e9 // seconds; a Duration holds nine times as many
	fields, err := firstLine(r)
	if err != nil {
		return 0, err
	}
	if len(fields) != 2 {
		return 0, fmt.Errorf("%d numbers instead of 2", len(fields))
	}
	seconds, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || !(seconds >= 0 && seconds < most) {
		return 0, fmt.Errorf("the uptime is no number of seconds from 0 to %g", float64(most))
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
