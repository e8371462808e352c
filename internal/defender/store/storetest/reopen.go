package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/store"
)

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
