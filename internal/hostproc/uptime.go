package hostproc

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
)

// Uptime returns the time since the host booted, time asleep included, from
// uptime. The kernel counts hundredths of a second.
func (h *Host) Uptime() (time.Duration, error) {
	return parseFile(filepath.Join(h.root, "uptime"), parseUptime)
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
		return 0, fmt.Errorf("uptime of %q seconds", fields[0])
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
