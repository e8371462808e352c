package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Codec writes values as bytes and reads them again. Decode must not keep data.
type Codec[V any] struct {
	Encode func(V) ([]byte, error)
	Decode func(data []byte) (V, error)
}

// JSON is the codec of values that are JSON.
func JSON[V any]() Codec[V] {
	return Codec[V]{
		Encode: func(v V) ([]byte, error) { return json.Marshal(v) },
		Decode: func(data []byte) (v V, err error) { return v, json.Unmarshal(data, &v) },
	}
}

// Bytes is the codec of values that are bytes already.
func Bytes() Codec[[]byte] {
	same := func(data []byte) ([]byte, error) { return data, nil }
	return Codec[[]byte]{Encode: same, Decode: same}
}

// Empty is the codec of rows that say all with their key.
func Empty() Codec[struct{}] {
	return Codec[struct{}]{
		Encode: func(struct{}) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (struct{}, error) { return struct{}{}, nil },
	}
}

// Entry is a row of a scan.
type Entry[V any] struct {
	Key   string
	Value V
}

// Table is a table whose values are of type V.
type Table[V any] struct {
	name  string
	codec Codec[V]
}

// NewTable returns the table of the name: lower case letters, digits and
// underscores, beginning with a letter, as SQL takes them. It panics at others,
// as tables are package variables.
func NewTable[V any](name string, codec Codec[V]) Table[V] {
	checkTable(name)
	return Table[V]{name, codec}
}

func checkTable(name string) {
	for i, c := range name {
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			panic(fmt.Sprintf("store: table name %q", name))
		}
	}
	if name == "" || len(name) > 40 {
		panic(fmt.Sprintf("store: table name %q", name))
	}
}

// Get returns the value of a key, and whether there is one.
func (t Table[V]) Get(r *Reader, key string) (V, bool, error) {
	return getOne(r, Part{Table: t.name}, t.codec, key)
}

// GetForUpdate is Get, and the transaction conflicts with any other that writes
// the row, as if it wrote the row itself; transactions that only guard a row do
// not conflict with each other. A row that is absent is not guarded: put it to
// make sure that it is absent.
func (t Table[V]) GetForUpdate(tx *Tx, key string) (V, bool, error) {
	tx.guards = append(tx.guards, Address{Part{Table: t.name}, key})
	return t.Get(&tx.Reader, key)
}

// GetMany returns the values of the keys that there are, in one round trip.
func (t Table[V]) GetMany(r *Reader, keys []string) (map[string]V, error) {
	return getMany(r, Part{Table: t.name}, t.codec, keys)
}

// Put writes a row. The value must not change before the transaction is over.
func (t Table[V]) Put(tx *Tx, key string, value V) error {
	return put(tx, Part{Table: t.name}, t.codec, key, value)
}

// Delete deletes a row, if it is there.
func (t Table[V]) Delete(tx *Tx, key string) error {
	return tx.write(Write{Address: Address{Part{Table: t.name}, key}, Delete: true})
}

// Scan yields rows in the order of the range. It ends with the first error.
func (t Table[V]) Scan(r *Reader, span Range) iter.Seq2[Entry[V], error] {
	return scan(r, Part{Table: t.name}, t.codec, span)
}

func getOne[V any](r *Reader, part Part, codec Codec[V], key string) (v V, ok bool, err error) {
	values, err := r.get(part, []string{key})
	if err != nil || values[0] == nil {
		return v, false, err
	}
	v, err = decode(part, codec, key, values[0])
	return v, err == nil, err
}

func getMany[V any](r *Reader, part Part, codec Codec[V], keys []string) (map[string]V, error) {
	values, err := r.get(part, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]V, len(keys))
	for i, value := range values {
		if value == nil {
			continue
		}
		v, err := decode(part, codec, keys[i], value)
		if err != nil {
			return nil, err
		}
		found[keys[i]] = v
	}
	return found, nil
}

func put[V any](tx *Tx, part Part, codec Codec[V], key string, value V) error {
	data, err := codec.Encode(value)
	if err != nil {
		err = fmt.Errorf("row %q of table %s: %w", key, part.Table, err)
		tx.err = errors.Join(tx.err, err)
		return err
	}
	return tx.write(Write{Address: Address{part, key}, Value: data})
}

func scan[V any](r *Reader, part Part, codec Codec[V], span Range) iter.Seq2[Entry[V], error] {
	return func(yield func(Entry[V], error) bool) {
		for item, err := range r.scan(part, span) {
			entry := Entry[V]{Key: item.Key}
			if err == nil {
				entry.Value, err = decode(part, codec, item.Key, item.Value)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func decode[V any](part Part, codec Codec[V], key string, data []byte) (V, error) {
	v, err := codec.Decode(data)
	if err != nil {
		return v, fmt.Errorf("row %q of table %s: %w: %w", key, part.Table, ErrDamaged, err)
	}
	return v, nil
}
