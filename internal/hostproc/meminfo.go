package hostproc

import (
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is the host's memory in bytes.
type Memory struct {
	Total     uint64
	Available uint64 // the kernel's estimate of what new programs can have without swapping
}

// Memory returns the memory of meminfo.
func (h *Host) Memory() (Memory, error) {
	return parseFile(filepath.Join(h.root, "meminfo"), parseMeminfo)
}

// maxMeminfo bounds what is read of meminfo, which has about 1,500 bytes.
const maxMeminfo = 64 << 10

// parseMeminfo takes the lines that it needs:
//
//	MemTotal:        1017560 kB
//
// The reader is our own because prometheus/procfs (v0.23.0) loses the whole file
// for one line that it does not expect, and kernels write several: several
// values on a line (gopsutil issue 1002), no blank before a large value (psutil
// issue 2809), an empty line (node_exporter pull request 1671), zeros at the end
// (psutil issue 2319). It takes zero-padded numbers for octal (bcachefs issue
// 447).
func parseMeminfo(r io.Reader) (Memory, error) {
	values := map[string]uint64{}
	lines := newLineScanner(io.LimitReader(r, maxMeminfo))
	lines.Buffer(nil, maxMeminfo+1) // a long line is passed over like any other
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), ":")
		if _, again := values[name]; !ok || again {
			continue
		}
		switch name {
		case "MemTotal", "MemAvailable":
			if value, ok := parseKiB(text); ok {
				values[name] = value
			}
		}
	}
	if err := lines.Err(); err != nil {
		return Memory{}, err
	}
	total, ok1 := values["MemTotal"]
	available, ok2 := values["MemAvailable"]
	if !ok1 || !ok2 {
		return Memory{}, errors.New("MemTotal or MemAvailable is missing or not in kB")
	}
	return Memory{Total: total, Available: available}, nil
}

// parseKiB returns the bytes of "1017560 kB", which are units of 1,024.
func parseKiB(text string) (bytes uint64, ok bool) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "kB")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	return n << 10, err == nil && n < 1<<54
}
