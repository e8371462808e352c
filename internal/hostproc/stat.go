package hostproc

import (
	"fmt"
	"math"
	"path/filepath"
)

// CPUTime is how long the host's processors have run since boot, in seconds,
// all added up. What share of the time they were busy is the quotient of the
// differences of two readings.
type CPUTime struct {
	Busy, Total float64
}

// CPU returns the processor times of stat. Waiting for I/O is idle time, as in
// psutil's cpu_percent, the source of the cpu_usage of AWS's component.
func (h *Host) CPU() (CPUTime, error) {
	file := filepath.Join(h.root, "stat")
	stat, err := guard(file, h.machine.Stat)
	if err != nil {
		return CPUTime{}, err
	}
	c := stat.CPUTotal
	// The time of guests is in User and Nice already.
	busy := c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal
	total := busy + c.Idle + c.Iowait
	if !(total > 0) || math.IsInf(total, 0) {
		return CPUTime{}, fmt.Errorf("parsing %s: no processor times", file)
	}
	return CPUTime{Busy: busy, Total: total}, nil
}
