package hostproc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
)

// networks are IPv4 networks that an interface is connected to, with its name,
// "" if several are.
type networks map[netip.Prefix]string

// maxNetworks bounds the networks kept, of which a host has about as many as
// interfaces.
const maxNetworks = 1 << 16

// parseRoute returns the networks of the routes that name an interface and no
// gateway. After the header, a row is
//
//	br-a1	0000080A	00000000	0001	0	0	0	00FFFFFF	0	0	0
//
// interface, destination, gateway, flags, references, uses, metric and mask.
// The file is empty, without a header, while no interface is up.
//
// The reader is our own because prometheus/procfs (v0.23.0) loses all routes for
// a single bad number, such as metrics from 2^31 on, which kernels before 6.14
// print as negative ones (net-tools pull request 39), and silently stops after
// 1 MiB. Nothing is read here but the columns that are needed.
func parseRoute(r io.Reader) (networks, error) {
	connected := networks{}
	var faults RowsError
	lines := newLineScanner(r)
	for number := 1; lines.Scan(); number++ {
		if number == 1 || blank(lines.Bytes()) {
			continue
		}
		name, network, fault := parseConnected(lines.Bytes())
		faults.add(number, len(lines.Bytes()), fault)
		if name == "" {
			continue
		}
		if other, ok := connected[network]; ok && other != name {
			name = ""
		}
		if connected[network] = name; len(connected) > maxNetworks {
			return nil, fmt.Errorf("more than %d networks", maxNetworks)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return connected, faults.orNil()
}

// parseConnected parses a row of net/route. The name is empty if the route is
// none of a connected network.
func parseConnected(row []byte) (name string, network netip.Prefix, err error) {
	columns := bytes.Fields(row)
	if len(columns) < 8 {
		return "", network, fmt.Errorf("%d columns, want at least 8", len(columns))
	}
	destination, ok1 := parseWord(columns[1])
	gateway, ok2 := parseWord(columns[2])
	mask, ok3 := parseWord(columns[7])
	if !ok1 || !ok2 || !ok3 {
		return "", network, errors.New("destination, gateway or mask is not a word in hexadecimal")
	}
	size := bits.LeadingZeros32(^binary.BigEndian.Uint32(mask[:]))
	switch {
	case bits.OnesCount32(binary.BigEndian.Uint32(mask[:])) != size:
		return "", network, errors.New("the mask has gaps")
	// A default route without a gateway, as modems have, is not a network; the
	// interface of routes to nowhere is *.
	case gateway != [4]byte{} || size == 0 || string(columns[0]) == "*":
		return "", network, nil
	}
	return string(columns[0]), netip.PrefixFrom(netip.AddrFrom4(destination), size), nil
}

// parseWord parses an address, a word printed as a number of the host's byte
// order.
func parseWord(text []byte) (address [4]byte, ok bool) {
	number, ok := parseHex(text)
	binary.NativeEndian.PutUint32(address[:], number)
	return address, ok && len(text) == 8
}
