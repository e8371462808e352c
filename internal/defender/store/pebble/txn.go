package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	lsm "github.com/cockroachdb/pebble/v2"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// txn is a transaction.
type txn struct {
	in       *instance
	snapshot *lsm.Snapshot
	start    uint64 // the snapshot shows all commits up to it
	over     bool   // committed or rolled back
}

var _ store.Txn = (*txn)(nil)

// Bytes between a table's name and its keys: a day table can have the name of a
// table without days.
const (
	plainMark = 0
	dayMark   = 1
)

// appendPart appends the prefix of a part's keys.
func appendPart(b []byte, part store.Part) []byte {
	b = append(b, part.Table...)
	if part.Day == 0 {
		return append(b, plainMark)
	}
	return binary.BigEndian.AppendUint32(append(b, dayMark), uint32(part.Day))
}

// after returns the smallest key that is greater than all keys with the prefix,
// which does not end with 0xff only.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

func partBounds(part store.Part) (from, to []byte) {
	from = appendPart(nil, part)
	return from, after(from)
}

// failed says what an error of a read means.
func failed(what string, table string, err error) error {
	if lsm.IsCorruptionError(err) {
		return fmt.Errorf("%s table %s: %w: %w", what, table, store.ErrDamaged, err)
	}
	return fmt.Errorf("%s table %s: %w: %w", what, table, store.ErrUnavailable, err)
}

func (t *txn) Get(_ context.Context, part store.Part, keys []string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	key := appendPart(nil, part)
	prefix := len(key)
	for i := range keys {
		key = append(key[:prefix], keys[i]...)
		value, closer, err := t.snapshot.Get(key)
		switch {
		case errors.Is(err, lsm.ErrNotFound):
			continue
		case err != nil:
			return nil, failed("reading", part.Table, err)
		}
		values[i] = append([]byte{}, value...)
		if err := closer.Close(); err != nil {
			return nil, failed("reading", part.Table, err)
		}
	}
	return values, nil
}

func (t *txn) Scan(ctx context.Context, part store.Part, r store.Range) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		from, to := partBounds(part)
		prefix := len(from)
		if r.To != "" {
			to = append(slices.Clone(from), r.To...)
		}
		from = append(from, r.From...)
		it, err := t.snapshot.NewIterWithContext(ctx, &lsm.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			yield(store.Item{}, failed("reading", part.Table, err))
			return
		}
		first, next := it.First, it.Next
		if r.Reverse {
			first, next = it.Last, it.Prev
		}
		count := 0
		for ok := first(); ok && ctx.Err() == nil; ok = next() {
			var value []byte
			if value, err = it.ValueAndErr(); err != nil {
				break
			}
			item := store.Item{Key: string(it.Key()[prefix:]), Value: append([]byte{}, value...)}
			if count++; !yield(item, nil) || count == r.Limit {
				it.Close()
				return
			}
		}
		if err = errors.Join(err, it.Error(), it.Close()); err != nil {
			err = failed("reading", part.Table, err)
		} else if ctx.Err() != nil {
			err = fmt.Errorf("reading table %s: %w", part.Table, ctx.Err())
		}
		if err != nil {
			yield(store.Item{}, err)
		}
	}
}

func (t *txn) Days(ctx context.Context, table string) ([]store.Day, error) {
	from := append([]byte(table), dayMark)
	prefix := len(from)
	it, err := t.snapshot.NewIterWithContext(ctx, &lsm.IterOptions{LowerBound: from, UpperBound: after(from)})
	if err != nil {
		return nil, failed("reading", table, err)
	}
	var days []store.Day
	for ok := it.First(); ok; {
		day := store.Day(binary.BigEndian.Uint32(it.Key()[prefix:]))
		days = append(days, day)
		_, next := partBounds(store.Part{Table: table, Day: day})
		ok = it.SeekGE(next)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, failed("reading", table, err)
	}
	return days, nil
}

func (t *txn) Commit(ctx context.Context, writes []store.Write, guards []store.Address) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	size := 0
	onlyDeletes := true
	for i := range writes {
		w := &writes[i]
		size += len(w.Table) + 5 + len(w.Key) + len(w.Value) + 8
		onlyDeletes = onlyDeletes && w.Delete
	}
	if !onlyDeletes {
		if err := t.in.room(size); err != nil {
			return err
		}
	}
	batch := t.in.db.NewBatchWithSize(size + 12)
	keys := make([]string, len(writes))
	var buffer []byte
	for i := range writes {
		w := &writes[i]
		buffer = append(appendPart(buffer[:0], w.Part), w.Key...)
		keys[i] = string(buffer)
		var err error
		if w.Delete {
			err = batch.Delete(buffer, nil)
		} else {
			err = batch.Set(buffer, w.Value, nil)
		}
		if err != nil {
			return err
		}
	}
	guarded := make([]string, len(guards))
	for i, g := range guards {
		guarded[i] = string(append(appendPart(buffer[:0], g.Part), g.Key...))
	}
	// From here on the transaction belongs to the commit, which may go on for
	// longer than ctx.
	t.over = true
	return t.in.apply(ctx, batch, t, keys, guarded)
}

func (t *txn) Rollback() {
	if !t.over {
		t.over = true
		t.end()
	}
}

// end gives back what the transaction holds.
func (t *txn) end() {
	if t.snapshot != nil {
		// Its error is only that it was closed before.
		_ = t.snapshot.Close()
	}
	t.in.forget(t)
	t.in.release()
}
