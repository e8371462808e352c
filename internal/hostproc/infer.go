package hostproc

import (
	"iter"
	"net/netip"
)

// inferInterfaces returns the interfaces of the host's own IPv4 addresses, ""
// where the tables leave a doubt. That is the case more often than one would
// think: a route is not an address. WireGuard routes 10.0.0.0/28 to wg0 though
// eth0 has 10.0.0.5/24, and an address of 32 bits has no route of its own: on wg0
// or, of a load balancer, on lo, it looks like a second one on eth0. A wrong name
// would hide sockets, by way of an excluded interface; an unknown one never does.
//
// So an address has the interface of the network around it only if
//   - all networks around it are connected to that interface,
//   - some address has the smallest of them as its network, and not only a route,
//     which shows in its broadcast address, and
//   - no other own address is in that network.
func inferInterfaces(trie fibTrie, connected networks) map[netip.Addr]string {
	population := map[netip.Prefix]int{}
	for addr := range trie.own {
		for network := range connected.around(addr) {
			population[network]++
		}
	}
	interfaces := make(map[netip.Addr]string, len(trie.own))
	for addr := range trie.own {
		var smallest netip.Prefix
		var name string
		for network, owner := range connected.around(addr) {
			if !smallest.IsValid() {
				smallest, name = network, owner
			} else if owner != name {
				name = ""
			}
		}
		if _, assigned := trie.broadcasts[broadcast(smallest)]; !assigned || population[smallest] > 1 {
			name = ""
		}
		interfaces[addr] = name
	}
	return interfaces
}

// around returns the networks that hold addr with their interfaces, the smallest
// first.
func (n networks) around(addr netip.Addr) iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		for size := addr.BitLen(); size > 0; size-- {
			network, _ := addr.Prefix(size)
			if name, ok := n[network]; ok && !yield(network, name) {
				return
			}
		}
	}
}

// broadcast returns the last address of an IPv4 network, none of no network.
func broadcast(network netip.Prefix) netip.Addr {
	if !network.IsValid() {
		return netip.Addr{}
	}
	bytes := network.Addr().As4()
	for bit := network.Bits(); bit < 32; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(bytes)
}
