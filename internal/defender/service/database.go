package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/pebble"
)

// storeFolder is the folder of the database in that of the service.
const storeFolder = "store"

// Files returns the paths that a service with the folder uses.
func Files(data string) []string {
	return []string{filepath.Join(data, storeFolder), filepath.Join(data, newFolder), filepath.Join(data, convertedFolder), filepath.Join(data, restoredFolder), filepath.Join(data, oldFile), filepath.Join(data, oldFileKept), filepath.Join(data, credentialsFile)}
}

// DamagedError says that the database can't be read, and what to do.
type DamagedError struct {
	Path   string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("database %s is damaged (%s): put a copy in its place, or move it away to begin afresh", e.Path, e.Reason)
}

// openStore opens the database in the folder, or makes it. One of version 0.1 is
// converted.
func openStore(o *Options) (store.Backend, error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, err
	}
	if err := convertOld(o.Data, o.Log); err != nil {
		return nil, err
	}
	return openFolder(filepath.Join(o.Data, storeFolder), o.Log)
}

// Memory of the engine in bytes, chosen for a million things. The cache has room
// for all blocks of indexes and filters: with 32 MB they pushed each other out, and
// reading them again took 60 % of the time. In the memory table many rows are
// replaced before they are written to the disk. A small fleet uses less of both.
const (
	blockCache = 128 << 20
	memTable   = 32 << 20
)

func openFolder(path string, log *slog.Logger) (store.Backend, error) {
	engine, err := pebble.Open(path, pebble.Options{Log: log, Cache: blockCache, MemTable: memTable})
	switch {
	case errors.Is(err, store.ErrInUse) && !errors.Is(err, fs.ErrPermission):
		return nil, inUse(path)
	case errors.Is(err, store.ErrNewer):
		return nil, &NewerError{"database " + path, err.Error()}
	case err != nil:
		return nil, damaged(path, err)
	}
	return engine, nil
}

func inUse(path string) error {
	return fmt.Errorf("database %s is in use: is another defenderctl using it?", path)
}

// damaged makes one line of what reading a damaged database comes to. Other
// errors stay as they are.
func damaged(path string, err error) error {
	if _, said := errors.AsType[*DamagedError](err); said || !errors.Is(err, store.ErrDamaged) {
		return err
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	for _, known := range []string{"opening database " + path + ": ", store.ErrDamaged.Error() + ": "} {
		reason = strings.Replace(reason, known, "", 1)
	}
	return &DamagedError{path, reason}
}

// transactionTimeout is how long a transaction may take. One that waits for room on a
// full disk would otherwise hold up all others until there is some.
const transactionTimeout = 2 * time.Minute

// read runs fn with a snapshot.
func (s *Service) read(ctx context.Context, fn func(view *store.Reader) error) error {
	return damaged(s.path, s.store.View(ctx, fn))
}

// write runs fn in a transaction. fn may be called again after a conflict, and
// has no effects outside of tx but those of [store.Tx.OnCommit].
//
// What a request changes is in the audit log by the same transaction.
//
// When ctx ends while a transaction is being committed, it is not known whether
// it was. So it does not end then.
func (s *Service) write(ctx context.Context, fn func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionTimeout)
	defer cancel()
	entry := entryOf(ctx)
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return entry.put(tx)
	})
	if err != nil {
		return damaged(s.path, err)
	}
	entry.wasKept()
	s.watch.changed()
	return nil
}
