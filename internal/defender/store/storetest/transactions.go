package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

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
