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

func (v *storedValue) ref() profile.MetricRef {
	return profile.MetricRef{Name: v.Metric, Dimension: v.Dimension, NotIn: v.Operator == "NOT_IN"}
}

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
			return slices.ContainsFunc(values, func(v storedValue) bool { return v.ref() == old.ref() })
		})
		values = append(before, values...)
	}
	record, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return b.Put(key, record)
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
	return answerList(s, r, "metricDatumList", func(tx *bbolt.Tx, after string, yield func(string, metricDatum) bool) error {
		thing, want, err := r.metricFilter()
		if err != nil {
			return err
		}
		from := from
		if !profile.IsAWS(want.Name) {
			// One that was deleted took its values with it.
			stored, err := getCustomMetric(tx, want.Name)
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
			i := slices.IndexFunc(values, func(v storedValue) bool { return v.ref() == want })
			if i >= 0 && !yield(key, metricDatum{Time: epoch(keyTime([]byte(key))), Value: values[i].Value, Cut: values[i].Cut}) {
				break
			}
		}
		return nil
	})
}
