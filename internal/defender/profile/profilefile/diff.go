package profilefile

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// ChangeKind says what happened to a value.
type ChangeKind int

const (
	Added ChangeKind = iota + 1
	Removed
	Changed
)

// String returns the kind in lower case.
func (k ChangeKind) String() string {
	return [...]string{"", "added", "removed", "changed"}[k]
}

// Change is one difference between two profiles.
type Change struct {
	// Path is as in Problem, but behaviors, retained metrics, tags and targets
	// are found by what names them, as in behaviors[PacketsOut].criteria.
	Path     string
	Old, New string // JSON; empty when absent
	Kind     ChangeKind
}

// Diff returns what makes new another profile than old, field by field, in
// the document's order. Old is nil when the profile is to be created, new when
// it's to be deleted.
//
// Spellings of the same are no difference: defaults left out (one consecutive
// datapoint, dimension operator IN, false), the deprecated list of retained
// metrics, targets as ARNs or by short names, the order of sets, retained
// metrics, tags and targets. The order of behaviors is a difference only when
// it's the only one. A new profile whose Tags or Targets are nil says nothing
// about them, and they are not compared.
func Diff(before, after *profile.Profile) []Change {
	ignored := map[string]bool{"lint": true}
	if after != nil {
		ignored["tags"] = after.Tags == nil
		ignored["targets"] = after.Targets == nil
	}
	a, b := normal(before), normal(after)
	var d differ
	for _, key := range keysOf(reflect.TypeFor[profile.Profile]()) {
		if !ignored[key] {
			d.compare(key, a[key], b[key])
		}
	}
	if len(d.changes) == 0 && before != nil && after != nil {
		if a, b := behaviorNames(before), behaviorNames(after); !slices.Equal(a, b) {
			d.change("behaviors", a, b)
		}
	}
	return d.changes
}

func behaviorNames(p *profile.Profile) []string {
	names := make([]string, len(p.Behaviors))
	for i, b := range p.Behaviors {
		names[i] = b.Name
	}
	return names
}

// named is a list whose elements are found by name, whatever their order.
type named struct {
	names  []string
	values map[string]any
}

func (n *named) add(name string, value any) {
	if n.values == nil {
		n.values = map[string]any{}
	}
	// Two of a name are an error, but not one of Diff.
	for i, plain := 2, name; n.values[name] != nil; i++ {
		name = plain + "#" + strconv.Itoa(i)
	}
	n.names = append(n.names, name)
	n.values[name] = value
}

// object is an object of JSON with its keys in the document's order.
type object struct {
	keys   []string
	values map[string]any
}

// normal returns the profile's members by key in the one spelling that is
// compared: scalars, []any for sets, *object and *named.
func normal(p *profile.Profile) map[string]any {
	if p == nil {
		return nil
	}
	members := map[string]any{"securityProfileName": p.Name}
	if p.Description != "" {
		members["securityProfileDescription"] = p.Description
	}
	if len(p.AlertTargets) > 0 {
		members["alertTargets"] = generic(reflect.ValueOf(p.AlertTargets))
	}
	if p.MetricsExportConfig != nil {
		members["metricsExportConfig"] = generic(reflect.ValueOf(*p.MetricsExportConfig))
	}
	var behaviors, retained, tags, targets named
	for _, b := range p.Behaviors {
		b.MetricDimension, b.SuppressAlerts, b.ExportMetric = b.Ref().MetricDimension(), onlyTrue(b.SuppressAlerts), onlyTrue(b.ExportMetric)
		if b.Criteria != nil {
			criteria := *b.Criteria
			criteria.ConsecutiveDatapointsToAlarm = orOne(criteria.ConsecutiveDatapointsToAlarm)
			criteria.ConsecutiveDatapointsToClear = orOne(criteria.ConsecutiveDatapointsToClear)
			b.Criteria = &criteria
		}
		behaviors.add(b.Name, generic(reflect.ValueOf(b)))
	}
	for _, r := range profile.RetainedMetrics(p) {
		name := r.Metric
		if d := r.Ref().MetricDimension(); d != nil {
			name += " " + d.Operator + " " + d.DimensionName
			r.MetricDimension = d
		}
		r.ExportMetric = onlyTrue(r.ExportMetric)
		retained.add(name, generic(reflect.ValueOf(r)))
	}
	for _, tag := range p.Tags {
		tags.add(tag.Key, tag.Value)
	}
	for _, text := range p.Targets {
		if target, err := profile.ParseTarget(text); err == nil {
			text = target.Short()
		}
		targets.add(text, text)
	}
	for key, list := range map[string]*named{"behaviors": &behaviors, "additionalMetricsToRetainV2": &retained, "tags": &tags, "targets": &targets} {
		if len(list.names) > 0 {
			members[key] = list
		}
	}
	return members
}

func onlyTrue(b *bool) *bool {
	if b != nil && !*b {
		return nil
	}
	return b
}

func orOne(n *int32) *int32 {
	if n == nil {
		return new(int32(1))
	}
	return n
}

// generic returns a value as nested objects, sorted sets and scalars; nil when
// it would be left out of JSON.
func generic(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return generic(v.Elem())
	case reflect.Struct:
		o := &object{values: map[string]any{}}
		for i, key := range keysOf(v.Type()) {
			value := generic(v.Field(i))
			if value == nil || v.Field(i).Kind() == reflect.String && value == "" {
				continue
			}
			o.keys = append(o.keys, key)
			o.values[key] = value
		}
		return o
	case reflect.Map:
		o := &object{values: map[string]any{}}
		for _, key := range v.MapKeys() {
			o.keys = append(o.keys, key.String())
			o.values[key.String()] = generic(v.MapIndex(key))
		}
		slices.Sort(o.keys)
		return o
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		set := map[string]any{}
		for i := range v.Len() {
			item := generic(v.Index(i))
			set[encodeLine(item)] = item
		}
		list := make([]any, 0, len(set))
		for _, text := range slices.SortedFunc(maps.Keys(set), compareLiterals) {
			list = append(list, set[text])
		}
		return list
	case reflect.String:
		return v.String()
	}
	return v.Interface()
}

// compareLiterals orders numbers by value and texts as texts.
func compareLiterals(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	switch {
	case errX != nil || errY != nil:
		return slices.Compare([]byte(a), []byte(b))
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// MarshalJSON writes the keys in the document's order.
func (o *object) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, key := range o.keys {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, encodeLine(key)...)
		text = append(text, ':')
		text = append(text, encodeLine(o.values[key])...)
	}
	return append(text, '}'), nil
}

var _ json.Marshaler = (*object)(nil)

// differ collects the differences of two normal forms.
type differ struct{ changes []Change }

func (d *differ) change(path string, before, after any) {
	c := Change{Path: path, Kind: Changed}
	if before != nil {
		c.Old = encodeLine(before)
	} else {
		c.Kind = Added
	}
	if after != nil {
		c.New = encodeLine(after)
	} else {
		c.Kind = Removed
	}
	d.changes = append(d.changes, c)
}

func (d *differ) compare(path string, before, after any) {
	switch {
	case before == nil && after == nil:
		return
	case isNamed(before) || isNamed(after):
		d.named(path, before, after)
		return
	}
	a, ok1 := before.(*object)
	b, ok2 := after.(*object)
	if ok1 && ok2 {
		keys := slices.Clone(a.keys)
		for _, key := range b.keys {
			if a.values[key] == nil {
				keys = append(keys, key)
			}
		}
		for _, key := range keys {
			d.compare(profile.JoinPath(path, key), a.values[key], b.values[key])
		}
		return
	}
	if before == nil || after == nil || encodeLine(before) != encodeLine(after) {
		d.change(path, before, after)
	}
}

func isNamed(v any) bool {
	_, ok := v.(*named)
	return ok
}

// named compares lists by the names of their elements.
func (d *differ) named(path string, before, after any) {
	a, _ := before.(*named)
	b, _ := after.(*named)
	if a == nil {
		a = &named{}
	}
	if b == nil {
		b = &named{}
	}
	for _, name := range a.names {
		d.compare(path+"["+name+"]", a.values[name], b.values[name])
	}
	for _, name := range b.names {
		if a.values[name] == nil {
			d.compare(path+"["+name+"]", nil, b.values[name])
		}
	}
}
