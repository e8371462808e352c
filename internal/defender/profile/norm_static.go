package profile

import "fmt"

// StaticNorm is a fixed number that counts or numbers are compared with.
type StaticNorm struct {
	Comparison
	kind   Kind
	count  int64
	number float64
}

func newStaticNorm(v *Value, c Comparison, kind Kind) (*StaticNorm, error) {
	switch {
	case v == nil || kind == "" || !v.Has(kind):
		return nil, fmt.Errorf("no %s to compare with", kind)
	case kind == Number:
		return &StaticNorm{Comparison: c, kind: kind, number: *v.Number}, nil
	}
	return &StaticNorm{Comparison: c, kind: kind, count: *v.Count, number: float64(*v.Count)}, nil
}

// Kind is Count or Number.
func (n *StaticNorm) Kind() Kind { return n.kind }

// Limit returns the number.
func (n *StaticNorm) Limit() float64 { return n.number }

// ConformsCount reports whether a count is normal. Counts are compared as
// whole numbers: not all of them are numbers of 64 bits.
func (n *StaticNorm) ConformsCount(count int64) bool { return met(n.Comparison, count, n.count) }

// ConformsNumber reports whether a number is normal.
func (n *StaticNorm) ConformsNumber(number float64) bool { return n.Met(number, n.number) }

// Conforms reports whether a value is normal.
func (n *StaticNorm) Conforms(v Value) (conforms, known bool) {
	switch {
	case v.Kind() != n.kind:
		return false, false
	case n.kind == Count:
		return n.ConformsCount(*v.Count), true
	}
	return n.ConformsNumber(*v.Number), true
}

// Offending returns nothing, as a number has no elements.
func (n *StaticNorm) Offending(Value) Value { return Value{} }

func (n *StaticNorm) String() string {
	return fmt.Sprintf("%s %+v %s", n.kind, n.Comparison, n.limit())
}

func (n *StaticNorm) limit() Value {
	if n.kind == Count {
		return Value{Count: &n.count}
	}
	return Value{Number: &n.number}
}
