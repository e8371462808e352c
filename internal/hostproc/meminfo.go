package hostproc

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Memory is the host's memory in bytes.
type Memory struct {
	Total     uint64
	Available uint64 // an estimate of what new programs can have without swapping
}

// Memory returns the memory of meminfo. Linux estimates what is available since
// 3.14; before, it is estimated here.
func (h *Host) Memory() (Memory, error) {
	file := filepath.Join(h.root, "meminfo")
	m, err := parseFile(file, parseMeminfo)
	if err != nil {
		return Memory{}, err
	}
	total, ok := m["MemTotal"]
	if !ok {
		return Memory{}, fmt.Errorf("parsing %s: MemTotal is missing or not in kB", file)
	}
	if available, ok := m["MemAvailable"]; ok {
		return Memory{Total: total, Available: available}, nil
	}
	for _, name := range estimateOf {
		if _, ok := m[name]; !ok {
			return Memory{}, fmt.Errorf("parsing %s: MemAvailable and %s are missing or not in kB", file, name)
		}
	}
	minFree, err := parseFile(filepath.Join(h.root, "sys/vm/min_free_kbytes"), parseMinFree)
	if err != nil {
		return Memory{}, fmt.Errorf("estimating the available memory: %w", err)
	}
	return Memory{Total: total, Available: estimateAvailable(m, minFree)}, nil
}

// estimateOf are the values that the estimate is made of.
var estimateOf = []string{"MemFree", "Active(file)", "Inactive(file)", "SReclaimable"}

// estimateAvailable is the estimate that the kernel's commit 34e431b0ae39 has
// introduced and described: free memory, the page cache but for half of it, and
// the reclaimable slabs but for half of them, where half means at most the low
// watermark, and less the watermark itself. The watermark is five quarters of
// minFree, as in procps' free(1): on kernels that old that is the sum of the
// zones' watermarks, as the scale factor that changes it is of Linux 4.6.
func estimateAvailable(m map[string]uint64, minFree uint64) uint64 {
	watermark := minFree / 4 * 5
	cache := m["Active(file)"] + m["Inactive(file)"]
	slabs := m["SReclaimable"]
	available := m["MemFree"] + cache - min(cache/2, watermark) + slabs - min(slabs/2, watermark)
	return available - min(available, watermark)
}

// parseMinFree takes the number of sys/vm/min_free_kbytes and returns bytes.
func parseMinFree(r io.Reader) (uint64, error) {
	fields, err := firstLine(r)
	if err != nil {
		return 0, err
	}
	if len(fields) == 1 {
		if bytes, ok := parseKiB(fields[0] + " kB"); ok {
			return bytes, nil
		}
	}
	return 0, errors.New("it is not a number of kilobytes")
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
//
// Lines of other names are passed over, and so are values that are no number.
func parseMeminfo(r io.Reader) (map[string]uint64, error) {
	values := map[string]uint64{}
	lines := newLineScanner(io.LimitReader(r, maxMeminfo))
	lines.Buffer(nil, maxMeminfo+1) // a long line is passed over like any other
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), ":")
		if _, again := values[name]; !ok || again {
			continue
		}
		if name == "MemTotal" || name == "MemAvailable" || slices.Contains(estimateOf, name) {
			if value, ok := parseKiB(text); ok {
				values[name] = value
			}
		}
	}
	return values, lines.Err()
}

// parseKiB returns the bytes of "1017560 kB", which are units of 1,024. They are
// fewer than 2^60, so that a few can be added.
func parseKiB(text string) (bytes uint64, ok bool) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "kB")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	return n << 10, err == nil && n < 1<<50
}
