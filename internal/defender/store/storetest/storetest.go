// Package storetest checks that a backend keeps the contract of package store.
//
// A test of a backend calls [Run], and [Main] with [Killed] from its TestMain
// and a test; an embedded engine also calls [Faults].
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Open opens the backend on the database of the name, a folder that is there.
// Where the database is kept elsewhere, the name tells it from others.
type Open func(name string) (store.Backend, error)

// Tables of the tests.
var (
	plain = store.NewTable("plain", store.Bytes())
	other = store.NewTable("other", store.JSON[map[string]int]())
	marks = store.NewTable("plain_marks", store.Empty())
	daily = store.NewDayTable("daily", store.Bytes())
	jobs  = store.NewQueue("jobs", store.JSON[string]())
)

const (
	monday  = store.Day(20_780)
	tuesday = monday + 1
)

// Run runs all tests that need no child process and no broken disk.
func Run(t *testing.T, open Open) {
	tests := map[string]func(*testing.T, *store.Store){
		"rows":                       rows,
		"ranges":                     ranges,
		"own writes in scans":        ownWrites,
		"snapshots":                  snapshots,
		"failing functions":          failing,
		"hooks":                      hooks,
		"wrong arguments":            wrongArguments,
		"no lost update":             noLostUpdate,
		"one creator":                oneCreator,
		"rows that are only read":    guards,
		"deletes conflict":           deletesConflict,
		"no conflict without reason": noConflict,
		"canceled":                   canceled,
		"days":                       days,
		"drop under a snapshot":      dropUnderSnapshot,
		"transfers":                  transfers,
		"queue":                      queue,
		"queue with many workers":    queueWorkers,
		"many rows":                  manyRows,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			b, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := store.New(b)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			tests[name](t, s)
		})
	}
	t.Run("reopened", func(t *testing.T) { reopened(t, open) })
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *store.Store, fn func(*store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// put writes rows key=value to the plain table.
func put(t testing.TB, s *store.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error { return putAll(tx, pairs...) })
}

func putAll(tx *store.Tx, pairs ...string) error {
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		if err := plain.Put(tx, key, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

// list returns the rows of the plain table in the range as key=value.
func list(r *store.Reader, span store.Range) (got []string, err error) {
	for entry, err := range plain.Scan(r, span) {
		if err != nil {
			return got, err
		}
		got = append(got, entry.Key+"="+string(entry.Value))
	}
	return got, nil
}

func wantList(t testing.TB, r *store.Reader, span store.Range, want ...string) {
	t.Helper()
	got, err := list(r, span)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows in %+v (-want +got):\n%s", span, diff)
	}
}

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

func failing(t *testing.T, s *store.Store) {
	put(t, s, "a=1")
	cause := errors.New("cause")
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(putAll(tx, "a=2", "b=2"), cause) }); !errors.Is(err, cause) {
		t.Errorf("error %v, want that of the function", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of the function did not come through")
			}
		}()
		_ = s.Update(t.Context(), func(tx *store.Tx) error {
			_ = putAll(tx, "a=3")
			panic("cause")
		})
	}()
	if err := s.View(t.Context(), func(*store.Reader) error { return cause }); !errors.Is(err, cause) {
		t.Errorf("error %v, want that of the function", err)
	}
	view(t, s, func(r *store.Reader) error {
		wantList(t, r, store.Range{}, "a=1")
		return nil
	})
	put(t, s, "a=4") // nothing is left locked
}

func hooks(t *testing.T, s *store.Store) {
	var called []string
	tell := func(what string) func() { return func() { called = append(called, what) } }
	update(t, s, func(tx *store.Tx) error {
		tx.OnCommit(tell("first"))
		tx.OnCommit(func() {
			view(t, s, func(r *store.Reader) error {
				wantList(t, r, store.Range{}, "a=1")
				return nil
			})
		})
		tx.OnCommit(tell("second"))
		return putAll(tx, "a=1")
	})
	_ = s.Update(t.Context(), func(tx *store.Tx) error {
		tx.OnCommit(tell("failed"))
		return errors.New("cause")
	})
	attempts := 0
	update(t, s, func(tx *store.Tx) error {
		attempts++
		tx.OnCommit(tell(fmt.Sprint("attempt ", attempts)))
		if attempts == 1 {
			put(t, s, "a=2")
		}
		return putAll(tx, "a=3")
	})
	if diff := cmp.Diff([]string{"first", "second", "attempt 2"}, called); diff != "" {
		t.Errorf("hooks (-want +got):\n%s", diff)
	}
}

func wrongArguments(t *testing.T, s *store.Store) {
	long := strings.Repeat("k", store.MaxKey)
	for name, write := range map[string]func(*store.Tx) error{
		"empty key":  func(tx *store.Tx) error { return plain.Put(tx, "", nil) },
		"long key":   func(tx *store.Tx) error { return plain.Put(tx, long+"k", nil) },
		"long value": func(tx *store.Tx) error { return plain.Put(tx, "a", make([]byte, store.MaxValue+1)) },
		"delete":     func(tx *store.Tx) error { return plain.Delete(tx, "") },
	} {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			if err := putAll(tx, "before=1"); err != nil {
				return err
			}
			if err := write(tx); err == nil {
				t.Errorf("%s: no error", name)
			}
			return nil // who forgets the error does not commit half of it
		})
		if err == nil {
			t.Errorf("%s: committed", name)
		}
	}
	update(t, s, func(tx *store.Tx) error { return plain.Put(tx, long, make([]byte, store.MaxValue)) })
	view(t, s, func(r *store.Reader) error {
		if v, ok, err := plain.Get(r, long); !ok || len(v) != store.MaxValue {
			t.Errorf("the longest row: %d bytes, %v, %v", len(v), ok, err)
		}
		for entry, err := range plain.Scan(r, store.Range{Limit: 2}) {
			if err != nil || entry.Key != long {
				t.Errorf("row %q, %v", entry.Key, err)
			}
		}
		return nil
	})
}

// workers runs the work at once and waits for all.
func workers(t *testing.T, n int, work func(worker int) error) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := work(i); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// number is the count that a value has; an absent one is 0.
func number(data []byte) int {
	n, _ := strconv.Atoi(string(data))
	return n
}

func noLostUpdate(t *testing.T, s *store.Store) {
	const n, each = 6, 15
	workers(t, n, func(int) error {
		for range each {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				for _, key := range []string{"x", "y"} {
					v, _, err := plain.Get(&tx.Reader, key)
					if err != nil {
						return err
					}
					if err := plain.Put(tx, key, fmt.Append(nil, number(v)+1)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(r *store.Reader) error {
		wantList(t, r, store.Range{}, fmt.Sprint("x=", n*each), fmt.Sprint("y=", n*each))
		return nil
	})
}

func oneCreator(t *testing.T, s *store.Store) {
	errThere := errors.New("is there")
	var mu sync.Mutex
	creators := map[string][]string{}
	workers(t, 6, func(worker int) error {
		me := fmt.Sprint(worker)
		for i := range 12 {
			name := fmt.Sprint("thing-", i)
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				if _, there, err := plain.Get(&tx.Reader, name); there || err != nil {
					return errors.Join(errThere, err)
				}
				return plain.Put(tx, name, []byte(me))
			})
			if err == nil {
				mu.Lock()
				creators[name] = append(creators[name], me)
				mu.Unlock()
			} else if !errors.Is(err, errThere) {
				return err
			}
		}
		return nil
	})
	view(t, s, func(r *store.Reader) error {
		for i := range 12 {
			name := fmt.Sprint("thing-", i)
			if v, _, err := plain.Get(r, name); err != nil || len(creators[name]) != 1 || string(v) != creators[name][0] {
				t.Errorf("%s was created by %q and belongs to %q, %v", name, creators[name], v, err)
			}
		}
		return nil
	})
}

// guards: a member may be added only to a group that is there, and a group that
// goes takes its members along.
func guards(t *testing.T, s *store.Store) {
	put(t, s, "group=")
	errNone := errors.New("no such group")
	attempts := 0
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		attempts++
		_, there, err := plain.GetForUpdate(tx, "group")
		if err != nil || !there {
			return errors.Join(errNone, err)
		}
		if attempts == 1 {
			update(t, s, func(tx *store.Tx) error { return plain.Delete(tx, "group") })
		}
		return plain.Put(tx, "group/member", nil)
	})
	if !errors.Is(err, errNone) || attempts != 2 {
		t.Errorf("adding to a group that was deleted: %v after %d attempts", err, attempts)
	}
	view(t, s, func(r *store.Reader) error {
		wantList(t, r, store.Range{})
		return nil
	})
	// A guard that nobody writes to costs nothing, also when others guard it too.
	put(t, s, "group=")
	attempts = 0
	update(t, s, func(tx *store.Tx) error {
		attempts++
		_, _, err := plain.GetForUpdate(tx, "group")
		if attempts == 1 {
			update(t, s, func(tx *store.Tx) error {
				_, _, err := plain.GetForUpdate(tx, "group")
				return errors.Join(err, plain.Put(tx, "another", nil))
			})
		}
		return errors.Join(err, plain.Put(tx, "group/member", nil))
	})
	if attempts != 1 {
		t.Errorf("%d attempts, want 1", attempts)
	}
}

func deletesConflict(t *testing.T, s *store.Store) {
	put(t, s, "a=1")
	attempts := 0
	update(t, s, func(tx *store.Tx) error {
		attempts++
		v, there, err := plain.Get(&tx.Reader, "a")
		if err != nil {
			return err
		}
		if attempts == 1 {
			update(t, s, func(tx *store.Tx) error { return plain.Delete(tx, "a") })
			return plain.Put(tx, "a", append(v, '1'))
		}
		if there {
			t.Error("the row is there after it was deleted")
		}
		return plain.Put(tx, "a", []byte("new"))
	})
	if attempts != 2 {
		t.Errorf("%d attempts, want 2", attempts)
	}
}

func noConflict(t *testing.T, s *store.Store) {
	put(t, s, "a=1", "b=1")
	attempts := 0
	update(t, s, func(tx *store.Tx) error {
		attempts++
		if _, err := list(&tx.Reader, store.Range{}); err != nil {
			return err
		}
		if attempts == 1 {
			put(t, s, "a=2", "c=2") // only read by the one outside
		}
		return plain.Put(tx, "b", []byte("2"))
	})
	if attempts != 1 {
		t.Errorf("%d attempts, want 1", attempts)
	}
	view(t, s, func(r *store.Reader) error {
		wantList(t, r, store.Range{}, "a=2", "b=2", "c=2")
		return nil
	})
}

func canceled(t *testing.T, s *store.Store) {
	put(t, s, "a=1")
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return putAll(tx, "a=2")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
	if errors.Is(err, store.ErrUnavailable) {
		return // it may have been committed
	}
	view(t, s, func(r *store.Reader) error {
		wantList(t, r, store.Range{}, "a=1")
		return nil
	})
}

func wantDay(t testing.TB, r *store.Reader, day store.Day, want ...string) {
	t.Helper()
	var got []string
	for entry, err := range daily.Scan(r, day, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry.Key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", day, diff)
	}
}

func wantDays(t testing.TB, r *store.Reader, want ...store.Day) {
	t.Helper()
	got, err := daily.Days(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
}

func putDay(tx *store.Tx, day store.Day, keys ...string) error {
	for _, key := range keys {
		if err := daily.Put(tx, day, key, nil); err != nil {
			return err
		}
	}
	return nil
}

func days(t *testing.T, s *store.Store) {
	if day := store.DayOf(time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)); day != monday || day.String() != "2026-11-23" {
		t.Errorf("day %d is %s", day, day)
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(putDay(tx, monday, "a", "b\xff", "\xff\xff"), putDay(tx, tuesday, "a", "\x00"), putDay(tx, tuesday+255, "z"))
	})
	view(t, s, func(r *store.Reader) error {
		wantDay(t, r, monday, "a", "b\xff", "\xff\xff")
		wantDay(t, r, tuesday, "\x00", "a")
		wantDays(t, r, monday, tuesday, tuesday+255)
		return nil
	})
	if err := daily.Drop(t.Context(), s, monday); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r *store.Reader) error {
		wantDay(t, r, monday)
		if _, there, err := daily.Get(r, monday, "a"); there || err != nil {
			t.Errorf("a row of a dropped day: %v, %v", there, err)
		}
		wantDay(t, r, tuesday, "\x00", "a")
		return nil
	})
	if err := daily.Drop(t.Context(), s, monday); err != nil {
		t.Errorf("dropping again: %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(putDay(tx, monday, "again"), daily.Delete(tx, tuesday, "a"))
	})
	view(t, s, func(r *store.Reader) error {
		wantDay(t, r, monday, "again")
		wantDay(t, r, tuesday, "\x00")
		found, err := daily.GetMany(r, tuesday, []string{"a", "\x00"})
		if len(found) != 1 {
			t.Errorf("found %v", found)
		}
		return err
	})
}

func dropUnderSnapshot(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error { return putDay(tx, monday, "a", "b", "c") })
	dropped := make(chan error, 1)
	view(t, s, func(r *store.Reader) error {
		n := 0
		for _, err := range daily.Scan(r, monday, store.Range{}) {
			if err != nil {
				return err
			}
			if n++; n == 1 {
				// A backend may let the drop wait for readers.
				go func() { dropped <- daily.Drop(t.Context(), s, monday) }()
				put(t, s, "writers=go on")
			}
		}
		if n != 3 {
			t.Errorf("%d rows, want all 3", n)
		}
		return nil
	})
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r *store.Reader) error {
		wantDay(t, r, monday)
		return nil
	})
}

// transfers moves amounts between accounts from many sides; nothing is lost at
// any moment.
func transfers(t *testing.T, s *store.Store) {
	const accounts, amount = 5, 100
	account := func(i int) string { return fmt.Sprint("account-", i) }
	update(t, s, func(tx *store.Tx) error {
		for i := range accounts {
			if err := plain.Put(tx, account(i), fmt.Append(nil, amount)); err != nil {
				return err
			}
		}
		return nil
	})
	check := func() error {
		return s.View(t.Context(), func(r *store.Reader) error {
			sum := 0
			for entry, err := range plain.Scan(r, store.Range{}) {
				if err != nil {
					return err
				}
				sum += number(entry.Value)
			}
			if sum != accounts*amount {
				t.Errorf("%d in all accounts, want %d", sum, accounts*amount)
			}
			return nil
		})
	}
	workers(t, 5, func(worker int) error {
		random := rand.New(rand.NewPCG(uint64(worker), 7))
		for range 20 {
			from, to := random.IntN(accounts), random.IntN(accounts-1)
			if to >= from {
				to++
			}
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				found, err := plain.GetMany(&tx.Reader, []string{account(from), account(to)})
				if err != nil {
					return err
				}
				return putAll(tx,
					fmt.Sprint(account(from), "=", number(found[account(from)])-1),
					fmt.Sprint(account(to), "=", number(found[account(to)])+1))
			})
			if err = errors.Join(err, check()); err != nil {
				return err
			}
		}
		return nil
	})
	if err := check(); err != nil {
		t.Error(err)
	}
}

func manyRows(t *testing.T, s *store.Store) {
	const n = 5000
	key := func(i int) string { return fmt.Sprintf("%06d", i) }
	keys := make([]string, n)
	update(t, s, func(tx *store.Tx) error {
		for i := range n {
			keys[i] = key(i)
			if err := plain.Put(tx, key(i), []byte(key(i))); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(r *store.Reader) error {
		i := 0
		for entry, err := range plain.Scan(r, store.Range{}) {
			if err != nil {
				return err
			}
			if entry.Key != key(i) || string(entry.Value) != key(i) {
				t.Fatalf("row %d is %s=%s", i, entry.Key, entry.Value)
			}
			i++
		}
		if i != n {
			t.Errorf("%d rows, want %d", i, n)
		}
		found, err := plain.GetMany(r, keys)
		if len(found) != n {
			t.Errorf("%d rows, want %d", len(found), n)
		}
		return err
	})
}

func queue(t *testing.T, s *store.Store) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	claim := func(now time.Time, want ...string) []store.Job[string] {
		t.Helper()
		list, err := jobs.Claim(t.Context(), s, time.Time{}, now, time.Minute, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, job := range list {
			got = append(got, job.ID+"="+job.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claimed at %s (-want +got):\n%s", now, diff)
		}
		return list
	}
	claim(now)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			jobs.Put(tx, store.Job[string]{Due: now.Add(time.Second), ID: "later", Value: "3"}),
			jobs.Put(tx, store.Job[string]{Due: now, ID: "now", Value: "2"}),
			jobs.Put(tx, store.Job[string]{Due: now.Add(-time.Hour), ID: "before", Value: "1"}),
		)
	})
	view(t, s, func(r *store.Reader) error {
		var later []string
		for job, err := range jobs.Later(r, now.Add(-time.Hour)) {
			if err != nil {
				t.Error(err)
			}
			later = append(later, job.ID)
		}
		if diff := cmp.Diff([]string{"now", "later"}, later); diff != "" {
			t.Errorf("after the first (-want +got):\n%s", diff)
		}
		if due, ok, err := jobs.NextDue(r, time.Time{}); !ok || err != nil || !due.Equal(now.Add(-time.Hour)) {
			t.Errorf("next due %s, %v, %v", due, ok, err)
		}
		return nil
	})
	first := claim(now, "before=1", "now=2")
	claim(now)
	claim(now.Add(time.Second), "later=3")
	done := func(job store.Job[string]) (mine bool) {
		update(t, s, func(tx *store.Tx) (err error) {
			mine, err = jobs.Done(tx, job)
			return err
		})
		return mine
	}
	if !done(first[0]) || done(first[0]) {
		t.Error("a job is done once")
	}
	// The worker of the second has died.
	again := claim(now.Add(time.Minute), "now=2")
	if done(first[1]) || !done(again[0]) {
		t.Error("the job belongs to who claimed it last")
	}
}

// queueWorkers has many workers do jobs, some of which die with theirs.
func queueWorkers(t *testing.T, s *store.Store) {
	const n = 60
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	update(t, s, func(tx *store.Tx) error {
		for i := range n {
			if err := jobs.Put(tx, store.Job[string]{Due: start, ID: fmt.Sprintf("%03d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	for round := 0; ; round++ {
		now := start.Add(time.Duration(round) * time.Hour)
		workers(t, 4, func(worker int) error {
			random := rand.New(rand.NewPCG(uint64(worker), uint64(round)))
			for {
				claimed, err := jobs.Claim(t.Context(), s, time.Time{}, now, time.Minute, 7)
				if err != nil || len(claimed) == 0 {
					return err
				}
				for _, job := range claimed {
					if random.IntN(4) == 0 {
						continue
					}
					err := s.Update(t.Context(), func(tx *store.Tx) error {
						mine, err := jobs.Done(tx, job)
						if err != nil || !mine {
							return errors.Join(err, errors.New("a claimed job was taken away"))
						}
						v, _, err := plain.Get(&tx.Reader, job.ID)
						return errors.Join(err, plain.Put(tx, job.ID, append(v, 'x')))
					})
					if err != nil {
						return err
					}
				}
			}
		})
		left := false
		view(t, s, func(r *store.Reader) (err error) {
			_, left, err = jobs.NextDue(r, time.Time{})
			return err
		})
		if !left {
			break
		}
	}
	view(t, s, func(r *store.Reader) error {
		got, err := list(r, store.Range{})
		if len(got) != n {
			t.Errorf("%d jobs done, want %d", len(got), n)
		}
		for _, row := range got {
			if !strings.HasSuffix(row, "=x") {
				t.Errorf("%s: its effect is there more than once", row)
			}
		}
		return err
	})
}

func reopened(t *testing.T, open Open) {
	name := t.TempDir()
	for i := range 4 {
		b, err := open(name)
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(b)
		view(t, s, func(r *store.Reader) error {
			got, err := list(r, store.Range{})
			if len(got) != i {
				t.Errorf("%d rows after %d rounds", len(got), i)
			}
			return err
		})
		put(t, s, fmt.Sprint(i, "="))
		update(t, s, func(tx *store.Tx) error { return putDay(tx, monday, fmt.Sprint(i)) })
		if i == 2 {
			if err := daily.Drop(t.Context(), s, monday); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return putAll(tx, "closed=") }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Update after Close: %v", err)
		}
		if err := s.View(t.Context(), func(*store.Reader) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("View after Close: %v", err)
		}
		if err := daily.Drop(t.Context(), s, monday); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Drop after Close: %v", err)
		}
	}
	b, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	view(t, store.New(b), func(r *store.Reader) error {
		wantDay(t, r, monday, "3")
		return nil
	})
}
