//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/pebble"
)

func openEngine(name, dir string) (engine, error) {
	switch name {
	case "bbolt":
		db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, nil)
		return &one{db}, err
	case "bbolt-days":
		e := &perDay{dir: dir, files: map[int]*bbolt.DB{}}
		names, err := filepath.Glob(filepath.Join(dir, "day-*"))
		if err != nil {
			return nil, err
		}
		for _, name := range append(names, filepath.Join(dir, "day-0")) {
			var day int
			fmt.Sscanf(filepath.Base(name), "day-%d", &day)
			if _, err := e.file(day); err != nil {
				return nil, err
			}
		}
		return e, nil
	case "pebble":
		b, err := pebble.Open(dir, pebble.Options{})
		if err != nil {
			return nil, err
		}
		return &contract{store.New(b)}, nil
	}
	return nil, fmt.Errorf("engine %q, want bbolt, bbolt-days or pebble", name)
}

// one is a file with a bucket per day, as version 0.1 has it.
type one struct{ db *bbolt.DB }

func (e *one) write(rows []row) error {
	return e.db.Update(func(tx *bbolt.Tx) error { return putAll(tx, rows) })
}

func putAll(tx *bbolt.Tx, rows []row) error {
	for _, r := range rows {
		b, err := tx.CreateBucketIfNotExists(fmt.Append(nil, r.day))
		if err != nil {
			return err
		}
		if err := b.Put(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

func (e *one) drop(day int) error {
	return e.db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(fmt.Append(nil, day)) })
}

func (e *one) close() error { return e.db.Close() }

// perDay is a file per day and one for the rest. A transaction is one per file:
// it is not atomic, which a real engine would have to add to its cost.
type perDay struct {
	dir   string
	files map[int]*bbolt.DB
}

func (e *perDay) file(day int) (db *bbolt.DB, err error) {
	if db := e.files[day]; db != nil {
		return db, nil
	}
	db, err = bbolt.Open(filepath.Join(e.dir, fmt.Sprint("day-", day)), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err == nil {
		e.files[day] = db
	}
	return db, err
}

func (e *perDay) write(rows []row) error {
	byDay := map[int][]row{}
	for _, r := range rows {
		byDay[r.day] = append(byDay[r.day], r)
	}
	for day, rows := range byDay {
		db, err := e.file(day)
		if err != nil {
			return err
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return putAll(tx, rows) }); err != nil {
			return err
		}
	}
	return nil
}

// drop is called while write goes on, for a day that it does not write to.
func (e *perDay) drop(day int) error {
	db := e.files[day]
	path := db.Path()
	return errors.Join(db.Close(), os.Remove(path))
}

func (e *perDay) close() (err error) {
	for _, db := range e.files {
		err = errors.Join(err, db.Close())
	}
	return err
}

// contract is an engine below the contract.
type contract struct{ store *store.Store }

var (
	states = store.NewTable("states", store.Bytes())
	values = store.NewDayTable("day_values", store.Bytes())
)

func (e *contract) write(rows []row) error {
	return e.store.Update(context.Background(), func(tx *store.Tx) error {
		for _, r := range rows {
			err := error(nil)
			if r.day == 0 {
				err = states.Put(tx, string(r.key), r.value)
			} else {
				err = values.Put(tx, store.Day(r.day), string(r.key), r.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *contract) drop(day int) error {
	return values.Drop(context.Background(), e.store, store.Day(day))
}

func (e *contract) close() error { return e.store.Close() }

func blocks(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }
