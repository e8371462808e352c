package hostproc

import (
	"encoding/hex"
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
// address, index, prefix length, scope and flags in hex, name.
func parseIfInet6(r io.Reader) (map[netip.Addr]string, error) {
	interfaces := map[netip.Addr]string{}
	lines := newLineScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 {
			return nil, fmt.Errorf("%d columns instead of 6 in %q", len(fields), lines.Text())
		}
		bytes, err := hex.DecodeString(fields[0])
		if err != nil || len(bytes) != 16 {
			return nil, fmt.Errorf("%q is not an IPv6 address", fields[0])
		}
		addr, name := netip.AddrFrom16([16]byte(bytes)), fields[5]
		if other, ok := interfaces[addr]; ok && other != name {
			name = ""
		}
		if interfaces[addr] = name; len(interfaces) > maxAddresses {
			return nil, fmt.Errorf("more than %d addresses", maxAddresses)
		}
	}
	return interfaces, lines.Err()
}
