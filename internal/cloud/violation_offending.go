package cloud

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Offending returns the elements of a measured list that are not as the
// behavior wants them, and false when the behavior is not about a list.
func Offending(b profile.Behavior, v profile.Value) (profile.Value, bool) {
	if b.Criteria == nil || b.Criteria.Value == nil {
		return profile.Value{}, false
	}
	want := *b.Criteria.Value
	in := func(set bool) bool { return set == strings.HasPrefix(string(b.Criteria.ComparisonOperator), "not-in-") }
	switch b.Criteria.ComparisonOperator {
	case profile.InCIDRSet, profile.NotInCIDRSet:
		set := prefixes(want.CIDRs)
		return profile.Value{CIDRs: keep(v.CIDRs, func(text string) bool { return in(contains(set, text)) })}, true
	case profile.InPortSet, profile.NotInPortSet:
		return profile.Value{Ports: keep(v.Ports, func(p int32) bool { return in(slices.Contains(want.Ports, p)) })}, true
	case profile.InSet, profile.NotInSet:
		if want.Numbers != nil {
			return profile.Value{Numbers: keep(v.Numbers, func(n float64) bool { return in(slices.Contains(want.Numbers, n)) })}, true
		}
		return profile.Value{Strings: keep(v.Strings, func(s string) bool { return in(slices.Contains(want.Strings, s)) })}, true
	}
	return profile.Value{}, false
}

// keep returns the elements for which ok holds; nil stays nil.
func keep[T any](list []T, ok func(T) bool) []T {
	if list == nil {
		return nil
	}
	kept := []T{}
	for _, e := range list {
		if ok(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// prefixes reads CIDRs, of which one without a length is an address.
func prefixes(cidrs []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range cidrs {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}

// contains reports whether an address, or a whole prefix, is in one of the set.
func contains(set []netip.Prefix, text string) bool {
	for _, p := range prefixes([]string{text}) {
		for _, s := range set {
			if s.Bits() <= p.Bits() && s.Contains(p.Addr().Unmap()) {
				return true
			}
		}
	}
	return false
}
