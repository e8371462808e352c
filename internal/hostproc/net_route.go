package hostproc

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"path/filepath"

	"github.com/prometheus/procfs"
)

// networks are IPv4 networks that an interface is connected to, with its name,
// "" if several are.
type networks map[netip.Prefix]string

// networks returns the connected networks of net/route.
func (h *Host) networks() (networks, error) {
	routes, err := guard(filepath.Join(h.netDir, "route"), h.network.NetRoute)
	if err != nil {
		return nil, err
	}
	return connectedNetworks(routes), nil
}

// maxRoutes is how many routes procfs reads: it stops, silently, at 1 MiB, and
// the kernel pads rows, of which the first is the header, to 128 bytes.
const maxRoutes = 1<<20/128 - 1

func connectedNetworks(routes []procfs.NetRouteLine) networks {
	// A network that was not read may be smaller than those that were.
	if len(routes) >= maxRoutes {
		return nil
	}
	connected := networks{}
	for _, r := range routes {
		// A default route without a gateway, as modems have, is not a network;
		// blackhole is procfs' name for the * of routes to nowhere.
		if r.Gateway != 0 || r.Mask == 0 || r.Iface == "blackhole" {
			continue
		}
		network := netip.PrefixFrom(addr4(r.Destination), bits.OnesCount32(r.Mask))
		name := r.Iface
		if other, ok := connected[network]; ok && other != name {
			name = ""
		}
		connected[network] = name
	}
	return connected
}

// around returns the interface of the smallest network that holds addr, "" if
// there is none or more than one interface.
func (n networks) around(addr netip.Addr) string {
	for size := addr.BitLen(); size > 0; size-- {
		network, _ := addr.Prefix(size)
		if name, ok := n[network]; ok {
			return name
		}
	}
	return ""
}

// addr4 returns the address whose bytes procfs has read as a little-endian word.
func addr4(word uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.LittleEndian.AppendUint32(nil, word)))
}
