package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Store is a store on a backend. It is safe for concurrent use.
type Store struct{ backend Backend }

// New returns a store on the backend, which it owns from now on.
func New(b Backend) *Store { return &Store{backend: b} }

// Close closes the backend.
func (s *Store) Close() error { return s.backend.Close() }

// Pauses between two attempts of an Update grow from the first to the longest,
// and are drawn at random so that two transactions do not meet again.
const (
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

// View calls fn with a snapshot. It returns fn's error, or why there was no
// snapshot. The Reader must not be used after fn has returned.
func (s *Store) View(ctx context.Context, fn func(*Reader) error) error {
	txn, err := s.backend.Begin(ctx, false)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	return fn(&Reader{ctx: ctx, txn: txn})
}

// Update calls fn and commits what it has written, if fn returns nil. It calls
// fn again after a conflict. When it returns nil, the writes are durable; the
// package comment says what errors mean. A panic of fn writes nothing.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := s.attempt(ctx, fn)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return fmt.Errorf("committing: %w: %w", ctx.Err(), err)
		}
	}
}

// attempt is one attempt of an Update.
func (s *Store) attempt(ctx context.Context, fn func(*Tx) error) error {
	txn, err := s.backend.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer txn.Rollback()
	tx := &Tx{Reader: Reader{ctx: ctx, txn: txn, writes: map[Part]*pending{}}}
	if err := fn(tx); err != nil {
		return err
	}
	// A wrong argument spoils the transaction, also where fn has not looked.
	if tx.err != nil {
		return tx.err
	}
	if writes := tx.sorted(); len(writes) > 0 {
		if err := txn.Commit(ctx, writes, tx.guards); err != nil {
			return err
		}
	}
	for _, hook := range tx.hooks {
		hook()
	}
	return nil
}
