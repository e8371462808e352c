package hostproc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// parseIfInet6 returns the interfaces of IPv6 addresses, "" for an address on
// several. A row is
//
//	fe8000000000000038a09cfffe09e324 05 40 20 80    br-a1
//
// address, index, prefix length, scope and flags in hex, name. The file has no
// header, and is empty while no interface has such an address.
func parseIfInet6(r io.Reader) (map[netip.Addr]string, error) {
	interfaces := map[netip.Addr]string{}
	var faults RowsError
	lines := newLineScanner(r)
	for number := 1; lines.Scan(); number++ {
		if blank(lines.Bytes()) {
			continue
		}
		addr, name, fault := parseAddress6(lines.Text())
		faults.add(number, len(lines.Bytes()), fault)
		if fault != nil {
			continue
		}
		if other, ok := interfaces[addr]; ok && other != name {
			name = ""
		}
		if interfaces[addr] = name; len(interfaces) > maxAddresses {
			return nil, fmt.Errorf("more than %d addresses", maxAddresses)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return interfaces, faults.orNil()
}

// parseAddress6 parses a row of net/if_inet6.
func parseAddress6(row string) (addr netip.Addr, name string, err error) {
	columns := strings.Fields(row)
	if len(columns) != 6 {
		return addr, "", fmt.Errorf("%d columns, want 6", len(columns))
	}
	bytes, err := hex.DecodeString(columns[0])
	if err != nil || len(bytes) != 16 {
		return addr, "", errors.New("no IPv6 address in hexadecimal")
	}
	return netip.AddrFrom16([16]byte(bytes)), columns[5], nil
}
