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

// Counters are the running traffic counters of an interface. They start at 0
// when the interface is made.
type Counters struct {
	RxBytes, RxPackets uint64 // received
	TxBytes, TxPackets uint64 // sent
	// Index tells an interface from an earlier one of the same name: the kernel
	// gives every new one another. 0 is an unknown index, of which nothing
	// follows: that of an interface that is down.
	Index int `json:",omitempty"`
}

// Counters returns the counters of the host's interfaces by name, from net/dev,
// with the indexes of net/igmp. With a [*RowsError] it returns those of the rows
// that could be parsed: an interface that is not among them may exist, with
// counters unknown.
func (h *Host) Counters() (map[string]Counters, error) {
	counters, err := parseFile(filepath.Join(h.netDir, "dev"), parseNetDev)
	// What can't be read of it is unknown.
	indexes, _ := parseFile(filepath.Join(h.netDir, "igmp"), parseIgmp)
	for name, c := range counters {
		c.Index = indexes[name]
		counters[name] = c
	}
	return counters, err
}

// maxInterfaces bounds the interfaces kept. Hosts of containers have thousands.
const maxInterfaces = 1 << 16

// parseNetDev takes two lines of header and a row for each interface:
//
//	eth0:   50000     100    0    0    0     0          0         0    20000      80 ...
//
// The reader is our own because prometheus/procfs (v0.23.0) loses all interfaces
// for a malformed row of one, and panics on a short one.
func parseNetDev(r io.Reader) (map[string]Counters, error) {
	counters := map[string]Counters{}
	var faults RowsError
	lines := newLineScanner(r)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		switch {
		case number <= 2:
			if !bytes.ContainsRune(line, '|') {
				return nil, fmt.Errorf("line %d: the header is missing in %d bytes", number, len(line))
			}
		case blank(line):
		default:
			name, c, fault := parseInterface(string(line))
			faults.add(number, len(line), fault)
			if fault != nil {
				continue
			}
			if counters[name] = c; len(counters) > maxInterfaces {
				return nil, fmt.Errorf("more than %d interfaces", maxInterfaces)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if number < 2 {
		return nil, errors.New("the header is missing")
	}
	return counters, faults.orNil()
}

// parseInterface parses a row of net/dev. No blank has to follow the name, and
// the name may contain colons.
func parseInterface(row string) (name string, c Counters, err error) {
	colon := strings.LastIndexByte(row, ':')
	if colon < 0 {
		return "", Counters{}, errors.New("no colon ends the interface's name")
	}
	if name = strings.TrimSpace(row[:colon]); name == "" {
		return "", Counters{}, errors.New("no interface name")
	}
	columns := strings.Fields(row[colon+1:])
	if len(columns) < 10 {
		return "", Counters{}, fmt.Errorf("%d numbers, want at least 10", len(columns))
	}
	for column, counter := range map[int]*uint64{0: &c.RxBytes, 1: &c.RxPackets, 8: &c.TxBytes, 9: &c.TxPackets} {
		if *counter, err = strconv.ParseUint(columns[column], 10, 64); err != nil {
			return "", Counters{}, fmt.Errorf("number %d is no counter", column+1)
		}
	}
	return name, c, nil
}
