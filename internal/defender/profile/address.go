package profile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddressRange is the addresses from First to Last. IPv4 addresses mapped into
// IPv6 are IPv4 addresses.
type AddressRange struct{ First, Last netip.Addr }

// ParseAddressRange reads a CIDR block or a single address. Bits of the host
// part are taken for zero.
func ParseAddressRange(text string) (AddressRange, error) {
	if !strings.Contains(text, "/") {
		addr, err := ParseAddress(text)
		return AddressRange{addr, addr}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return AddressRange{}, fmt.Errorf("CIDR %.64q is not one: %w", text, err)
	}
	first := prefix.Masked().Addr()
	last := first.AsSlice()
	for bit := prefix.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	r := AddressRange{First: first}
	r.Last, _ = netip.AddrFromSlice(last)
	if first.Is4In6() && r.Last.Is4In6() {
		r = AddressRange{first.Unmap(), r.Last.Unmap()}
	}
	return r, nil
}

// ParseAddress reads one measured address, which a metric value may spell as a
// CIDR block that holds nothing else.
func ParseAddress(text string) (netip.Addr, error) {
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

// Contains reports whether all of the other range is in this one.
func (r AddressRange) Contains(other AddressRange) bool {
	return r.First.BitLen() == other.First.BitLen() && r.First.Compare(other.First) <= 0 && r.Last.Compare(other.Last) >= 0
}

// AddressSet is a set of addresses as disjoint ranges, sorted, none of which
// begins where another one ends.
type AddressSet []AddressRange

// NewAddressSet returns the set of the addresses of all ranges.
func NewAddressSet(ranges ...AddressRange) AddressSet {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b AddressRange) int { return a.First.Compare(b.First) })
	merged := sorted[:0]
	for _, r := range sorted {
		if n := len(merged); n > 0 && (r.First.Compare(merged[n-1].Last) <= 0 || r.First == merged[n-1].Last.Next()) {
			if r.Last.Compare(merged[n-1].Last) > 0 {
				merged[n-1].Last = r.Last
			}
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// Contains reports whether all of the range is in the set.
func (s AddressSet) Contains(r AddressRange) bool {
	i, found := slices.BinarySearchFunc(s, r.First, func(r AddressRange, a netip.Addr) int { return r.First.Compare(a) })
	if !found {
		i--
	}
	return i >= 0 && s[i].Contains(r)
}

// Overlaps reports whether some of the range is in the set.
func (s AddressSet) Overlaps(r AddressRange) bool {
	return slices.ContainsFunc(s, func(own AddressRange) bool {
		return own.First.BitLen() == r.First.BitLen() && own.First.Compare(r.Last) <= 0 && own.Last.Compare(r.First) >= 0
	})
}
