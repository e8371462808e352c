package profile

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func count(n int64) Value                   { return Value{Count: &n} }
func number(n float64) Value                { return Value{Number: &n} }
func cidrs(list ...string) Value            { return Value{CIDRs: append([]string{}, list...)} }
func ports(list ...int32) Value             { return Value{Ports: append([]int32{}, list...)} }
func words(list ...string) Value            { return Value{Strings: append([]string{}, list...)} }
func numbers(list ...float64) Value         { return Value{Numbers: append([]float64{}, list...)} }
func static(op Operator, v Value) *Criteria { return &Criteria{ComparisonOperator: op, Value: &v} }

func norm(t *testing.T, c *Criteria, kind Kind) Norm {
	t.Helper()
	n, err := NewNorm(c, kind)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStaticNorm(t *testing.T) {
	for _, test := range []struct {
		op       Operator
		limit, v Value
		want     bool
	}{
		{LessThan, count(10), count(9), true},
		{LessThan, count(10), count(10), false},
		{LessThanEquals, count(10), count(10), true},
		{LessThanEquals, count(10), count(11), false},
		{GreaterThan, number(1.5), number(1.5), false},
		{GreaterThan, number(1.5), number(1.6), true},
		{GreaterThanEquals, number(1.5), number(1.5), true},
		{GreaterThanEquals, number(1.5), number(1.4), false},
		// As numbers of 64 bits these two are the same.
		{LessThan, count(math.MaxInt64), count(math.MaxInt64 - 1), true},
	} {
		n := norm(t, static(test.op, test.limit), "")
		if got, known := n.Conforms(test.v); !known || got != test.want {
			t.Errorf("%v %s %v: %t, %t", test.v, test.op, test.limit, got, known)
		}
		if offending := n.Offending(test.v); offending.Kind() != "" {
			t.Errorf("%v: offending %v", test.v, offending)
		}
	}
	if _, known := norm(t, static(LessThan, count(1)), Count).Conforms(number(0)); known {
		t.Error("a number is judged as a count")
	}
}

func TestSetNorm(t *testing.T) {
	tests := []struct {
		op             Operator
		set, all, want Value
	}{
		{InCIDRSet, cidrs("10.0.0.0/8", "fd00::/8"), cidrs("10.1.2.3", "203.0.113.7", "fd12::1", "2001:db8::1"), cidrs("203.0.113.7", "2001:db8::1")},
		{NotInCIDRSet, cidrs("12.8.0.0/16", "203.0.113.7"), cidrs("12.8.4.4", "12.9.0.1", "203.0.113.7"), cidrs("12.8.4.4", "203.0.113.7")},
		{InCIDRSet, cidrs("10.0.0.0/8"), cidrs("10.0.0.0/7", "10.0.0.0/9"), cidrs("10.0.0.0/7")},
		{InCIDRSet, cidrs("10.128.0.0/9", "10.0.0.0/9"), cidrs("10.0.0.0/8"), cidrs()},
		{InCIDRSet, cidrs("10.0.0.0/8", "fe80::1"), cidrs("::ffff:10.1.2.3", "fe80::1%eth0"), cidrs()},
		{InPortSet, ports(443, 80), ports(80, 22), ports(22)},
		{NotInPortSet, ports(23), ports(80, 23), ports(23)},
		{InSet, words("a", "b"), words("b", "c"), words("c")},
		{NotInSet, words("a"), words("b", "a"), words("a")},
		{InSet, numbers(1, 2), numbers(2, 3), numbers(3)},
		{InPortSet, ports(443), ports(443), ports()},
		{InPortSet, ports(), ports(1), ports(1)},
		{NotInPortSet, ports(), ports(1), ports()},
		{InPortSet, ports(1), ports(), ports()},
	}
	for _, test := range tests {
		n := norm(t, static(test.op, test.set), "")
		if diff := cmp.Diff(test.want, n.Offending(test.all), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %v: %s", test.op, test.set, diff)
		}
		if conforms, known := n.Conforms(test.all); !known || conforms != (test.want.Len() == 0) {
			t.Errorf("%s %v: %v conforms: %t, %t", test.op, test.set, test.all, conforms, known)
		}
	}
	n := norm(t, static(InCIDRSet, cidrs("10.0.0.0/8")), CIDRs)
	if _, known := n.Conforms(cidrs("10.0.0.1", "not an address")); known {
		t.Error("an address that cannot be read is judged")
	}
	if _, known := n.Conforms(words("10.0.0.1")); known {
		t.Error("texts are judged as addresses")
	}
}

// TestSetNormFirst: of a list that is too long, what offends comes first.
func TestSetNormFirst(t *testing.T) {
	n := norm(t, static(InPortSet, ports(1, 2, 3)), Ports).(*SetNorm)
	list := ports(3, 9, 2, 8, 1)
	for most, want := range map[int]Value{5: list, 3: ports(9, 8, 3), 1: ports(9)} {
		if diff := cmp.Diff(want, n.First(list, most)); diff != "" {
			t.Errorf("%d: %s", most, diff)
		}
	}
	whole := n.First(list, 5)
	if whole.Ports[0] = 7; list.Ports[0] != 3 {
		t.Error("it is no copy")
	}
	if got := n.First(ports(), 5); got.Ports == nil {
		t.Error("an empty list is none")
	}
}

func TestStatisticalNorm(t *testing.T) {
	n := norm(t, &Criteria{ComparisonOperator: LessThanEquals, StatisticalThreshold: &StatisticalThreshold{Statistic: "p99.9"}}, Count).(*StatisticalNorm)
	if n.Percent != 99.9 || !n.Met(5, 5) || n.Met(6, 5) {
		t.Errorf("%v", n)
	}
	if _, known := n.Conforms(count(1)); known {
		t.Error("without the percentile nothing is known")
	}
}

func TestNoNorm(t *testing.T) {
	for _, test := range []struct {
		c    *Criteria
		kind Kind
		want string
	}{
		{nil, Count, "there are no criteria"},
		{&Criteria{MLDetectionConfig: &MLDetectionConfig{ConfidenceLevel: "HIGH"}}, Count, "ML Detect needs AWS's models"},
		{static("nearly", count(1)), Count, `operator "nearly" is not one`},
		{static(LessThan, count(1)), Ports, "operator less-than is for numbers, ports are a list"},
		{static(LessThan, count(1)), Number, "no number to compare with"},
		{static(InPortSet, count(1)), Count, "operator in-port-set is for lists, a count is none"},
		{static(InPortSet, cidrs("::/0")), Ports, "no ports to compare with"},
		{static(InPortSet, Value{}), "", "no set to compare with"},
		{static(InCIDRSet, cidrs("10.0.0.0/33")), CIDRs, `CIDR "10.0.0.0/33" is not one: netip.ParsePrefix("10.0.0.0/33"): prefix length out of range`},
		{&Criteria{ComparisonOperator: LessThan, StatisticalThreshold: &StatisticalThreshold{Statistic: "Average"}}, Count, `statistic "Average" is not one`},
	} {
		if n, err := NewNorm(test.c, test.kind); err == nil || err.Error() != test.want {
			t.Errorf("%v, error %v, want %q", n, err, test.want)
		}
	}
}

// TestCompiledEquals: what is evaluated alike is the same, and nothing else.
func TestCompiledEquals(t *testing.T) {
	behavior := func(metric string, c *Criteria) Behavior { return Behavior{Name: "b", Metric: metric, Criteria: c} }
	with := func(b Behavior, change func(*Behavior)) Behavior {
		c := *b.Criteria
		b.Criteria = &c
		change(&b)
		return b
	}
	portsOf := behavior("aws:listening-tcp-ports", static(InPortSet, ports(22, 443, 8883)))
	sent := behavior("aws:num-messages-sent", static(LessThan, count(10)))
	sent.MetricDimension = &MetricDimension{DimensionName: "d"}
	most := behavior("aws:all-bytes-out", &Criteria{ComparisonOperator: LessThanEquals, StatisticalThreshold: &StatisticalThreshold{Statistic: "p99"}, DurationSeconds: new(int32(300))})
	tests := []struct {
		name string
		a, b Behavior
		same bool
	}{
		{"order of ports", portsOf, behavior(portsOf.Metric, static(InPortSet, ports(8883, 22, 443))), true},
		{"a port twice", portsOf, behavior(portsOf.Metric, static(InPortSet, ports(22, 22, 443, 8883))), true},
		{"another port", portsOf, behavior(portsOf.Metric, static(InPortSet, ports(22, 443, 8884))), false},
		{"another operator", portsOf, behavior(portsOf.Metric, static(NotInPortSet, ports(22, 443, 8883))), false},
		{"another metric", portsOf, behavior("aws:listening-udp-ports", portsOf.Criteria), false},
		{"default to alarm", portsOf, with(portsOf, func(b *Behavior) { b.Criteria.ConsecutiveDatapointsToAlarm = new(int32(1)) }), true},
		{"default to clear", portsOf, with(portsOf, func(b *Behavior) { b.Criteria.ConsecutiveDatapointsToClear = new(int32(1)) }), true},
		{"two to alarm", portsOf, with(portsOf, func(b *Behavior) { b.Criteria.ConsecutiveDatapointsToAlarm = new(int32(2)) }), false},
		{"two to clear", portsOf, with(portsOf, func(b *Behavior) { b.Criteria.ConsecutiveDatapointsToClear = new(int32(2)) }), false},
		{"name and alerts", portsOf, with(portsOf, func(b *Behavior) { b.Name, b.SuppressAlerts, b.ExportMetric = "c", new(true), new(true) }), true},
		{"default dimension operator", sent, with(sent, func(b *Behavior) { b.MetricDimension = &MetricDimension{DimensionName: "d", Operator: "IN"} }), true},
		{"other dimension operator", sent, with(sent, func(b *Behavior) { b.MetricDimension = &MetricDimension{DimensionName: "d", Operator: "NOT_IN"} }), false},
		{"no dimension", sent, with(sent, func(b *Behavior) { b.MetricDimension = nil }), false},
		{"another count", sent, with(sent, func(b *Behavior) { b.Criteria.Value = &Value{Count: new(int64(11))} }), false},
		{"percentile", most, with(most, func(b *Behavior) { b.Criteria.StatisticalThreshold = &StatisticalThreshold{Statistic: "p99.9"} }), false},
		{"duration", most, with(most, func(b *Behavior) { b.Criteria.DurationSeconds = new(int32(600)) }), false},
		{
			"ranges that are the same addresses", behavior("aws:source-ip-address", static(InCIDRSet, cidrs("10.0.0.0/8", "192.0.2.1"))),
			behavior("aws:source-ip-address", static(InCIDRSet, cidrs("192.0.2.1/32", "10.128.0.0/9", "10.1.2.3/9", "10.9.9.9"))), true,
		},
		{
			"texts with commas", behavior("words", static(InSet, words("a, b"))), behavior("words", static(InSet, words("a", "b"))), false,
		},
		{
			"a count and a number", behavior("m", static(LessThan, count(1))), behavior("m", static(LessThan, number(1))), false,
		},
	}
	for _, test := range tests {
		a, err := test.a.Compile("")
		if err != nil {
			t.Fatal(err)
		}
		b, err := test.b.Compile("")
		if err != nil {
			t.Fatal(err)
		}
		if (a.String() == b.String()) != test.same {
			t.Errorf("%s:\n%v\n%v", test.name, a, b)
		}
	}
}

// TestCompiledString holds the form whose hash is stored.
func TestCompiledString(t *testing.T) {
	for _, test := range []struct {
		b    Behavior
		want string
	}{
		{
			Behavior{Metric: "aws:num-messages-sent", MetricDimension: &MetricDimension{DimensionName: "d", Operator: "NOT_IN"}, Criteria: &Criteria{
				ComparisonOperator: LessThan, Value: &Value{Count: new(int64(1_000_000))}, DurationSeconds: new(int32(300)), ConsecutiveDatapointsToAlarm: new(int32(3)),
			}},
			"aws:num-messages-sent (not in d), count {Less:true Equals:false} 1000000, in 5m0s, 3 to alarm, 1 to clear",
		},
		{Behavior{Metric: "level", Criteria: static(GreaterThanEquals, number(1e6))}, "level, number {Less:false Equals:true} 1000000, in 0s, 1 to alarm, 1 to clear"},
		{
			Behavior{Metric: "level", Criteria: &Criteria{ComparisonOperator: LessThanEquals, StatisticalThreshold: &StatisticalThreshold{Statistic: "p99.9"}}},
			"level,  {Less:true Equals:true} p99.9, in 0s, 1 to alarm, 1 to clear",
		},
		{Behavior{Metric: "p", Criteria: static(InPortSet, ports(443, 22))}, "p, ports in true [][22 443][][], in 0s, 1 to alarm, 1 to clear"},
		{
			Behavior{Metric: "a", Criteria: static(NotInCIDRSet, cidrs("192.0.2.0/31", "::1"))},
			"a, cidrs in false [{192.0.2.0 192.0.2.1} {::1 ::1}][][][], in 0s, 1 to alarm, 1 to clear",
		},
		{Behavior{Metric: "n", Criteria: static(InSet, numbers(2.5, 1))}, "n, numbers in true [][][1 2.5][], in 0s, 1 to alarm, 1 to clear"},
		{Behavior{Metric: "w", Criteria: static(InSet, words("b", "a, c"))}, `w, strings in true [][][]["a, c" "b"], in 0s, 1 to alarm, 1 to clear`},
	} {
		compiled, err := test.b.Compile("")
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.String(); got != test.want {
			t.Errorf("%s\nwant\n%s", got, test.want)
		}
	}
}

func addresses(t *testing.T, texts ...string) (list []AddressRange) {
	t.Helper()
	for _, text := range texts {
		r, err := ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func TestAddressSet(t *testing.T) {
	set := NewAddressSet(addresses(t, "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "192.0.2.2/32", "198.51.100.77/24", "::ffff:203.0.113.0/120", "2001:db8::/32", "0.0.0.0/32")...)
	for text, want := range map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "11.0.0.0": false, "9.255.255.255": false, "192.0.2.1": true, "192.0.2.2": true,
		"192.0.2.3": false, "198.51.100.0": true, "203.0.113.9": true, "203.0.114.0": false, "2001:db8:ffff::1": true, "2001:db9::": false,
		"0.0.0.0": true, "::": false, "::1": false, "255.255.255.255": false,
	} {
		if set.Contains(addresses(t, text)[0]) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}

func TestAddressSetMerges(t *testing.T) {
	set := NewAddressSet(addresses(t, "10.0.0.0/8", "192.0.2.7", "192.0.2.0/30", "fe80::/10", "::ffff:198.51.100.0/120", "255.0.0.0/8", "240.0.0.0/4", "::/127", "::2/127")...)
	for text, want := range map[string]bool{
		"10.255.255.255": true, "11.0.0.0": false, "192.0.2.3": true, "192.0.2.4": false, "192.0.2.7/32": true, "fe80::1%eth0": true,
		"198.51.100.9": true, "::ffff:10.0.0.1": true, "255.255.255.255": true, "::3": true, "::4": false, "::/126": true, "10.0.0.0/7": false,
		"0.0.0.1": false,
	} {
		if set.Contains(addresses(t, text)[0]) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
	for text, want := range map[string]bool{"10.0.0.0/7": true, "11.0.0.0/8": false, "192.0.2.4/30": true, "::/0": true, "0.0.0.0/5": false} {
		if set.Overlaps(addresses(t, text)[0]) != want {
			t.Errorf("overlap of %s: %t", text, !want)
		}
	}
	if len(set) != 7 {
		t.Errorf("%d ranges: %v", len(set), set)
	}
	if all4 := NewAddressSet(addresses(t, "128.0.0.0/1", "0.0.0.0/2", "64.0.0.0/2")...); !all4.Contains(addresses(t, "0.0.0.0/0")[0]) || all4.Contains(addresses(t, "::/0")[0]) {
		t.Errorf("all of IPv4: %v", all4)
	}
}
