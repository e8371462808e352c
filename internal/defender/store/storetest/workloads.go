package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/store"
)

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
