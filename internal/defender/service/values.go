package service

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

// maxOpenChunk is the size in bytes at which a chunk is closed before its hour is
// over: it is written with each report of the thing. An hour of AWS's shortest
// interval fits, with 250 peers.
const maxOpenChunk = 4 << 10

// keep stores the values that a profile of the thing uses or retains, and
// counts those that a model would learn from. They go into the open chunk of the
// thing, which is a part of its row. A chunk has values of one hour.
func (b *batch) keep(k *known, o detect.Observation) error {
	sample := chunk.Sample{Time: o.Time.UnixMilli()}
	for i := range o.Measurements {
		m := &o.Measurements[i]
		// A custom metric may be reported as another type than it is
		// registered.
		kind, ok := k.covered.metrics[m.Metric]
		if !ok || !m.Value.Has(kind) {
			continue
		}
		for _, model := range k.covered.models[m.Metric] {
			b.models[model]++
		}
		sample.Series = append(sample.Series, chunk.Series{Metric: m.Metric.Name, Dimension: m.Metric.Dimension, NotIn: m.Metric.NotIn})
		sample.Values = append(sample.Values, packed(&m.Value, m.Cut))
	}
	if len(sample.Series) == 0 {
		return nil
	}
	k.changed = true
	if k.open != nil && (!sameHour(k.row.chunkTime, o.Time) || len(k.open.Bytes()) >= maxOpenChunk) {
		if err := b.closeChunk(k); err != nil {
			return err
		}
	}
	err := k.append(sample)
	if errors.Is(err, chunk.ErrTooLarge) && k.open.Len() > 0 {
		if err := b.closeChunk(k); err != nil {
			return err
		}
		err = k.append(sample)
	}
	return err
}

// append adds a sample to the open chunk, or begins one.
func (k *known) append(s chunk.Sample) error {
	if k.open == nil {
		k.open, k.row.chunkTime = chunk.NewWriter(), millisecondTime(s.Time)
	}
	return k.open.Append(s)
}

// closeChunk moves the open chunk to the values of its day, if there is one.
func (b *batch) closeChunk(k *known) error {
	if k.open == nil {
		return nil
	}
	at, data := k.row.chunkTime, k.open.Bytes()
	k.open, k.row.chunkTime = nil, time.Time{}
	k.changed = true
	k.row.chunks++
	return tableValues.Put(b.tx, store.DayOf(at), k.name+"\x00"+store.TimeKey(at)+string([]byte{k.row.chunks}), data)
}

func hourOf(t time.Time) time.Time { return t.Truncate(time.Hour) }

func sameHour(a, b time.Time) bool { return hourOf(a).Equal(hourOf(b)) }

// packed is a value as chunks have it. cut is nil for a whole list.
func packed(v *profile.Value, cut *profile.Cut) (p chunk.Value) {
	if cut != nil {
		p.Cut, p.Listed, p.Total = true, cut.Listed, cut.Total
	}
	switch v.Kind() {
	case profile.Count:
		p.Kind, p.Int = chunk.Int, *v.Count
	case profile.Number:
		p.Kind, p.Float = chunk.Float, *v.Number
	case profile.Ports:
		p.Kind, p.Ints = chunk.Ints, make([]int64, len(v.Ports))
		for i, port := range v.Ports {
			p.Ints[i] = int64(port)
		}
	case profile.Numbers:
		p.Kind, p.Floats = chunk.Floats, v.Numbers
	case profile.Strings:
		p.Kind, p.Texts = chunk.Texts, v.Strings
	default:
		p.Kind, p.Texts = chunk.Addresses, v.CIDRs
	}
	return p
}

// unpacked is the inverse of packed. An empty list is one that is there.
func unpacked(v *chunk.Value) (value profile.Value, cut *profile.Cut) {
	if v.Cut {
		cut = &profile.Cut{Listed: v.Listed, Total: v.Total}
	}
	switch v.Kind {
	case chunk.Int:
		value.Count = new(v.Int)
	case chunk.Float:
		value.Number = new(v.Float)
	case chunk.Ints:
		value.Ports = make([]int32, len(v.Ints))
		for i, port := range v.Ints {
			value.Ports[i] = int32(port)
		}
	case chunk.Floats:
		value.Numbers = append([]float64{}, v.Floats...)
	case chunk.Texts:
		value.Strings = append([]string{}, v.Texts...)
	case chunk.Addresses:
		value.CIDRs = append([]string{}, v.Texts...)
	}
	return value, cut
}

// samplesBackwards yields what is stored of a thing, from the latest sample at
// or before to down to from. Of one time, what was stored last comes first.
func samplesBackwards(r *store.Reader, thing string, from, to time.Time) iter.Seq2[chunk.Sample, error] {
	return func(yield func(chunk.Sample, error) bool) {
		var hour time.Time
		var samples []chunk.Sample // of the hour
		flush := func() bool {
			slices.SortStableFunc(samples, func(a, b chunk.Sample) int { return cmp.Compare(b.Time, a.Time) })
			for _, s := range samples {
				if at := time.UnixMilli(s.Time); !at.Before(from) && !at.After(to) && !yield(s, nil) {
					return false
				}
			}
			samples = nil
			return true
		}
		for c, err := range chunksBackwards(r, thing, hourOf(from), hourOf(to)) {
			if err != nil {
				yield(chunk.Sample{}, err)
				return
			}
			if !c.hour.Equal(hour) && !flush() {
				return
			}
			hour = c.hour
			list := c.samples()
			slices.Reverse(list)
			samples = append(samples, list...)
		}
		flush()
	}
}

// hourChunk is a chunk of values and its hour.
type hourChunk struct {
	hour time.Time
	data []byte
}

// samples reads the chunk, as far as it can be read.
func (c *hourChunk) samples() (list []chunk.Sample) {
	reader, err := chunk.NewReader(c.data)
	for err == nil {
		s, more, err := reader.Next()
		if err != nil || !more {
			break
		}
		list = append(list, s)
	}
	return list
}

// chunksBackwards yields the chunks of a thing from the hour last down to the
// hour first. The open one comes before the others of its hour.
func chunksBackwards(r *store.Reader, thing string, first, last time.Time) iter.Seq2[hourChunk, error] {
	return func(yield func(hourChunk, error) bool) {
		row, _, err := tableRows.Get(r, thing)
		if err != nil {
			yield(hourChunk{}, err)
			return
		}
		open := hourChunk{hourOf(row.chunkTime), row.chunk}
		// giveOpen yields the open chunk if it comes before the hour.
		giveOpen := func(before time.Time) bool {
			if len(open.data) == 0 || open.hour.Before(before) {
				return true
			}
			c := open
			open.data = nil
			return c.hour.After(last) || c.hour.Before(first) || yield(c, nil)
		}
		days, err := tableValues.Days(r)
		if err != nil {
			yield(hourChunk{}, err)
			return
		}
		prefix := thing + "\x00"
		span := store.Range{From: prefix + store.TimeKey(first), To: prefix + store.TimeKey(last.Add(time.Hour)), Reverse: true}
		for _, day := range slices.Backward(days) {
			if day < store.DayOf(first) || day > store.DayOf(last) {
				continue
			}
			for entry, err := range tableValues.Scan(r, day, span) {
				if err != nil {
					yield(hourChunk{}, err)
					return
				}
				at, _ := store.KeyTime(entry.Key[len(prefix):])
				c := hourChunk{hourOf(at), entry.Value}
				if !giveOpen(c.hour) || !yield(c, nil) {
					return
				}
			}
		}
		giveOpen(time.Time{})
	}
}

// deleteValues deletes all values of a thing but the open chunk.
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

// metricDatum is a value as ListMetricValues shows it. AWS has no member cut,
// and its clients pass over it.
type metricDatum struct {
	Time  awsrest.Epoch `json:"timestamp"`
	Value profile.Value `json:"value"`
	Cut   *profile.Cut  `json:"cut,omitempty"`
}

// metricFilter reads which metric of which thing is asked for.
func metricFilter(r *awsrest.Request) (thing string, metric profile.MetricRef, err error) {
	if thing, err = r.QueryRequired("thingName"); err != nil {
		return thing, metric, err
	}
	if err = checkThingName(r); err != nil {
		return thing, metric, err
	}
	if metric.Name, err = r.QueryRequired("metricName"); err != nil {
		return thing, metric, err
	}
	if err = checkName("metricName", metric.Name); err != nil {
		return thing, metric, err
	}
	if _, known := profile.FindMetric(metric.Name); !known && profile.IsAWS(metric.Name) {
		return thing, metric, awsrest.Invalid("Metric " + metric.Name + " is unknown")
	}
	if metric.Dimension, err = queryName(r, "dimensionName"); err != nil {
		return thing, metric, err
	}
	operator, err := r.QueryOneOf("dimensionValueOperator", "IN", "NOT_IN")
	switch {
	case err != nil:
		return thing, metric, err
	case operator != "" && metric.Dimension == "":
		return thing, metric, awsrest.Invalid("dimensionValueOperator is given without dimensionName")
	}
	metric.NotIn = operator == "NOT_IN"
	return thing, metric, nil
}

// listMetricValues lists values from the latest to the earliest, as events
// are. Which way AWS lists them is not documented.
func (s *Service) listMetricValues(r *awsrest.Request) (any, error) {
	from, to, err := timeRange(r)
	if err != nil {
		return nil, err
	}
	from = later(from, s.now().Add(-keepValues))
	thing, want, err := metricFilter(r)
	if err != nil {
		return nil, err
	}
	series := chunk.Series{Metric: want.Name, Dimension: want.Dimension, NotIn: want.NotIn}
	return answerList(s, r, "metricDatumList", func(view *store.Reader, after string, yield func(string, metricDatum) bool) error {
		from, to := from, to
		if !profile.IsAWS(want.Name) {
			// One that was deleted took its values with it.
			stored, err := getCustomMetric(view, want.Name)
			if err != nil {
				return err
			}
			from = later(from, stored.Created)
		}
		switch known, err := thingKnown(view, thing); {
		case err != nil:
			return err
		case !known:
			return awsrest.NotFound("Thing " + thing + " does not exist and has not reported")
		}
		if at, ok := store.KeyTime(after); ok {
			to = at.Add(-time.Millisecond)
		}
		last := int64(-1)
		for sample, err := range samplesBackwards(view, thing, from, to) {
			if err != nil {
				return err
			}
			i := slices.Index(sample.Series, series)
			if i < 0 || sample.Time == last {
				continue // or it was replaced, in the same millisecond
			}
			last = sample.Time
			at := millisecondTime(sample.Time)
			value, cut := unpacked(&sample.Values[i])
			if !yield(store.TimeKey(at), metricDatum{Time: awsrest.Epoch(at), Value: value, Cut: cut}) {
				break
			}
		}
		return nil
	})
}
