package service

import (
	"encoding/json"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
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

// metricKey is a metric and what narrows it.
type metricKey struct{ metric, dimension, operator string }

func newMetricKey(metric string, d *profile.MetricDimension) metricKey {
	if d == nil {
		return metricKey{metric: metric}
	}
	operator := d.Operator
	if operator == "IN" {
		operator = ""
	}
	return metricKey{metric, d.DimensionName, operator}
}

func (v *storedValue) key() metricKey { return metricKey{v.Metric, v.Dimension, v.Operator} }

// valueKey is the thing and the time. No thing's name has a zero byte in it.
func valueKey(thing string, at time.Time) []byte {
	return append(append([]byte(thing), 0), timeKey(at)...)
}

// keep stores the values that a profile of the thing uses or retains, and
// counts those that a model would learn from.
func (c *change) keep(o detect.Observation) error {
	kept := c.s.covering(o.Thing)
	var values []storedValue
	for _, m := range o.Measurements {
		key := newMetricKey(m.Metric, m.Dimension)
		used := false
		for _, coverage := range kept {
			kind, ok := coverage.metrics[key]
			if !ok || !fits(&m.Value, kind) {
				continue
			}
			used = true
			for _, behavior := range coverage.models[key] {
				c.models[modelKey(coverage.profile, behavior)]++
			}
		}
		if used {
			values = append(values, storedValue{Metric: key.metric, Dimension: key.dimension, Operator: key.operator, Value: m.Value, Cut: m.Cut})
		}
	}
	if len(values) == 0 {
		return nil
	}
	b, err := c.tx.Bucket(bucketValueDays).CreateBucketIfNotExists(day(o.Time))
	if err != nil {
		return err
	}
	key := valueKey(o.Thing, o.Time)
	if old := b.Get(key); old != nil { // a report in the moment that a window ended
		var before []storedValue
		if err := json.Unmarshal(old, &before); err != nil {
			return err
		}
		before = slices.DeleteFunc(before, func(old storedValue) bool {
			return slices.ContainsFunc(values, func(v storedValue) bool { return v.key() == old.key() })
		})
		values = append(before, values...)
	}
	record, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return b.Put(key, record)
}

// fits reports whether the value is of the kind: a custom metric may be reported
// as another type than it is registered.
func fits(v *profile.Value, kind profile.Kind) bool {
	switch kind {
	case profile.Count:
		return v.Count != nil
	case profile.Number:
		return v.Number != nil
	case profile.Ports:
		return v.Ports != nil
	case profile.CIDRs:
		return v.CIDRs != nil
	case profile.Numbers:
		return v.Numbers != nil
	default:
		return v.Strings != nil
	}
}

// metricDatum is a value as ListMetricValues shows it. AWS has no member cut,
// and its clients pass over it.
type metricDatum struct {
	Time  epoch         `json:"timestamp"`
	Value profile.Value `json:"value"`
	Cut   *profile.Cut  `json:"cut,omitempty"`
}

// metricFilter reads which metric of which thing is asked for.
func (r *request) metricFilter() (thing string, key metricKey, err error) {
	if thing, err = r.queryRequired("thingName"); err != nil {
		return thing, key, err
	}
	if err = r.checkThingName(); err != nil {
		return thing, key, err
	}
	if key.metric, err = r.queryRequired("metricName"); err != nil {
		return thing, key, err
	}
	if err = checkName("metricName", key.metric); err != nil {
		return thing, key, err
	}
	if _, known := profile.FindMetric(key.metric); !known && profile.IsAWS(key.metric) {
		return thing, key, invalidRequest("Metric " + key.metric + " is unknown")
	}
	if key.dimension, err = r.queryName("dimensionName"); err != nil {
		return thing, key, err
	}
	operator, err := r.queryOneOf("dimensionValueOperator", "IN", "NOT_IN")
	switch {
	case err != nil:
		return thing, key, err
	case operator != "" && key.dimension == "":
		return thing, key, invalidRequest("dimensionValueOperator is given without dimensionName")
	case operator == "NOT_IN":
		key.operator = operator
	}
	return thing, key, nil
}

// listMetricValues lists values from the latest to the earliest, as events
// are. Which way AWS lists them is not documented.
func listMetricValues(s *Service, r *request) (any, error) {
	from, to, err := r.timeRange()
	if err != nil {
		return nil, err
	}
	from = later(from, s.now().Add(-keepValues))
	return answerList(s, r, "metricDatumList", func(tx *bbolt.Tx, after string, yield func(string, metricDatum) bool) error {
		thing, want, err := r.metricFilter()
		if err != nil {
			return err
		}
		from := from
		if !profile.IsAWS(want.metric) {
			// One that was deleted took its values with it.
			stored, err := getCustomMetric(tx, want.metric)
			if err != nil {
				return err
			}
			from = later(from, stored.Created)
		}
		if !thingKnown(tx, thing) {
			return notFound("Thing " + thing + " does not exist and has not reported")
		}
		for key, record := range daysBackwards(tx.Bucket(bucketValueDays), thing+"\x00", from, to, after) {
			var values []storedValue
			if err := json.Unmarshal(record, &values); err != nil {
				return err
			}
			i := slices.IndexFunc(values, func(v storedValue) bool { return v.key() == want })
			if i >= 0 && !yield(key, metricDatum{Time: epoch(keyTime([]byte(key))), Value: values[i].Value, Cut: values[i].Cut}) {
				break
			}
		}
		return nil
	})
}
