package profile

import "strconv"

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
