package hostproc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// CPUTime is how long the host's processors have been in each of their modes
// since boot, all processors added up, in the ticks of stat (USER_HZ, 100 a
// second). The counters are kept apart, and as the kernel prints them, because
// each can go wrong without the others: [CPUTime.BusySince].
type CPUTime struct {
	User    uint64 `json:"user"`
	Nice    uint64 `json:"nice"`
	System  uint64 `json:"system"`
	Idle    uint64 `json:"idle"`
	IOWait  uint64 `json:"iowait"`
	IRQ     uint64 `json:"irq"`
	SoftIRQ uint64 `json:"softirq"`
	Steal   uint64 `json:"steal"`
}

// BusySince returns the share of the time since an earlier reading that the
// processors were busy, from 0 to 1; not ok if no time has passed, or if before
// is the zero CPUTime, which is no reading. Waiting for I/O is idle time, as in
// psutil's cpu_percent, the source of the cpu_usage of AWS's component.
//
// A counter that fell counts as not having moved, and costs nothing else: idle
// and iowait may decrease (proc_stat(5)), and steal time has gone below zero
// and wrapped to 1.8e19 on virtual machines (psutil issue 1210, node_exporter
// issue 742). A counter that continues after it wrapped counts as usual.
func (now CPUTime) BusySince(before CPUTime) (share float64, ok bool) {
	if before == (CPUTime{}) {
		return 0, false
	}
	elapsed := func(now, before uint64) float64 {
		return float64(max(int64(now-before), 0))
	}
	busy := elapsed(now.User, before.User) + elapsed(now.Nice, before.Nice) + elapsed(now.System, before.System) +
		elapsed(now.IRQ, before.IRQ) + elapsed(now.SoftIRQ, before.SoftIRQ) + elapsed(now.Steal, before.Steal)
	total := busy + elapsed(now.Idle, before.Idle) + elapsed(now.IOWait, before.IOWait)
	if total == 0 {
		return 0, false
	}
	return busy / total, true
}

// CPU returns the processor times of stat.
func (h *Host) CPU() (CPUTime, error) {
	return parseFile(filepath.Join(h.root, "stat"), parseStat)
}

// parseStat takes the line of all processors:
//
//	cpu  1000 20 500 8000 400 30 100 50 40 10
//
// The last two, the time of guests, are in the first two already. Kernels before
// 2.6 print the first four only.
//
// The reader is our own because prometheus/procfs (v0.23.0) loses the whole file
// for a single bad value in any of its lines, such as the number of forks, which
// is printed below zero after 2^31 of them (its issue 831). It also turns ticks
// into seconds, too coarse for a counter that has wrapped.
func parseStat(r io.Reader) (CPUTime, error) {
	lines := newLineScanner(r)
	for lines.Scan() {
		text, ok := bytes.CutPrefix(lines.Bytes(), []byte("cpu "))
		if !ok {
			continue
		}
		columns := strings.Fields(string(text))
		if len(columns) < 4 {
			return CPUTime{}, fmt.Errorf("%d processor times, want at least 4", len(columns))
		}
		var t CPUTime
		for i, counter := range []*uint64{&t.User, &t.Nice, &t.System, &t.Idle, &t.IOWait, &t.IRQ, &t.SoftIRQ, &t.Steal} {
			if i == len(columns) {
				break
			}
			var err error
			if *counter, err = strconv.ParseUint(columns[i], 10, 64); err != nil {
				return CPUTime{}, fmt.Errorf("processor time %d is not a number", i+1)
			}
		}
		if t == (CPUTime{}) {
			return CPUTime{}, errors.New("all processor times are 0") // so says gVisor
		}
		return t, nil
	}
	if err := lines.Err(); err != nil {
		return CPUTime{}, err
	}
	return CPUTime{}, errors.New("the line cpu is missing")
}
