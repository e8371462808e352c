package profile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a metric's value, named as the member of Value that
// holds it.
type Kind string

const (
	Count   Kind = "count"
	CIDRs   Kind = "cidrs"
	Ports   Kind = "ports"
	Number  Kind = "number"
	Numbers Kind = "numbers"
	Strings Kind = "strings"
)

// List reports whether values of the kind are lists.
func (k Kind) List() bool { return k != "" && k != Count && k != Number }

// Has reports whether the value has the member of that kind.
func (v *Value) Has(k Kind) bool {
	switch k {
	case Count:
		return v.Count != nil
	case CIDRs:
		return v.CIDRs != nil
	case Ports:
		return v.Ports != nil
	case Number:
		return v.Number != nil
	case Numbers:
		return v.Numbers != nil
	case Strings:
		return v.Strings != nil
	}
	return false
}

// Kinds returns the members that the value has. A valid one has one.
func (v *Value) Kinds() (kinds []Kind) {
	if v == nil {
		return nil
	}
	for _, k := range []Kind{Count, CIDRs, Ports, Number, Numbers, Strings} {
		if v.Has(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Kind returns the one member that the value has, "" when there is none or
// more than one.
func (v *Value) Kind() Kind {
	if kinds := v.Kinds(); len(kinds) == 1 {
		return kinds[0]
	}
	return ""
}

// NumberValue returns a number as a value of the kind, which is no list.
func NumberValue(k Kind, n float64) Value {
	if k == Number {
		return Value{Number: &n}
	}
	return Value{Count: new(int64(n))}
}

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

// Len returns how many elements the value has. A count or number is one.
func (v Value) Len() int {
	n := len(v.CIDRs) + len(v.Ports) + len(v.Numbers) + len(v.Strings)
	if v.Count != nil {
		n++
	}
	if v.Number != nil {
		n++
	}
	return n
}

// Elements returns the elements of a list as texts; nil when the value is none.
func (v Value) Elements() []string {
	switch {
	case v.CIDRs != nil:
		return v.CIDRs
	case v.Strings != nil:
		return v.Strings
	case v.Ports != nil:
		return texts(v.Ports, func(p int32) string { return strconv.Itoa(int(p)) })
	case v.Numbers != nil:
		return texts(v.Numbers, formatNumber)
	}
	return nil
}

// String writes the value without a unit: a number, or the elements of a list
// with commas between.
func (v Value) String() string {
	switch {
	case v.Count != nil:
		return strconv.FormatInt(*v.Count, 10)
	case v.Number != nil:
		return formatNumber(*v.Number)
	}
	return strings.Join(v.Elements(), ", ")
}

// formatNumber writes a number in digits, as far as these are readable: where
// JSON does.
func formatNumber(n float64) string {
	if a := math.Abs(n); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(n, 'e', -1, 64)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
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
		return GroupDigits(fmt.Sprint(c.Listed)) + " of more"
	}
	return GroupDigits(fmt.Sprint(c.Listed)) + " of " + GroupDigits(fmt.Sprint(c.Total))
}
