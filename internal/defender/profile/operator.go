package profile

import "strings"

// Operator compares a measurement with the threshold. The behavior is met,
// and the device in conformity, when the comparison is true.
type Operator string

const (
	LessThan          Operator = "less-than"
	LessThanEquals    Operator = "less-than-equals"
	GreaterThan       Operator = "greater-than"
	GreaterThanEquals Operator = "greater-than-equals"
	InCIDRSet         Operator = "in-cidr-set"
	NotInCIDRSet      Operator = "not-in-cidr-set"
	InPortSet         Operator = "in-port-set"
	NotInPortSet      Operator = "not-in-port-set"
	InSet             Operator = "in-set"
	NotInSet          Operator = "not-in-set"
)

// Comparison is how an operator compares numbers.
type Comparison struct {
	Less   bool // normal is less than the limit, not more
	Equals bool // and the limit itself is normal
}

// Comparison returns how the operator compares numbers; ok is false for one of
// sets.
func (op Operator) Comparison() (c Comparison, ok bool) {
	switch op {
	case LessThan:
		return Comparison{Less: true}, true
	case LessThanEquals:
		return Comparison{Less: true, Equals: true}, true
	case GreaterThan:
		return Comparison{}, true
	case GreaterThanEquals:
		return Comparison{Equals: true}, true
	}
	return Comparison{}, false
}

// Met reports whether a number is normal.
func (c Comparison) Met(n, limit float64) bool { return met(c, n, limit) }

func met[T int64 | float64](c Comparison, n, limit T) bool {
	switch {
	case n == limit:
		return c.Equals
	case c.Less:
		return n < limit
	}
	return n > limit
}

// Excludes reports whether the elements of the operator's set are those that
// must not occur.
func (op Operator) Excludes() bool { return strings.HasPrefix(string(op), "not-in-") }

// Opposite returns the operator that is met where this one is not.
func (op Operator) Opposite() Operator { return opposites[op] }

var opposites = map[Operator]Operator{
	LessThan: GreaterThanEquals, GreaterThanEquals: LessThan,
	LessThanEquals: GreaterThan, GreaterThan: LessThanEquals,
	InCIDRSet: NotInCIDRSet, NotInCIDRSet: InCIDRSet,
	InPortSet: NotInPortSet, NotInPortSet: InPortSet,
	InSet: NotInSet, NotInSet: InSet,
}
