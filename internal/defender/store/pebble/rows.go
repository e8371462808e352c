package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/device-defender/device-defender/internal/defender/store"
)

func (t *txn) Rows(ctx context.Context) iter.Seq2[store.Row, error] {
	return func(yield func(store.Row, error) bool) {
		it, err := t.snapshot.NewIterWithContext(ctx, nil)
		if err != nil {
			yield(store.Row{}, failed("reading", "of any name", err))
			return
		}
		for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
			var row store.Row
			if row.Address, err = parseKey(it.Key()); err != nil {
				break
			}
			if row.Value, err = it.ValueAndErr(); err != nil {
				break
			}
			if !yield(row, nil) {
				it.Close()
				return
			}
		}
		if err = errors.Join(err, it.Error(), it.Close()); err != nil {
			err = failed("reading", "of any name", err)
		} else if ctx.Err() != nil {
			err = fmt.Errorf("reading all tables: %w", ctx.Err())
		}
		if err != nil {
			yield(store.Row{}, err)
		}
	}
}

// parseKey is the inverse of appendPart with a key behind it. Names of tables have
// neither mark.
func parseKey(key []byte) (a store.Address, err error) {
	end := bytes.IndexAny(key, string([]byte{plainMark, dayMark}))
	if end < 0 {
		return a, fmt.Errorf("%w: key %q has no table", store.ErrDamaged, key)
	}
	rest := key[end+1:]
	if a.Table = string(key[:end]); key[end] == dayMark {
		if len(rest) < 4 {
			return a, fmt.Errorf("%w: key %q has no day", store.ErrDamaged, key)
		}
		a.Day, rest = store.Day(binary.BigEndian.Uint32(rest)), rest[4:]
	}
	a.Key = string(rest)
	return a, nil
}
