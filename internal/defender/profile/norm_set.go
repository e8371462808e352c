package profile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// SetNorm is a set that the elements of lists have to be in, or must not be.
type SetNorm struct {
	kind Kind
	in   bool
	// Which one, the kind decides. Lists are sorted and have each element once.
	addresses AddressSet
	ports     []int32
	numbers   []float64
	strings   []string
}

func newSetNorm(c *Criteria, kind Kind) (*SetNorm, error) {
	op := c.ComparisonOperator
	switch {
	case op.Opposite() == "":
		return nil, fmt.Errorf("operator %.64q is not one", op)
	case c.Value == nil || kind == "" || !c.Value.Has(kind):
		return nil, fmt.Errorf("no %s to compare with", cmp.Or(kind, "set"))
	case !kind.List():
		return nil, fmt.Errorf("operator %s is for lists, a %s is none", op, kind)
	}
	n := &SetNorm{kind: kind, in: !op.Excludes()}
	switch kind {
	case CIDRs:
		var ranges []AddressRange
		for _, text := range c.Value.CIDRs {
			r, err := ParseAddressRange(text)
			if err != nil {
				return nil, err
			}
			ranges = append(ranges, r)
		}
		n.addresses = NewAddressSet(ranges...)
	case Ports:
		n.ports = setOf(c.Value.Ports)
	case Numbers:
		n.numbers = setOf(c.Value.Numbers)
	case Strings:
		n.strings = setOf(c.Value.Strings)
	}
	return n, nil
}

// setOf returns the elements sorted, each once.
func setOf[T cmp.Ordered](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// Kind is that of a list.
func (n *SetNorm) Kind() Kind { return n.kind }

// Conforms reports whether no element of a list offends.
func (n *SetNorm) Conforms(v Value) (conforms, known bool) {
	if v.Kind() != n.kind {
		return false, false
	}
	for _, text := range v.CIDRs {
		if _, err := ParseAddressRange(text); err != nil {
			return false, false
		}
	}
	return n.Offending(v).Len() == 0, true
}

// Offending returns the elements of a list that are not normal, in their order.
// Addresses that cannot be read are not among them.
func (n *SetNorm) Offending(v Value) Value {
	switch n.kind {
	case CIDRs:
		return Value{CIDRs: only(v.CIDRs, func(text string) bool {
			r, err := ParseAddressRange(text)
			return err == nil && n.addresses.Contains(r) != n.in
		})}
	case Ports:
		return Value{Ports: only(v.Ports, func(p int32) bool { return contains(n.ports, p) != n.in })}
	case Numbers:
		return Value{Numbers: only(v.Numbers, func(f float64) bool { return contains(n.numbers, f) != n.in })}
	}
	return Value{Strings: only(v.Strings, func(s string) bool { return contains(n.strings, s) != n.in })}
}

// CountOffending counts the addresses that are not normal, for who has read them
// already. They are sorted.
func (n *SetNorm) CountOffending(sorted []netip.Addr) (count int) {
	set := n.addresses
	for _, a := range sorted {
		for len(set) > 0 && set[0].Last.Compare(a) < 0 {
			set = set[1:]
		}
		if in := len(set) > 0 && set[0].Contains(AddressRange{a, a}); in != n.in {
			count++
		}
	}
	return count
}

// First returns a copy of a list with the number of elements that it may have
// at most. When it has more, those that offend come first.
func (n *SetNorm) First(v Value, most int) Value {
	if v.Len() <= most {
		return Value{
			CIDRs: first(most, v.CIDRs, nil), Ports: first(most, v.Ports, nil),
			Numbers: first(most, v.Numbers, nil), Strings: first(most, v.Strings, nil),
		}
	}
	rest := *n
	rest.in = !n.in
	a, b := n.Offending(v), rest.Offending(v)
	return Value{
		CIDRs: first(most, a.CIDRs, b.CIDRs), Ports: first(most, a.Ports, b.Ports),
		Numbers: first(most, a.Numbers, b.Numbers), Strings: first(most, a.Strings, b.Strings),
	}
}

func (n *SetNorm) String() string {
	return fmt.Sprintf("%s in %t %v%v%v%q", n.kind, n.in, n.addresses, n.ports, n.numbers, n.strings)
}

func contains[T cmp.Ordered](set []T, element T) bool {
	_, found := slices.BinarySearch(set, element)
	return found
}

// only returns the elements for which ok holds; nil stays nil.
func only[T any](list []T, ok func(T) bool) []T {
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

// first returns the first elements of two lists together; nil stays nil.
func first[T any](most int, a, b []T) []T {
	if a == nil {
		return nil
	}
	all := append(append(make([]T, 0, len(a)+len(b)), a...), b...)
	return slices.Clip(all[:min(most, len(all))])
}
