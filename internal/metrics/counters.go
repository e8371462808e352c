package metrics

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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
	// Uptime is [hostproc.Host.Clock] at the sample: a clock that nobody sets.
	Uptime time.Duration `json:"uptime_ns"`
	// Interfaces are the counters of every interface, whatever the filter, so
	// that a changed filter needs no new baseline. Nil if there are none yet.
	Interfaces map[string]Interface `json:"interfaces,omitempty"`
	// LastIndex is the greatest index of an interface seen in this boot.
	LastIndex int              `json:"last_index,omitempty"`
	CPU       hostproc.CPUTime `json:"cpu"`
	// CPUAge is how much older than the sample CPU is, which is kept from an
	// earlier one if it could not be read.
	CPUAge time.Duration `json:"cpu_age_ns,omitempty"`
	// Live is set in a baseline of this process, which is of this boot also if
	// the kernel does not tell which one that is. It is not saved.
	Live bool `json:"-"`
}

// precedes reports whether a later sample can be measured against the baseline.
func (b *Baseline) precedes(now *Baseline) bool {
	sameBoot := b.BootID == now.BootID
	if b.BootID == "" || now.BootID == "" {
		sameBoot = b.Live
	}
	return sameBoot && b.NetDir == now.NetDir && b.Uptime <= now.Uptime
}

// usable reports whether anything can be measured against the baseline.
func (b *Baseline) usable(age, limit time.Duration) bool {
	if b.Interfaces == nil {
		return false
	}
	for _, i := range b.Interfaces {
		if !tooOld(i.Age+age, limit) {
			return true
		}
	}
	return len(b.Interfaces) == 0 && !tooOld(age, limit)
}

// Interface is the counters of one interface.
type Interface struct {
	hostproc.Counters
	// Age is how much older than the sample the counters are: they are kept
	// while they can't be read or the interface is gone.
	Age time.Duration `json:"age_ns,omitempty"`
	// Before are, of counters that fell, the values before: a counter that
	// comes back has not counted all that in one interval. The others are 0.
	Before *hostproc.Counters `json:"before,omitempty"`
	// BeforeAge is how much older than the sample Before is.
	BeforeAge time.Duration `json:"before_age_ns,omitempty"`
}

// The counters, in the order of [figureNames].
const (
	bytesIn = iota
	bytesOut
	packetsIn
	packetsOut
	figureCount
)

// figureNames are the counters' names in a report.
var figureNames = [figureCount]string{"bytes_in", "bytes_out", "packets_in", "packets_out"}

// companion is the other counter of the same direction.
var companion = [figureCount]int{bytesIn: packetsIn, bytesOut: packetsOut, packetsIn: bytesIn, packetsOut: bytesOut}

// figures are one value for each counter.
type figures [figureCount]uint64

func figuresOf(c hostproc.Counters) figures {
	return figures{c.RxBytes, c.TxBytes, c.RxPackets, c.TxPackets}
}

func (f figures) counters() *hostproc.Counters {
	return &hostproc.Counters{RxBytes: f[bytesIn], TxBytes: f[bytesOut], RxPackets: f[packetsIn], TxPackets: f[packetsOut]}
}

// traffic adds up what the selected interfaces counted since the baseline,
// figure by figure. A figure for which one of them has no certain value is left
// out.
type traffic struct {
	sum     figures
	unknown [figureCount]error // why a figure is left out, the first reason
}

func (t *traffic) stats() *report.NetworkStats {
	figure := func(i int) *uint64 {
		if t.unknown[i] != nil {
			return nil
		}
		return &t.sum[i]
	}
	s := report.NetworkStats{
		BytesIn: figure(bytesIn), BytesOut: figure(bytesOut), PacketsIn: figure(packetsIn), PacketsOut: figure(packetsOut),
	}
	if s == (report.NetworkStats{}) {
		return nil
	}
	return &s
}

type countOptions struct {
	elapsed  time.Duration     // the age of the baseline
	limit    time.Duration     // how old counters may be that are used, 0 for no limit
	selected func(string) bool // interfaces that the report is about
	unread   bool              // interfaces may be missing because they could not be read
}

// count measures the interfaces against the baseline and returns those of the
// next one.
func count(since *Baseline, now map[string]hostproc.Counters, o countOptions) (map[string]Interface, traffic) {
	next := make(map[string]Interface, len(now))
	byIndex := make(map[int]string, len(now)) // names in the baseline
	accounted := since.LastIndex > 0          // for each that may have another name now
	for name, i := range since.Interfaces {
		if i.Index != 0 {
			byIndex[i.Index] = name
		} else if _, there := now[name]; !there {
			accounted = false
		}
	}
	var t traffic
	for _, name := range slices.Sorted(maps.Keys(now)) {
		c := now[name]
		earlier, known := since.Interfaces[name]
		former, indexKnown := byIndex[c.Index]
		switch {
		case indexKnown:
			earlier, known = since.Interfaces[former], true // it may have been renamed
		case c.Index == 0 || known && earlier.Index == 0:
			// The name is all there is to go by.
		case accounted && c.Index > since.LastIndex:
			earlier, known = Interface{}, true // it is new, and has counted from zero
		default:
			known = false // it may come from another network namespace, with what it counted there
		}
		if !known || tooOld(earlier.Age+o.elapsed, o.limit) {
			next[name] = Interface{Counters: c}
			continue
		}
		grown, fault, i := difference(earlier.aged(o.elapsed), c, o.limit)
		next[name] = i
		if !o.selected(name) {
			continue
		}
		for f := range figureCount {
			t.sum[f] += grown[f]
			if fault[f] != nil && t.unknown[f] == nil {
				t.unknown[f] = fmt.Errorf("interface %.64q: %w", name, fault[f])
			}
		}
	}
	keepGone(next, since.Interfaces, o)
	return next, t
}

// maxGone bounds how many interfaces are kept that are gone.
const maxGone = 1024

// keepGone adds the interfaces that were not read: one that comes back under its
// name, as a dialled link does, has not counted since boot. Without a limit
// those that are gone are not kept, or they would be for ever.
func keepGone(next, before map[string]Interface, o countOptions) {
	gone := 0
	for _, name := range slices.Sorted(maps.Keys(before)) {
		i := before[name].aged(o.elapsed)
		if _, there := next[name]; there || tooOld(i.Age, o.limit) {
			continue
		}
		if gone++; o.unread || o.limit > 0 && gone <= maxGone {
			next[name] = i
		}
	}
}

// aged returns the interface with the age that it has now.
func (i Interface) aged(elapsed time.Duration) Interface {
	i.Age += elapsed
	if i.Before != nil {
		i.BeforeAge += elapsed
	}
	return i
}

func tooOld(age, limit time.Duration) bool { return limit > 0 && age > limit }

// Why a figure has no certain value.
var (
	errFell     = errors.New("the counter fell, for no known reason")
	errCameBack = errors.New("the counter came back after more than two intervals")
	errWasZero  = errors.New("the counter was 0, although the other one of its direction was not")
)

// difference is what an interface counted between two readings, decided counter
// by counter, and what is kept of it for the next sample.
//
//   - One that did not fall counted the difference.
//   - If all fell together, the interface was made anew: each counted its value.
//     If all are 0, it may be a reading that failed.
//   - One that fell below 2^32 while the other of its direction rose, by as much
//     as fits it, has wrapped: drivers and kernels of 32 bits count so.
//   - Any other that fell is not known. Its former value is kept, and while it
//     is below that, what it adds is counted. Once it is above, it has come back
//     from a reading that failed: it counted the difference to the former value.
func difference(earlier Interface, now hostproc.Counters, limit time.Duration) (grown figures, fault [figureCount]error, next Interface) {
	was, is := figuresOf(earlier.Counters), figuresOf(now)
	var before figures
	if earlier.Before != nil {
		before = figuresOf(*earlier.Before)
	}
	next = Interface{Counters: now}
	reset := madeAnew(was, is)
	var guard figures
	for f := range figureCount {
		other := companion[f]
		fell := false
		switch {
		case is[f] >= was[f] && before[f] > was[f] && is[f] >= before[f]:
			grown[f] = is[f] - before[f]
			if tooOld(earlier.BeforeAge, limit) {
				grown[f], fault[f] = 0, errCameBack
			}
		case is[f] > was[f] && was[f] == 0 && was[other] > 0:
			fault[f] = errWasZero
		case is[f] == 0 && was[f] == 0 && before[f] > 0 && !tooOld(earlier.BeforeAge, limit):
			fault[f] = errFell // it may still be a reading that failed
			fell = true
		case is[f] >= was[f]:
			grown[f] = is[f] - was[f]
			fell = is[f] == was[f] // it has not counted on from where it fell to
		case reset && is != figures{}:
			grown[f] = is[f]
			fell = true
		case !reset && wrapped(f, was, is):
			grown[f] = 1<<32 - was[f] + is[f]
		default:
			fault[f] = errFell
			fell = true
		}
		switch {
		case fell && before[f] > was[f]:
			guard[f] = before[f]
			next.BeforeAge = max(next.BeforeAge, earlier.BeforeAge)
		case fell && is[f] < was[f]:
			guard[f] = was[f]
			next.BeforeAge = max(next.BeforeAge, earlier.Age)
		}
	}
	if guard != (figures{}) {
		next.Before = guard.counters()
	}
	return grown, fault, next
}

// madeAnew reports whether all counters fell together.
func madeAnew(was, is figures) bool {
	for f := range figureCount {
		if is[f] >= was[f] && is[f] > 0 {
			return false
		}
	}
	return was != is
}

// wrapped reports whether a counter that fell has wrapped at 2^32, by the
// evidence of the other counter of its direction. A difference in the farther
// half of the range is no evidence, nor is a 0, which is what a reading that
// failed looks like.
func wrapped(f int, was, is figures) bool {
	other := companion[f]
	if was[f] > math.MaxUint32 || is[f] == 0 || is[other] <= was[other] {
		return false
	}
	grown := 1<<32 - was[f] + is[f]
	bytes, packets := grown, is[other]-was[other]
	if f == packetsIn || f == packetsOut {
		bytes, packets = packets, bytes
	}
	// A packet has at least a byte, and at most 64 KiB: so large are those of
	// loopback, and segments that a network card has put together.
	return grown < 1<<31 && packets <= bytes && bytes <= packets<<16
}
