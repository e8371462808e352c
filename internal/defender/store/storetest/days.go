package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

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
