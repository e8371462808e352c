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

// Addresses reads the host's own addresses.
//
// In this process' own network namespace it asks the kernel, which tells the
// interface of each. If the host's namespace is another one, which the kernel
// tells nothing about, or if netlink is forbidden, it reads net/if_inet6,
// net/fib_trie and net/route. For IPv6 they list addresses with their
// interfaces. For IPv4 they list addresses (fib_trie) and networks (route)
// apart, so interfaces are inferred where that leaves no doubt: inferInterfaces. A
// table that is missing, as all of IPv6 may be, makes its addresses unknown:
// without fib_trie (gVisor has none) networks alone would name an interface for
// addresses long removed.
//
// The Addresses are usable also if there is an error: they are what could be
// read, and one protocol costs the other nothing. A malformed row of the IPv4
// tables costs all IPv4 names, as it may be the one that leaves a doubt.
func (h *Host) Addresses() (*Addresses, error) {
	if h.ownNetwork() {
		if interfaces, err := kernelAddresses(); err == nil {
			return &Addresses{interfaces: interfaces}, nil
		}
	}
	v6, err6 := parseFile(filepath.Join(h.netDir, "if_inet6"), parseIfInet6)
	trie, errTrie := parseFile(filepath.Join(h.netDir, "fib_trie"), parseFibTrie)
	networks, errRoute := parseFile(filepath.Join(h.netDir, "route"), parseRoute)
	for _, err := range []*error{&err6, &errTrie, &errRoute} {
		if errors.Is(*err, fs.ErrNotExist) {
			*err = nil
		}
	}
	a := &Addresses{interfaces: map[netip.Addr]string{}, incomplete: errors.Join(err6, errTrie)}
	maps.Copy(a.interfaces, v6)
	if errTrie == nil && errRoute == nil {
		maps.Copy(a.interfaces, inferInterfaces(trie, networks))
	} else {
		maps.Copy(a.interfaces, inferInterfaces(trie, nil))
	}
	return a, errors.Join(a.incomplete, errRoute)
}

// Interface returns the name of the interface that addr belongs to. It is empty
// if addr is not the host's (or no longer), if two interfaces have it, as can be
// with link-local ones, or if it can't be told. Wildcards belong to no
// interface.
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
