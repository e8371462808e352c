package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Reader reads a snapshot, for one goroutine. Tables have the methods for it.
type Reader struct {
	ctx    context.Context // of the View or Update that the Reader lives in
	txn    Txn
	writes map[Part]*pending // of a Tx; nil otherwise
}

// pending is what a transaction has written to a part.
type pending struct {
	rows map[string]Write
	keys []string // of rows in their order; nil after a new one
}

// sorted returns the keys in the range, in its order.
func (p *pending) sorted(r Range) []string {
	if p.keys == nil {
		p.keys = slices.Sorted(maps.Keys(p.rows))
	}
	from, _ := slices.BinarySearch(p.keys, r.From)
	to := len(p.keys)
	if r.To != "" {
		to, _ = slices.BinarySearch(p.keys, r.To)
	}
	keys := slices.Clone(p.keys[from:max(from, to)])
	if r.Reverse {
		slices.Reverse(keys)
	}
	return keys
}

// Tx is a transaction that writes, for one goroutine. Its Reader sees its own
// writes.
type Tx struct {
	Reader
	guards []Address
	hooks  []func()
	err    error // the first wrong argument
}

// OnCommit has hook called when the transaction is durable, in the order of the
// calls, by the goroutine that called Update.
func (tx *Tx) OnCommit(hook func()) { tx.hooks = append(tx.hooks, hook) }

var errKey = errors.New("key of wrong length")

// write collects a write; the last of a row counts.
func (tx *Tx) write(w Write) error {
	err := checkWrite(w)
	if err != nil {
		if tx.err == nil {
			tx.err = err
		}
		return err
	}
	p := tx.writes[w.Part]
	if p == nil {
		p = &pending{rows: map[string]Write{}}
		tx.writes[w.Part] = p
	}
	if _, again := p.rows[w.Key]; !again {
		p.keys = nil
	}
	p.rows[w.Key] = w
	return nil
}

func checkWrite(w Write) error {
	switch {
	case len(w.Key) < 1 || len(w.Key) > MaxKey:
		return fmt.Errorf("writing table %s: %w: %d bytes, want 1 to %d", w.Table, errKey, len(w.Key), MaxKey)
	case len(w.Value) > MaxValue:
		return fmt.Errorf("writing %q of table %s: value of %d bytes, want at most %d", w.Key, w.Table, len(w.Value), MaxValue)
	}
	return nil
}

// sorted returns all writes by address.
func (tx *Tx) sorted() []Write {
	var all []Write
	for _, p := range tx.writes {
		all = slices.AppendSeq(all, maps.Values(p.rows))
	}
	slices.SortFunc(all, func(a, b Write) int { return a.Compare(b.Address) })
	return all
}

// get reads rows, in the order of keys; nil where there is none.
func (r *Reader) get(part Part, keys []string) ([][]byte, error) {
	own := r.writes[part]
	if own == nil {
		return r.txn.Get(r.ctx, part, keys)
	}
	values := make([][]byte, len(keys))
	var ask []string
	var places []int
	for i, key := range keys {
		switch w, written := own.rows[key]; {
		case !written:
			ask, places = append(ask, key), append(places, i)
		case !w.Delete:
			values[i] = append([]byte{}, w.Value...)
		}
	}
	if len(ask) == 0 {
		return values, nil
	}
	found, err := r.txn.Get(r.ctx, part, ask)
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		values[place] = found[i]
	}
	return values, nil
}

// scan yields the rows of the range, with the transaction's own writes merged
// in: those that it had written when the scan began.
func (r *Reader) scan(part Part, span Range) iter.Seq2[Item, error] {
	if span.To != "" && span.From >= span.To {
		return func(func(Item, error) bool) {}
	}
	own := r.writes[part]
	if own == nil {
		return r.txn.Scan(r.ctx, part, span)
	}
	return func(yield func(Item, error) bool) { r.merge(part, span, own, yield) }
}

func (r *Reader) merge(part Part, span Range, own *pending, yield func(Item, error) bool) {
	left := span.Limit // 0 is no limit
	give := func(item Item) bool {
		if !yield(item, nil) {
			return false
		}
		left--
		return left != 0
	}
	rows, keys := maps.Clone(own.rows), own.sorted(span)
	// giveOwn yields own rows while more says so.
	giveOwn := func(more func(key string) bool) bool {
		for len(keys) > 0 && more(keys[0]) {
			w := rows[keys[0]]
			keys = keys[1:]
			if !w.Delete && !give(Item{Key: w.Key, Value: append([]byte{}, w.Value...)}) {
				return false
			}
		}
		return true
	}
	// The limit counts merged rows: own deletes may hide any number of stored ones.
	stored := span
	stored.Limit = 0
	for item, err := range r.txn.Scan(r.ctx, part, stored) {
		if err != nil {
			yield(Item{}, err)
			return
		}
		before := func(key string) bool {
			order := strings.Compare(key, item.Key)
			return order < 0 && !span.Reverse || order > 0 && span.Reverse
		}
		if !giveOwn(before) {
			return
		}
		if _, overwritten := rows[item.Key]; !overwritten && !give(item) {
			return
		}
	}
	giveOwn(func(string) bool { return true })
}
