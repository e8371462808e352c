package profile

import (
	"fmt"
	"strconv"
)

// Scalar returns a count or a number; ok is false for a list, and for no value.
func (v Value) Scalar() (n float64, ok bool) {
	switch {
	case v.Count != nil:
		return float64(*v.Count), true
	case v.Number != nil:
		return *v.Number, true
	}
	return 0, false
}

// Members returns the elements of a list as texts; nil when the value is none.
func (v Value) Members() []string {
	switch {
	case v.CIDRs != nil:
		return v.CIDRs
	case v.Strings != nil:
		return v.Strings
	case v.Ports != nil:
		return texts(v.Ports, func(p int32) string { return strconv.Itoa(int(p)) })
	case v.Numbers != nil:
		return texts(v.Numbers, func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) })
	}
	return nil
}

func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, element := range list {
		out[i] = text(element)
	}
	return out
}

// Cut says that a list does not have all of its entries: agents list a bounded
// number of connections and ports, and state how many there are. An element
// that is not in the list may be there all the same.
type Cut struct {
	Listed int64 `json:"listed"`          // entries; several may have the same address or port
	Total  int64 `json:"total,omitempty"` // more than Listed; 0 is not known
}

// String writes both numbers, as in "250 of 1,240".
func (c Cut) String() string {
	if c.Total == 0 {
		return group(fmt.Sprint(c.Listed)) + " of more"
	}
	return group(fmt.Sprint(c.Listed)) + " of " + group(fmt.Sprint(c.Total))
}
