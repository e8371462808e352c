package metrics

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// History is which of the host's remote addresses and ports the last reports
// carried. It decides which entries a list keeps if it is too long; see
// [Collect]. It knows what the last sample found, and forgets what is gone. It
// lives as long as the process, and nil is one that knows nothing. It is safe
// for concurrent use.
type History struct {
	mu      sync.Mutex
	samples uint32 // taken so far
	reports uint32 // added so far

	addresses, tcpPorts, udpPorts ledger
}

// key is a remote address, or a port number and whether the port is on lo:
// behaviors watch addresses and numbers. As numbers it is compared quickly.
type key struct{ high, low uint64 }

func addressKey(a netip.Addr) key {
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// address is the inverse of addressKey.
func (k key) address() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.high)
	binary.BigEndian.PutUint64(b[8:], k.low)
	return netip.AddrFrom16(b).Unmap()
}

func portKey(p report.Port) key {
	k := key{low: uint64(p.Port) << 1}
	if p.Interface == "lo" {
		k.low++
	}
	return k
}

func (k key) compare(other key) int {
	if k.high != other.high {
		return cmp.Compare(k.high, other.high)
	}
	return cmp.Compare(k.low, other.low)
}

// record is the past of one key.
type record struct {
	key   key
	since uint32 // the sample that found it first
	last  uint32 // the last report that carried it, 0 if none has
	times uint32 // how many reports carried it
}

// ledger is the records of what the last sample found, sorted by key.
type ledger []record

// maxRecords bounds a ledger. The ports that a host has stay below it; of more
// remote addresses some are always taken for new ones.
const maxRecords = 1 << 17

// begin counts a sample.
func (h *History) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples++
}

// Add says that a report has been sent. Its lists are as they were sent.
func (h *History) Add(sent *report.Report) {
	if h == nil || sent.Metrics == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports++
	if b := sent.Metrics.TCPConnections; b != nil {
		for _, c := range b.Connections {
			h.addresses.mark(addressKey(c.RemoteAddr.Addr()), h.reports)
		}
	}
	if b := sent.Metrics.ListeningTCPPorts; b != nil {
		for _, p := range b.Ports {
			h.tcpPorts.mark(portKey(p), h.reports)
		}
	}
	if b := sent.Metrics.ListeningUDPPorts; b != nil {
		for _, p := range b.Ports {
			h.udpPorts.mark(portKey(p), h.reports)
		}
	}
}

func (l ledger) mark(k key, report uint32) {
	i, found := slices.BinarySearchFunc(l, k, func(r record, k key) int { return r.key.compare(k) })
	if r := l; found && r[i].last != report {
		r[i].last = report
		r[i].times++
	}
}

// update replaces the ledger by the records of what is there now, sorted by
// key. It fills in the groups' records.
func (l *ledger) update(groups []group, sample uint32) {
	old := *l
	now := make(ledger, 0, min(len(groups), maxRecords))
	for i := range groups {
		g := &groups[i]
		for len(old) > 0 && old[0].key.compare(g.key) < 0 {
			old = old[1:]
		}
		if len(old) > 0 && old[0].key == g.key {
			g.record = old[0]
		} else {
			g.since = sample
		}
		if len(now) < maxRecords {
			now = append(now, g.record)
		}
	}
	*l = now
}
