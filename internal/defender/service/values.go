package service

import (
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// storedValue is one metric's value. Values of a thing and time are stored
// together: a report is then written in one place.
type storedValue struct {
	Metric    string        `json:"m"`
	Dimension string        `json:"d,omitempty"`
	Operator  string        `json:"o,omitempty"` // NOT_IN; empty is IN
	Value     profile.Value `json:"v"`
	Cut       *profile.Cut  `json:"c,omitempty"` // nil is a whole list, or stored before this was known
}

func (v *storedValue) ref() profile.MetricRef {
	return profile.MetricRef{Name: v.Metric, Dimension: v.Dimension, NotIn: v.Operator == "NOT_IN"}
}

// valueKey is the thing and the time. No thing's name has a zero byte in it.
func valueKey(thing string, at time.Time) string { return thing + "\x00" + store.TimeKey(at) }

// deleteValues deletes all values of a thing.
func deleteValues(tx *store.Tx, thing string) error {
	days, err := tableValues.Days(&tx.Reader)
	if err != nil {
		return err
	}
	for _, day := range days {
		for entry, err := range valueKeys.Scan(&tx.Reader, day, store.Prefix(thing+"\x00")) {
			if err != nil {
				return err
			}
			if err := tableValues.Delete(tx, day, entry.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep stores the values that a profile of the thing uses or retains, and
// counts those that a model would learn from.
func (c *change) keep(o detect.Observation) error {
	kept := c.s.covering(o.Thing)
	var values []storedValue
	for _, m := range o.Measurements {
		used := false
		for _, coverage := range kept {
			// A custom metric may be reported as another type than it is
			// registered.
			if kind, ok := coverage.metrics[m.Metric]; !ok || !m.Value.Has(kind) {
				continue
			}
			used = true
			for _, behavior := range coverage.models[m.Metric] {
				c.models[modelKey(coverage.profile, behavior)]++
			}
		}
		if used {
			v := storedValue{Metric: m.Metric.Name, Dimension: m.Metric.Dimension, Value: m.Value, Cut: m.Cut}
			if m.Metric.NotIn {
				v.Operator = m.Metric.Operator()
			}
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	day, key := day(o.Time), valueKey(o.Thing, o.Time)
	before, _, err := tableValues.Get(&c.tx.Reader, day, key) // a report in the moment that a window ended
	if err != nil {
		return err
	}
	before = slices.DeleteFunc(before, func(old storedValue) bool {
		return slices.ContainsFunc(values, func(v storedValue) bool { return v.ref() == old.ref() })
	})
	return tableValues.Put(c.tx, day, key, append(before, values...))
}

// metricDatum is a value as ListMetricValues shows it. AWS has no member cut,
// and its clients pass over it.
type metricDatum struct {
	Time  epoch         `json:"timestamp"`
	Value profile.Value `json:"value"`
	Cut   *profile.Cut  `json:"cut,omitempty"`
}

// metricFilter reads which metric of which thing is asked for.
func (r *request) metricFilter() (thing string, metric profile.MetricRef, err error) {
	if thing, err = r.queryRequired("thingName"); err != nil {
		return thing, metric, err
	}
	if err = r.checkThingName(); err != nil {
		return thing, metric, err
	}
	if metric.Name, err = r.queryRequired("metricName"); err != nil {
		return thing, metric, err
	}
	if err = checkName("metricName", metric.Name); err != nil {
		return thing, metric, err
	}
	if _, known := profile.FindMetric(metric.Name); !known && profile.IsAWS(metric.Name) {
		return thing, metric, invalidRequest("Metric " + metric.Name + " is unknown")
	}
	if metric.Dimension, err = r.queryName("dimensionName"); err != nil {
		return thing, metric, err
	}
	operator, err := r.queryOneOf("dimensionValueOperator", "IN", "NOT_IN")
	switch {
	case err != nil:
		return thing, metric, err
	case operator != "" && metric.Dimension == "":
		return thing, metric, invalidRequest("dimensionValueOperator is given without dimensionName")
	}
	metric.NotIn = operator == "NOT_IN"
	return thing, metric, nil
}

// listMetricValues lists values from the latest to the earliest, as events
// are. Which way AWS lists them is not documented.
func listMetricValues(s *Service, r *request) (any, error) {
	from, to, err := r.timeRange()
	if err != nil {
		return nil, err
	}
	from = later(from, s.now().Add(-keepValues))
	thing, want, err := r.metricFilter()
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "metricDatumList", func(view *store.Reader, after string, yield func(string, metricDatum) bool) error {
		from := from
		if !profile.IsAWS(want.Name) {
			// One that was deleted took its values with it.
			stored, err := getCustomMetric(view, want.Name)
			if err != nil {
				return err
			}
			from = later(from, stored.Created)
		}
		if known, err := thingKnown(view, thing); err != nil {
			return err
		} else if !known {
			return notFound("Thing " + thing + " does not exist and has not reported")
		}
		for values, err := range daysBackwards(view, tableValues, thing+"\x00", from, to, after) {
			if err != nil {
				return err
			}
			i := slices.IndexFunc(values.Value, func(v storedValue) bool { return v.ref() == want })
			if i < 0 {
				continue
			}
			at, _ := store.KeyTime(values.Key)
			if !yield(values.Key, metricDatum{Time: epoch(at), Value: values.Value[i].Value, Cut: values.Value[i].Cut}) {
				break
			}
		}
		return nil
	})
}
