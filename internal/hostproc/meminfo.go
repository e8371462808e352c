package hostproc

import (
	"fmt"
	"path/filepath"
)

// Memory is the host's memory in bytes.
type Memory struct {
	Total     uint64
	Available uint64 // the kernel's estimate of what new programs can have without swapping
}

// Memory returns the memory of meminfo.
func (h *Host) Memory() (Memory, error) {
	file := filepath.Join(h.root, "meminfo")
	m, err := guard(file, h.machine.Meminfo)
	if err != nil {
		return Memory{}, err
	}
	if m.MemTotalBytes == nil || m.MemAvailableBytes == nil {
		return Memory{}, fmt.Errorf("parsing %s: MemTotal or MemAvailable is missing", file)
	}
	return Memory{Total: *m.MemTotalBytes, Available: *m.MemAvailableBytes}, nil
}
