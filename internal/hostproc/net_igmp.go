package hostproc

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// parseIgmp returns the indexes of interfaces by name. Of the files of net it is
// the only one that has them for every interface that is up, with or without an
// address, as each of them is in the group of all hosts:
//
//	Idx	Device    : Count Querier	Group    Users Timer	Reporter
//	2	eth0      :     1      V3
//					010000E0     1 0:00000000		0
//
// Rows that can't be parsed are passed over: an index is never needed.
func parseIgmp(r io.Reader) (map[string]int, error) {
	indexes := map[string]int{}
	lines := newLineScanner(r)
	for lines.Scan() && len(indexes) <= maxInterfaces {
		number, rest, ok := bytes.Cut(lines.Bytes(), []byte("\t"))
		index, err := strconv.ParseInt(string(number), 10, 32)
		name, _, colon := strings.Cut(string(rest), ":")
		if ok && err == nil && index > 0 && colon {
			indexes[strings.TrimSpace(name)] = int(index)
		}
	}
	return indexes, lines.Err()
}
