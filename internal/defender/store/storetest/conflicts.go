package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/store"
)

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
