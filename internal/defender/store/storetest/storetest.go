// Package storetest checks that a backend keeps the contract of package store.
//
// A test of a backend calls [Run], and [Main] with [Killed] from its TestMain
// and a test; an embedded engine also calls [Faults].
package storetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

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
		"copy":                       copyOf,
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
