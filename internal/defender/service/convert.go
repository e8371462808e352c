package service

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Version 0.1 has its database in one file of bbolt. It is converted into a
// folder that gets its name when it is whole:
//
//	store.new         is written, and removed and begun again after a crash
//	store.converted   is whole
//	defender.db.v0.1  is the file, set aside
//	store             is the database
//
// Each line follows the one before on the disk, so that what is there says where
// to go on.
const (
	oldFile         = "defender.db"
	oldFileKept     = "defender.db.v0.1"
	newFolder       = storeFolder + ".new"
	convertedFolder = storeFolder + ".converted"
)

// convertOld converts a database of version 0.1, if there is one in the folder.
func convertOld(data string, log *slog.Logger) error {
	if begun, err := anyOf(data, oldFile, convertedFolder); err != nil || begun == "" {
		return err
	}
	folder, err := os.Open(data)
	if err != nil {
		return err
	}
	defer folder.Close()
	old, kept, converted := filepath.Join(data, oldFile), filepath.Join(data, oldFileKept), filepath.Join(data, convertedFolder)
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return inUse(old)
	}
	move := func(from, to string) error {
		if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return folder.Sync()
	}
	// Another process may have been faster.
	switch begun, err := anyOf(data, convertedFolder, oldFile); {
	case err != nil || begun == "":
		return err
	case begun == oldFile:
		if both, err := anyOf(data, storeFolder, oldFileKept); err != nil {
			return err
		} else if both != "" {
			return fmt.Errorf("database %s is of version 0.1, and there is %s as well: move away the one that is not wanted", old, filepath.Join(data, both))
		}
		fresh := filepath.Join(data, newFolder)
		if err := os.RemoveAll(fresh); err != nil {
			return err
		}
		log.Info("converting the database of version 0.1", "file", old)
		if err := convertFile(old, fresh, log); err != nil {
			return fmt.Errorf("converting the database of version 0.1: %w", err)
		}
		if err := move(fresh, converted); err != nil {
			return err
		}
	}
	if err := move(old, kept); err != nil {
		return err
	}
	log.Info("the database of version 0.1 is converted, and is kept", "file", kept)
	return move(converted, filepath.Join(data, storeFolder))
}

// anyOf returns the first of the names that is in the folder; "" when none is.
func anyOf(folder string, names ...string) (string, error) {
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return name, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// convertFile writes what is in the file to a database in a new folder.
func convertFile(path, folder string, log *slog.Logger) (err error) {
	// What reading a damaged file comes to: bbolt panics, or memory can't be
	// read.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			reason, _, _ := strings.Cut(fmt.Sprint(p), "\n")
			err = &DamagedError{path, reason}
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return inUse(path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch),
		errors.Is(err, io.ErrUnexpectedEOF), err != nil && strings.Contains(err.Error(), "file size too small"):
		return &DamagedError{path, err.Error()}
	case err != nil:
		return fmt.Errorf("opening database %s: %w", path, err)
	}
	defer db.Close()
	backend, err := openFolder(folder, log)
	if err != nil {
		return err
	}
	c := converter{store: store.New(backend), path: path}
	defer func() { err = errors.Join(err, c.store.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		// A file that was cut short is found before something reads beyond its
		// end.
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if tx.Size() > info.Size() {
			return &DamagedError{path, fmt.Sprintf("it has %d bytes of %d", info.Size(), tx.Size())}
		}
		c.old = tx
		return c.convert()
	})
}

// converter reads the buckets of the old database and writes tables.
type converter struct {
	store *store.Store
	path  string
	old   *bbolt.Tx

	writes []func(*store.Tx) error
	size   int
}

// What is written in one transaction.
const (
	convertRows  = 1000
	convertBytes = 4 << 20
)

// oldTables are the buckets whose records are rows as they are.
var oldTables = map[string]string{
	"profiles": "profiles", "targets": "targets", "custommetrics": "custom_metrics", "dimensions": "dimensions", "tags": "tags",
	"members": "members", "memberships": "memberships", "actions": "actions", "tasks": "tasks", "executions": "executions",
	"violations": "violations", "engine": "states", "reporters": "reporters", "clock": "clock",
}

func (c *converter) convert() error {
	for bucket, table := range oldTables {
		rows := store.NewTable(table, store.Bytes())
		if err := c.each(bucket, func(key string, value []byte) error { return c.row(rows, key, value) }); err != nil {
			return err
		}
	}
	for bucket, table := range map[string]string{"events": "events", "values": "values"} {
		rows := store.NewDayTable(table, store.Bytes())
		err := c.eachDay(bucket, func(day store.Day, key string, value []byte) error {
			return c.write(len(value), func(tx *store.Tx) error { return rows.Put(tx, day, key, value) })
		})
		if err != nil {
			return err
		}
	}
	for _, part := range []func() error{c.groups, c.things, c.active, c.models, c.outbox, c.flush} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// each calls do with the records of a bucket, which may not be there.
func (c *converter) each(bucket string, do func(key string, value []byte) error) error {
	b := c.old.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.ForEach(func(key, value []byte) error {
		if value == nil { // a bucket
			return nil
		}
		return do(string(key), value)
	})
}

// eachDay calls do with the records of a bucket that has one for each day.
func (c *converter) eachDay(bucket string, do func(day store.Day, key string, value []byte) error) error {
	days := c.old.Bucket([]byte(bucket))
	if days == nil {
		return nil
	}
	return days.ForEachBucket(func(name []byte) error {
		date, err := time.Parse(time.DateOnly, string(name))
		if err != nil {
			return c.damaged(bucket, string(name), err)
		}
		return days.Bucket(name).ForEach(func(key, value []byte) error { return do(day(date), string(key), value) })
	})
}

func (c *converter) damaged(bucket, key string, err error) error {
	return &DamagedError{c.path, fmt.Sprintf("record %q of %s: %v", key, bucket, err)}
}

// write adds a row to the transaction that comes.
func (c *converter) write(size int, row func(*store.Tx) error) error {
	c.writes, c.size = append(c.writes, row), c.size+size
	if len(c.writes) < convertRows && c.size < convertBytes {
		return nil
	}
	return c.flush()
}

func (c *converter) row(rows store.Table[[]byte], key string, value []byte) error {
	return c.write(len(value), func(tx *store.Tx) error { return rows.Put(tx, key, value) })
}

func (c *converter) flush() error {
	err := c.store.Update(context.Background(), func(tx *store.Tx) error {
		for _, row := range c.writes {
			if err := row(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.writes, c.size = nil, 0
	return err
}

// groups converts groups, which have got an index by their parents.
func (c *converter) groups() error {
	return c.each("groups", func(name string, value []byte) error {
		var group storedGroup
		if err := json.Unmarshal(value, &group); err != nil {
			return c.damaged("groups", name, err)
		}
		return c.write(len(value), func(tx *store.Tx) error {
			return errors.Join(tableGroups.Put(tx, name, group), tableChildren.Put(tx, pairKey(group.Parent, name), struct{}{}))
		})
	})
}

// things converts things, which say themselves now which groups they are in.
// Groups and memberships have been converted.
func (c *converter) things() error {
	if err := c.flush(); err != nil {
		return err
	}
	return c.each("things", func(name string, value []byte) error {
		var thing storedThing
		if err := json.Unmarshal(value, &thing); err != nil {
			return c.damaged("things", name, err)
		}
		return c.write(len(value), func(tx *store.Tx) (err error) {
			if thing.Placed, err = placesOf(&tx.Reader, name); err != nil {
				return err
			}
			return tableThings.Put(tx, name, thing)
		})
	})
}

// active converts active violations, which have got indexes. One without its
// violation was never shown.
func (c *converter) active() error {
	violations := c.old.Bucket([]byte("violations"))
	return c.each("active", func(id string, value []byte) error {
		record := violations.Get([]byte(id))
		if record == nil {
			return nil
		}
		var active storedActive
		var v storedViolation
		if err := errors.Join(json.Unmarshal(value, &active), json.Unmarshal(record, &v)); err != nil {
			return c.damaged("active", id, err)
		}
		return c.write(len(value), func(tx *store.Tx) error { return activate(tx, id, &v, active) })
	})
}

// models converts counts of datapoints, which were of 8 bytes.
func (c *converter) models() error {
	return c.eachDay("models", func(day store.Day, key string, value []byte) error {
		if len(value) != 8 {
			return c.damaged("models", key, fmt.Errorf("%d bytes, want 8", len(value)))
		}
		n := binary.BigEndian.Uint64(value)
		return c.write(len(value), func(tx *store.Tx) error { return tableModels.Put(tx, day, key, n) })
	})
}

// outbox converts alerts. Their numbers were of their targets, and are of all
// now.
func (c *converter) outbox() error {
	all := c.old.Bucket([]byte("outbox"))
	if all == nil {
		return nil
	}
	last := all.Sequence()
	err := all.ForEachBucket(func(target []byte) error {
		if len(target) > maxTopic {
			return nil // no topic has such a name
		}
		return all.Bucket(target).ForEach(func(key, value []byte) error {
			var alert storedAlert
			if err := json.Unmarshal(value, &alert); err != nil || len(key) != 8 {
				return c.damaged("outbox", string(target), errors.Join(err, fmt.Errorf("key of %d bytes", len(key))))
			}
			number := binary.BigEndian.Uint64(key)
			last = max(last, number)
			name := string(target)
			return c.write(len(value), func(tx *store.Tx) error { return tableOutbox.Put(tx, outboxKey(name, number), alert) })
		})
	})
	if err != nil {
		return err
	}
	return c.write(0, func(tx *store.Tx) error { return tableMeta.Put(tx, metaAlerts, last) })
}
