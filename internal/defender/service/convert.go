package service

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/awsrest"
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
	if err := lockFile(folder, true); err != nil {
		return inUse(old)
	}
	move := func(from, to string) error {
		if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncFolder(data)
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
		if err := convertFile(old, fresh, log); err != nil {
			return err
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
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	// Version 0.1 holds it with LOCK_EX.
	if err := lockFile(file, false); err != nil {
		return inUse(path)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	old, err := parseBoltFile(file, info.Size())
	if err != nil {
		return &DamagedError{path, err.Error()}
	}
	log.Info("converting the database of version 0.1", "file", path)
	backend, err := openFolder(folder, log)
	if err != nil {
		return err
	}
	c := converter{store: store.New(backend), old: old, buckets: map[string]*boltBucket{}, registered: map[string]bool{}}
	err = errors.Join(c.convert(), c.store.Close())
	if c.failed != nil {
		return fmt.Errorf("converting database %s of version 0.1: %w", path, c.failed)
	}
	if err != nil {
		return &DamagedError{path, err.Error()}
	}
	return nil
}

// converter reads the buckets of the old database and writes tables.
type converter struct {
	store   *store.Store
	old     *boltFile
	buckets map[string]*boltBucket
	// registered are the things of the registry, once they are converted.
	registered map[string]bool

	writes []func(*store.Tx) error
	size   int
	failed error // of the store: what is wrong is not the old database
}

// What is written in one transaction.
const (
	convertRows  = 1000
	convertBytes = 4 << 20
)

// oldTables are the buckets whose records are rows as they are.
var oldTables = map[string]string{
	"profiles": "profiles", "targets": "targets", "custommetrics": "custom_metrics", "dimensions": "dimensions", "tags": "tags",
	"members": "members", "memberships": "memberships", "actions": "actions", "executions": "executions",
	"clock": "clock",
}

func (c *converter) convert() error {
	err := c.old.each(c.old.top(), func(e boltEntry) error {
		if e.bucket != nil {
			c.buckets[e.key] = e.bucket
		}
		return nil
	})
	if err != nil {
		return err
	}
	for bucket, table := range oldTables {
		rows := store.NewTable(table, store.Bytes())
		err := c.each(bucket, func(key string, value []byte) error {
			return c.write(len(value), func(tx *store.Tx) error { return rows.Put(tx, key, value) })
		})
		if err != nil {
			return err
		}
	}
	events := store.NewDayTable("events", store.Bytes())
	err = c.eachDay("events", func(day store.Day, key string, value []byte) error {
		return c.write(len(value), func(tx *store.Tx) error { return events.Put(tx, day, key, value) })
	})
	if err != nil {
		return err
	}
	for _, part := range []func() error{c.groups, c.flush, c.things, c.rows, c.values, c.tasks, c.violations, c.flush, c.active, c.models, c.outbox, c.flush} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// each calls do with the records of a bucket, which may not be there.
func (c *converter) each(bucket string, do func(key string, value []byte) error) error {
	if c.buckets[bucket] == nil {
		return nil
	}
	return c.records(bucket, c.buckets[bucket], do)
}

func (c *converter) records(name string, b *boltBucket, do func(key string, value []byte) error) error {
	return c.old.each(b, func(e boltEntry) error {
		if e.bucket != nil || e.key == "" || len(e.key) > store.MaxKey || len(e.value) > store.MaxValue {
			return damagedRecord(name, e.key, fmt.Errorf("key of %d bytes, value of %d", len(e.key), len(e.value)))
		}
		return do(e.key, e.value)
	})
}

// eachBucket calls do with the buckets in a bucket, which may not be there.
func (c *converter) eachBucket(bucket string, do func(name string, b *boltBucket) error) error {
	if c.buckets[bucket] == nil {
		return nil
	}
	return c.old.each(c.buckets[bucket], func(e boltEntry) error {
		if e.bucket == nil {
			return damagedRecord(bucket, e.key, errors.New("it is no bucket"))
		}
		return do(e.key, e.bucket)
	})
}

// eachDay calls do with the records of a bucket that has one for each day.
func (c *converter) eachDay(bucket string, do func(day store.Day, key string, value []byte) error) error {
	return c.eachBucket(bucket, func(name string, b *boltBucket) error {
		date, err := time.Parse(time.DateOnly, name)
		if err != nil {
			return damagedRecord(bucket, name, err)
		}
		return c.records(bucket, b, func(key string, value []byte) error { return do(day(date), key, value) })
	})
}

func damagedRecord(bucket, key string, err error) error {
	return fmt.Errorf("record %q of %s: %w", awsrest.Clip(key), bucket, err)
}

// write adds a row to the transaction that comes.
func (c *converter) write(size int, row func(*store.Tx) error) error {
	c.writes, c.size = append(c.writes, row), c.size+size
	if len(c.writes) < convertRows && c.size < convertBytes {
		return nil
	}
	return c.flush()
}

func (c *converter) flush() error {
	c.failed = c.store.Update(context.Background(), func(tx *store.Tx) error {
		for _, row := range c.writes {
			if err := row(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.writes, c.size = nil, 0
	return c.failed
}

// groups converts groups, which have got an index by their parents.
func (c *converter) groups() error {
	return c.each("groups", func(name string, value []byte) error {
		var group storedGroup
		if err := json.Unmarshal(value, &group); err != nil {
			return damagedRecord("groups", name, err)
		}
		return c.write(len(value), func(tx *store.Tx) error {
			return errors.Join(tableGroups.Put(tx, name, group), tableChildren.Put(tx, pairKey(group.Parent, name), struct{}{}))
		})
	})
}

// things converts things, which say themselves now which groups they are in.
// Groups and memberships have been converted.
func (c *converter) things() error {
	return c.each("things", func(name string, value []byte) error {
		var thing storedThing
		if err := json.Unmarshal(value, &thing); err != nil {
			return damagedRecord("things", name, err)
		}
		c.registered[name] = true
		return c.write(len(value), func(tx *store.Tx) (err error) {
			if thing.Placed, err = placesOf(&tx.Reader, name); err != nil {
				return err
			}
			return tableThings.Put(tx, name, thing)
		})
	})
}

// tasks converts mitigation tasks. One that is under way has a job now.
func (c *converter) tasks() error {
	return c.each("tasks", func(id string, value []byte) error {
		var task storedTask
		if err := json.Unmarshal(value, &task); err != nil {
			return damagedRecord("tasks", id, err)
		}
		return c.write(len(value), func(tx *store.Tx) error {
			if task.Status == statusInProgress {
				if err := tableJobs.Put(tx, store.Job[struct{}]{Due: atOnce, ID: taskJob + id}); err != nil {
					return err
				}
			}
			return tableTasks.Put(tx, id, task)
		})
	})
}

// violations converts violations, which have got indexes.
func (c *converter) violations() error {
	return c.each("violations", func(id string, value []byte) error {
		var v storedViolation
		if err := json.Unmarshal(value, &v); err != nil {
			return damagedRecord("violations", id, err)
		}
		return c.write(len(value), func(tx *store.Tx) error { return errors.Join(tableViolations.Put(tx, id, v), index(tx, id, &v)) })
	})
}

// active converts active violations, which have got indexes. One without its
// violation was never shown. Violations have been converted.
func (c *converter) active() error {
	return c.each("active", func(id string, value []byte) error {
		var active storedActive
		if err := json.Unmarshal(value, &active); err != nil {
			return damagedRecord("active", id, err)
		}
		return c.write(len(value), func(tx *store.Tx) error {
			v, err := tableViolations.find(&tx.Reader, id)
			if err != nil || v == nil {
				return err
			}
			return activate(tx, id, v, active)
		})
	})
}

// models converts counts of datapoints, which were of 8 bytes and of no lane.
func (c *converter) models() error {
	return c.eachDay("models", func(day store.Day, key string, value []byte) error {
		if len(value) != 8 {
			return damagedRecord("models", key, fmt.Errorf("%d bytes, want 8", len(value)))
		}
		n := binary.BigEndian.Uint64(value)
		return c.write(len(value), func(tx *store.Tx) error { return tableModels.Put(tx, day, key+"\x00"+operatorLane, n) })
	})
}

// outbox converts alerts. Their numbers were of their targets, and are of all
// now.
func (c *converter) outbox() error {
	if c.buckets["outbox"] == nil {
		return nil
	}
	last := c.buckets["outbox"].sequence
	err := c.eachBucket("outbox", func(target string, b *boltBucket) error {
		return c.records("outbox", b, func(key string, value []byte) error {
			var stored storedAlert
			if err := json.Unmarshal(value, &stored); err != nil {
				return damagedRecord("outbox", target, err)
			}
			if len(key) != 8 || len(target) > alert.MaxTopic {
				return damagedRecord("outbox", target, fmt.Errorf("key of %d bytes", len(key)))
			}
			number := binary.BigEndian.Uint64([]byte(key))
			last = max(last, number)
			return c.write(len(value), func(tx *store.Tx) error { return tableOutbox.Put(tx, outboxKey(target, number), stored) })
		})
	})
	if err != nil {
		return err
	}
	return c.write(0, func(tx *store.Tx) error { return tableMeta.Put(tx, metaAlerts, last) })
}
