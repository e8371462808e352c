package service

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

// atOnce is when a job is due that is to be done first.
var atOnce = time.UnixMilli(1).UTC()

// oldReporter is a thing's last report in version 0.1.
type oldReporter struct {
	ID     int64         `json:"id"`
	Digest uint64        `json:"digest"`
	Time   time.Time     `json:"time"`
	Clock  time.Time     `json:"clock"`
	Every  time.Duration `json:"every"`
}

// rows converts last reports and states, which are in one row now. A job looks at
// each thing at once, by which its part of the baselines is taken over too.
func (c *converter) rows() error {
	strangers := int64(0)
	err := c.each("reporters", func(name string, value []byte) error {
		var last oldReporter
		if err := json.Unmarshal(value, &last); err != nil {
			return damagedRecord("reporters", name, err)
		}
		if !c.registered[name] {
			strangers++
		}
		return c.row(name, len(value), func(row *thingRow) {
			row.last = lastReport{id: last.ID, digest: last.Digest, time: last.Time, clock: last.Clock, every: last.Every}
		})
	})
	if err != nil {
		return err
	}
	err = c.each("engine", func(name string, value []byte) error {
		return c.row(name, len(value), func(row *thingRow) { row.state = value })
	})
	if err != nil {
		return err
	}
	return c.write(0, func(tx *store.Tx) error {
		return tableStrangers.Put(tx, operatorLane, strangerTally{Things: strangers})
	})
}

// row changes the row of a thing, or begins it with its job.
func (c *converter) row(name string, size int, change func(*thingRow)) error {
	return c.write(size, func(tx *store.Tx) error {
		row, _, err := tableRows.Get(&tx.Reader, name)
		if err != nil {
			return err
		}
		row.due = atOnce
		change(&row)
		return errors.Join(tableRows.Put(tx, name, row), tableJobs.Put(tx, store.Job[struct{}]{Due: atOnce, ID: thingJob + name}))
	})
}

// oldValue is a value of a metric in version 0.1.
type oldValue struct {
	Metric    string        `json:"m"`
	Dimension string        `json:"d"`
	Operator  string        `json:"o"`
	Value     profile.Value `json:"v"`
	Cut       *profile.Cut  `json:"c"`
}

// oldChunk is a chunk that is being filled.
type oldChunk struct {
	*chunk.Writer
	day    store.Day
	thing  string
	began  time.Time
	number byte
}

// values converts values, which were a record for each report, and are chunks of
// an hour now. The records of a thing follow each other in the order of time.
func (c *converter) values() error {
	var open oldChunk
	finish := func() error {
		if open.Writer == nil {
			return nil
		}
		full := open
		open.Writer = nil
		open.number++
		key := pairKey(full.thing, store.TimeKey(full.began)+string([]byte{full.number}))
		return c.write(len(full.Bytes()), func(tx *store.Tx) error { return tableValues.Put(tx, full.day, key, full.Bytes()) })
	}
	err := c.eachDay("values", func(day store.Day, key string, value []byte) error {
		const timeSize = 8
		if len(key) < timeSize+2 {
			return damagedRecord("values", key, errors.New("key too short"))
		}
		thing := key[:len(key)-timeSize-1]
		at, _ := store.KeyTime(key[len(thing)+1:])
		var list []oldValue
		if err := json.Unmarshal(value, &list); err != nil {
			return damagedRecord("values", key, err)
		}
		sample := chunk.Sample{Time: at.UnixMilli()}
		for _, v := range list {
			sample.Series = append(sample.Series, chunk.Series{Metric: v.Metric, Dimension: v.Dimension, NotIn: v.Operator != ""})
			sample.Values = append(sample.Values, packed(&v.Value, v.Cut))
		}
		if open.Writer != nil && (open.thing != thing || !sameHour(open.began, at) || len(open.Bytes()) >= maxOpenChunk) {
			if err := finish(); err != nil {
				return err
			}
		}
		for {
			if open.Writer == nil {
				open = oldChunk{chunk.NewWriter(), day, thing, at, open.number}
			}
			err := open.Append(sample)
			switch {
			case errors.Is(err, chunk.ErrTooLarge) && open.Len() > 0:
				if err := finish(); err != nil {
					return err
				}
			case err != nil:
				return damagedRecord("values", key, err)
			default:
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	return finish()
}
