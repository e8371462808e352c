package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOffending(t *testing.T) {
	cidrs := func(list ...string) Value { return Value{CIDRs: list} }
	ports := func(list ...int32) Value { return Value{Ports: list} }
	words := func(list ...string) Value { return Value{Strings: list} }
	numbers := func(list ...float64) Value { return Value{Numbers: list} }
	tests := []struct {
		op             Operator
		set, all, want Value
	}{
		{InCIDRSet, cidrs("10.0.0.0/8", "fd00::/8"), cidrs("10.1.2.3", "203.0.113.7", "fd12::1", "2001:db8::1"), cidrs("203.0.113.7", "2001:db8::1")},
		{NotInCIDRSet, cidrs("12.8.0.0/16", "203.0.113.7"), cidrs("12.8.4.4", "12.9.0.1", "203.0.113.7"), cidrs("12.8.4.4", "203.0.113.7")},
		{InCIDRSet, cidrs("10.0.0.0/8"), cidrs("10.0.0.0/7", "10.0.0.0/9"), cidrs("10.0.0.0/7")},
		{InCIDRSet, cidrs("10.0.0.0/8", "fe80::1"), cidrs("::ffff:10.1.2.3", "fe80::1%eth0", "not an address"), cidrs()},
		{InPortSet, ports(443, 80), ports(80, 22), ports(22)},
		{NotInPortSet, ports(23), ports(80, 23), ports(23)},
		{InSet, words("a", "b"), words("b", "c"), words("c")},
		{NotInSet, words("a"), words("b", "a"), words("a")},
		{InSet, numbers(1, 2), numbers(2, 3), numbers(3)},
		{InPortSet, ports(443), ports(443), ports()},
	}
	for _, test := range tests {
		b := Behavior{Criteria: &Criteria{ComparisonOperator: test.op, Value: &test.set}}
		got, ok := Offending(b, test.all)
		if !ok {
			t.Errorf("%s: is not about a list", test.op)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", test.op, diff)
		}
	}
	if _, ok := Offending(Behavior{Criteria: &Criteria{ComparisonOperator: LessThan, Value: &Value{Count: new(int64(1))}}}, Value{}); ok {
		t.Error("a count is taken for a list")
	}
}
