package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

func rows(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			plain.Put(tx, "a", []byte("1")), plain.Put(tx, "empty", nil), plain.Put(tx, "\x00\xff", []byte("\x00")),
			plain.Put(tx, "twice", []byte("1")), plain.Put(tx, "twice", []byte("2")),
			plain.Put(tx, "gone", []byte("1")), plain.Delete(tx, "gone"), plain.Delete(tx, "never there"),
			other.Put(tx, "a", map[string]int{"x": 1}), marks.Put(tx, "a", struct{}{}),
		)
	})
	view(t, s, func(r *store.Reader) error {
		found, err := plain.GetMany(r, []string{"a", "b", "empty", "\x00\xff", "twice", "gone", "a"})
		if err != nil {
			return err
		}
		want := map[string][]byte{"a": []byte("1"), "empty": {}, "\x00\xff": {0}, "twice": []byte("2")}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if _, ok, err := plain.Get(r, "b"); ok || err != nil {
			t.Errorf("an absent row: %v, %v", ok, err)
		}
		if v, ok, err := plain.Get(r, "empty"); !ok || err != nil || len(v) != 0 {
			t.Errorf("an empty row: %q, %v, %v", v, ok, err)
		}
		if v, ok, err := other.Get(r, "a"); !ok || err != nil || v["x"] != 1 {
			t.Errorf("a row of another table: %v, %v, %v", v, ok, err)
		}
		if _, ok, err := marks.Get(r, "a"); !ok || err != nil {
			t.Errorf("a row without a value: %v, %v", ok, err)
		}
		// Tables whose names begin alike are apart.
		wantList(t, r, store.Range{}, "\x00\xff=\x00", "a=1", "empty=", "twice=2")
		// Values belong to the caller.
		v, _, err := plain.Get(r, "a")
		if err != nil {
			return err
		}
		v[0] = 'x'
		again, _, err := plain.Get(r, "a")
		if string(again) != "1" {
			t.Errorf("a value that the caller changed reads as %q", again)
		}
		return err
	})
}

func ranges(t *testing.T, s *store.Store) {
	put(t, s, "a=", "b=", "b\x00=", "b\x00x=", "b\xff=", "b\xff\xff=", "c=", "\xff=", "\xff\xff=", "\xff\xff\x01=")
	reversed := func(r store.Range) store.Range {
		r.Reverse = true
		return r
	}
	view(t, s, func(r *store.Reader) error {
		for _, test := range []struct {
			span store.Range
			want []string
		}{
			{store.Prefix("b"), []string{"b=", "b\x00=", "b\x00x=", "b\xff=", "b\xff\xff="}},
			{store.Prefix("b\xff"), []string{"b\xff=", "b\xff\xff="}},
			{store.Prefix("\xff"), []string{"\xff=", "\xff\xff=", "\xff\xff\x01="}},
			{store.Prefix("d"), nil},
			{store.Prefix("b").Resume("b\x00"), []string{"b\x00x=", "b\xff=", "b\xff\xff="}},
			{store.Prefix("b").Resume("b\xff\xff"), nil},
			{store.Prefix("b").Resume("a"), []string{"b=", "b\x00=", "b\x00x=", "b\xff=", "b\xff\xff="}},
			{reversed(store.Prefix("b")), []string{"b\xff\xff=", "b\xff=", "b\x00x=", "b\x00=", "b="}},
			{reversed(store.Prefix("b")).Resume("b\x00x"), []string{"b\x00=", "b="}},
			{reversed(store.Prefix("b")).Resume("b"), nil},
			{reversed(store.Prefix("b")).Resume("z"), []string{"b\xff\xff=", "b\xff=", "b\x00x=", "b\x00=", "b="}},
			{store.Range{From: "b", To: "b\xff", Limit: 2}, []string{"b=", "b\x00="}},
			{store.Range{From: "b", To: "b\xff", Limit: 2, Reverse: true}, []string{"b\x00x=", "b\x00="}},
			{store.Range{From: "c", To: "b"}, nil},
			{store.Range{From: "b", To: "b"}, nil},
			{store.Range{To: "b"}, []string{"a="}},
			{store.Range{From: "\xff\xff"}, []string{"\xff\xff=", "\xff\xff\x01="}},
			{store.Range{From: "\xff\xff\xff"}, nil},
		} {
			wantList(t, r, test.span, test.want...)
		}
		// A scan that is left ends.
		for _, err := range plain.Scan(r, store.Range{}) {
			if err != nil {
				return err
			}
			break
		}
		// Pages, without one row twice or none.
		var all []string
		for after := ""; ; {
			page, err := list(r, store.Range{Limit: 3}.Resume(after))
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = strings.TrimSuffix(page[len(page)-1], "=")
		}
		if want, err := list(r, store.Range{}); err != nil || !slices.Equal(all, want) {
			t.Errorf("pages %q, want %q, %v", all, want, err)
		}
		return nil
	})
}

// ownWrites compares what a transaction sees with a map that got the same
// writes.
func ownWrites(t *testing.T, s *store.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	key := func() string { return string(rune('a' + random.IntN(20))) }
	model := map[string]string{}
	for round := range 40 {
		update(t, s, func(tx *store.Tx) error {
			for range random.IntN(12) {
				k := key()
				if random.IntN(3) == 0 {
					delete(model, k)
					if err := plain.Delete(tx, k); err != nil {
						return err
					}
					continue
				}
				model[k] = fmt.Sprint(round)
				if err := plain.Put(tx, k, []byte(model[k])); err != nil {
					return err
				}
			}
			for range 8 {
				span := store.Range{Reverse: random.IntN(2) == 0, Limit: random.IntN(6)}
				if random.IntN(2) == 0 {
					span.From = key()
				}
				if random.IntN(2) == 0 {
					span.To = key()
				}
				wantList(t, &tx.Reader, span, modelList(model, span)...)
				k := key()
				got, ok, err := plain.Get(&tx.Reader, k)
				if want, there := model[k]; err != nil || ok != there || string(got) != want {
					t.Errorf("row %s: %q, %v, %v, want %q, %v", k, got, ok, err, want, there)
				}
			}
			return nil
		})
		view(t, s, func(r *store.Reader) error {
			wantList(t, r, store.Range{}, modelList(model, store.Range{})...)
			return nil
		})
	}
}

func modelList(model map[string]string, span store.Range) (rows []string) {
	keys := slices.Sorted(maps.Keys(model))
	if span.Reverse {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k >= span.From && (span.To == "" || k < span.To) && (span.Limit == 0 || len(rows) < span.Limit) {
			rows = append(rows, k+"="+model[k])
		}
	}
	return rows
}

func snapshots(t *testing.T, s *store.Store) {
	put(t, s, "a=1", "b=1")
	view(t, s, func(r *store.Reader) error {
		put(t, s, "a=2", "c=2")
		update(t, s, func(tx *store.Tx) error { return plain.Delete(tx, "b") })
		wantList(t, r, store.Range{}, "a=1", "b=1")
		if v, _, err := plain.Get(r, "a"); string(v) != "1" {
			t.Errorf("a = %q, %v in a snapshot of before", v, err)
		}
		// Whoever begins now sees what was acknowledged.
		view(t, s, func(r *store.Reader) error {
			wantList(t, r, store.Range{}, "a=2", "c=2")
			return nil
		})
		return nil
	})
}
