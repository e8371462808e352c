package backtest

import (
	"slices"
	"strconv"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// changedSet returns the set of a behavior with which these elements conform:
// they are added to those that are allowed, or taken from those that are not.
func changedSet(c *profile.Criteria, elements []string) *profile.Value {
	set := *c.Value
	forbidden := c.ComparisonOperator.Excludes()
	switch {
	case set.CIDRs != nil && forbidden:
		set.CIDRs = slices.DeleteFunc(slices.Clone(set.CIDRs), func(cidr string) bool {
			// A list of only this range: do the elements conform?
			norm, err := profile.NewNorm(&profile.Criteria{ComparisonOperator: c.ComparisonOperator, Value: &profile.Value{CIDRs: []string{cidr}}}, profile.CIDRs)
			return err == nil && norm.Offending(profile.Value{CIDRs: elements}).Len() > 0
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
