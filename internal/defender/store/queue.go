package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"
)

// Queue is a table of jobs that are done when their time has come, by any
// worker of any process. A worker claims a job for a time, its lease. It
// finishes the job in a transaction with [Queue.Done]; if it does not, another
// worker gets the job when the lease has ended. A job is so done at least once,
// and its effects in the store exactly once, if they are in the transaction of
// Done.
//
// All times come from the caller, and those of all workers are meant to agree
// to a fraction of a lease.
type Queue[V any] struct{ table Table[V] }

// NewQueue returns the queue of the name; see [NewTable].
func NewQueue[V any](name string, codec Codec[V]) Queue[V] {
	return Queue[V]{NewTable(name, codec)}
}

// Job is a job in a queue. Due and ID tell it from the others.
type Job[V any] struct {
	Due   time.Time // in milliseconds; of a claimed one, the end of its lease
	ID    string    // not empty; two jobs with the same Due and ID are one
	Value V
}

func (j *Job[V]) key() string { return TimeKey(j.Due) + j.ID }

// TimeKey returns a time in milliseconds as a part of keys: 8 bytes in the order
// of time.
func TimeKey(t time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(max(0, t.UnixMilli()))))
}

// KeyTime returns the time that a key begins with. ok is false if the key is
// too short.
func KeyTime(key string) (t time.Time, ok bool) {
	if len(key) < 8 {
		return t, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(key[:8])))).UTC(), true
}

// Put adds a job.
func (q Queue[V]) Put(tx *Tx, job Job[V]) error { return q.table.Put(tx, job.key(), job.Value) }

// Claim takes up to limit jobs that are due, but not before from, the earliest
// first, and puts their due time to now plus lease. A time from before which no
// job is left spares an engine from looking at what was deleted; the zero time
// is no bound.
func (q Queue[V]) Claim(ctx context.Context, s *Store, from, now time.Time, lease time.Duration, limit int) ([]Job[V], error) {
	var jobs []Job[V]
	err := s.Update(ctx, func(tx *Tx) error {
		jobs = nil
		for entry, err := range q.table.Scan(&tx.Reader, Range{From: TimeKey(from), To: TimeKey(now.Add(time.Millisecond)), Limit: limit}) {
			if err != nil {
				return err
			}
			if len(entry.Key) <= 8 {
				return fmt.Errorf("job %q of queue %s: %w", entry.Key, q.table.name, ErrDamaged)
			}
			job := Job[V]{Due: now.Add(lease).UTC().Truncate(time.Millisecond), ID: entry.Key[8:], Value: entry.Value}
			if err := q.table.Delete(tx, entry.Key); err != nil {
				return err
			}
			if err := q.Put(tx, job); err != nil {
				return err
			}
			jobs = append(jobs, job)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// Done removes a job that was claimed, or put and not claimed. mine is false if
// the job is no longer there: its lease has ended and another worker has it, or
// it was removed. The caller then gives up its transaction.
func (q Queue[V]) Done(tx *Tx, job Job[V]) (mine bool, err error) {
	_, mine, err = q.table.Get(&tx.Reader, job.key())
	if err != nil || !mine {
		return false, err
	}
	return true, q.table.Delete(tx, job.key())
}

// Later yields the jobs that are due after the time, the earliest first.
func (q Queue[V]) Later(r *Reader, after time.Time) iter.Seq2[Job[V], error] {
	return func(yield func(Job[V], error) bool) {
		for entry, err := range q.table.Scan(r, Range{From: TimeKey(after.Add(time.Millisecond))}) {
			job := Job[V]{Value: entry.Value}
			if err == nil {
				if job.Due, _ = KeyTime(entry.Key); len(entry.Key) <= 8 {
					err = fmt.Errorf("job %q of queue %s: %w", entry.Key, q.table.name, ErrDamaged)
				} else {
					job.ID = entry.Key[8:]
				}
			}
			if !yield(job, err) {
				return
			}
		}
	}
}

// NextDue returns when the earliest job is due that is not due before from; ok is
// false if there is none.
func (q Queue[V]) NextDue(r *Reader, from time.Time) (due time.Time, ok bool, err error) {
	for entry, err := range q.table.Scan(r, Range{From: TimeKey(from), Limit: 1}) {
		if err != nil {
			return due, false, err
		}
		due, ok = KeyTime(entry.Key)
		return due, ok, nil
	}
	return due, false, nil
}
