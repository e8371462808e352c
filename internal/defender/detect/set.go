package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// addrSet is a set of addresses as disjoint ranges, sorted. IPv4 addresses
// mapped into IPv6 are IPv4 addresses.
type addrSet []addrRange

type addrRange struct{ first, last netip.Addr }

func newAddrSet(cidrs []string) (addrSet, error) {
	var set addrSet
	for _, text := range cidrs {
		r, err := parseRange(text)
		if err != nil {
			return nil, err
		}
		set = append(set, r)
	}
	slices.SortFunc(set, func(a, b addrRange) int { return a.first.Compare(b.first) })
	merged := set[:0]
	for _, r := range set {
		if n := len(merged); n > 0 && r.first.Compare(merged[n-1].last) <= 0 {
			if r.last.Compare(merged[n-1].last) > 0 {
				merged[n-1].last = r.last
			}
			continue
		}
		merged = append(merged, r)
	}
	return merged, nil
}

// parseRange reads a CIDR block or a single address. Bits of the host part
// are taken for zero.
func parseRange(text string) (addrRange, error) {
	if !strings.Contains(text, "/") {
		addr, err := parseAddr(text)
		return addrRange{addr, addr}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return addrRange{}, fmt.Errorf("CIDR %.64q is not one: %w", text, err)
	}
	first := prefix.Masked().Addr()
	last := first.AsSlice()
	for bit := prefix.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	r := addrRange{first: first}
	r.last, _ = netip.AddrFromSlice(last)
	if first.Is4In6() && r.last.Is4In6() {
		r = addrRange{first.Unmap(), r.last.Unmap()}
	}
	return r, nil
}

// parseAddr reads one measured address, which a metric value may spell as a
// CIDR block that holds nothing else.
func parseAddr(text string) (netip.Addr, error) {
	whole := "/32"
	if strings.Contains(text, ":") {
		whole = "/128"
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(text, whole))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("IP address %.64q is not one: %w", text, err)
	}
	return addr.WithZone("").Unmap(), nil
}

func (s addrSet) contains(addr netip.Addr) bool {
	i, found := slices.BinarySearchFunc(s, addr, func(r addrRange, a netip.Addr) int { return r.first.Compare(a) })
	return found || i > 0 && s[i-1].last.Compare(addr) >= 0 && s[i-1].first.BitLen() == addr.BitLen()
}
