package profile

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetricRef(t *testing.T) {
	in, notIn := &MetricDimension{DimensionName: "d", Operator: "IN"}, &MetricDimension{DimensionName: "d", Operator: "NOT_IN"}
	if RefOf("m", in) != RefOf("m", &MetricDimension{DimensionName: "d"}) {
		t.Error("IN is not what holds without an operator")
	}
	refs := []MetricRef{RefOf("m", notIn), RefOf("n", nil), RefOf("m", in), RefOf("m", nil)}
	slices.SortFunc(refs, MetricRef.Compare)
	var texts, topics []string
	for _, r := range refs {
		texts, topics = append(texts, r.String()), append(topics, r.Topics())
		if RefOf(r.Name, r.MetricDimension()) != r {
			t.Errorf("%v is %+v", r, r.MetricDimension())
		}
	}
	if diff := cmp.Diff([]string{"m", "m (d)", "m (not in d)", "n"}, texts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", " on topics of dimension d", " on topics outside dimension d", ""}, topics); diff != "" {
		t.Error(diff)
	}
}

func TestUses(t *testing.T) {
	p := &Profile{
		Behaviors:                   []Behavior{{Name: "a", Metric: "aws:num-messages-sent", MetricDimension: &MetricDimension{DimensionName: "d"}}, {Name: "none"}},
		AdditionalMetricsToRetain:   []string{"aws:all-bytes-in"},
		AdditionalMetricsToRetainV2: []MetricToRetain{{Metric: "aws:all-bytes-in"}, {Metric: "level"}},
	}
	want := []Use{
		{MetricRef{"aws:num-messages-sent", "d", false}, "behaviors[0].metric", &p.Behaviors[0]},
		{MetricRef{Name: "aws:all-bytes-in"}, "additionalMetricsToRetain[0]", nil},
		{MetricRef{Name: "aws:all-bytes-in"}, "additionalMetricsToRetainV2[0].metric", nil},
		{MetricRef{Name: "level"}, "additionalMetricsToRetainV2[1].metric", nil},
	}
	if diff := cmp.Diff(want, p.Uses()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTargetMatches(t *testing.T) {
	things := map[string]Thing{
		"registered": {Name: "registered", Registered: true}, "member": {Name: "member", Registered: true, Groups: []string{"other", "g"}}, "stranger": {Name: "stranger"},
	}
	for text, want := range map[string][]string{
		"all/things": {"member", "registered", "stranger"}, "all/registered-things": {"member", "registered"}, "all/unregistered-things": {"stranger"}, "g": {"member"},
	} {
		target, err := ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, thing := range things {
			if target.Matches(&thing) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	if (Target{}).Matches(&Thing{}) {
		t.Error("no target stands for a thing")
	}
}

func TestValue(t *testing.T) {
	for _, test := range []struct {
		v        Value
		kind     Kind
		length   int
		text     string
		elements []string
	}{
		{count(1_000_000), Count, 1, "1000000", nil},
		{number(1e6), Number, 1, "1000000", nil},
		{number(0.000001), Number, 1, "0.000001", nil},
		{number(1e21), Number, 1, "1e+21", nil},
		{number(-2.5e-7), Number, 1, "-2.5e-07", nil},
		{numbers(1e6, 0.5), Numbers, 2, "1000000, 0.5", []string{"1000000", "0.5"}},
		{ports(22, 443), Ports, 2, "22, 443", []string{"22", "443"}},
		{cidrs("::1"), CIDRs, 1, "::1", []string{"::1"}},
		{words(), Strings, 0, "", []string{}},
		{Value{}, "", 0, "", nil},
		{Value{Ports: []int32{1}, Strings: []string{"a"}}, "", 2, "a", []string{"a"}},
	} {
		if test.v.Kind() != test.kind || test.v.Len() != test.length || test.v.String() != test.text {
			t.Errorf("%q of %d, %s; want %q of %d, %s", test.v.Kind(), test.v.Len(), test.v, test.kind, test.length, test.text)
		}
		if diff := cmp.Diff(test.elements, test.v.Elements()); diff != "" {
			t.Errorf("%v: %s", test.v, diff)
		}
	}
}
