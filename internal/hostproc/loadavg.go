package hostproc

import "path/filepath"

// Load returns the load averages over 1, 5 and 15 minutes, from loadavg.
func (h *Host) Load() (load1, load5, load15 float64, err error) {
	load, err := guard(filepath.Join(h.root, "loadavg"), h.machine.LoadAvg)
	if err != nil {
		return 0, 0, 0, err
	}
	return load.Load1, load.Load5, load.Load15, nil
}
