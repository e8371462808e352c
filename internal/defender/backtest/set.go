package backtest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// changedSet returns the set of a behavior with which these elements conform:
// they are added to those that are allowed, or taken from those that are not.
func changedSet(c *profile.Criteria, elements []string) *profile.Value {
	set := *c.Value
	forbidden := strings.HasPrefix(string(c.ComparisonOperator), "not-in-")
	switch {
	case set.CIDRs != nil && forbidden:
		set.CIDRs = slices.DeleteFunc(slices.Clone(set.CIDRs), func(cidr string) bool {
			return slices.ContainsFunc(elements, func(e string) bool { return holds(cidr, e) })
		})
	case set.CIDRs != nil:
		set.CIDRs = change(set.CIDRs, elements, false, func(e string) string { return e })
	case set.Ports != nil:
		set.Ports = change(set.Ports, elements, forbidden, func(e string) int32 { p, _ := strconv.Atoi(e); return int32(p) })
	case set.Numbers != nil:
		set.Numbers = change(set.Numbers, elements, forbidden, func(e string) float64 { n, _ := strconv.ParseFloat(e, 64); return n })
	default:
		set.Strings = change(set.Strings, elements, forbidden, func(e string) string { return e })
	}
	return &set
}

// change adds elements to a list or removes them.
func change[T comparable](list []T, elements []string, remove bool, read func(string) T) []T {
	list = slices.Clone(list)
	for _, e := range elements {
		v := read(e)
		list = slices.DeleteFunc(list, func(old T) bool { return old == v })
		if !remove {
			list = append(list, v)
		}
	}
	return list
}

// holds reports whether an address is in a range.
func holds(cidr, address string) bool {
	prefix := func(text string) (netip.Prefix, bool) {
		if p, err := netip.ParsePrefix(text); err == nil {
			if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
			}
			return p.Masked(), true
		}
		a, err := netip.ParseAddr(text)
		a = a.WithZone("").Unmap()
		return netip.PrefixFrom(a, a.BitLen()), err == nil
	}
	outer, ok := prefix(cidr)
	inner, ok2 := prefix(address)
	return ok && ok2 && outer.Contains(inner.Addr())
}
