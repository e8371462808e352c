package hostproc

import "path/filepath"

// Counters are the running traffic counters of an interface. They start at 0
// when the interface is made.
type Counters struct {
	RxBytes, RxPackets uint64 // received
	TxBytes, TxPackets uint64 // sent
}

// Counters returns the counters of the host's interfaces by name, from net/dev.
func (h *Host) Counters() (map[string]Counters, error) {
	dev, err := guard(filepath.Join(h.netDir, "dev"), h.network.NetDev)
	if err != nil {
		return nil, err
	}
	counters := make(map[string]Counters, len(dev))
	for name, d := range dev {
		counters[name] = Counters{RxBytes: d.RxBytes, RxPackets: d.RxPackets, TxBytes: d.TxBytes, TxPackets: d.TxPackets}
	}
	return counters, nil
}
