package profile

import (
	"cmp"
	"slices"
	"strings"
)

// MetricRef says which metric: all of it, or what a dimension narrows it to.
// Two are equal when they are of the same values, however a document spells
// the dimension's operator.
type MetricRef struct {
	Name      string
	Dimension string // "" is none
	NotIn     bool   // of the topics that are not in the dimension
}

// RefOf returns the reference to a metric, narrowed by a dimension unless that
// is nil.
func RefOf(metric string, d *MetricDimension) MetricRef {
	r := MetricRef{Name: metric}
	if d != nil {
		r.Dimension, r.NotIn = d.DimensionName, d.Operator == "NOT_IN"
	}
	return r
}

// Ref returns which metric the behavior is about.
func (b *Behavior) Ref() MetricRef { return RefOf(b.Metric, b.MetricDimension) }

// Ref returns which metric is retained.
func (m MetricToRetain) Ref() MetricRef { return RefOf(m.Metric, m.MetricDimension) }

// Operator returns IN or NOT_IN, "" without a dimension.
func (r MetricRef) Operator() string {
	switch {
	case r.Dimension == "":
		return ""
	case r.NotIn:
		return "NOT_IN"
	}
	return "IN"
}

// MetricDimension is the inverse of RefOf, with the operator written out.
func (r MetricRef) MetricDimension() *MetricDimension {
	if r.Dimension == "" {
		return nil
	}
	return &MetricDimension{DimensionName: r.Dimension, Operator: r.Operator()}
}

// Compare orders by metric, dimension and operator, IN first.
func (r MetricRef) Compare(other MetricRef) int {
	return cmp.Or(strings.Compare(r.Name, other.Name), strings.Compare(r.Dimension, other.Dimension), strings.Compare(r.Operator(), other.Operator()))
}

// String writes the dimension after the metric, in parentheses.
func (r MetricRef) String() string {
	switch {
	case r.Dimension == "":
		return r.Name
	case r.NotIn:
		return r.Name + " (not in " + r.Dimension + ")"
	}
	return r.Name + " (" + r.Dimension + ")"
}

// Topics says in words which topics the dimension leaves, "" without one.
func (r MetricRef) Topics() string {
	switch {
	case r.Dimension == "":
		return ""
	case r.NotIn:
		return " on topics outside dimension " + r.Dimension
	}
	return " on topics of dimension " + r.Dimension
}

// Use is a metric whose values a profile keeps, and where it names it.
type Use struct {
	MetricRef
	Path     string    // as in Problem, of the metric
	Behavior *Behavior // nil when the metric is only retained
}

// Uses returns the metrics whose values the profile keeps, in the order of the
// document: those of its behaviors and those that it retains. One that is named
// twice is there twice.
func (p *Profile) Uses() []Use {
	var list []Use
	for i := range p.Behaviors {
		b := &p.Behaviors[i]
		list = append(list, Use{b.Ref(), IndexPath("behaviors", i) + ".metric", b})
	}
	for i, name := range p.AdditionalMetricsToRetain {
		list = append(list, Use{MetricRef{Name: name}, IndexPath("additionalMetricsToRetain", i), nil})
	}
	for i, m := range p.AdditionalMetricsToRetainV2 {
		list = append(list, Use{m.Ref(), IndexPath("additionalMetricsToRetainV2", i) + ".metric", nil})
	}
	return slices.DeleteFunc(list, func(u Use) bool { return u.Name == "" })
}

// RetainedMetrics returns the metrics of both retain lists, those of the
// deprecated one last and only where the other doesn't have them.
func RetainedMetrics(p *Profile) []MetricToRetain {
	retained := slices.Clone(p.AdditionalMetricsToRetainV2)
	for _, metric := range p.AdditionalMetricsToRetain {
		if !slices.ContainsFunc(retained, func(r MetricToRetain) bool { return r.Metric == metric && r.MetricDimension == nil }) {
			retained = append(retained, MetricToRetain{Metric: metric})
		}
	}
	return retained
}
