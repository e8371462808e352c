package hostproc

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
)

// Addresses are the host's own addresses and the interfaces they belong to.
type Addresses struct {
	interfaces map[netip.Addr]string // "" where several are possible, or none
	incomplete error                 // why there may be more of them
}

// Addresses reads the host's own addresses, from net/if_inet6, net/fib_trie and
// net/route.
//
// For IPv6 the kernel lists them with their interfaces. For IPv4 it lists
// addresses (fib_trie) and networks (route) apart; an address belongs to the
// interface of the smallest network around it. A table that is missing, as all
// of IPv6 may be, makes its addresses unknown: without fib_trie (gVisor has
// none) networks alone would name an interface for addresses long removed.
//
// The Addresses are usable also if there is an error: they are what could be
// read, and one protocol costs the other nothing. Of IPv4, a malformed row costs
// the names of all interfaces, as it may be the one that makes another wrong.
func (h *Host) Addresses() (*Addresses, error) {
	v6, err6 := parseFile(filepath.Join(h.netDir, "if_inet6"), parseIfInet6)
	v4, err4 := parseFile(filepath.Join(h.netDir, "fib_trie"), parseFibTrie)
	connected, errRoute := h.networks()
	for _, err := range []*error{&err6, &err4, &errRoute} {
		if errors.Is(*err, fs.ErrNotExist) {
			*err = nil
		}
	}
	a := &Addresses{interfaces: make(map[netip.Addr]string, len(v6)+len(v4)), incomplete: errors.Join(err6, err4)}
	maps.Copy(a.interfaces, v6)
	for addr := range v4 {
		a.interfaces[addr] = ""
		if err4 == nil && errRoute == nil {
			a.interfaces[addr] = connected.around(addr)
		}
	}
	return a, errors.Join(a.incomplete, errRoute)
}

// Interface returns the name of the interface that addr belongs to. It is empty
// if addr is not the host's (or no longer), or if the tables leave it open:
// an address that two interfaces have, as link-local ones can be; an IPv4
// address in a network that two interfaces share, or in none. Wildcards belong
// to no interface.
func (a *Addresses) Interface(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	// The whole network is local, and in neither route nor fib_trie by address.
	if addr.Is4() && addr.IsLoopback() {
		return "lo"
	}
	return a.interfaces[addr]
}

// All returns the host's own addresses, sorted, loopback and link-local ones
// included. With an error there may be more of them.
func (a *Addresses) All() ([]netip.Addr, error) {
	return slices.SortedFunc(maps.Keys(a.interfaces), netip.Addr.Compare), a.incomplete
}

// maxAddresses bounds the addresses kept of a table. Hosts have tens,
// Kubernetes nodes with a cluster's service addresses thousands.
const maxAddresses = 1 << 15
