package store

import (
	"context"
	"iter"
)

// DayTable is a table whose rows belong to days, and are dropped by the day.
// Keys of different days are independent.
type DayTable[V any] struct {
	name  string
	codec Codec[V]
}

// NewDayTable returns the day table of the name; see [NewTable].
func NewDayTable[V any](name string, codec Codec[V]) DayTable[V] {
	checkTable(name)
	return DayTable[V]{name, codec}
}

// Get returns the value of a key of the day, and whether there is one.
func (t DayTable[V]) Get(r *Reader, day Day, key string) (V, bool, error) {
	return getOne(r, Part{t.name, day}, t.codec, key)
}

// GetMany returns the values of the keys of the day that there are, in one
// round trip.
func (t DayTable[V]) GetMany(r *Reader, day Day, keys []string) (map[string]V, error) {
	return getMany(r, Part{t.name, day}, t.codec, keys)
}

// Put writes a row of the day. The value must not change before the
// transaction is over.
func (t DayTable[V]) Put(tx *Tx, day Day, key string, value V) error {
	return put(tx, Part{t.name, day}, t.codec, key, value)
}

// Delete deletes a row of the day, if it is there.
func (t DayTable[V]) Delete(tx *Tx, day Day, key string) error {
	return tx.write(Write{Address: Address{Part{t.name, day}, key}, Delete: true})
}

// Scan yields rows of the day in the order of the range. It ends with the first
// error.
func (t DayTable[V]) Scan(r *Reader, day Day, span Range) iter.Seq2[Entry[V], error] {
	return scan(r, Part{t.name, day}, t.codec, span)
}

// Days returns the days that may have rows, from the earliest on. Days that only
// the transaction itself has written to are not among them.
func (t DayTable[V]) Days(r *Reader) ([]Day, error) { return r.txn.Days(r.ctx, t.name) }

// Drop deletes all rows of the day, in a transaction of its own.
func (t DayTable[V]) Drop(ctx context.Context, s *Store, day Day) error {
	return s.backend.Drop(ctx, Part{t.name, day})
}
