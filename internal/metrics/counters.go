package metrics

import (
	"maps"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// Baseline holds the running counters of one sample, against which the next
// one is measured. It is meaningful only within the boot that it was read in,
// and for the same network tables.
type Baseline struct {
	BootID string `json:"boot_id"`
	// NetDir is where the network tables were read, [hostproc.Host.NetDir].
	NetDir string `json:"net_dir"`
	// Uptime is the machine's at the sample: a clock that nobody sets.
	Uptime time.Duration `json:"uptime_ns"`
	// Interfaces are the counters of every interface, whatever the filter, so
	// that a changed filter needs no new baseline. Nil if they were not read.
	Interfaces map[string]hostproc.Counters `json:"interfaces,omitempty"`
	CPU        hostproc.CPUTime             `json:"cpu"`
}

// withUnread adds the earlier counters of interfaces that could not be read now:
// the next report then covers both intervals, and nothing is lost.
func withUnread(now, before map[string]hostproc.Counters) map[string]hostproc.Counters {
	all := maps.Clone(before)
	for name, c := range now {
		if all == nil {
			all = map[string]hostproc.Counters{}
		}
		all[name] = c
	}
	return all
}

// networkStats adds up what each selected interface counted since the
// baseline.
func networkStats(before, now map[string]hostproc.Counters, selected func(string) bool) *report.NetworkStats {
	var sum hostproc.Counters
	for name, c := range now {
		b, known := before[name]
		if !known || !selected(name) || fell(b, c) {
			continue
		}
		sum.RxBytes += c.RxBytes - b.RxBytes
		sum.RxPackets += c.RxPackets - b.RxPackets
		sum.TxBytes += c.TxBytes - b.TxBytes
		sum.TxPackets += c.TxPackets - b.TxPackets
	}
	return &report.NetworkStats{
		BytesIn: &sum.RxBytes, BytesOut: &sum.TxBytes,
		PacketsIn: &sum.RxPackets, PacketsOut: &sum.TxPackets,
	}
}

// fell reports whether an interface was reset, or replaced by another one of
// the same name: then not even its larger counters can be compared.
func fell(before, now hostproc.Counters) bool {
	return now.RxBytes < before.RxBytes || now.RxPackets < before.RxPackets ||
		now.TxBytes < before.TxBytes || now.TxPackets < before.TxPackets
}
